-- Every setting that this login may see. Postern's own session settings are shown as the server would have them.
SELECT coalesce(json_agg(json_build_object(
  'name', s.name, 'value', CASE WHEN s.source = 'session' THEN s.reset_val ELSE s.setting END, 'unit', coalesce(s.unit, ''),
  'type', s.vartype, 'context', s.context, 'source', s.source, 'boot', coalesce(s.boot_val, ''), 'reset', coalesce(s.reset_val, ''),
  'file', coalesce(s.sourcefile, ''), 'line', coalesce(s.sourceline, 0), 'pending', s.pending_restart)), '[]')
FROM pg_settings s
