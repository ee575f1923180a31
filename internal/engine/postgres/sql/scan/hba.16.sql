-- pg_hba.conf as the server reads the file now, with the files it includes (16 and later).
SELECT coalesce(json_agg(json_build_object(
  'file', h.file_name, 'line', h.line_number, 'type', coalesce(h.type, ''),
  'databases', (SELECT json_agg(json_build_object('text', w)) FROM unnest(h.database) w),
  'users', (SELECT json_agg(json_build_object('text', w)) FROM unnest(h.user_name) w),
  'address', coalesce(h.address, ''), 'netmask', coalesce(h.netmask, ''), 'method', coalesce(h.auth_method, ''),
  'options', h.options, 'error', coalesce(h.error, '')
) ORDER BY h.rule_number NULLS LAST, h.file_name, h.line_number), '[]')
FROM pg_hba_file_rules h
