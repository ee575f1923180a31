FROM pg_catalog.pg_description x
WHERE x.objoid < 16384
   OR (x.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND x.objoid IN (SELECT v.oid FROM postern_catalog._class v)
       AND (x.objsubid = 0 OR (x.objoid, x.objsubid) IN (SELECT c.attrelid, c.attnum FROM postern_catalog._column c)))
   OR (x.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass AND x.objoid IN (SELECT t.oid FROM postern_catalog._type t))
   OR (x.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND x.objoid IN (SELECT n.oid FROM postern_catalog._namespace n))
   OR (x.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND x.objoid IN (SELECT k.oid FROM postern_catalog.pg_constraint k))
