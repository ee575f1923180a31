-- The system's routines only: no other may be called. Never a body (ENF-57).
-- prosrc = ''
-- probin = NULL
-- prosqlbody = NULL
-- proconfig = NULL
-- proacl = NULL
FROM pg_catalog.pg_proc x
WHERE x.pronamespace IN (SELECT s.oid FROM postern_catalog._system s)
