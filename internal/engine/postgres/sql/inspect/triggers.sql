-- User triggers.
SELECT coalesce(json_agg(json_build_object(
  'relation', t.tgrelid::bigint, 'name', t.tgname, 'function', json_build_object('schema', fn.nspname, 'name', f.proname),
  'securitydefiner', f.prosecdef,
  'events', (SELECT json_agg(e.name ORDER BY e.bit) FROM (VALUES (4, 'INSERT'), (8, 'DELETE'), (16, 'UPDATE'), (32, 'TRUNCATE')) e(bit, name)
             WHERE t.tgtype & e.bit <> 0)
) ORDER BY t.tgname), '[]')
FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = f.pronamespace
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname = ANY ($1)
