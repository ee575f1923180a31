-- A role for postern scan. Run it in the database that the scanner opens first: grants on catalog views hold in one database alone.
CREATE ROLE postern_scanner LOGIN PASSWORD NULL;          -- certificate, peer or SCRAM, as the site prefers
GRANT pg_monitor TO postern_scanner;
GRANT SELECT ON pg_hba_file_rules, pg_file_settings, pg_config TO postern_scanner;
GRANT EXECUTE ON FUNCTION pg_hba_file_rules(), pg_show_all_file_settings(), pg_config() TO postern_scanner;
-- from PostgreSQL 15:
GRANT SELECT ON pg_ident_file_mappings TO postern_scanner;
GRANT EXECUTE ON FUNCTION pg_ident_file_mappings() TO postern_scanner;
-- optional, for ROL-003, ROL-013, ROL-014 and ROL-016: kind and iteration count of passwords, never the verifier
CREATE SCHEMA IF NOT EXISTS postern_scan;
CREATE FUNCTION postern_scan.verifier_kinds() RETURNS TABLE(rolname name, kind text, iterations int)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.rolname,
         CASE WHEN a.rolpassword IS NULL THEN 'none'
              WHEN a.rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram'
              WHEN a.rolpassword ~ '^md5[0-9a-f]{32}$' THEN 'md5' ELSE 'other' END,
         substring(a.rolpassword FROM '^SCRAM-SHA-256\$(\d+):')::int
  FROM pg_authid a WHERE a.rolcanlogin $$;
REVOKE ALL ON FUNCTION postern_scan.verifier_kinds() FROM PUBLIC;
GRANT USAGE ON SCHEMA postern_scan TO postern_scanner;
GRANT EXECUTE ON FUNCTION postern_scan.verifier_kinds() TO postern_scanner;
