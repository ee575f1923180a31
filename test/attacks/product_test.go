package attacks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/test/site"
)

// strictlyRefused lists the attempts that could be answered and that the gateway refuses all the same, with the
// reason. The list can only get shorter: an entry that is answered must leave it.
var strictlyRefused = map[string]string{
	"A023": "ctid is the place of a row in the table's file, and counts the hidden rows before it; views have none",
	"A040": "a masked address is no network: the server itself cannot cast it, and says so without the value",
	"A042": "a name computed from data can name any relation: to_regclass takes constants only",
	"A071": "a temporary table may not have the name of a relation, which it would hide",
	"A079": "DISCARD ALL cannot run among other statements of one message: PostgreSQL itself says so",
}

// looselyAnswered lists the attempts that are answered although a refusal was expected, with the reason why the answer
// is harmless. It too can only get shorter.
var looselyAnswered = map[string]string{
	"A100": "pg_class is Postern's own view of it, in which reltuples is -1 for every relation",
}

// maxStrict is how long strictlyRefused may be.
const maxStrict = 5

// TestBothWalls runs the corpus through the gateway and against the wall alone, on every major.
func TestBothWalls(t *testing.T) {
	if len(strictlyRefused) > maxStrict {
		t.Errorf("%d attempts are refused that could be answered, at most %d", len(strictlyRefused), maxStrict)
	}
	corpus := given(t)
	for _, major := range pgtest.Majors(t) {
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) {
			s := site.NewShop(t, pgtest.Start(t, major))
			s.Apply(t)
			restore := keep(t, s.DB)
			t.Run("wall", func(t *testing.T) { testWall(t, wall(t, s, restore), corpus) })
			more := found(t, major)
			atGateway, atWall := playsFound(t, major)
			if atWall {
				t.Run("wall/found", func(t *testing.T) {
					at := wall(t, s, restore)
					at.Once, at.Together = true, true // the server does the same by both protocols
					testWall(t, at, more)
				})
			}
			s.Serve(t)
			t.Run("gateway", func(t *testing.T) { testGateway(t, gateway(s, restore), corpus, looselyAnswered, strictlyRefused) })
			if atGateway {
				t.Run("gateway/found", func(t *testing.T) {
					at := gateway(s, restore)
					at.Together = true
					testGateway(t, at, more, foundLoose, foundStrict)
				})
			}
		})
	}
}

// testGateway: none leaks, what is refused without need is on the list, and every ordinary query is answered.
func testGateway(t *testing.T, at Endpoint, corpus *Corpus, loose, strict map[string]string) {
	report, err := Run(context.Background(), at, corpus.Attacks)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.With(Leaked) {
		t.Errorf("LEAK %s", r)
	}
	compareWithList(t, "answered, and should be refused", report.Loose(), within(loose, corpus))
	compareWithList(t, "refused, and could be answered", report.Strict(), within(strict, corpus))
	t.Logf("gateway: %d leaked, %d refused as wanted, %d refused that could be answered", len(report.With(Leaked)),
		len(report.With(Denied))-len(report.Strict()), len(report.Strict()))
	wrong, err := RunBenign(context.Background(), at, corpus.Benign)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Errorf("an ordinary query went wrong: %s", w)
	}
}

// compareWithList wants a reason for each result, and a result for each reason.
func compareWithList(t *testing.T, what string, results []Result, reasons map[string]string) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range results {
		seen[r.Entry.ID] = true
		if reasons[r.Entry.ID] == "" {
			t.Errorf("%s, without a reason on the list: %s", what, r)
		}
	}
	for id := range reasons {
		if !seen[id] {
			t.Errorf("%s is not %s any more: take it off the list", id, what)
		}
	}
}

// testWall: nothing leaks but what only a gateway can stop.
func testWall(t *testing.T, at Endpoint, corpus *Corpus) {
	report, err := Run(context.Background(), at, corpus.Attacks)
	if err != nil {
		t.Fatal(err)
	}
	residual := 0
	for _, r := range report.With(Leaked) {
		if r.Entry.Residual {
			residual++
		} else {
			t.Errorf("LEAK %s", r)
		}
	}
	wrong, err := RunBenign(context.Background(), at, corpus.Benign)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("wall: %d residual leaks, %d refused that could be answered, %d of %d ordinary queries right", residual,
		len(report.Strict()), len(corpus.Benign)-len(wrong), len(corpus.Benign))
}

// gateway is the endpoint that people use.
func gateway(s *site.Site, restore func(context.Context) error) Endpoint {
	return Endpoint{
		Config:  func(role string) (*pgconn.Config, error) { return pgconn.ParseConfig(s.DSN(role, "shop")) },
		Restore: restore,
	}
}

// wall is a login straight to the server as a subject's identity role, with the password that nobody is shown.
func wall(t *testing.T, s *site.Site, restore func(context.Context) error) Endpoint {
	t.Helper()
	serverID := s.DB.Query(t, "SELECT system_identifier FROM pg_control_system()")
	return Endpoint{
		Config: func(role string) (*pgconn.Config, error) {
			password := postgres.IdentityPassword(secret.New(s.RootKey), serverID, role, 1)
			dsn := s.DB.DSN(role)
			return pgconn.ParseConfig(strings.Replace(dsn, "'"+pgtest.PasswordOf(role)+"'", "'"+password.Reveal()+"'", 1))
		},
		Restore: restore,
	}
}

// TestPlantedHoles takes something out of a finished wall, three times, and wants the runner to notice each. A test that
// has never failed proves nothing.
func TestPlantedHoles(t *testing.T) {
	corpus := given(t)
	s := site.NewShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	s.Apply(t)
	schema := s.DB.Query(t, `SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relname = 'patients' AND c.relkind = 'v' AND has_table_privilege('analyst', c.oid, 'SELECT')
		AND has_schema_privilege('analyst', n.oid, 'USAGE')`)
	masker := s.DB.Query(t, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = '"+schema+".patients'::regclass")
	view := s.DB.Query(t, "SELECT pg_get_viewdef('"+schema+".patients'::regclass)")
	grants := "GRANT SELECT ON public.patients TO " + masker
	for _, hole := range []struct{ name, plant, leaks, repair string }{
		{
			"a mask", grants + "; CREATE OR REPLACE VIEW " + schema + ".patients AS SELECT * FROM public.patients",
			"A036", "CREATE OR REPLACE VIEW " + schema + ".patients AS " + view,
		},
		{"a policy", "ALTER TABLE public.customers DISABLE ROW LEVEL SECURITY", "A112", "ALTER TABLE public.customers ENABLE ROW LEVEL SECURITY"},
		{
			"a revoke", "GRANT EXECUTE ON FUNCTION public.get_customer_ssn(int) TO PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC", "A094",
			"REVOKE EXECUTE ON FUNCTION public.get_customer_ssn(int) FROM PUBLIC; REVOKE USAGE ON SCHEMA public FROM PUBLIC",
		},
	} {
		t.Run(hole.name, func(t *testing.T) {
			s.DB.Exec(t, hole.plant)
			report, err := Run(context.Background(), wall(t, s, keep(t, s.DB)), corpus.Attacks)
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, r := range report.With(Leaked) {
				if !r.Entry.Residual {
					found = append(found, r.Entry.ID)
				}
			}
			if !slices.Contains(found, hole.leaks) {
				t.Errorf("%s is missing and the runner reports %q, without %s", hole.name, found, hole.leaks)
			}
			s.DB.Exec(t, hole.repair)
		})
	}
	t.Run("none", func(t *testing.T) { testWall(t, wall(t, s, keep(t, s.DB)), corpus) })
}
