FROM pg_catalog.pg_ts_template x
