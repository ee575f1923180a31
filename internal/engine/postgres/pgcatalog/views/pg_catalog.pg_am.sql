FROM pg_catalog.pg_am x
