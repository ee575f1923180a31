-- What Postern recorded in this database, and how the server renders the same objects now (see ../record for the other half).
SELECT json_build_object(
  'installation', i.id, 'store', i.store, 'generation', i.generation, 'suspended', i.suspended,
  'attributes', (SELECT coalesce(json_agg(json_build_object('role', a.role, 'key', a.key, 'value', a.value) ORDER BY a.role, a.key, a.value), '[]') FROM postern.attribute a),
  'holds', (SELECT coalesce(json_agg(json_build_object('role', h.role, 'rule', h.rule,
      'until', to_char(h.until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) ORDER BY h.role, h.rule), '[]') FROM postern.holds h),
  'relations', (SELECT coalesce(json_agg(json_build_object('profile', r.profile_role, 'base', r.base::bigint, 'view', r.view::bigint, 'plain', r.plain)
      ORDER BY r.profile_role, r.base), '[]') FROM postern.relation r),
  'objects', (
    SELECT coalesce(json_agg(json_build_object('kind', o.kind, 'identity', o.identity, 'then', o.definition, 'now', coalesce(/*rendered*/, '')) ORDER BY o.kind, o.identity), '[]')
    FROM postern.object o)
)
FROM postern.installation i
