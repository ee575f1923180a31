FROM pg_catalog.pg_amproc x
