-- Foreign keys.
SELECT coalesce(json_agg(json_build_object(
  'relation', k.conrelid::bigint, 'name', k.conname, 'references', json_build_object('schema', rn.nspname, 'name', r.relname),
  'columns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(num, n)
              JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num),
  'refcolumns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(num, n)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num)
) ORDER BY k.conname), '[]')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE k.contype = 'f'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
