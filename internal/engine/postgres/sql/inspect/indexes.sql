-- The names of indexes: who owns a table may drop them.
SELECT coalesce(json_agg(json_build_object('relation', i.indrelid::bigint, 'name', x.relname) ORDER BY i.indrelid, x.relname), '[]')
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
WHERE n.nspname = ANY ($1)
