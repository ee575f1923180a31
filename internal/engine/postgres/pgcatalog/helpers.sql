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

-- The views let every object of the system through by its OID: those below 16384 are made by initdb. The rest is looked up in
-- what follows, which is evaluated only when such an object is met.
CREATE VIEW postern_catalog._class WITH (security_barrier) AS
SELECT r.oid FROM postern_catalog._relation r
UNION ALL SELECT i.indexrelid FROM pg_catalog.pg_index i JOIN postern_catalog._relation r ON r.oid = i.indrelid;

-- Types: those of extensions, the row types of admitted relations, and what their columns are made of.
CREATE VIEW postern_catalog._type WITH (security_barrier) AS
WITH used AS (
  SELECT a.atttypid AS oid FROM postern_catalog._relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid WHERE a.attnum > 0
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
UNION SELECT t.typnamespace FROM postern_catalog._relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE a.attnum > 0
