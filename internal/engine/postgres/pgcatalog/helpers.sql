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

CREATE VIEW postern_catalog._class WITH (security_barrier) AS
SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace IN (SELECT s.oid FROM postern_catalog._system s)
UNION ALL SELECT r.oid FROM postern_catalog._relation r
UNION ALL SELECT i.indexrelid FROM pg_catalog.pg_index i JOIN postern_catalog._relation r ON r.oid = i.indrelid;

-- Types: the system's, those of extensions, the row types of admitted relations, and what their columns are made of.
CREATE VIEW postern_catalog._type WITH (security_barrier) AS
WITH extension AS (
  SELECT d.objid AS oid FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.deptype = 'e'),
used AS (
  SELECT a.atttypid AS oid FROM pg_catalog.pg_attribute a JOIN postern_catalog._relation r ON r.oid = a.attrelid WHERE a.attnum > 0
  UNION SELECT c.reltype FROM pg_catalog.pg_class c JOIN postern_catalog._relation r ON r.oid = c.oid
  UNION SELECT e.oid FROM extension e),
parts AS (
  SELECT u.oid FROM used u
  UNION SELECT t.typelem FROM pg_catalog.pg_type t JOIN used u ON u.oid = t.oid WHERE t.typelem <> 0
  UNION SELECT t.typbasetype FROM pg_catalog.pg_type t JOIN used u ON u.oid = t.oid WHERE t.typbasetype <> 0)
SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typnamespace IN (SELECT s.oid FROM postern_catalog._system s)
UNION SELECT p.oid FROM parts p
UNION SELECT t.typarray FROM pg_catalog.pg_type t JOIN parts p ON p.oid = t.oid WHERE t.typarray <> 0;

CREATE VIEW postern_catalog._namespace WITH (security_barrier) AS
SELECT s.oid FROM postern_catalog._system s
UNION SELECT c.relnamespace FROM pg_catalog.pg_class c JOIN postern_catalog._relation r ON r.oid = c.oid
UNION SELECT t.typnamespace FROM pg_catalog.pg_type t JOIN postern_catalog._type v ON v.oid = t.oid
