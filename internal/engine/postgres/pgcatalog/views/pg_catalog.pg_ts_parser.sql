FROM pg_catalog.pg_ts_parser x
