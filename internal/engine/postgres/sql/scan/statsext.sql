-- Whether pg_stats_ext_exprs is as it was before the fix of CVE-2024-4317: the fixed one asks who owns the table.
SELECT to_json(pg_get_viewdef('pg_catalog.pg_stats_ext_exprs'::regclass) !~ 'pg_has_role' OR pg_get_viewdef('pg_catalog.pg_stats_ext'::regclass) !~ 'pg_has_role')
