-- Publications and their tables (before 15 there are neither row filters nor column lists).
SELECT coalesce(json_agg(json_build_object('name', p.pubname, 'owner', pg_get_userbyid(p.pubowner), 'alltables', p.puballtables,
  'tables', (SELECT json_agg(json_build_object('name', json_build_object('schema', t.schemaname, 'name', t.tablename))
      ORDER BY t.schemaname, t.tablename) FROM pg_publication_tables t WHERE t.pubname = p.pubname)) ORDER BY p.pubname), '[]')
FROM pg_publication p
