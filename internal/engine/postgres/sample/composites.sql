-- The types of columns that are, or lead to, composite types: of a domain and of an array what is below it, of a composite type its
-- attributes. Only types of users can be any of these, and their numbers start at 16384.
WITH RECURSIVE used(oid) AS (
    SELECT a.atttypid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
    UNION
    SELECT x.below FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid CROSS JOIN LATERAL (
        SELECT t.typbasetype AS below WHERE t.typtype = 'd'
        UNION ALL SELECT t.typelem WHERE t.typtype = 'b' AND t.typlen = -1
        UNION ALL SELECT f.atttypid FROM pg_catalog.pg_attribute f
            WHERE t.typtype = 'c' AND f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped) x
    WHERE x.below >= 16384)
SELECT t.oid::bigint, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END::bigint,
    CASE WHEN t.typtype = 'c' THEN (SELECT json_agg(json_build_object('name', f.attname, 'type', pg_catalog.format_type(f.atttypid, f.atttypmod),
            'typeid', f.atttypid::bigint, 'domain', CASE WHEN y.typtype = 'd' THEN y.typname END,
            'base', CASE WHEN y.typtype = 'd' THEN pg_catalog.format_type(y.typbasetype, y.typtypmod) END) ORDER BY f.attnum)
        FROM pg_catalog.pg_attribute f JOIN pg_catalog.pg_type y ON y.oid = f.atttypid
        WHERE f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped) END::text
FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid WHERE t.typtype IN ('c', 'd') OR t.typtype = 'b' AND t.typelem <> 0 AND t.typlen = -1
