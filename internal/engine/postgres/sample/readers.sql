-- Which login roles can read which of the named columns, superusers aside: with what they are or can become by SET ROLE, schema
-- and column together. $1..$2 are parallel arrays: table OID, column number.
SELECT w.rel, w.num, r.rolname
FROM unnest($1::oid[], $2::int2[]) AS w(rel, num) JOIN pg_catalog.pg_class c ON c.oid = w.rel CROSS JOIN pg_catalog.pg_roles r
WHERE r.rolcanlogin AND NOT r.rolsuper AND EXISTS (
	SELECT FROM pg_catalog.pg_roles x
	WHERE pg_catalog.pg_has_role(r.oid, x.oid, 'MEMBER') AND pg_catalog.has_column_privilege(x.oid, w.rel, w.num, 'SELECT')
		AND pg_catalog.has_schema_privilege(x.oid, c.relnamespace, 'USAGE'))
ORDER BY w.rel, w.num, r.rolname
