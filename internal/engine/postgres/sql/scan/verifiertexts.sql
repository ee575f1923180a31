-- Verifiers of roles that log in, for --try-passwords alone: they are tried and dropped.
SELECT a.rolname::text, a.rolpassword FROM pg_authid a WHERE a.rolcanlogin AND a.rolpassword IS NOT NULL ORDER BY a.rolname LIMIT 1000
