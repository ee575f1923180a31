-- Event triggers.
SELECT coalesce(json_agg(json_build_object('name', e.evtname, 'owner', pg_get_userbyid(e.evtowner), 'event', e.evtevent,
  'functionowner', pg_get_userbyid(f.proowner), 'function', json_build_object('schema', n.nspname, 'name', f.proname),
  'enabled', e.evtenabled <> 'D') ORDER BY e.evtname), '[]')
FROM pg_event_trigger e JOIN pg_proc f ON f.oid = e.evtfoid JOIN pg_namespace n ON n.oid = f.pronamespace
