FROM pg_catalog.pg_aggregate x
