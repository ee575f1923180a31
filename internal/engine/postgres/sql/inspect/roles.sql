-- Every role of the cluster with its comment and settings.
SELECT coalesce(json_agg(json_build_object(
  'oid', r.oid::bigint, 'name', r.rolname, 'superuser', r.rolsuper, 'inherit', r.rolinherit, 'createrole', r.rolcreaterole,
  'createdb', r.rolcreatedb, 'login', r.rolcanlogin, 'replication', r.rolreplication, 'bypassrls', r.rolbypassrls,
  'validuntil', CASE WHEN r.rolvaliduntil IS NULL THEN ''
                     WHEN r.rolvaliduntil IN ('infinity', '-infinity') THEN r.rolvaliduntil::text
                     ELSE to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END,
  'connlimit', r.rolconnlimit,
  'comment', coalesce(shobj_description(r.oid, 'pg_authid'), ''),
  'config', (
    SELECT coalesce(json_agg(json_build_object('database', coalesce(d.datname, ''),
      'name', split_part(x.setting, '=', 1), 'value', substr(x.setting, strpos(x.setting, '=') + 1))), '[]')
    FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) x(setting)
    WHERE s.setrole = r.oid)
)), '[]')
FROM pg_roles r
