-- Which login roles can read which of the named columns, superusers aside. $1..$3 are parallel arrays: table OID, column number.
SELECT w.rel, w.num, r.rolname
FROM unnest($1::oid[], $2::int2[]) AS w(rel, num) CROSS JOIN pg_catalog.pg_roles r
WHERE r.rolcanlogin AND NOT r.rolsuper AND pg_catalog.has_column_privilege(r.oid, w.rel, w.num, 'SELECT')
ORDER BY w.rel, w.num, r.rolname
