-- schemaname = n.nspname
-- viewname = c.relname
-- viewowner = postern_catalog.pg_get_userbyid(c.relowner)
-- definition = NULL
FROM postern_catalog.pg_class c JOIN postern_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v'
