-- What this login may read beyond the catalog: pg_hba.conf, and Postern's own tables.
SELECT
  has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
    AND has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE') AS hba,
  coalesce(has_table_privilege(to_regclass('postern.installation'), 'SELECT'), false)
    AND coalesce(has_table_privilege(to_regclass('postern.object'), 'SELECT'), false) AS wall,
  coalesce(has_table_privilege(to_regclass('postern.key'), 'SELECT'), false) AS key
