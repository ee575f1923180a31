package pgsql

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

// TestExtensionSets holds the sets against the extensions that the servers have: a name on the list is a function of the extension on
// some major, one that changes something or takes the name of an object is not on it, and every set can be called (ENF-52).
func TestExtensionSets(t *testing.T) {
	sets, seen, tried := ExtensionFunctions(), map[string]map[string]bool{}, map[string]bool{}
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db := c.NewDatabase(t)
		conn := db.Connect(t, pgtest.SuperUser)
		for extension, functions := range sets {
			if db.Query(t, "SELECT count(*) FROM pg_available_extensions WHERE name = '"+extension+"'") == "0" {
				continue
			}
			db.Exec(t, `CREATE SCHEMA "x_`+extension+`"; CREATE EXTENSION "`+extension+`" SCHEMA "x_`+extension+`"`)
			tried[extension] = true
			if seen[extension] == nil {
				seen[extension] = map[string]bool{}
			}
			// unaccent takes a dictionary by name where it has two arguments: regdictionary is for constants only, as everywhere.
			rows, err := conn.Query(context.Background(), `SELECT p.proname::text, p.provolatile = 'v' AND p.proname !~ '^(gen_|uuid_generate|pgp_.*encrypt|crypt)',
				EXISTS (SELECT 1 FROM unnest(p.proargtypes::oid[] || p.prorettype) t JOIN pg_type y ON y.oid = t WHERE y.typname ~ '^reg(class|proc|role|namespace)' OR y.typname IN ('internal', 'oid', 'refcursor'))
				FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
				JOIN pg_extension e ON e.oid = d.refobjid WHERE e.extname = $1`, extension)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var name string
				var volatile, object bool
				if err := rows.Scan(&name, &volatile, &object); err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(functions, name) {
					continue
				}
				seen[extension][name] = true
				if volatile || object {
					t.Errorf("%s: %s is volatile, or takes the name of an object", extension, name)
				}
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
		}
		w := shopWorld()
		w.Major = c.Major
		w.Callable = map[Name]byte{}
		for extension := range tried {
			for _, name := range sets[extension] {
				w.Callable[Name{"x_" + extension, name}] = 'f'
			}
			w.Extension[extension] = "x_" + extension
		}
		g := NewGuard(-1)
		calls := map[string]string{
			"SELECT round(similarity('word', 'two words')::numeric, 2)": "0.36",
			"SELECT encode(digest('abc', 'sha256'), 'hex')":             "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
			"SELECT unaccent('Hôtel')":                                  "Hotel",
			"SELECT uuid_generate_v5(uuid_ns_dns(), 'example.org')":     "aad03681-8b63-5304-89e0-8ca8f49461b5",
			"SELECT nlevel('a.b.c')":                                    "3",
			"SELECT akeys(hstore('a', 'x'))":                            "{a}",
			`SELECT 'word' OPERATOR("x_pg_trgm".%) 'words'`:             "t",
			`SELECT "x_pg_trgm".show_trgm('ab')`:                        `{"  a"," ab","ab "}`,
		}
		if tried["postgis"] { // on a server from elsewhere, by POSTERN_PG_CACHE: those of the tests have none
			w.Types = map[Name]Name{{"x_postgis", "geometry"}: {"x_postgis", "geometry"}}
			calls["SELECT st_astext(st_makepoint(1, 2))"] = "POINT(1 2)"
			calls["SELECT st_area(st_buffer('POINT(0 0)'::x_postgis.geometry, 1)) > 3"] = "t"
			calls["SELECT count(*) FROM (VALUES ('POINT(0 0)'::x_postgis.geometry)) v (g) WHERE g OPERATOR(x_postgis.&&) st_makeenvelope(-1, -1, 1, 1)"] = "1"
		}
		if tried["vector"] { // likewise
			w.Types = map[Name]Name{{"x_vector", "vector"}: {"x_vector", "vector"}, {"x_vector", "halfvec"}: {"x_vector", "halfvec"}}
			calls["SELECT l2_distance('[1,2]'::x_vector.vector, '[1,5]'::x_vector.vector)"] = "3"
			calls["SELECT '[1,2]'::x_vector.vector OPERATOR(x_vector.<=>) '[2,4]'::x_vector.vector"] = "0"
			calls["SELECT vector_dims(subvector('[1,2,3]'::x_vector.halfvec, 1, 2))"] = "2"
			calls["SELECT x_vector.avg(v) FROM (VALUES ('[1,2]'::x_vector.vector), ('[3,4]'::x_vector.vector)) t (v)"] = "[2,3]"
		}
		for text, want := range calls {
			d := g.Decide(w, text, Simple)
			if d.Refusal != nil {
				t.Errorf("%s: %s", text, d.Refusal.Message)
				continue
			}
			results, err := conn.PgConn().Exec(context.Background(), d.Text).ReadAll()
			if err != nil || string(results[0].Rows[0][0]) != want {
				t.Errorf("%s: %v, want %s", d.Text, err, want)
			}
		}
		for _, text := range []string{"SELECT set_limit(0.5)", "SELECT unaccent_init('x')", "SELECT populate_record(NULL, 'a=>1')"} {
			if d := g.Decide(w, text, Simple); d.Refusal == nil {
				t.Errorf("%s is let through", text)
			}
		}
		w.Callable = nil
		if d := g.Decide(w, "SELECT similarity('a', 'b')", Simple); d.Refusal == nil {
			t.Error("a function of an extension that is not switched on is let through")
		}
	})
	for extension := range tried {
		for _, name := range sets[extension] {
			if !seen[extension][name] {
				t.Errorf("%s has no function %s", extension, name)
			}
		}
	}
	if len(tried) < 7 {
		t.Errorf("only %d extensions could be tried", len(tried))
	}
	if strings.Contains(extensionsText, "\t") || len(sets) != 9 {
		t.Errorf("%d sets", len(sets))
	}
}
