-- Keys, and foreign keys among admitted tables. CHECK constraints may name values, so they are left out.
-- conparentid = 0
-- conbin = NULL
FROM pg_catalog.pg_constraint x
WHERE x.oid < 16384
   OR (x.contype IN ('p', 'u', 'x', 'n') AND x.conrelid IN (SELECT r.oid FROM postern_catalog._relation r)
       AND (x.conindid = 0 OR x.conindid IN (SELECT i.oid FROM postern_catalog._index i))
       AND x.conkey IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_catalog.unnest(x.conkey) k(n)
         WHERE (x.conrelid, k.n) NOT IN (SELECT c.attrelid, c.attnum FROM postern_catalog._column c)))
   OR (x.contype = 'f' AND x.conrelid IN (SELECT r.oid FROM postern_catalog._relation r)
       AND x.confrelid IN (SELECT r.oid FROM postern_catalog._relation r)
       AND x.conkey IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_catalog.unnest(x.conkey) k(n)
         WHERE (x.conrelid, k.n) NOT IN (SELECT c.attrelid, c.attnum FROM postern_catalog._column c))
       AND x.confkey IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_catalog.unnest(x.confkey) k(n)
         WHERE (x.confrelid, k.n) NOT IN (SELECT c.attrelid, c.attnum FROM postern_catalog._column c)))
