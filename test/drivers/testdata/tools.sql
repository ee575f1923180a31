-- Catalog queries of the kinds that graphical tools and BI servers send, written anew from what those tools show.

-- == tree of databases (pgAdmin)
SELECT db.oid IS NOT NULL, db.datname, db.datallowconn, pg_encoding_to_char(db.encoding), has_database_privilege(db.datname, 'CREATE')
FROM pg_catalog.pg_database db WHERE db.datname = current_database() ORDER BY db.datname

-- == tree of schemas (pgAdmin)
SELECT n.nspname, pg_get_userbyid(n.nspowner) IS NOT NULL, d.description, has_schema_privilege(n.oid, 'CREATE') AS can_create
FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.classoid = 'pg_namespace'::regclass
WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY n.nspname

-- == tables of a schema (pgAdmin)
SELECT rel.relname, (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = rel.oid AND NOT t.tgisinternal) AS triggers,
  (SELECT count(*) FROM pg_inherits i WHERE i.inhrelid = rel.oid LIMIT 1) AS inherits, rel.relkind, obj_description(rel.oid, 'pg_class')
FROM pg_catalog.pg_class rel WHERE rel.relkind IN ('r', 's', 't', 'p') AND rel.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public')
  AND NOT rel.relispartition ORDER BY rel.relname

-- == columns with defaults and types (pgAdmin)
SELECT att.attname, format_type(ty.oid, att.atttypmod), att.attnotnull, pg_catalog.pg_get_expr(def.adbin, def.adrelid), att.attidentity, coll.collname,
  col_description(att.attrelid, att.attnum) FROM pg_catalog.pg_attribute att JOIN pg_catalog.pg_type ty ON ty.oid = att.atttypid
LEFT JOIN pg_catalog.pg_attrdef def ON def.adrelid = att.attrelid AND def.adnum = att.attnum LEFT JOIN pg_catalog.pg_collation coll ON coll.oid = att.attcollation
WHERE att.attrelid = 'public.customers'::regclass AND att.attnum > 0 AND att.attisdropped IS FALSE ORDER BY att.attnum

-- == who am I (pgAdmin)
SELECT rolname = current_user, rolsuper, rolcreaterole, rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user

-- == output format (pgAdmin)
SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false) FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='utf-8'

-- == schemas (DBeaver)
SELECT n.oid IS NOT NULL, n.nspname, n.nspacl IS NULL, d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname

-- == tables with partitions (DBeaver)
SELECT c.relname, c.relkind, c.relispartition, d.description, pg_get_expr(c.relpartbound, c.oid) AS bound, pg_get_partkeydef(c.oid) AS part_key
FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public') AND c.relkind NOT IN ('i', 'I', 'c') ORDER BY c.relname

-- == constraints (DBeaver)
SELECT c.conname, c.contype, t.relname AS tabrelname, rt.relname AS ref, c.conkey, c.confkey, pg_get_constraintdef(c.oid) AS definition
FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class t ON t.oid = c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid
WHERE c.connamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public') ORDER BY c.conname

-- == indexes (DBeaver)
SELECT c.relname, i.indisunique, i.indisprimary, i.indkey::text, pg_get_indexdef(i.indexrelid), am.amname FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE i.indrelid = 'public.customers'::regclass ORDER BY c.relname

-- == types (DBeaver)
SELECT count(*) > 100 FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c')

-- == session facts (DBeaver)
SELECT current_schema(), session_user = current_user; SHOW search_path

-- == roles and settings (DBeaver)
SELECT count(*) > 0 FROM pg_catalog.pg_roles; SELECT count(*) > 10 FROM pg_catalog.pg_settings

-- == tables for sync (Metabase)
SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' END AS type,
  d.description FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = n.oid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'f', 'm') ORDER BY type, schema, name

-- == privileges for sync (Metabase)
WITH table_privileges AS (SELECT NULL AS role, t.schemaname AS schema, t.objectname AS table,
    pg_catalog.has_table_privilege(current_user, '"' || t.schemaname || '"' || '.' || '"' || t.objectname || '"', 'UPDATE') AS update,
    pg_catalog.has_table_privilege(current_user, '"' || t.schemaname || '"' || '.' || '"' || t.objectname || '"', 'SELECT') AS select
  FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables UNION SELECT schemaname, viewname AS objectname FROM pg_catalog.pg_views) t
  WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema' AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'USAGE'))
