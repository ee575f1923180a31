-- The database that was entered.
SELECT json_build_object('serverversionnum', current_setting('server_version_num')::int, 'currentuser', current_user,
  'database', (SELECT json_build_object('oid', d.oid::bigint, 'name', d.datname, 'owner', pg_get_userbyid(d.datdba)) FROM pg_database d
    WHERE d.datname = current_database()))
