FROM pg_catalog.pg_operator x
