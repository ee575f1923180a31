-- Publications and their tables, with row filters and column lists. The view lists every column when there is no list, so the list itself is asked.
SELECT coalesce(json_agg(json_build_object('name', p.pubname, 'owner', pg_get_userbyid(p.pubowner), 'alltables', p.puballtables,
  'tables', (SELECT json_agg(json_build_object('name', json_build_object('schema', t.schemaname, 'name', t.tablename), 'filter', t.rowfilter IS NOT NULL,
      'columns', CASE WHEN EXISTS (SELECT FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE r.prpubid = p.oid AND n.nspname = t.schemaname AND c.relname = t.tablename AND r.prattrs IS NOT NULL) THEN to_json(t.attnames) END)
      ORDER BY t.schemaname, t.tablename) FROM pg_publication_tables t WHERE t.pubname = p.pubname)) ORDER BY p.pubname), '[]')
FROM pg_publication p
