-- others = NULL
-- table_catalog = pg_catalog.current_database()
-- table_schema = n.nspname
-- table_name = c.relname
-- table_type = CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN' ELSE 'BASE TABLE' END
-- is_insertable_into = CASE WHEN pg_catalog.has_any_column_privilege(r.view, 'INSERT') THEN 'YES' ELSE 'NO' END
-- is_typed = 'NO'
FROM postern_catalog.pg_class c JOIN postern_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN postern_catalog._relation r ON r.oid = c.oid
WHERE c.relkind IN ('r', 'v', 'f', 'p')
