-- ALTER ROLE … SET, ALTER DATABASE … SET and both together.
SELECT coalesce(json_agg(json_build_object('role', coalesce(r.rolname, ''), 'database', coalesce(d.datname, ''),
  'name', split_part(x.setting, '=', 1), 'value', substr(x.setting, strpos(x.setting, '=') + 1))), '[]')
FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole,
  unnest(s.setconfig) x(setting)
