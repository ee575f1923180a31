-- Types outside the system's schemas; row types of tables are left out.
SELECT coalesce(json_agg(json_build_object(
  'oid', t.oid::bigint, 'array', t.typarray::bigint, 'name', json_build_object('schema', n.nspname, 'name', t.typname),
  'kind', ascii(t.typtype::text), 'owner', pg_get_userbyid(t.typowner),
  'labels', (SELECT coalesce(json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]') FROM pg_enum e WHERE e.enumtypid = t.oid),
  'extension', coalesce((
    SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'), '')
)), '[]')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typtype IN ('b', 'c', 'd', 'e', 'r', 'm')
  AND NOT EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
  AND NOT (t.typelem <> 0 AND t.typlen = -1 AND t.typcategory = 'A')
