-- spcacl = NULL
-- spcoptions = NULL
FROM pg_catalog.pg_tablespace x
WHERE x.oid < 16384
