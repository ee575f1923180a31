-- pg_ident.conf as the server reads the file now (15).
SELECT coalesce(json_agg(json_build_object(
  'line', i.line_number, 'map', coalesce(i.map_name, ''), 'system', coalesce(i.sys_name, ''),
  'role', json_build_object('text', coalesce(i.pg_username, '')), 'error', coalesce(i.error, '')
) ORDER BY i.line_number), '[]')
FROM pg_ident_file_mappings i
