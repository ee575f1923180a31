-- What this login may read beyond the catalog: pg_hba.conf, and Postern's own tables. Names are looked up in the catalog: a cast
-- to regclass is an error where the schema may not be used.
WITH readable AS (
  SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'postern' AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
SELECT
  has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
    AND has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE') AS hba,
  (SELECT count(*) FROM readable WHERE relname IN ('installation', 'attribute', 'holds', 'relation', 'object')) = 5 AS wall,
  EXISTS (SELECT 1 FROM readable WHERE relname = 'key') AS key
