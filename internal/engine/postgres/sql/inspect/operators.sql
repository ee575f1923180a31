-- Operators outside the system's schemas.
SELECT coalesce(json_agg(json_build_object(
  'name', json_build_object('schema', n.nspname, 'name', o.oprname),
  'extension', coalesce((
    SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'), '')
)), '[]')
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
