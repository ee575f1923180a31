-- One short text that changes whenever something changes that a compiled profile depends on: the markers of Postern's
-- schemas, the columns, row security and row policies of the application's tables, the views, and every owner, privilege,
-- membership, role and role setting. It is asked every second, so it reads catalogs only.
WITH space AS (
    SELECT s.oid, s.nspname, s.nspowner, s.nspacl, s.nspname LIKE 'postern%' AS ours, COALESCE(d.description, '') AS marker
      FROM pg_catalog.pg_namespace s
      LEFT JOIN pg_catalog.pg_description d
        ON d.objoid = s.oid AND d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objsubid = 0
     WHERE s.nspname <> 'information_schema' AND s.nspname NOT LIKE 'pg\_%'
), rel AS (
    SELECT c.oid, c.relnamespace, c.relname, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.xmin
      FROM pg_catalog.pg_class c JOIN space s ON s.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
)
SELECT pg_catalog.md5(pg_catalog.concat_ws('|',
    (SELECT pg_catalog.string_agg(nspname || marker, ',' ORDER BY nspname) FROM space WHERE ours),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, nspowner, nspacl), ',' ORDER BY oid) FROM space),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, relnamespace, relname, relkind, relowner, relrowsecurity, relforcerowsecurity, relacl), ',' ORDER BY oid) FROM rel),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attacl), ',' ORDER BY a.attrelid, a.attnum)
       FROM pg_catalog.pg_attribute a JOIN rel ON rel.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', i.indexrelid, i.indrelid), ',' ORDER BY i.indexrelid)
       FROM pg_catalog.pg_index i JOIN rel ON rel.oid = i.indrelid),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles, p.xmin), ',' ORDER BY p.oid)
       FROM pg_catalog.pg_policy p JOIN rel ON rel.oid = p.polrelid),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', w.ev_class, w.xmin), ',' ORDER BY w.oid)
       FROM pg_catalog.pg_rewrite w JOIN rel ON rel.oid = w.ev_class WHERE rel.relkind = 'v'),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', m.roleid, m.member, m.admin_option, m.xmin), ',' ORDER BY m.roleid, m.member, m.grantor)
       FROM pg_catalog.pg_auth_members m),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
       r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil), ',' ORDER BY r.oid) FROM pg_catalog.pg_roles r WHERE r.rolname NOT LIKE 'pg\_%'),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', s.setdatabase, s.setrole, s.setconfig), ',' ORDER BY s.setdatabase, s.setrole)
       FROM pg_catalog.pg_db_role_setting s),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', p.oid, p.proowner, p.proacl), ',' ORDER BY p.oid)
       FROM pg_catalog.pg_proc p JOIN space ON space.oid = p.pronamespace),
    (SELECT pg_catalog.concat_ws(' ', d.datdba, d.datacl) FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
))
