-- Subscriptions, without the connection string.
SELECT coalesce(json_agg(json_build_object('name', s.subname, 'owner', pg_get_userbyid(s.subowner), 'database', d.datname,
  'enabled', s.subenabled, 'runasowner', true) ORDER BY s.subname), '[]')
FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
