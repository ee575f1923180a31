-- Keys, and foreign keys among admitted tables. CHECK constraints may name values, so they are left out.
-- conparentid = 0
-- conbin = NULL
FROM pg_catalog.pg_constraint x
WHERE x.oid < 16384
   OR (x.contype IN ('p', 'u', 'x', 'n') AND x.conrelid IN (SELECT r.oid FROM postern_catalog._relation r)
       AND (x.conindid = 0 OR x.conindid IN (SELECT i.oid FROM postern_catalog._index i))
       AND x.conkey <@ ARRAY(SELECT c.attnum FROM postern_catalog._column c WHERE c.attrelid = x.conrelid))
   OR (x.contype = 'f' AND x.conrelid IN (SELECT r.oid FROM postern_catalog._relation r)
       AND x.confrelid IN (SELECT r.oid FROM postern_catalog._relation r)
       AND x.conkey <@ ARRAY(SELECT c.attnum FROM postern_catalog._column c WHERE c.attrelid = x.conrelid)
       AND x.confkey <@ ARRAY(SELECT c.attnum FROM postern_catalog._column c WHERE c.attrelid = x.confrelid))
