FROM pg_catalog.pg_inherits x
WHERE x.inhrelid IN (SELECT r.oid FROM postern_catalog._relation r)
  AND x.inhparent IN (SELECT r.oid FROM postern_catalog._relation r)
