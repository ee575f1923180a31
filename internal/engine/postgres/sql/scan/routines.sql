-- What functions do: settings, volatility and the text of their body, which is looked at and not kept.
SELECT coalesce(json_agg(json_build_object('oid', p.oid::bigint, 'config', p.proconfig, 'volatility', ascii(p.provolatile::text),
  'leakproof', p.proleakproof, 'result', format_type(p.prorettype, NULL),
  'uses', CASE WHEN p.prosecdef THEN (
    SELECT json_agg(DISTINCT jsonb_build_object('schema', tn.nspname, 'name', t.relname))
    FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass) END,
  'source', CASE WHEN l.lanname IN ('c', 'internal') THEN '' ELSE left(p.prosrc, 100000) END)), '[]')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
