-- One row: the server, and what this login is and may read.
SELECT json_build_object(
  'version', version(), 'versionnum', current_setting('server_version_num')::int, 'serverversion', current_setting('server_version'),
  'started', pg_postmaster_start_time(), 'configloaded', pg_conf_load_time(), 'now', now(), 'inrecovery', pg_is_in_recovery(),
  'systemid', (SELECT system_identifier::text FROM pg_control_system()), 'overtcp', inet_server_addr() IS NOT NULL,
  'access', json_build_object(
    'user', current_user, 'superuser', current_setting('is_superuser') = 'on',
    'monitor', pg_has_role('pg_monitor', 'USAGE'),
    'readsettings', pg_has_role('pg_read_all_settings', 'USAGE'), 'readstats', pg_has_role('pg_read_all_stats', 'USAGE'),
    'hba', has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
      AND has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE'),
    'ident', coalesce(has_table_privilege(to_regclass('pg_catalog.pg_ident_file_mappings'), 'SELECT')
      AND has_function_privilege(to_regprocedure('pg_catalog.pg_ident_file_mappings()'), 'EXECUTE'), false),
    'filesettings', has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')
      AND has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE'),
    'verifiers', has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
    'definer', EXISTS (
      SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
      JOIN pg_roles o ON o.oid = p.proowner
      WHERE n.nspname = 'postern_scan' AND p.proname = 'verifier_kinds' AND p.pronargs = 0 AND p.prosecdef AND l.lanname = 'sql' AND o.rolsuper
        AND p.proconfig = '{"search_path=pg_catalog, pg_temp"}'
        AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')),
    'statfile', has_function_privilege('pg_catalog.pg_stat_file(text)', 'EXECUTE')
  )
)
