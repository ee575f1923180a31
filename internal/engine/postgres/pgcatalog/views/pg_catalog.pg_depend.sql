-- What relations depend on each other, where both may be seen: sequences of columns, indexes of constraints.
FROM pg_catalog.pg_depend x
WHERE x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND (x.objid < 16384 OR x.objid IN (SELECT v.oid FROM postern_catalog._class v))
  AND ((x.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND (x.refobjid < 16384 OR x.refobjid IN (SELECT v.oid FROM postern_catalog._class v)))
    OR (x.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND x.refobjid IN (SELECT k.oid FROM postern_catalog.pg_constraint k)))
