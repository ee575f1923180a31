-- Comments, defaults and view texts that look as if a credential stood in them; only those, and they are looked at and not kept.
SELECT coalesce(json_agg(json_build_object('object', x.object, 'text', left(x.text, 100000)) ORDER BY x.object), '[]') FROM (
  SELECT 'comment on ' || coalesce(CASE WHEN c.oid IS NOT NULL THEN format('%I.%I', n.nspname, c.relname) END, d.classoid::regclass::text || ' ' || d.objoid)
    || CASE WHEN d.objsubid > 0 THEN ' column ' || d.objsubid ELSE '' END AS object, d.description AS text
  FROM pg_description d LEFT JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE d.objoid >= 16384
  UNION ALL
  SELECT 'comment on role ' || r.rolname, d.description FROM pg_shdescription d JOIN pg_roles r ON d.classoid = 'pg_authid'::regclass AND r.oid = d.objoid
  UNION ALL
  SELECT format('default of %I.%I.%I', n.nspname, c.relname, a.attname), pg_get_expr(ad.adbin, ad.adrelid)
  FROM pg_attrdef ad JOIN pg_class c ON c.oid = ad.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum WHERE c.oid >= 16384
  UNION ALL
  SELECT format('view %I.%I', n.nspname, c.relname), pg_get_viewdef(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384
) x WHERE x.text ~* 'pass(word|wd)?|pwd|secret|AKIA|://|token|api_?key|private key'
