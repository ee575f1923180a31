-- An expression over a row o of postern.object: the object's definition as the server renders it now, NULL when it is gone.
CASE o.kind
  WHEN 'view' THEN (
    SELECT concat_ws(E'\n', array_to_string(c.reloptions, ','), pg_get_viewdef(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = o.schema AND c.relname = o.name AND c.relkind = 'v')
  WHEN 'policy' THEN (
    SELECT concat_ws(E'\n', p.polcmd, p.polpermissive,
      (SELECT string_agg(CASE WHEN r = 0 THEN '' ELSE pg_get_userbyid(r) END, ',' ORDER BY r) FROM unnest(p.polroles) r),
      'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = o.schema AND c.relname = o.name AND p.polname = o.part)
  WHEN 'catalog' THEN (
    SELECT md5(concat_ws(E'\n',
      (SELECT string_agg(concat_ws(' ', c.relname, pg_get_userbyid(c.relowner), c.relacl, array_to_string(c.reloptions, ','), pg_get_viewdef(c.oid)), E'\n' ORDER BY c.relname)
       FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'v'),
      (SELECT string_agg(concat_ws(' ', f.proname, pg_get_function_identity_arguments(f.oid), pg_get_userbyid(f.proowner), f.proacl, f.prosecdef, f.provolatile,
         f.proconfig, f.prosrc), E'\n' ORDER BY f.proname, pg_get_function_identity_arguments(f.oid))
       FROM pg_proc f WHERE f.pronamespace = n.oid)))
    FROM pg_namespace n WHERE n.nspname = o.schema)
  ELSE o.definition
END
