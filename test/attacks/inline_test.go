package attacks

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// inlinePolicy is the corpus' policy for a server on which nothing may be created.
func inlinePolicy(t *testing.T) string {
	t.Helper()
	return strings.NewReplacer(
		"    provisioner: {{provisioner}}\n    grantor: {{grantor}}\n", "    tier: inline\n    reader: {user: postern_reader, password: {env: READER_PASSWORD}}\n",
		"    level: write\n", "    level: read\n",
		"    allow: {temporary: true}\n", "",
		"    write:\n      shop.public.customers: {update: [phone, notes]}\n", "",
	).Replace(site.Testdata(t, "postern.yaml"))
}

// newInline is a site whose gateway alone masks and filters: the reader gets the rights that plan asks for, and nothing else is done.
func newInline(t *testing.T, major int) *site.Site {
	t.Helper()
	t.Setenv("READER_PASSWORD", pgtest.PasswordOf("postern_reader"))
	c := pgtest.Start(t, major)
	db := site.NewShopDatabase(t, c)
	c.Role(t, "postern_reader", "LOGIN")
	s := site.New(t, db, inlinePolicy(t))
	p := s.Plan(t)
	if len(p.Changes) > 0 {
		t.Errorf("plan wants to change a server on which nothing may be created: %v", p.Changes)
	}
	if !slices.ContainsFunc(p.Warnings, func(w site.PlanWarning) bool {
		return strings.Contains(w.Text, "masked and filtered by the gateway only")
	}) {
		t.Errorf("plan does not say what the tier leaves open (ENF-43): %v", p.Warnings)
	}
	for _, step := range p.Operator {
		db.Exec(t, strings.Join(step.SQL, ";\n"))
	}
	if left := s.Plan(t).Operator; len(left) > 0 {
		t.Errorf("with the rights granted, plan still asks for %v", left)
	}
	s.Serve(t)
	return s
}

// TestENF39_Inline runs the corpus on the inline tier, with its own expectations.
func TestENF39_Inline(t *testing.T) {
	corpus := given(t)
	majors := pgtest.Majors(t)
	if os.Getenv("POSTERN_TEST_MAJORS") == "" {
		majors = majors[len(majors)-1:] // what differs between servers is the wall, and there is none
	}
	for _, major := range majors {
		s := newInline(t, major)
		// Nothing can be changed there, so nothing is put back.
		at := gateway(s, func(context.Context) error { return nil })
		before := contents(t, s)
		report, err := Run(context.Background(), at, corpus.Attacks)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.With(Leaked) {
			t.Errorf("LEAK %s", r)
		}
		compareWithList(t, "answered, and should be refused", report.Loose(), inlineLoose)
		compareWithList(t, "refused, and could be answered", report.Strict(), inlineStrict)
		wrong, err := RunBenign(context.Background(), at, corpus.Benign)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wrong {
			if inlineUnanswered[w.Entry.ID] == "" {
				t.Errorf("an ordinary query went wrong: %s", w)
			}
		}
		if len(wrong) != len(inlineUnanswered) {
			t.Errorf("%d ordinary queries go wrong, and the list has %d", len(wrong), len(inlineUnanswered))
		}
		testInlineFound(t, at, found(t, major))
		if after := contents(t, s); after != before {
			t.Errorf("an attempt has changed the tables: %s, was %s", after, before)
		}
	}
}

// testInlineFound runs what was found later. Much of it asks the catalog or writes, which the tier refuses: any other refusal of what could be
// answered is a mistake.
func testInlineFound(t *testing.T, at Endpoint, corpus *Corpus) {
	t.Helper()
	at.Together, at.Once = true, true
	report, err := Run(context.Background(), at, corpus.Attacks)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.With(Leaked) {
		if !slices.Contains(inlineEcho, r.Entry.ID) || len(r.Errors) == 0 {
			t.Errorf("LEAK %s", r)
		}
	}
	for _, r := range report.Loose() {
		t.Errorf("answered, and should be refused: %s", r)
	}
	for _, r := range report.Strict() {
		if !inlineLacks.MatchString(r.Errors[0]) && !slices.Contains(inlineNameless, r.Entry.ID) {
			t.Errorf("refused, and could be answered: %s", r)
		}
	}
}

// inlineLacks is how the tier refuses what it does not give, as the guide's table has it.
var inlineLacks = regexp.MustCompile("the catalog is not available on this store|permission denied to (update|lock rows of) public|can only be read here|CREATE TABLE( AS)? is not available")

