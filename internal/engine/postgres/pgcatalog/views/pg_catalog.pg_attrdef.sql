-- The default of a masked column names a value of it.
FROM pg_catalog.pg_attrdef x
WHERE x.adrelid < 16384 OR (x.adrelid, x.adnum) IN (SELECT c.attrelid, c.attnum FROM postern_catalog._column c)
  AND NOT EXISTS (SELECT FROM postern_catalog._masked m WHERE m.attrelid = x.adrelid AND m.attnum = x.adnum)
