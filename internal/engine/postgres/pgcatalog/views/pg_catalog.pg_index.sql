FROM pg_catalog.pg_index x
WHERE x.indrelid IN (SELECT v.oid FROM postern_catalog._class v)
