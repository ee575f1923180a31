-- What the caller sees, for the views of this folder: current_user is the caller in a view, whoever owns it. The views are
-- security barriers, because a predicate that ran before their conditions could tell of a hidden relation by failing.
CREATE VIEW postern_catalog._relation WITH (security_barrier) AS
SELECT r.base AS oid, r.view, r.plain FROM postern.relation r
WHERE r.profile_role = ANY (ARRAY(
  SELECT g.rolname FROM pg_catalog.pg_auth_members m
  JOIN pg_catalog.pg_roles u ON u.oid = m.member
  JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
  WHERE u.rolname = current_user));

CREATE VIEW postern_catalog._system WITH (security_barrier) AS
SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('pg_catalog', 'information_schema');

-- Columns: those that the profile's view has, or that are granted where the table is open. One that the application added
-- since the last apply is in neither.
CREATE VIEW postern_catalog._column WITH (security_barrier) AS
SELECT a.attrelid, a.attnum, a.atttypid FROM postern_catalog._relation r
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
WHERE CASE WHEN a.attnum < 0 THEN true
  WHEN r.view = r.oid THEN pg_catalog.has_column_privilege(r.oid, a.attnum, 'SELECT')
  ELSE EXISTS (SELECT 1 FROM pg_catalog.pg_attribute v WHERE v.attrelid = r.view AND v.attname = a.attname AND NOT v.attisdropped) END;

-- Columns that the profile's view does not show as they are. A literal that belongs to one, in its default or in the condition of an index,
-- is one of its values. A column of a view can be updated when it is the base's own, whoever may do it.
CREATE VIEW postern_catalog._masked WITH (security_barrier) AS
SELECT a.attrelid, a.attnum FROM postern_catalog._relation r
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
JOIN pg_catalog.pg_attribute v ON v.attrelid = r.view AND v.attname = a.attname
WHERE r.view <> r.oid AND NOT pg_catalog.pg_column_is_updatable(r.view, v.attnum, false);

-- What the types of those columns are made of: arrays of domains, and domains over domains, at any depth.
CREATE VIEW postern_catalog._maskedtype WITH (security_barrier) AS
WITH RECURSIVE parts AS (
  SELECT a.atttypid AS oid FROM postern_catalog._masked m JOIN pg_catalog.pg_attribute a ON a.attrelid = m.attrelid AND a.attnum = m.attnum
  UNION SELECT e.oid FROM parts p JOIN pg_catalog.pg_type t ON t.oid = p.oid CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype)) e(oid)
  WHERE e.oid <> 0)
SELECT p.oid FROM parts p WHERE p.oid >= 16384;

-- Indexes whose columns are all seen, those in expressions and conditions included. One with an expression or a condition is left out
-- when a masked column is among its own.
CREATE VIEW postern_catalog._index WITH (security_barrier) AS
SELECT i.indexrelid AS oid FROM pg_catalog.pg_index i JOIN postern_catalog._relation r ON r.oid = i.indrelid
WHERE NOT EXISTS (
  SELECT k.attnum FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) k(attnum) WHERE k.attnum > 0
  UNION ALL SELECT d.refobjsubid FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid > 0
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  EXCEPT SELECT c.attnum FROM postern_catalog._column c WHERE c.attrelid = i.indrelid)
AND (i.indexprs IS NULL AND i.indpred IS NULL OR NOT EXISTS (
  SELECT FROM pg_catalog.pg_depend d JOIN postern_catalog._masked m ON m.attrelid = d.refobjid AND m.attnum = d.refobjsubid
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass));

-- The views let every object of the system through by its OID: those below 16384 are made by initdb. The rest is looked up in
-- what follows, which is evaluated only when such an object is met.
CREATE VIEW postern_catalog._class WITH (security_barrier) AS
SELECT r.oid FROM postern_catalog._relation r
UNION ALL SELECT i.oid FROM postern_catalog._index i;

-- Types: those of extensions, the row types of admitted relations, and what their columns are made of.
CREATE VIEW postern_catalog._type WITH (security_barrier) AS
WITH used AS (
  SELECT c.atttypid AS oid FROM postern_catalog._column c WHERE c.attnum > 0
  UNION SELECT c.reltype FROM postern_catalog._relation r JOIN pg_catalog.pg_class c ON c.oid = r.oid
  UNION SELECT d.objid FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.deptype = 'e'),
parts AS (
  SELECT t.oid, t.typarray FROM pg_catalog.pg_type t JOIN used u ON u.oid = t.oid
  UNION SELECT e.oid, e.typarray FROM pg_catalog.pg_type t JOIN used u ON u.oid = t.oid
  JOIN pg_catalog.pg_type e ON e.oid = t.typelem OR e.oid = t.typbasetype)
SELECT p.oid FROM parts p WHERE p.oid >= 16384
UNION SELECT p.typarray FROM parts p WHERE p.typarray >= 16384;

CREATE VIEW postern_catalog._namespace WITH (security_barrier) AS
SELECT s.oid FROM postern_catalog._system s
UNION SELECT c.relnamespace FROM postern_catalog._relation r JOIN pg_catalog.pg_class c ON c.oid = r.oid
UNION SELECT e.extnamespace FROM pg_catalog.pg_extension e
UNION SELECT t.typnamespace FROM postern_catalog._column c JOIN pg_catalog.pg_type t ON t.oid = c.atttypid WHERE c.attnum > 0
