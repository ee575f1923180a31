-- This database only.
-- datconnlimit = -1
-- datlastsysoid = 0
-- datfrozenxid = '0'
-- datminmxid = '0'
-- datacl = NULL
FROM pg_catalog.pg_database x
WHERE x.datname = pg_catalog.current_database()
