-- When pg_hba.conf was changed.
SELECT json_build_object('path', current_setting('hba_file'), 'modified', (pg_stat_file(current_setting('hba_file'))).modification)
