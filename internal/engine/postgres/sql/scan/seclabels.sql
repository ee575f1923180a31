-- Security labels.
SELECT coalesce(json_agg(json_build_object('provider', s.provider, 'object', s.objname, 'label', s.label) ORDER BY s.objname, s.provider), '[]')
FROM pg_seclabels s
