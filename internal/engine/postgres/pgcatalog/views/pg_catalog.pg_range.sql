FROM pg_catalog.pg_range x
WHERE x.rngtypid < 16384 OR x.rngtypid IN (SELECT t.oid FROM postern_catalog._type t)
