-- Triggers outside the system's schemas.
SELECT coalesce(json_agg(json_build_object('relation', t.tgrelid::bigint, 'name', t.tgname,
  'function', json_build_object('schema', fn.nspname, 'name', f.proname), 'securitydefiner', f.prosecdef) ORDER BY t.tgname), '[]')
FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = f.pronamespace
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
