-- The connection strings of subscriptions; passwords are taken out before anything is kept.
SELECT coalesce(json_object_agg(s.subname, s.subconninfo), '{}') FROM pg_subscription s
