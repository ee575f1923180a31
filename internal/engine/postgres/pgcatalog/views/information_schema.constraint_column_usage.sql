-- What a constraint of the view pg_constraint names is admitted, so its table and columns are looked up by index in the system itself.
-- table_catalog = pg_catalog.current_database()
-- table_schema = n.nspname
-- table_name = c.relname
-- column_name = a.attname
-- constraint_catalog = pg_catalog.current_database()
-- constraint_schema = kn.nspname
-- constraint_name = k.conname
FROM postern_catalog.pg_constraint k
JOIN pg_catalog.pg_namespace kn ON kn.oid = k.connamespace
JOIN pg_catalog.pg_class c ON c.oid = CASE k.contype WHEN 'f' THEN k.confrelid ELSE k.conrelid END
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (CASE k.contype WHEN 'f' THEN k.confkey ELSE k.conkey END)
WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p')
