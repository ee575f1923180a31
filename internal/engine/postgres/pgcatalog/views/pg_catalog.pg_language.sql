-- lanacl = NULL
FROM pg_catalog.pg_language x
