-- Checksum failures by database.
SELECT coalesce(json_agg(json_build_object('database', coalesce(d.datname, ''), 'failures', coalesce(d.checksum_failures, 0))), '[]')
FROM pg_stat_database d
