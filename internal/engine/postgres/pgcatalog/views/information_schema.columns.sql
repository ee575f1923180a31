-- others = NULL
-- table_catalog = pg_catalog.current_database()
-- table_schema = n.nspname
-- table_name = c.relname
-- column_name = a.attname
-- ordinal_position = a.attnum
-- column_default = CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END
-- is_nullable = CASE WHEN a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) THEN 'NO' ELSE 'YES' END
-- data_type = CASE WHEN b.typelem <> 0 AND b.typlen = -1 THEN 'ARRAY' WHEN b.typnamespace = 'pg_catalog'::pg_catalog.regnamespace THEN pg_catalog.format_type(b.oid, NULL) ELSE 'USER-DEFINED' END
-- character_maximum_length = information_schema._pg_char_max_length(b.oid, m.typmod)
-- character_octet_length = information_schema._pg_char_octet_length(b.oid, m.typmod)
-- numeric_precision = information_schema._pg_numeric_precision(b.oid, m.typmod)
-- numeric_precision_radix = information_schema._pg_numeric_precision_radix(b.oid, m.typmod)
-- numeric_scale = information_schema._pg_numeric_scale(b.oid, m.typmod)
-- datetime_precision = information_schema._pg_datetime_precision(b.oid, m.typmod)
-- interval_type = information_schema._pg_interval_type(b.oid, m.typmod)
-- collation_catalog = CASE WHEN co.collname IS NOT NULL THEN pg_catalog.current_database() END
-- collation_schema = co.nspname
-- collation_name = co.collname
-- domain_catalog = CASE WHEN t.typtype = 'd' THEN pg_catalog.current_database() END
-- domain_schema = CASE WHEN t.typtype = 'd' THEN tn.nspname END
-- domain_name = CASE WHEN t.typtype = 'd' THEN t.typname END
-- udt_catalog = pg_catalog.current_database()
-- udt_schema = bn.nspname
-- udt_name = b.typname
-- dtd_identifier = a.attnum
-- is_self_referencing = 'NO'
-- is_identity = CASE WHEN a.attidentity IN ('a', 'd') THEN 'YES' ELSE 'NO' END
-- identity_generation = CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END
-- identity_cycle = 'NO'
-- is_generated = CASE WHEN a.attgenerated = '' THEN 'NEVER' ELSE 'ALWAYS' END
-- generation_expression = CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END
-- is_updatable = CASE WHEN pg_catalog.has_column_privilege(r.view, a.attname, 'UPDATE') THEN 'YES' ELSE 'NO' END
FROM postern_catalog.pg_attribute a
LEFT JOIN postern_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN postern_catalog.pg_class c ON c.oid = a.attrelid
JOIN postern_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN postern_catalog._relation r ON r.oid = c.oid
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
JOIN pg_catalog.pg_namespace bn ON bn.oid = b.typnamespace
CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod) m
LEFT JOIN (SELECT k.oid, k.collname, kn.nspname FROM pg_catalog.pg_collation k JOIN pg_catalog.pg_namespace kn ON kn.oid = k.collnamespace
           WHERE kn.nspname <> 'pg_catalog' OR k.collname <> 'default') co ON co.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p')
