FROM pg_catalog.pg_attrdef x
WHERE x.adrelid < 16384 OR x.adrelid IN (SELECT v.oid FROM postern_catalog._class v)
