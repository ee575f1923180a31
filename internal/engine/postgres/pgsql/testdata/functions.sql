-- Every function name of pg_catalog with what the allow-list needs to know (ENF-53). A name is automatic only if all of its
-- overloads are: immutable, of language internal or sql, without a type that names objects or is internal, no plumbing.
WITH refused(t) AS (
  SELECT oid FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname = ANY (
    '{internal,cstring,trigger,event_trigger,language_handler,fdw_handler,index_am_handler,tsm_handler,table_am_handler,refcursor,pg_ddl_command,aclitem,pg_snapshot,txid_snapshot,pg_node_tree,regproc,regprocedure,regoper,regoperator,regclass,regtype,regrole,regnamespace,regconfig,regdictionary,regcollation,oid,xid,xid8,cid,tid,_aclitem,_regclass,_oid,_cstring,_xid,_tid}'::name[])),
f AS (
  SELECT p.proname, p.prokind, p.provolatile, l.lanname, p.prorettype, p.proargnames, p.proargmodes, p.proretset,
    EXISTS (SELECT 1 FROM unnest(p.proargtypes::oid[] || p.prorettype) x(t) JOIN refused r ON r.t = x.t) AS refused_type,
    p.oid IN (SELECT unnest(ARRAY[oprrest, oprjoin]) FROM pg_operator)
      OR p.oid IN (SELECT unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn]) FROM pg_aggregate)
      OR p.oid IN (SELECT amproc FROM pg_amproc)
      OR p.oid IN (SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze]) FROM pg_type) AS plumbing
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE p.pronamespace = 'pg_catalog'::regnamespace)
SELECT proname::text,
  bool_and(provolatile = 'i' AND lanname IN ('internal', 'sql') AND NOT refused_type AND NOT plumbing) AS automatic,
  bool_and(prokind = 'a') AS aggregate,
  -- a result of a polymorphic type, or a record without OUT columns, can be a row of any type
  bool_or(prorettype IN ('anyelement'::regtype, 'anynonarray'::regtype)
    OR prorettype = 'record'::regtype AND proargmodes IS NULL) AS anything,
  coalesce(max((SELECT string_agg(a.n, ',' ORDER BY a.i) FROM unnest(proargnames, proargmodes) WITH ORDINALITY a(n, m, i)
    WHERE a.m IN ('o', 't', 'b'))), '') AS outs,
  count(DISTINCT coalesce((SELECT string_agg(a.n, ',' ORDER BY a.i) FROM unnest(proargnames, proargmodes) WITH ORDINALITY a(n, m, i)
    WHERE a.m IN ('o', 't', 'b')), '')) > 1 AS mixed
FROM f GROUP BY proname ORDER BY proname::text COLLATE "C"
