-- The system's schemas and those of admitted relations and of the types they use, never a profile's.
-- nspacl = NULL
FROM pg_catalog.pg_namespace x
WHERE x.oid IN (SELECT n.oid FROM postern_catalog._namespace n)
