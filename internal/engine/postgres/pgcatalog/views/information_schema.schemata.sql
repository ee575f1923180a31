-- others = NULL
-- catalog_name = pg_catalog.current_database()
-- schema_name = n.nspname
-- schema_owner = postern_catalog.pg_get_userbyid(n.nspowner)
FROM postern_catalog.pg_namespace n
