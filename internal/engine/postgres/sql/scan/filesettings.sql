-- What the configuration files say, without the values.
SELECT coalesce(json_agg(json_build_object(
  'file', coalesce(f.sourcefile, ''), 'line', coalesce(f.sourceline, 0), 'name', coalesce(f.name, ''), 'applied', f.applied,
  'error', coalesce(f.error, '')
) ORDER BY f.seqno), '[]')
FROM pg_file_settings f
