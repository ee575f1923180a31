-- An expression over a row o of postern.object: the object's definition as the server renders it now, NULL when it is gone.
CASE o.kind
  WHEN 'view' THEN (
    SELECT concat_ws(E'\n', array_to_string(c.reloptions, ','), pg_get_viewdef(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"' = o.identity AND c.relkind = 'v' AND n.nspname LIKE 'postern%')
  WHEN 'policy' THEN (
    SELECT concat_ws(E'\n', p.polcmd, p.polpermissive,
      (SELECT string_agg(CASE WHEN r = 0 THEN '' ELSE pg_get_userbyid(r) END, ',' ORDER BY r) FROM unnest(p.polroles) r),
      'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '" "' || replace(p.polname, '"', '""') || '"' = o.identity)
  WHEN 'function' THEN (
    SELECT concat_ws(E'\n', pg_get_userbyid(f.proowner), f.prosecdef, f.provolatile, f.proconfig::text, f.prosrc)
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
    -- Postern's functions stand in its own schemas: the thousands of pg_catalog need not be rendered.
    WHERE f.pronamespace = ANY (ARRAY(SELECT own.oid FROM pg_namespace own WHERE own.nspname LIKE 'postern%')) AND '"' || replace(n.nspname, '"', '""') || '"."' || replace(f.proname, '"', '""') || '"(' || pg_get_function_identity_arguments(f.oid) || ')' = o.identity)
  ELSE o.definition
END
