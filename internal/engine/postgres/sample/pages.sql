-- How many pages a relation has now, with its partitions and children: pg_class says what the last VACUUM or ANALYZE counted, which
-- of a table that was just loaded is none. Foreign ones have no file, and their servers are not asked.
WITH RECURSIVE below (oid) AS (
    SELECT $1::oid UNION SELECT i.inhrelid FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid
)
SELECT (coalesce(sum(pg_catalog.pg_relation_size(b.oid)), 0) / pg_catalog.current_setting('block_size')::bigint)::bigint FROM below b
