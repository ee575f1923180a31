-- Stand-ins for the functions that answer for any object of the server by its OID or name. All of them run with the caller's
-- rights (SECURITY INVOKER), so the views of this schema show them what the caller may see and nothing else. Every name is
-- qualified. What is not to be seen gets the answer that the real function gives for what does not exist.

CREATE FUNCTION postern_catalog.to_regclass(text) RETURNS regclass
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT c.oid::pg_catalog.regclass
FROM (SELECT pg_catalog.parse_ident($1) AS parts) p
JOIN postern_catalog.pg_class c ON c.relname = p.parts[pg_catalog.array_length(p.parts, 1)]
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN postern_catalog._relation r ON r.oid = c.oid
WHERE (pg_catalog.array_length(p.parts, 1) = 2 AND n.nspname = p.parts[1])
   OR (pg_catalog.array_length(p.parts, 1) = 1 AND (n.nspname = 'pg_catalog' OR r.plain))
ORDER BY n.nspname = 'pg_catalog' DESC
LIMIT 1
$body$;

CREATE FUNCTION postern_catalog.to_regtype(text) RETURNS regtype
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT t.oid::pg_catalog.regtype
FROM (SELECT pg_catalog.parse_ident($1) AS parts) p
JOIN postern_catalog.pg_type t ON t.typname = p.parts[pg_catalog.array_length(p.parts, 1)]
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE (pg_catalog.array_length(p.parts, 1) = 2 AND n.nspname = p.parts[1])
   OR (pg_catalog.array_length(p.parts, 1) = 1 AND n.nspname = 'pg_catalog')
LIMIT 1
$body$;

CREATE FUNCTION postern_catalog.pg_table_is_visible(oid) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 < 16384 THEN pg_catalog.pg_table_is_visible($1) ELSE (
  SELECT r.plain FROM postern_catalog._relation r WHERE r.oid = $1
  UNION ALL SELECT r.plain FROM pg_catalog.pg_index i JOIN postern_catalog._relation r ON r.oid = i.indrelid WHERE i.indexrelid = $1
  LIMIT 1) END
$body$;

CREATE FUNCTION postern_catalog.pg_get_userbyid(oid) RETURNS name
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT coalesce((SELECT r.rolname FROM postern_catalog.pg_roles r WHERE r.oid = $1), ('unknown (OID=' || $1 || ')')::pg_catalog.name)
$body$;

CREATE FUNCTION postern_catalog.obj_description(oid, name) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT d.description FROM postern_catalog.pg_description d
WHERE d.objoid = $1 AND d.objsubid = 0
  AND d.classoid = (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname = $2 AND c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace)
$body$;

