-- Primary keys, unique constraints and unique indexes over plain columns.
SELECT coalesce(json_agg(json_build_object(
  'relation', i.indrelid::bigint, 'name', coalesce(k.conname, x.relname), 'primary', i.indisprimary, 'constraint', k.oid IS NOT NULL,
  'partial', i.indpred IS NOT NULL,
  'columns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY u(num, n)
              JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num WHERE u.n <= i.indnkeyatts)
) ORDER BY x.relname), '[]')
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u')
WHERE i.indisunique AND 0 <> ALL (i.indkey::int2[])
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
