-- What functions do: settings, volatility and the text of their body, which is looked at and not kept.
SELECT coalesce(json_agg(json_build_object('oid', p.oid::bigint, 'config', p.proconfig, 'volatility', ascii(p.provolatile::text),
  'leakproof', p.proleakproof, 'result', format_type(p.prorettype, NULL),
  'source', CASE WHEN l.lanname IN ('c', 'internal') THEN '' ELSE left(p.prosrc, 100000) END)), '[]')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
