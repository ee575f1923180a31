FROM pg_catalog.pg_sequence x
WHERE x.seqrelid IN (SELECT r.oid FROM postern_catalog._relation r)
