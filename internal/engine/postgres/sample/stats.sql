-- Planner statistics of some tables: reads no table, only what the last ANALYZE left. $1 and $2 are parallel arrays of names.
SELECT s.schemaname, s.tablename, s.attname, s.null_frac::float8, s.n_distinct::float8,
    s.most_common_vals::text, s.histogram_bounds::text, s.most_common_elems::text
FROM pg_catalog.pg_stats s JOIN unnest($1::text[], $2::text[]) AS w(schema, name) ON s.schemaname = w.schema AND s.tablename = w.name
WHERE NOT s.inherited OR NOT EXISTS (SELECT FROM pg_catalog.pg_stats o WHERE o.schemaname = s.schemaname AND o.tablename = s.tablename
    AND o.attname = s.attname AND NOT o.inherited)
ORDER BY s.schemaname, s.tablename, s.attname
