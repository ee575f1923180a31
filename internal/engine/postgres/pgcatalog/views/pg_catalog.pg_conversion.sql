FROM pg_catalog.pg_conversion x
