FROM pg_catalog.pg_range x
WHERE x.rngtypid IN (SELECT t.oid FROM postern_catalog._type t)
