-- Which cluster a server and its standbys are of, with the database that is looked at, and whether this is a standby.
SELECT c.system_identifier::text || ' ' || d.oid::text, pg_catalog.pg_is_in_recovery()
FROM pg_catalog.pg_control_system() c, pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
