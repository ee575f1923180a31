-- What discover needs to know of every relation and column, without touching a row of any of them. OFFSET 0 keeps the planner from
-- joining a catalog as a whole once for each relation, which makes the cost grow with the square of their number.
WITH RECURSIVE above (oid) AS ( -- what leads to a foreign table
    SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class f ON f.oid = i.inhrelid WHERE f.relkind = 'f'
    UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN above a ON a.oid = i.inhrelid
), below (root, oid) AS (
    SELECT oid, oid FROM above UNION SELECT b.root, i.inhrelid FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid
), mixed AS (
    SELECT b.root, coalesce(json_agg(json_build_object('schema', ln.nspname, 'table', l.relname) ORDER BY l.oid)
        FILTER (WHERE l.relkind = 'r'), '[]')::text AS tables
    FROM below b JOIN pg_catalog.pg_class l ON l.oid = b.oid JOIN pg_catalog.pg_namespace ln ON ln.oid = l.relnamespace GROUP BY b.root
), away (oid) AS ( -- what asks another server when it is read: views over views too, not the stored rows of materialized ones
    SELECT a.oid FROM (SELECT oid FROM pg_catalog.pg_class WHERE relkind = 'f' UNION ALL SELECT oid FROM above) a
    UNION SELECT v.oid FROM away a JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.oid
        AND d.classid = 'pg_catalog.pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid JOIN pg_catalog.pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
), held (oid) AS MATERIALIZED ( -- whose size cannot be asked without waiting for somebody
    SELECT DISTINCT k.relation FROM pg_catalog.pg_locks k WHERE k.locktype = 'relation' AND k.mode = 'AccessExclusiveLock'
        AND k.database = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
)
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text, c.relispartition,
    coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''),
    CASE WHEN c.relkind = 'p' THEN leaves.tuples ELSE c.reltuples::float8 END,
    CASE WHEN c.relkind = 'p' THEN leaves.pages ELSE c.relpages::bigint END,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
    c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid),
    coalesce(leaves.stale, false),
    (SELECT json_build_object('schema', pn.nspname, 'table', p.relname) FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
        WHERE i.inhrelid = c.oid AND c.relispartition)::text,
    (SELECT json_agg(json_build_object(
        'num', a.attnum, 'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
        'base', CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
        'domain', CASE WHEN t.typtype = 'd' THEN t.typname END,
        'enum', CASE WHEN t.typtype = 'e' THEN (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) END,
        'typeid', t.oid::bigint,
        'comment', pg_catalog.col_description(c.oid, a.attnum), 'notnull', a.attnotnull,
        'surrogate', a.attidentity <> '' OR coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ '(nextval|gen_random_uuid|uuid_generate)', false),
        'select', pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'),
        'primary', EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),
        'unique', EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),
        'references', (SELECT json_build_object('schema', fn.nspname, 'table', fc.relname, 'column', fa.attname)
            FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class fc ON fc.oid = k.confrelid
            JOIN pg_catalog.pg_namespace fn ON fn.oid = fc.relnamespace
            JOIN pg_catalog.pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = k.confkey[1]
            WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] ORDER BY k.conname LIMIT 1)
        ) ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a
        CROSS JOIN LATERAL (SELECT y.oid, y.typtype, y.typname, y.typbasetype, y.typtypmod, y.typrelid FROM pg_catalog.pg_type y
            WHERE y.oid = a.atttypid OFFSET 0) t
        LEFT JOIN LATERAL (SELECT f.adbin, f.adrelid FROM pg_catalog.pg_attrdef f
            WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum OFFSET 0) d ON true
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text,
    (SELECT json_agg(DISTINCT jsonb_build_object('schema', bn.nspname, 'table', b.relname, 'column', ba.attname))
        FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend dp ON dp.classid = 'pg_catalog.pg_rewrite'::regclass AND dp.objid = r.oid
            AND dp.refclassid = 'pg_catalog.pg_class'::regclass AND dp.refobjid <> c.oid AND dp.refobjsubid > 0
        JOIN pg_catalog.pg_class b ON b.oid = dp.refobjid JOIN pg_catalog.pg_namespace bn ON bn.oid = b.relnamespace
        JOIN pg_catalog.pg_attribute ba ON ba.attrelid = b.oid AND ba.attnum = dp.refobjsubid
        WHERE r.ev_class = c.oid AND c.relkind IN ('v', 'm'))::text,
    (SELECT r.ev_action::text FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '1' AND c.relkind IN ('v', 'm')),
    mixed.tables, c.relkind = 'v' AND away.oid IS NOT NULL
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (SELECT coalesce(sum(greatest(l.reltuples, 0)), -1)::float8 AS tuples, coalesce(sum(l.relpages), 0)::bigint AS pages,
        bool_or(l.stale) AS stale
    FROM (SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) p WHERE p.isleaf AND c.relkind = 'p'
        UNION ALL SELECT c.oid WHERE c.relkind IN ('r', 'm')) t(relid)
    -- Stale: analysed long ago, changed much since, or analysed when it was empty and grown since without that being counted. Of a
    -- table that somebody holds alone the size cannot be asked: it counts as grown.
    CROSS JOIN LATERAL (SELECT z.reltuples, z.relpages, z.relkind IN ('r', 'm') AND z.reltuples >= 0 AND (
            coalesce(greatest(pg_catalog.pg_stat_get_last_analyze_time(z.oid), pg_catalog.pg_stat_get_last_autoanalyze_time(z.oid))
                < now() - interval '30 days', false)
            OR coalesce(pg_catalog.pg_stat_get_mod_since_analyze(z.oid), 0) > 0.2 * z.reltuples
            OR CASE WHEN z.reltuples > 0 THEN false WHEN z.oid IN (SELECT h.oid FROM held h) THEN true
                ELSE pg_catalog.pg_relation_size(z.oid) > z.relpages * pg_catalog.current_setting('block_size')::bigint END) AS stale
        FROM pg_catalog.pg_class z WHERE z.oid = t.relid OFFSET 0) l) leaves ON true
LEFT JOIN mixed ON mixed.root = c.oid LEFT JOIN away ON away.oid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'postern', 'postern_catalog')
    AND n.nspname !~ '^pg_(toast|temp)_'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_description x WHERE x.objoid = n.oid AND x.classoid = 'pg_catalog.pg_namespace'::regclass
        AND x.description LIKE 'postern/%' -- a comment alone must not hide a schema: whoever owns it could write one
        AND n.nspowner = (SELECT o.nspowner FROM pg_catalog.pg_namespace o WHERE o.nspname = 'postern'))
ORDER BY n.nspname, c.relname
