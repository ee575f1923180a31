-- others = NULL
-- constraint_catalog = pg_catalog.current_database()
-- constraint_schema = kn.nspname
-- constraint_name = k.conname
-- table_catalog = pg_catalog.current_database()
-- table_schema = n.nspname
-- table_name = c.relname
-- column_name = a.attname
-- ordinal_position = e.n
-- position_in_unique_constraint = CASE WHEN k.contype = 'f' THEN information_schema._pg_index_position(k.conindid, k.confkey[e.n]) END
FROM postern_catalog.pg_constraint k
JOIN pg_catalog.pg_namespace kn ON kn.oid = k.connamespace
JOIN postern_catalog.pg_class c ON c.oid = k.conrelid
JOIN postern_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT u.x, u.n::pg_catalog.int4 AS n FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(x, n)) e
JOIN postern_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = e.x
WHERE k.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p')
