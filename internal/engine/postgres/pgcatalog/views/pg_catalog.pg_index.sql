FROM pg_catalog.pg_index x
WHERE x.indrelid < 16384 OR x.indexrelid IN (SELECT i.oid FROM postern_catalog._index i)