SELECT t.* FROM table_privileges t ORDER BY 2, 3

-- == fields for sync (Metabase)
SELECT c.column_name AS name, c.udt_name AS database_type, c.ordinal_position - 1 AS position, c.table_name
FROM information_schema.columns AS c WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' ORDER BY c.table_name, position

-- == foreign keys for sync (Metabase)
SELECT fk_ns.nspname, fk_table.relname, fk_column.attname, pk_table.relname, pk_column.attname FROM pg_constraint c
JOIN pg_class fk_table ON c.conrelid = fk_table.oid JOIN pg_namespace fk_ns ON c.connamespace = fk_ns.oid JOIN pg_attribute fk_column ON c.conrelid = fk_column.attrelid
JOIN pg_class pk_table ON c.confrelid = pk_table.oid JOIN pg_attribute pk_column ON c.confrelid = pk_column.attrelid
WHERE c.contype = 'f'::char AND fk_column.attnum = ANY (c.conkey) AND pk_column.attnum = ANY (c.confkey) ORDER BY 1, 2

-- == enums for sync (Metabase)
SELECT nspname, typname, enumlabel FROM pg_enum JOIN pg_type t ON t.oid = enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace WHERE nspname !~ '^pg_' ORDER BY 1, 2, 3

-- == fingerprint of a table (Metabase)
SELECT "public"."customers"."email" AS "email", substring("public"."customers"."name", 1, 1234) AS "substring1" FROM "public"."customers" ORDER BY "public"."customers"."id" LIMIT 10000

-- == completion of a table's name (psql)
SELECT c.relname, NULL::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND (c.relname) LIKE 'cu%'
AND pg_catalog.pg_table_is_visible(c.oid) AND c.relnamespace <> (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pg_catalog')
UNION ALL SELECT NULL::pg_catalog.text, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname LIKE 'cu%' LIMIT 1000

-- == completion of a column's name (psql)
SELECT a.attname FROM pg_catalog.pg_attribute a, pg_catalog.pg_class c WHERE c.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attname) LIKE 'em%'
AND c.relname = 'customers' AND pg_catalog.pg_table_is_visible(c.oid) LIMIT 1000

-- == completion of a function's name (psql)
SELECT count(*) > 0 FROM pg_catalog.pg_proc p WHERE p.prokind IN ('f', 'w') AND (p.proname) LIKE 'upp%' AND pg_catalog.pg_function_is_visible(p.oid)