// inlineNameless take a column out of a row that came through an array, CASE or a subquery: rows of a query are of no type that has names.
var inlineNameless = []string{"B003", "B492", "B493", "B801", "B804", "B805"}

// inlineEcho are attempts of which every statement is refused, and whose expression finds the name of the reader, which a session is told
// when it begins, or the first letter of the refusal.
var inlineEcho = []string{"B168", "B175", "B380", "B383", "B384", "B393", "B394", "B478", "B481", "B482"}

// TestENF40_InlineStatistics: the planner tries a condition on the values in a column's statistics, which are those of hidden rows too, and
// nobody may learn of them by how long it plans. What it expects is the same for a condition that hidden values meet and one that none does.
func TestENF40_InlineStatistics(t *testing.T) {
	majors := pgtest.Majors(t)
	s := newInline(t, majors[len(majors)-1])
	s.DB.Exec(t, "INSERT INTO customers (id, name, email, ssn, phone, region, balance, notes) SELECT i, 'CANARY-BULK', 'b' || i, 's', 'p', 'US', i, 'CANARY-BULK' FROM generate_series(1000, 1400) i; ANALYZE customers")
	rows := regexp.MustCompile(`rows=(\d+)`)
	expected := func(condition string, change func(string) string) string {
		sent := change(explain(t, s, "analyst", "SELECT id FROM customers WHERE "+condition).Sent)
		m := rows.FindStringSubmatch(s.DB.QueryAs(t, "postern_reader", "EXPLAIN "+sent))
		if m == nil {
			t.Fatalf("no plan of %s", sent)
		}
		return m[1]
	}
	asSent := func(sql string) string { return sql }
	plain := func(sql string) string { return strings.ReplaceAll(sql, "COALESCE(notes, notes)", "notes") }
	const hits, misses = "notes ~ '^CANARY.B'", "notes ~ '^CANARY.C'"
	if a, b := expected(hits, asSent), expected(misses, asSent); a != b {
		t.Errorf("the planner expects %s rows where hidden values match and %s where none does", a, b)
	}
	if a, b := expected(hits, plain), expected(misses, plain); a == b {
		t.Errorf("with plain columns the planner expects %s rows in both cases: this test sees nothing", a)
	}
	// What is shown has the types that the table has.
	conn := connectObserved(t, s, "analyst", nil)
	types := func(conn *pgx.Conn, sql string) (out []string) {
		rows, err := conn.Query(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
		for _, f := range rows.FieldDescriptions() {
			out = append(out, fmt.Sprintf("%s %d %d", f.Name, f.DataTypeOID, f.TypeModifier))
		}
		return out
	}
	for _, table := range []string{"customers", "orders", "patients", "events", "products"} {
		shown, real := types(conn, "TABLE "+table), types(s.DB.Connect(t, pgtest.SuperUser), "TABLE "+table)
		if !slices.Equal(shown, real) {
			t.Errorf("%s is shown as %q, and is %q", table, shown, real)
		}
	}
}

// contents is a digest of every table that the attempts are about, and of who may do what.
func contents(t *testing.T, s *site.Site) string {
	t.Helper()
	return s.DB.Query(t, `SELECT md5(concat((SELECT string_agg(x::text, '' ORDER BY x::text) FROM customers x), (SELECT string_agg(x::text, '' ORDER BY x::text) FROM orders x),
		(SELECT string_agg(x::text, '' ORDER BY x::text) FROM patients x), (SELECT string_agg(x::text, '' ORDER BY x::text) FROM payroll x),
		(SELECT count(*) FROM pg_class WHERE relnamespace <> 'pg_toast'::regnamespace), (SELECT string_agg(concat(rolname, rolconfig), '' ORDER BY rolname) FROM pg_roles)))`)
}

// What the inline tier answers or refuses otherwise than expected, with the reason. The lists can only get shorter.
var (
	inlineLoose = map[string]string{}

	inlineStrict = map[string]string{
		"A023": strictlyRefused["A023"],
		"A040": strictlyRefused["A040"],
		"A042": strictlyRefused["A042"],
		"A060": "no temporary tables on the inline tier: nothing may be created",
		"A068": "as A060",
		"A071": "as A060",
		"A072": "as A060",
		"A079": strictlyRefused["A079"],
		"A109": "no row locks on the inline tier: behind the fence they would lock every row of the filter (ENF-41)",
	}

	inlineUnanswered = map[string]string{
		"Q017": "no row locks on the inline tier (ENF-41)",
		"Q018": "no catalog on the inline tier: nothing of Postern's is on the server to show it",
	}
)
