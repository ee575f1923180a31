-- How passwords are kept: kind and iterations, never the verifier.
SELECT coalesce(json_agg(json_build_object('role', a.rolname, 'kind',
  CASE WHEN a.rolpassword IS NULL THEN 'none'
       WHEN a.rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram'
       WHEN a.rolpassword ~ '^md5[0-9a-f]{32}$' THEN 'md5' ELSE 'other' END,
  'iterations', coalesce(substring(a.rolpassword FROM '^SCRAM-SHA-256\$(\d+):')::int, 0)) ORDER BY a.rolname), '[]')
FROM pg_authid a WHERE a.rolcanlogin
