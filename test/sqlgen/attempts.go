package sqlgen

import (
	"fmt"
	"strings"
)

// attempts are the ways to reach for what is hidden.
func (g *gen) attempts() []weighted {
	return []weighted{
		{20, "hidden relation", g.hiddenRelation},
		{10, "hidden in a query", g.hiddenInside},
		{10, "function that reads", g.readingFunction},
		{6, "function of the application", g.userCall},
		{6, "statistics", g.statistics},
		{6, "session", g.session},
		{6, "definition", g.definition},
		{8, "error", g.errorWithValue},
		{5, "system column", g.systemColumn},
		{8, "explain", g.explain},
		{6, "merge", g.merge},
		{5, "sample", func() []string {
			g.volatile = true
			return []string{"SELECT * FROM " + pick(g, g.s.Tables).Name + " TABLESAMPLE BERNOULLI (50)"}
		}},
		{6, "write", g.writeHidden},
		{5, "large object", g.largeObject},
	}
}

func (g *gen) hidden() string { return pick(g, g.s.Hidden) }

func (g *gen) hiddenRelation() []string {
	form := pick(g, []string{
		"SELECT * FROM %s", "TABLE %s", "SELECT t::text FROM %s t", "COPY %s TO STDOUT", "COPY (SELECT * FROM %s) TO STDOUT", "SELECT count(*) FROM ONLY %s",
		"SELECT * FROM %s FOR UPDATE", "SELECT (SELECT t FROM %s t LIMIT 1)", "SELECT ARRAY(SELECT t::text FROM %s t)", "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM %s",
		"PREPARE attempt AS SELECT * FROM %s", "WITH people AS (SELECT * FROM %s) SELECT * FROM people", "SELECT * FROM %s TABLESAMPLE SYSTEM (100)",
	})
	return []string{fmt.Sprintf(form, g.hidden())}
}

// hiddenInside puts a hidden relation in the place of a table in an ordinary query.
func (g *gen) hiddenInside() []string {
	t := pick(g, g.s.Tables)
	return []string{strings.Replace(g.query(nil, 1).text, t.Name+" ", g.hidden()+" ", 1)}
}

// readingFunction calls what reads a relation by its name, or runs a text.
func (g *gen) readingFunction() []string {
	g.volatile = true // it may read settings and sizes
	h := g.hidden()
	query := "SELECT * FROM " + h
	if g.chance(30) {
		h = pick(g, g.s.Tables).Name
		query = "SELECT * FROM " + h
	}
	if len(g.s.Functions) > 0 && g.chance(70) {
		// Any function that takes texts: with the name of a relation, and with a query.
		for range 50 {
			f := pick(g, g.s.Functions)
			var args []string
			text := false
			for _, t := range f.Args {
				if t == Text {
					args, text = append(args, pick(g, []string{"'" + query + "'", "'" + h + "'", "'" + query + "'"})), true
				} else {
					args = append(args, g.literal(t))
				}
			}
			if text {
				return []string{fmt.Sprintf("SELECT %s(%s)", f.Name, strings.Join(args, ", "))}
			}
		}
	}
	form := pick(g, []string{
		"SELECT query_to_xml('%[2]s', true, false, '')", "SELECT table_to_xml('%[1]s', true, false, '')", "SELECT * FROM ts_stat('%[2]s')", "SELECT cursor_to_xml('c', 1, true, false, '')",
		"SELECT schema_to_xml('public', true, false, '')", "SELECT database_to_xml(true, false, '')", "SELECT pg_relation_size('%[1]s')", "SELECT pg_catalog.query_to_xml_and_xmlschema('%[2]s', true, true, '')",
		"SELECT '%[1]s'::regclass::text", "SELECT to_regclass('%[1]s')", "SELECT pg_get_viewdef('%[1]s')", "SELECT ts_rewrite('a'::tsquery, '%[2]s')", "SELECT pg_table_size('%[1]s'), pg_total_relation_size('%[1]s')",
		"SELECT nextval('%[1]s')", "SELECT pg_read_file('PG_VERSION')", "SELECT pg_ls_dir('.')", "SELECT currtid2('%[1]s', '(0,1)')", "SELECT pg_stat_get_live_tuples('%[1]s'::regclass)",
	})
	return []string{strings.NewReplacer("%[1]s", h, "%[2]s", query).Replace(form)}
}

func (g *gen) userCall() []string {
	if len(g.s.UserCalls) == 0 {
		return g.hiddenRelation()
	}
	return []string{pick(g, g.s.UserCalls)}
}

func (g *gen) statistics() []string {
	g.volatile = true
	return []string{pick(g, []string{
		"SELECT * FROM pg_stats", "SELECT * FROM pg_statistic", "SELECT relname, reltuples FROM pg_class", "SELECT * FROM pg_stat_user_tables", "SELECT * FROM pg_stat_activity", "SELECT * FROM pg_statio_user_tables",
		"SELECT query FROM pg_stat_activity", "SELECT * FROM pg_prepared_statements", "SELECT * FROM pg_cursors", "SELECT * FROM pg_locks", "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'people'", "SELECT * FROM pg_stats_ext",
		"SELECT * FROM pg_sequences", "SELECT relname, n_live_tup FROM pg_stat_all_tables", "ANALYZE people", "VACUUM VERBOSE people", "SELECT pg_size_pretty(pg_relation_size('people'))",
	})}
}

