FROM pg_catalog.pg_attrdef x
WHERE x.adrelid < 16384 OR (x.adrelid, x.adnum) IN (SELECT c.attrelid, c.attnum FROM postern_catalog._column c)
