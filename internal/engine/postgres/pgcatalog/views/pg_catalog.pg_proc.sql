-- The system's routines only: no other may be called. Never a body (ENF-57).
-- prosrc = ''
-- probin = NULL
-- prosqlbody = NULL
-- proconfig = NULL
-- proacl = NULL
FROM pg_catalog.pg_proc x
WHERE x.oid < 16384
