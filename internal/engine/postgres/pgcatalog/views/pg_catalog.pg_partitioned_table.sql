-- partdefid = 0
FROM pg_catalog.pg_partitioned_table x
WHERE x.partrelid IN (SELECT r.oid FROM postern_catalog._relation r)
