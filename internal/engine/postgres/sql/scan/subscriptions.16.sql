-- Subscriptions, without the connection string; from 16 it can run as the table's owner.
SELECT coalesce(json_agg(json_build_object('name', s.subname, 'owner', pg_get_userbyid(s.subowner), 'database', d.datname,
  'enabled', s.subenabled, 'runasowner', s.subrunasowner) ORDER BY s.subname), '[]')
FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
