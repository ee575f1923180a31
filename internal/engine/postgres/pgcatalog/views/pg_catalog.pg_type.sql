-- typacl = NULL
FROM pg_catalog.pg_type x
WHERE x.oid IN (SELECT t.oid FROM postern_catalog._type t)