CREATE FUNCTION postern_catalog.obj_description(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT d.description FROM postern_catalog.pg_description d WHERE d.objoid = $1 AND d.objsubid = 0 LIMIT 1
$body$;

CREATE FUNCTION postern_catalog.col_description(oid, integer) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT d.description FROM postern_catalog.pg_description d
WHERE d.objoid = $1 AND d.objsubid = $2 AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
$body$;

CREATE FUNCTION postern_catalog.shobj_description(oid, name) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_indexdef(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.pg_get_indexdef($1) FROM postern_catalog.pg_class c WHERE c.oid = $1
$body$;

CREATE FUNCTION postern_catalog.pg_get_indexdef(oid, integer, boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.pg_get_indexdef($1, $2, $3) FROM postern_catalog.pg_class c WHERE c.oid = $1
$body$;

-- The server writes the table that a foreign key refers to with its schema, because the base's schema is not in the path. Whoever
-- reaches it by its plain name is told that one: mappers take the other for a second table.
CREATE FUNCTION postern_catalog._constraintdef(oid, text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $body$
SELECT coalesce((
  SELECT pg_catalog.overlay($2, ' REFERENCES ' || pg_catalog.quote_ident(c.relname) || '(', f.at, pg_catalog.length(f.long))
  FROM postern_catalog.pg_constraint k
  JOIN postern_catalog._relation r ON r.oid = k.confrelid AND r.plain
  JOIN pg_catalog.pg_class c ON c.oid = r.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (SELECT ' REFERENCES ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || '(' AS long) l
  CROSS JOIN LATERAL (SELECT pg_catalog.strpos($2, l.long) AS at, l.long) f
  WHERE k.oid = $1 AND k.contype = 'f' AND f.at > 0), $2)
$body$;

CREATE FUNCTION postern_catalog.pg_get_constraintdef(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog._constraintdef($1, pg_catalog.pg_get_constraintdef($1)) FROM postern_catalog.pg_constraint k WHERE k.oid = $1
$body$;

CREATE FUNCTION postern_catalog.pg_get_constraintdef(oid, boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog._constraintdef($1, pg_catalog.pg_get_constraintdef($1, $2)) FROM postern_catalog.pg_constraint k WHERE k.oid = $1
$body$;

CREATE FUNCTION postern_catalog.pg_get_partkeydef(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.pg_get_partkeydef($1) FROM postern_catalog._relation r WHERE r.oid = $1
$body$;

CREATE FUNCTION postern_catalog.pg_get_function_arguments(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.pg_get_function_arguments($1) FROM postern_catalog.pg_proc p WHERE p.oid = $1
$body$;

CREATE FUNCTION postern_catalog.pg_get_function_identity_arguments(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.pg_get_function_identity_arguments($1) FROM postern_catalog.pg_proc p WHERE p.oid = $1
$body$;

CREATE FUNCTION postern_catalog.pg_get_function_result(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.pg_get_function_result($1) FROM postern_catalog.pg_proc p WHERE p.oid = $1
$body$;

CREATE FUNCTION postern_catalog.pg_get_serial_sequence(text, text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.format('%I.%I', n.nspname, s.relname)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
  AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
WHERE a.attrelid = postern_catalog.to_regclass($1) AND a.attname = $2 AND a.attnum > 0
  AND EXISTS (SELECT 1 FROM postern_catalog._column k WHERE k.attrelid = a.attrelid AND k.attnum = a.attnum)
$body$;

-- The real one returns regclass, which would turn OIDs beside it into names.
CREATE FUNCTION postern_catalog.pg_partition_ancestors(regclass, OUT relid oid) RETURNS SETOF oid
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_ancestors($1) p JOIN postern_catalog._relation r ON r.oid = p.relid
$body$;

CREATE FUNCTION postern_catalog.pg_relation_is_publishable(regclass) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT false
$body$;

CREATE FUNCTION postern_catalog.pg_get_viewdef(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_viewdef(oid, boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_viewdef(oid, integer) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_viewdef(text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_viewdef(text, boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_functiondef(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_ruledef(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_ruledef(oid, boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_triggerdef(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_triggerdef(oid, boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.pg_get_statisticsobjdef(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

-- since 14
CREATE FUNCTION postern_catalog.pg_get_statisticsobjdef_columns(oid) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.text
$body$;

CREATE FUNCTION postern_catalog.has_table_privilege(oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN r.oid IS NULL THEN pg_catalog.has_table_privilege(c.oid, $2)
  -- An open table is granted column by column, which is all of it to whoever reads; BI servers leave out what they may not SELECT.
  WHEN r.view = r.oid AND pg_catalog.lower($2) = 'select' THEN pg_catalog.has_any_column_privilege(r.view, $2)
  ELSE pg_catalog.has_table_privilege(r.view, $2) END
FROM postern_catalog.pg_class c LEFT JOIN postern_catalog._relation r ON r.oid = c.oid WHERE c.oid = $1
$body$;

CREATE FUNCTION postern_catalog.has_table_privilege(text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_table_privilege(postern_catalog.to_regclass($1)::pg_catalog.oid, $2)
$body$;

CREATE FUNCTION postern_catalog.has_any_column_privilege(oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN r.oid IS NOT NULL THEN pg_catalog.has_any_column_privilege(r.view, $2) ELSE pg_catalog.has_any_column_privilege(c.oid, $2) END
FROM postern_catalog.pg_class c LEFT JOIN postern_catalog._relation r ON r.oid = c.oid WHERE c.oid = $1
$body$;

CREATE FUNCTION postern_catalog.has_any_column_privilege(text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_any_column_privilege(postern_catalog.to_regclass($1)::pg_catalog.oid, $2)
$body$;

CREATE FUNCTION postern_catalog.has_sequence_privilege(oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN r.oid IS NOT NULL THEN pg_catalog.has_sequence_privilege(r.view, $2) ELSE pg_catalog.has_sequence_privilege(c.oid, $2) END
FROM postern_catalog.pg_class c LEFT JOIN postern_catalog._relation r ON r.oid = c.oid WHERE c.oid = $1
$body$;

CREATE FUNCTION postern_catalog.has_sequence_privilege(text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_sequence_privilege(postern_catalog.to_regclass($1)::pg_catalog.oid, $2)
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(oid, text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN r.oid IS NOT NULL THEN pg_catalog.has_column_privilege(r.view, $2, $3) ELSE pg_catalog.has_column_privilege(c.oid, $2, $3) END
FROM postern_catalog.pg_class c LEFT JOIN postern_catalog._relation r ON r.oid = c.oid WHERE c.oid = $1
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(text, text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_column_privilege(postern_catalog.to_regclass($1)::pg_catalog.oid, $2, $3)
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(name, oid, text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = current_user THEN postern_catalog.has_column_privilege($2, $3, $4) END
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(name, text, text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = current_user THEN postern_catalog.has_column_privilege($2, $3, $4) END
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(oid, oid, text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user) THEN postern_catalog.has_column_privilege($2, $3, $4) END
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(oid, text, text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user) THEN postern_catalog.has_column_privilege($2, $3, $4) END
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(oid, smallint, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_column_privilege($1, a.attname::pg_catalog.text, $3) FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum = $2
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(text, smallint, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_column_privilege(postern_catalog.to_regclass($1)::pg_catalog.oid, $2, $3)
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(name, oid, smallint, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = current_user THEN postern_catalog.has_column_privilege($2, $3, $4) END
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(name, text, smallint, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = current_user THEN postern_catalog.has_column_privilege($2, $3, $4) END
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(oid, oid, smallint, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user) THEN postern_catalog.has_column_privilege($2, $3, $4) END
$body$;

CREATE FUNCTION postern_catalog.has_column_privilege(oid, text, smallint, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user) THEN postern_catalog.has_column_privilege($2, $3, $4) END
$body$;

CREATE FUNCTION postern_catalog.has_schema_privilege(oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN s.oid IS NOT NULL THEN pg_catalog.has_schema_privilege($1, $2) ELSE pg_catalog.lower($2) = 'usage' END
FROM postern_catalog._namespace n LEFT JOIN postern_catalog._system s ON s.oid = n.oid WHERE n.oid = $1 LIMIT 1
$body$;

CREATE FUNCTION postern_catalog.has_schema_privilege(text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_schema_privilege(n.oid, $2) FROM postern_catalog.pg_namespace n WHERE n.nspname = $1
$body$;

-- A relation has a type of its name, so that of a hidden one is unknown as well.
CREATE FUNCTION postern_catalog.has_type_privilege(oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.has_type_privilege(t.oid, $2) FROM postern_catalog.pg_type t WHERE t.oid = $1
$body$;

CREATE FUNCTION postern_catalog.has_type_privilege(text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_type_privilege(pg_catalog.to_regtype($1)::pg_catalog.oid, $2)
$body$;

-- Databases and tablespaces beside the own one and the system's are not shown, so nothing is known of them either.
CREATE FUNCTION postern_catalog.has_database_privilege(oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.has_database_privilege(d.oid, $2) FROM postern_catalog.pg_database d WHERE d.oid = $1
$body$;

CREATE FUNCTION postern_catalog.has_database_privilege(text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_database_privilege(d.oid, $2) FROM postern_catalog.pg_database d WHERE d.datname = $1
$body$;

CREATE FUNCTION postern_catalog.has_tablespace_privilege(oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.has_tablespace_privilege(s.oid, $2) FROM postern_catalog.pg_tablespace s WHERE s.oid = $1
$body$;

CREATE FUNCTION postern_catalog.has_tablespace_privilege(text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.has_tablespace_privilege(s.oid, $2) FROM postern_catalog.pg_tablespace s WHERE s.spcname = $1
$body$;

-- What another role may do is unknown, for every kind of object alike.
-- each any_column database schema sequence table tablespace type
CREATE FUNCTION postern_catalog.has_{kind}_privilege(name, oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = current_user THEN postern_catalog.has_{kind}_privilege($2, $3) END
$body$;

-- each any_column database schema sequence table tablespace type
CREATE FUNCTION postern_catalog.has_{kind}_privilege(name, text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = current_user THEN postern_catalog.has_{kind}_privilege($2, $3) END
$body$;

-- each any_column database schema sequence table tablespace type
CREATE FUNCTION postern_catalog.has_{kind}_privilege(oid, oid, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user) THEN postern_catalog.has_{kind}_privilege($2, $3) END
$body$;

-- each any_column database schema sequence table tablespace type
CREATE FUNCTION postern_catalog.has_{kind}_privilege(oid, text, text) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user) THEN postern_catalog.has_{kind}_privilege($2, $3) END
$body$;

CREATE FUNCTION postern_catalog.pg_type_is_visible(oid) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.pg_type_is_visible($1) OR t.typnamespace IN (
  SELECT c.relnamespace FROM pg_catalog.pg_class c JOIN postern_catalog._relation r ON r.oid = c.oid WHERE r.plain)
FROM postern_catalog.pg_type t WHERE t.oid = $1
$body$;

-- A type's name is that of the relation whose rows it describes; array types and domains tell as much.
CREATE FUNCTION postern_catalog.format_type(oid, integer) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $body$
SELECT CASE WHEN $1 IS NULL OR $1 < 16384 OR $1 IN (SELECT t.oid FROM postern_catalog._type t) THEN pg_catalog.format_type($1, $2) ELSE '???' END
$body$;

-- The size of a relation tells how much is in it, hidden rows too. psql's lists ask for it, so it is unknown rather than refused.
CREATE FUNCTION postern_catalog.pg_table_size(regclass) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT NULL::pg_catalog.int8
$body$;

-- Of the settings that pg_settings shows, those that it leaves out have none.
CREATE FUNCTION postern_catalog.current_setting(text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT pg_catalog.current_setting(s.name) FROM postern_catalog.pg_settings s WHERE s.name = $1 OR pg_catalog.lower(s.name) = pg_catalog.lower($1) LIMIT 1
$body$;

CREATE FUNCTION postern_catalog.current_setting(text, boolean) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $body$
SELECT postern_catalog.current_setting($1)
$body$;
