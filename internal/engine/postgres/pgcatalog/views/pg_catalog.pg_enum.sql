FROM pg_catalog.pg_enum x
WHERE x.enumtypid < 16384 OR x.enumtypid IN (SELECT t.oid FROM postern_catalog._type t)