// session tries to change what the wall rests on, and puts back what it could.
func (g *gen) session() []string {
	return []string{pick(g, []string{
		"SET ROLE postgres", "SET SESSION AUTHORIZATION app_owner", "SET search_path = public, secret", "SELECT set_config('search_path', 'public', false)", "SET row_security = off", "RESET ROLE", "SELECT set_config('role', 'app_owner', true)",
		"UPDATE pg_settings SET setting = 'public' WHERE name = 'search_path'", "ALTER ROLE CURRENT_USER SET work_mem = '4MB'", "SET client_min_messages = 'debug5'", "SET debug_print_plan = on", "LOAD 'auto_explain'",
		"SET standard_conforming_strings = off", "SET session_replication_role = replica", "SET LOCAL role = 'app_owner'", "DO $$ BEGIN RAISE NOTICE 'x'; END $$", "CREATE TEMP TABLE people (id int)", "SET plan_cache_mode = force_generic_plan", "SET enable_seqscan = off",
	}), "RESET ALL"}
}

func (g *gen) definition() []string {
	g.volatile = true
	return []string{pick(g, []string{
		"SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'ssn_of'", "SELECT prosrc FROM pg_proc WHERE proname ~ 'ssn|vault|label'", "SELECT * FROM pg_policies", "SELECT polqual::text FROM pg_policy", "SELECT definition FROM pg_views",
		"SELECT view_definition FROM information_schema.views", "SELECT pg_get_viewdef(c.oid) FROM pg_class c WHERE relkind IN ('v', 'm')", "SELECT ev_action FROM pg_rewrite", "SELECT pg_get_ruledef(oid) FROM pg_rewrite",
		"SELECT routine_definition FROM information_schema.routines", "SELECT rolpassword FROM pg_authid", "SELECT passwd FROM pg_shadow", "SELECT * FROM pg_user_mappings", "SELECT pg_get_triggerdef(oid) FROM pg_trigger",
	})}
}

// errorWithValue makes the server complain of a value: of a visible row at most.
func (g *gen) errorWithValue() []string {
	it, from := g.tableItem()
	sc := &scope{items: []item{it}}
	e := g.expand(pick(g, failing()[pick(g, []Type{Bool, Bool, Int, Text, Date, Numeric})]), sc, 1)
	return []string{pick(g, []string{
		"SELECT " + e + " FROM " + from, "SELECT count(*) FROM " + from + " WHERE (" + e + ") IS NOT NULL", "SELECT 1 FROM " + from + " ORDER BY " + e, "SELECT count(" + e + ") FROM " + from + " WHERE id > 3",
		"SELECT CASE WHEN " + g.expr(Bool, sc, 1) + " THEN (1 / (id - id))::text END FROM " + from,
	})}
}

func (g *gen) systemColumn() []string {
	g.volatile = true
	return []string{"SELECT " + pick(g, []string{"ctid", "xmin", "tableoid", "cmax", "tableoid::regclass::text"}) + " FROM " + pick(g, g.s.Tables).Name}
}

func (g *gen) writeHidden() []string {
	h, t := g.hidden(), pick(g, g.s.Tables).Name
	form := pick(g, []string{
		"UPDATE %[1]s SET id = id RETURNING *", "DELETE FROM %[1]s RETURNING *", "INSERT INTO %[1]s SELECT * FROM %[1]s ON CONFLICT DO NOTHING RETURNING *", "TRUNCATE %[1]s", "CREATE TABLE stolen AS SELECT * FROM %[1]s",
		"SELECT * INTO stolen FROM %[1]s", "CREATE VIEW stolen AS SELECT * FROM %[1]s", "INSERT INTO %[2]s SELECT * FROM %[1]s", "UPDATE %[2]s SET id = id WHERE EXISTS (SELECT 1 FROM %[1]s) RETURNING *", "LOCK TABLE %[1]s", "COPY %[2]s FROM STDIN",
		"GRANT SELECT ON %[1]s TO PUBLIC", "ALTER TABLE %[1]s DISABLE ROW LEVEL SECURITY", "MERGE INTO %[2]s t USING %[1]s s ON true WHEN MATCHED THEN DO NOTHING", "DROP TABLE %[1]s", "CALL shout()", "INSERT INTO %[2]s (id) VALUES (4) ON CONFLICT (id) DO UPDATE SET id = 4 RETURNING *",
	})
	return undone(strings.NewReplacer("%[1]s", h, "%[2]s", t).Replace(form))
}

func (g *gen) largeObject() []string {
	return []string{pick(g, []string{"SELECT lo_get(424242)", "SELECT loread(lo_open(424242, 262144), 100)", "SELECT encode(lo_get(424242), 'escape')", "SELECT lo_export(424242, '/dev/null')", "SELECT data FROM pg_largeobject"})}
}
