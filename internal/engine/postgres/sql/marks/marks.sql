-- One short text that changes whenever something changes that a compiled profile depends on: the markers of Postern's
-- schemas, the columns, row security and row policies of the application's tables, the views and their owners, and who is a
-- member of Postern's roles. It is asked every second, so it reads catalogs only.
WITH space AS (
    SELECT s.oid, s.nspname, s.nspname LIKE 'postern%' AS ours, COALESCE(d.description, '') AS marker
      FROM pg_catalog.pg_namespace s
      LEFT JOIN pg_catalog.pg_description d
        ON d.objoid = s.oid AND d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objsubid = 0
     WHERE s.nspname <> 'information_schema' AND s.nspname NOT LIKE 'pg\_%'
), rel AS (
    SELECT c.oid, c.relnamespace, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relacl, c.xmin
      FROM pg_catalog.pg_class c JOIN space s ON s.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
)
SELECT pg_catalog.md5(pg_catalog.concat_ws('|',
    (SELECT pg_catalog.string_agg(nspname || marker, ',' ORDER BY nspname) FROM space WHERE ours),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, relnamespace, relname, relkind, relowner, relrowsecurity, relacl), ',' ORDER BY oid) FROM rel),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull), ',' ORDER BY a.attrelid, a.attnum)
       FROM pg_catalog.pg_attribute a JOIN rel ON rel.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles, p.xmin), ',' ORDER BY p.oid)
       FROM pg_catalog.pg_policy p JOIN rel ON rel.oid = p.polrelid),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', w.ev_class, w.xmin), ',' ORDER BY w.oid)
       FROM pg_catalog.pg_rewrite w JOIN rel ON rel.oid = w.ev_class WHERE rel.relkind = 'v'),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', m.roleid, m.member, m.admin_option), ',' ORDER BY m.roleid, m.member, m.grantor)
       FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid WHERE r.rolname LIKE 'postern%')
))
