-- Columns outside the system's schemas: name, type and rights.
SELECT coalesce(json_agg(json_build_object('relation', a.attrelid::bigint, 'num', a.attnum, 'name', a.attname,
  'comment', coalesce(col_description(a.attrelid, a.attnum), ''),
  'typeoid', a.atttypid::bigint, 'type', format_type(a.atttypid, a.atttypmod),
  'acl', CASE WHEN a.attacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_object('grantee', CASE WHEN x.grantee = 0 THEN '' ELSE pg_get_userbyid(x.grantee) END,
    'grantor', pg_get_userbyid(x.grantor), 'privilege', x.privilege_type, 'grantable', x.is_grantable)), '[]')
    FROM aclexplode(a.attacl) x) END
) ORDER BY a.attrelid, a.attnum), '[]')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
