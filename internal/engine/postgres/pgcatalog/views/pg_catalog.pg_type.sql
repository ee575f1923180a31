-- The default of a domain is that of a masked column of its type, and names a value of it.
-- typdefault = CASE WHEN x.oid < 16384 OR x.oid NOT IN (SELECT m.oid FROM postern_catalog._maskedtype m) THEN x.typdefault END
-- typdefaultbin = CASE WHEN x.oid < 16384 OR x.oid NOT IN (SELECT m.oid FROM postern_catalog._maskedtype m) THEN x.typdefaultbin END
-- typacl = NULL
FROM pg_catalog.pg_type x
WHERE x.oid < 16384 OR x.oid IN (SELECT t.oid FROM postern_catalog._type t)
