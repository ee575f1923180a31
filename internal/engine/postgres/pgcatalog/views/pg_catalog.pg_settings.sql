-- Without the names that would tell how the profile is made.
FROM pg_catalog.pg_settings x
WHERE x.name NOT IN ('search_path', 'role', 'session_authorization')
