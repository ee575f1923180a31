-- What a constraint of the view pg_constraint names is admitted, so its table and columns are looked up by index in the system itself.
-- others = NULL
-- constraint_catalog = pg_catalog.current_database()
-- constraint_schema = kn.nspname
-- constraint_name = k.conname
-- table_catalog = pg_catalog.current_database()
-- table_schema = n.nspname
-- table_name = c.relname
-- constraint_type = CASE k.contype WHEN 'f' THEN 'FOREIGN KEY' WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END
-- is_deferrable = CASE WHEN k.condeferrable THEN 'YES' ELSE 'NO' END
-- initially_deferred = CASE WHEN k.condeferred THEN 'YES' ELSE 'NO' END
-- enforced = 'YES'
FROM postern_catalog.pg_constraint k
JOIN pg_catalog.pg_namespace kn ON kn.oid = k.connamespace
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p')
