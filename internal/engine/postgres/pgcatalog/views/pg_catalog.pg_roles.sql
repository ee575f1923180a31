-- The caller, the owners of what it sees, and the system's own roles.
-- rolvaliduntil = NULL
-- rolconfig = NULL
FROM pg_catalog.pg_roles x
WHERE x.oid < 16384 OR x.rolname = current_user
   OR x.oid IN (SELECT c.relowner FROM pg_catalog.pg_class c JOIN postern_catalog._relation r ON r.oid = c.oid)