-- == types at connect (ActiveRecord)
SELECT count(*) > 50 FROM (SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype FROM pg_type AS t
LEFT JOIN pg_range AS r ON oid = rngtypid WHERE t.typname IN ('int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'bool') OR t.typtype IN ('r', 'e', 'd') OR t.typinput = 'array_in(cstring,oid,integer)'::regprocedure OR t.typelem != 0) x

-- == columns of a table (ActiveRecord)
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment, attgenerated
FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation
WHERE a.attrelid = '"customers"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum

-- == primary key (ActiveRecord)
SELECT a.attname FROM (SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index WHERE indrelid = '"customers"'::regclass AND indisprimary) i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx] ORDER BY i.idx

-- == settings at connect (ActiveRecord)
SET client_min_messages TO 'warning'; SET standard_conforming_strings = on; SET SESSION timezone TO 'UTC'; SHOW max_identifier_length

-- == tables (Sequelize)
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type LIKE '%TABLE' AND table_name != 'spatial_ref_sys' ORDER BY 1

-- == describe a table (Sequelize)
SELECT pk.constraint_type AS "Constraint", c.column_name AS "Field", c.column_default AS "Default", c.is_nullable AS "Null",
  CASE WHEN c.udt_name = 'hstore' THEN c.udt_name ELSE c.data_type END || CASE WHEN c.character_maximum_length IS NOT NULL THEN '(' || c.character_maximum_length || ')' ELSE '' END AS "Type",
  (SELECT array_agg(e.enumlabel) FROM pg_catalog.pg_type t JOIN pg_catalog.pg_enum e ON t.oid = e.enumtypid WHERE t.typname = c.udt_name) AS "special",
  (SELECT pgd.description FROM pg_catalog.pg_statio_all_tables AS st INNER JOIN pg_catalog.pg_description pgd ON pgd.objoid = st.relid WHERE c.ordinal_position = pgd.objsubid AND c.table_name = st.relname) AS "Comment"
FROM information_schema.columns c LEFT JOIN (SELECT tc.table_schema, tc.table_name, cu.column_name, tc.constraint_type FROM information_schema.table_constraints tc
  JOIN information_schema.key_column_usage cu ON tc.table_schema = cu.table_schema AND tc.table_name = cu.table_name AND tc.constraint_name = cu.constraint_name AND tc.constraint_type = 'PRIMARY KEY') pk
ON pk.table_schema = c.table_schema AND pk.table_name = c.table_name AND pk.column_name = c.column_name WHERE c.table_name = 'customers' AND c.table_schema = 'public' ORDER BY c.ordinal_position

-- == indexes (Sequelize)
SELECT i.relname AS name, ix.indisprimary AS primary, ix.indisunique AS unique, ix.indkey::text AS indkey, cardinality(array_agg(a.attnum)) AS column_indexes, cardinality(array_agg(a.attname)) AS column_names, pg_get_indexdef(ix.indexrelid) AS definition
FROM pg_class t, pg_class i, pg_index ix, pg_attribute a WHERE t.oid = ix.indrelid AND i.oid = ix.indexrelid AND a.attrelid = t.oid AND t.relkind = 'r' AND t.relname = 'customers'
GROUP BY i.relname, ix.indexrelid, ix.indisprimary, ix.indisunique, ix.indkey ORDER BY i.relname

-- == load of tables (TypeORM)
SELECT "table_schema", "table_name", obj_description(('"' || "table_schema" || '"."' || "table_name" || '"')::regclass, 'pg_class') AS table_comment FROM "information_schema"."tables"
WHERE ("table_schema" = 'public' AND "table_name" = 'customers')

-- == load of columns (TypeORM)
SELECT columns.*, pg_catalog.col_description(('"' || table_catalog || '"."' || table_schema || '"."' || table_name || '"')::regclass::oid, ordinal_position) AS description,
  ('"' || "udt_schema" || '"."' || "udt_name" || '"')::"regtype"::text AS "regtype", pg_catalog.format_type("col_attr"."atttypid", "col_attr"."atttypmod") AS "format_type"
FROM "information_schema"."columns" LEFT JOIN "pg_catalog"."pg_attribute" AS "col_attr" ON "col_attr"."attname" = "columns"."column_name"
  AND "col_attr"."attrelid" = (SELECT "cls"."oid" FROM "pg_catalog"."pg_class" AS "cls" LEFT JOIN "pg_catalog"."pg_namespace" AS "ns" ON "ns"."oid" = "cls"."relnamespace"
    WHERE "cls"."relname" = "columns"."table_name" AND "ns"."nspname" = "columns"."table_schema") WHERE ("table_schema" = 'public' AND "table_name" = 'products')

-- == server facts (TypeORM)
SELECT version() IS NOT NULL; SELECT * FROM current_schema(); SELECT * FROM current_database()

-- == foreign keys (Prisma)
SELECT con.conname, child.relname, parent.relname, con.confdeltype, con.confupdtype, con.condeferrable FROM (SELECT unnest(con1.conkey) AS parent, unnest(con1.confkey) AS child, con1.conname, con1.conrelid, con1.confrelid, con1.confdeltype, con1.confupdtype, con1.condeferrable
  FROM pg_class cl JOIN pg_namespace ns ON cl.relnamespace = ns.oid JOIN pg_constraint con1 ON con1.conrelid = cl.oid WHERE con1.contype = 'f' AND ns.nspname = ANY (ARRAY['public'])) con
JOIN pg_class child ON child.oid = con.conrelid JOIN pg_class parent ON parent.oid = con.confrelid ORDER BY 1

-- == sequences (Hibernate)
SELECT * FROM information_schema.sequences
