-- Keys, and foreign keys among admitted tables. CHECK constraints may name values, so they are left out.
-- conparentid = 0
-- conbin = NULL
FROM pg_catalog.pg_constraint x
WHERE x.oid < 16384
   OR (x.contype IN ('p', 'u', 'x', 'n') AND x.conrelid IN (SELECT r.oid FROM postern_catalog._relation r))
   OR (x.contype = 'f' AND x.conrelid IN (SELECT r.oid FROM postern_catalog._relation r)
       AND x.confrelid IN (SELECT r.oid FROM postern_catalog._relation r))
