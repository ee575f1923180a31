-- Replication slots.
SELECT coalesce(json_agg(json_build_object('name', s.slot_name, 'type', s.slot_type, 'database', coalesce(s.database, ''), 'active', s.active,
  'status', coalesce(s.wal_status, ''), 'retainedbytes', CASE WHEN pg_is_in_recovery() THEN 0
     ELSE coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint, 0) END) ORDER BY s.slot_name), '[]')
FROM pg_replication_slots s
