package postgres

import (
	"testing"

	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/pgtest"
)

// A view's column has the class of what it shows, whatever it is called, and one that is computed is not shown as clean.
func TestViewsShowTheirBaseColumns(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db := c.NewDatabase(t)
		db.Exec(t, `CREATE TABLE people (id int PRIMARY KEY, email text, born date); CREATE TABLE notes (person int, note text);
			INSERT INTO people SELECT i, 'p' || i || '@haus.de', date '1950-01-01' + i FROM generate_series(1, 200) i;
			INSERT INTO notes SELECT i, 'nothing' FROM generate_series(1, 200) i;
			CREATE VIEW renamed AS SELECT id AS a, email AS b, born AS "c} {:resno 1" FROM people;
			CREATE VIEW above AS SELECT b AS z, 1 AS one, a AS "back\slash" FROM renamed;
			CREATE VIEW joined AS SELECT n.note AS n, p.email AS q FROM notes n JOIN people p ON p.id = n.person WHERE EXISTS (SELECT note FROM notes);
			CREATE VIEW nested AS WITH w AS (SELECT email AS x, id FROM people) SELECT s.y AS v FROM (SELECT x AS y FROM w ORDER BY id) s;
			CREATE VIEW computed AS SELECT lower(email) AS k, (SELECT email FROM people LIMIT 1) AS m FROM people;
			CREATE MATERIALIZED VIEW stored AS SELECT email AS w FROM people WITH NO DATA;
			CREATE VIEW twice AS SELECT email AS one, email AS other, id AS third FROM people`)
		analyse(t, db)
		rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{})
		for place, want := range map[string]string{
			"public.renamed.a": "", "public.renamed.b": "contact.email", `public.above.z`: "contact.email", "public.above.one": "", "public.joined.n": "", "public.joined.q": "contact.email",
			"public.nested.v": "contact.email", "public.computed.k": "", "public.computed.m": "", "public.stored.w": "contact.email", "public.twice.one": "contact.email",
			"public.twice.other": "contact.email", "public.twice.third": "",
		} {
			if got := classOf(t, rep, place); got != want {
				t.Errorf("%s is %q, want %q", place, got, want)
			}
		}
		gaps := map[string][]string{}
		for _, g := range rep.NotExamined {
			gaps[g.Table] = g.Columns
			if g.Table == "stored" && g.Grant != "REFRESH MATERIALIZED VIEW public.stored;" {
				t.Errorf("a view without rows: %+v", g)
			}
		}
		if len(gaps) != 3 || len(gaps["computed"]) != 2 || len(gaps["above"]) != 1 {
			t.Errorf("not examined: %v", gaps)
		}
		rep = discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{Views: true})
		if got := classOf(t, rep, "public.computed.k"); got != "contact.email" || len(rep.NotExamined) != 1 {
			t.Errorf("read, it is %q: %v", got, rep.NotExamined)
		}
		verdict := discover.Verdict{Column: "public.people.email", Class: "person.username", By: "ana"}
		rep = discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{Verdicts: []discover.Verdict{verdict}})
		for _, place := range []string{"public.people.email", "public.above.z"} {
			if got := classOf(t, rep, place); got != "person.username" {
				t.Errorf("a person's word on the table is not that on %s: %q", place, got)
			}
		}
	})
}

// The tree of a view's query holds names that its owner chose.
func FuzzViewOrigins(f *testing.F) {
	f.Add(`({QUERY :targetList ({TARGETENTRY :expr {VAR :varno 1} :resno 2 :resname a\ \}b :resorigtbl 16384 :resorigcol 3 :resjunk false}) :override 0})`)
	f.Add(`{{:targetList {:resno 9999999999999999999999`)
	f.Fuzz(func(t *testing.T, tree string) {
		for num, at := range viewOrigins(tree) {
			if num < 0 || at.Num <= 0 || at.OID == 0 {
				t.Fatalf("column %d shows %+v", num, at)
			}
		}
	})
}
