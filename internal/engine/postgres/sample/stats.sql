-- Planner statistics of some tables: reads no table, only what the last ANALYZE left. $1 and $2 are parallel arrays of names. OFFSET 0
-- makes the planner look the tables up one by one: joined as a whole, pg_stats is read to its end for every batch.
-- An empty text among the commonest values stands for no value, as a null does: its share is added to theirs.
SELECT s.schemaname, s.tablename, s.attname, least(1, s.null_frac + coalesce((SELECT sum(m.share)
        FROM unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS m(value, share) WHERE m.value = ''), 0))::float8, s.n_distinct::float8,
    s.most_common_vals::text, s.histogram_bounds::text, s.most_common_elems::text
FROM unnest($1::name[], $2::name[]) AS w(schema, name)
CROSS JOIN LATERAL (SELECT p.* FROM pg_catalog.pg_stats p WHERE p.schemaname = w.schema AND p.tablename = w.name OFFSET 0) s
WHERE NOT s.inherited OR NOT EXISTS (SELECT FROM pg_catalog.pg_stats o WHERE o.schemaname = w.schema AND o.tablename = w.name
    AND o.attname = s.attname AND NOT o.inherited)
ORDER BY s.schemaname, s.tablename, s.attname
