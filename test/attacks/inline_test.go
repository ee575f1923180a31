package attacks

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

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
		if after := contents(t, s); after != before {
			t.Errorf("an attempt has changed the tables: %s, was %s", after, before)
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
