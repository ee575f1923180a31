-- attstattarget = NULL
-- attacl = NULL
-- attoptions = NULL
-- attfdwoptions = NULL
-- attmissingval = NULL
-- atthasmissing = false
FROM pg_catalog.pg_attribute x
WHERE x.attrelid < 16384 OR (x.attrelid, x.attnum) IN (SELECT c.attrelid, c.attnum FROM postern_catalog._column c)
   OR x.attrelid IN (SELECT i.oid FROM postern_catalog._index i)
