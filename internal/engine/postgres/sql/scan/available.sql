-- Extensions whose files the server has.
SELECT coalesce(json_agg(json_build_object('name', a.name, 'default', a.default_version) ORDER BY a.name), '[]')
FROM pg_available_extensions a
