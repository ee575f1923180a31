-- pg_hba.conf, as far as the server could read it.
SELECT coalesce(json_agg(json_build_object(
  'line', h.line_number, 'type', h.type, 'databases', coalesce(to_json(h.database), '[]'), 'users', coalesce(to_json(h.user_name), '[]'),
  'address', coalesce(h.address, ''), 'method', h.auth_method
) ORDER BY h.line_number), '[]')
FROM pg_hba_file_rules h WHERE h.error IS NULL
