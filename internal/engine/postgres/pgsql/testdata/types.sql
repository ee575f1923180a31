-- The types of pg_catalog that a statement may name: base types, ranges and multiranges that clients use. Pseudo-types, the
-- row types of catalogs and the types of the server's own machinery are left out.
SELECT typname::text, oid, typarray FROM pg_type
WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typname !~ '^_'
  AND typname <> ALL ('{aclitem,pg_node_tree,pg_ddl_command,refcursor,gtsvector,pg_ndistinct,pg_dependencies,pg_mcv_list,pg_brin_bloom_summary,pg_brin_minmax_multi_summary,txid_snapshot,pg_snapshot}'::name[])
ORDER BY typname::text COLLATE "C"
