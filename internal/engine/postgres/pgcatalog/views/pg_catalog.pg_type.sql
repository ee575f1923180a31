-- typacl = NULL
FROM pg_catalog.pg_type x
WHERE x.oid < 16384 OR x.oid IN (SELECT t.oid FROM postern_catalog._type t)
