-- schemaname = n.nspname
-- tablename = c.relname
-- tableowner = postern_catalog.pg_get_userbyid(c.relowner)
-- tablespace = NULL
-- hasindexes = c.relhasindex
-- hasrules = false
-- hastriggers = false
-- rowsecurity = false
FROM postern_catalog.pg_class c JOIN postern_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
