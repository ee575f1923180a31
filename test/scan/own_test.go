package scan_test

// ownWorlds show Postern's own objects, which are no findings, and what only looks like them. A server with a real wall is in test/scripts.
func ownWorlds() []world {
	return []world{
		{
			name: "marked objects and those that only say so",
			sql: `CREATE ROLE prov NOLOGIN; CREATE ROLE app LOGIN; CREATE SCHEMA postern_catalog AUTHORIZATION prov; COMMENT ON SCHEMA postern_catalog IS 'postern/1 schema a shop -';
				CREATE SCHEMA lookalike; COMMENT ON SCHEMA lookalike IS 'postern/1 schema a shop -';
				CREATE VIEW postern_catalog.pg_class AS SELECT relname FROM pg_catalog.pg_class; ALTER VIEW postern_catalog.pg_class OWNER TO prov;
				CREATE VIEW postern_catalog.foreign AS SELECT 1 AS a; CREATE TABLE postern_catalog.data(a int); ALTER TABLE postern_catalog.data OWNER TO prov;
				CREATE VIEW lookalike.v AS SELECT 1 AS a; GRANT SELECT ON postern_catalog.pg_class, postern_catalog.foreign, postern_catalog.data, lookalike.v TO PUBLIC;
				CREATE TABLE t(a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
				CREATE POLICY postern_shop_foreign ON t TO app USING (true) WITH CHECK (true); COMMENT ON POLICY postern_shop_foreign ON t IS 'postern/1 pass a shop -';
				CREATE POLICY postern_shop_all ON t USING (true) WITH CHECK (true); COMMENT ON POLICY postern_shop_all ON t IS 'postern/1 pass a shop -';
				CREATE POLICY mine ON t TO app USING (true) WITH CHECK (true)`,
			expect: `
				spare PRV-005 postern_catalog.pg_class
				fail PRV-005 postern_catalog.foreign
				fail PRV-005 postern_catalog.data
				fail PRV-005 lookalike.v
				spare RLS-004 postern_shop_foreign
				fail RLS-004 postern_shop_all
				fail RLS-004 policy mine`,
		},
	}
}
