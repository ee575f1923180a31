-- Other sessions, their encryption, and whether their statement carries a key.
SELECT coalesce(json_agg(json_build_object(
  'pid', a.pid, 'user', coalesce(a.usename, ''), 'database', coalesce(a.datname, ''), 'application', coalesce(a.application_name, ''),
  'address', coalesce(host(a.client_addr), ''), 'local', a.client_addr IS NULL AND a.client_port = -1, 'backend', coalesce(a.backend_type, ''),
  'tls', coalesce(s.ssl, false), 'tlsversion', coalesce(s.version, ''), 'cipher', coalesce(s.cipher, ''), 'bits', coalesce(s.bits, 0),
  'gssencrypted', coalesce(g.encrypted, false),
  'callscipher', coalesce(a.query ~* '(pgp_sym_(en|de)crypt|\m(en|de)crypt(_iv)?|\mcrypt|\mhmac)\s*\([^;]*''[^'']+''', false)
) ORDER BY a.pid), '[]')
FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s ON s.pid = a.pid LEFT JOIN pg_stat_gssapi g ON g.pid = a.pid
WHERE a.pid <> pg_backend_pid() AND (a.backend_type IN ('client backend', 'walsender') OR a.backend_type IS NULL)
