-- Installed extensions.
SELECT coalesce(json_agg(json_build_object(
  'name', e.extname, 'version', e.extversion, 'schema', n.nspname, 'owner', pg_get_userbyid(e.extowner))), '[]')
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
