-- valuntil = NULL
-- useconfig = NULL
FROM pg_catalog.pg_user x
WHERE x.usename = current_user
