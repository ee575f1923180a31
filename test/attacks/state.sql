-- Five digests of what an attempt of the corpus may have changed.
SELECT
  (SELECT md5(string_agg(r, E'\n' ORDER BY r)) FROM (
     SELECT 'c' || t::text FROM public.customers t UNION ALL SELECT 'a' || t::text FROM public.assignments t
     UNION ALL SELECT 'o' || t::text FROM public.orders t UNION ALL SELECT 'p' || t::text FROM public.patients t
     UNION ALL SELECT 'r' || t::text FROM public.payroll t UNION ALL SELECT 'e' || t::text FROM public.events t
     UNION ALL SELECT 's' || t::text FROM public.products t) AS x(r)),
  (SELECT md5(string_agg(a::text, E'\n' ORDER BY a.oid)) FROM pg_catalog.pg_authid a),
  coalesce((SELECT md5(string_agg(s::text, E'\n' ORDER BY s.setdatabase, s.setrole)) FROM pg_catalog.pg_db_role_setting s), ''),
  (SELECT md5(string_agg(o::text, ',' ORDER BY o)) FROM (
     SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid >= 16384 AND c.relkind IN ('r', 'v', 'm', 'S', 'p') AND c.relpersistence <> 't'
     UNION ALL SELECT p.oid FROM pg_catalog.pg_proc p
       JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname !~ '^pg_temp' WHERE p.oid >= 16384) AS x(o)),
  (SELECT md5(string_agg(g, E'\n' ORDER BY g)) FROM (
     SELECT c.oid::text || coalesce(c.relacl::text, '') || c.relrowsecurity::text || c.relforcerowsecurity::text
       FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'S', 'p') AND c.relpersistence <> 't'
     UNION ALL SELECT p::text FROM pg_catalog.pg_policy p
     UNION ALL SELECT m::text FROM pg_catalog.pg_auth_members m) AS x(g));
