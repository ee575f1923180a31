FROM pg_catalog.pg_index x
WHERE x.indrelid < 16384 OR x.indrelid IN (SELECT v.oid FROM postern_catalog._class v)
