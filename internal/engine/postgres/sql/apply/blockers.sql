-- Who holds or waits for locks on the tables ($1: schema.table) that apply could not get, without apply itself ($2).
SELECT DISTINCT format('session %s of %s%s%s', l.pid, coalesce(a.usename::text, '?'),
  CASE WHEN coalesce(a.application_name, '') <> '' THEN ' (' || a.application_name || ')' ELSE '' END,
  CASE WHEN a.xact_start IS NOT NULL THEN ', in a transaction since ' || to_char(a.xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS "UTC"') ELSE '' END)
FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
  AND n.nspname || '.' || c.relname = ANY ($1::text[]) AND l.pid <> $2::int
ORDER BY 1
