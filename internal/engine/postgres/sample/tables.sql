-- Changes whenever a relation that holds rows appears or goes, or gets another column.
SELECT pg_catalog.count(*)::text || '/' || coalesce(pg_catalog.max(c.oid::bigint), 0)::text || '/' || coalesce(pg_catalog.sum(c.relnatts), 0)::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
