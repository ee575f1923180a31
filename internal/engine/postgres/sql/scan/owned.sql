-- How many objects each role owns or is named in an ACL of.
SELECT coalesce(json_agg(json_build_object('role', r.rolname, 'owns', x.owns, 'granted', x.granted) ORDER BY r.rolname), '[]')
FROM (SELECT d.refobjid, count(*) FILTER (WHERE d.deptype = 'o') AS owns, count(*) FILTER (WHERE d.deptype = 'a') AS granted
  FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass GROUP BY 1) x JOIN pg_roles r ON r.oid = x.refobjid
