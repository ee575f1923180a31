-- Whether archiving works.
SELECT json_build_object('archived', a.archived_count, 'failed', a.failed_count,
  'lastarchived', coalesce(a.last_archived_time, '0001-01-01 00:00:00+00'), 'lastfailed', coalesce(a.last_failed_time, '0001-01-01 00:00:00+00'))
FROM pg_stat_archiver a
