-- attstattarget = NULL
-- attacl = NULL
-- attoptions = NULL
-- attfdwoptions = NULL
-- attmissingval = NULL
-- atthasmissing = false
FROM pg_catalog.pg_attribute x
WHERE x.attrelid < 16384 OR x.attrelid IN (SELECT v.oid FROM postern_catalog._class v)
