-- schemaname = n.nspname
-- tablename = c.relname
-- indexname = i.relname
-- tablespace = NULL
-- indexdef = pg_catalog.pg_get_indexdef(i.oid)
FROM postern_catalog.pg_index x
JOIN postern_catalog.pg_class c ON c.oid = x.indrelid
JOIN postern_catalog.pg_class i ON i.oid = x.indexrelid
JOIN postern_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p')
