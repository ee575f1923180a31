-- What each view reads. The definition itself is not asked for: that would wait for locks.
SELECT coalesce(json_agg(json_build_object('relation', c.oid::bigint, 'definition', '', 'dependson', (
  SELECT coalesce(json_agg(json_build_object('schema', x.nspname, 'name', x.relname) ORDER BY x.nspname, x.relname), '[]') FROM (
    SELECT DISTINCT tn.nspname, t.relname
    FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
    WHERE w.ev_class = c.oid AND d.refobjid <> c.oid) x))), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
