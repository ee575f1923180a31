-- What a constraint of the view pg_constraint names is admitted, so its table and columns are looked up by index in the system itself.
-- others = NULL
-- constraint_catalog = pg_catalog.current_database()
-- constraint_schema = kn.nspname
-- constraint_name = k.conname
-- table_catalog = pg_catalog.current_database()
-- table_schema = n.nspname
-- table_name = c.relname
-- column_name = a.attname
-- ordinal_position = k.n
-- position_in_unique_constraint = CASE WHEN k.contype = 'f' THEN information_schema._pg_index_position(k.conindid, k.confkey[k.n]) END
FROM (SELECT y.*, u.x, u.n::pg_catalog.int4 AS n FROM postern_catalog.pg_constraint y
      CROSS JOIN LATERAL pg_catalog.unnest(y.conkey) WITH ORDINALITY u(x, n) WHERE y.contype IN ('p', 'u', 'f') OFFSET 0) k
JOIN pg_catalog.pg_namespace kn ON kn.oid = k.connamespace
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.x
WHERE c.relkind IN ('r', 'p')
