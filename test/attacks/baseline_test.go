package attacks

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// direct is the endpoint of a login straight to the server.
func direct(t *testing.T, db *pgtest.DB) Endpoint {
	t.Helper()
	return Endpoint{
		Config:  func(role string) (*pgconn.Config, error) { return pgconn.ParseConfig(db.DSN(role)) },
		Restore: keep(t, db),
	}
}

// keep takes the database's state as the one to restore.
func keep(t *testing.T, db *pgtest.DB) func(context.Context) error {
	t.Helper()
	conn := db.Connect(t, pgtest.SuperUser)
	k, err := NewKeeper(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return k.Restore
}

// TestPlainGrants runs the corpus where nothing protects: it has to find, entry by entry, what was measured by hand.
// A runner that misses a leak here would miss it everywhere.
func TestPlainGrants(t *testing.T) {
	c := pgtest.Start(t, 15)
	db := site.NewShopDatabase(t, c)
	for _, role := range []string{"analyst", "support"} {
		c.Role(t, role)
		db.Exec(t, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "+pgx.Identifier{role}.Sanitize())
	}
	corpus := given(t)
	at := direct(t, db)
	report, err := Run(context.Background(), at, corpus.Attacks)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if want := Outcome(r.Entry.Measured["baseline"]); r.Outcome != want {
			t.Errorf("measured by hand: %s; %s", want, r)
		}
	}
	if n := len(report.With(Leaked)); n != 99 {
		t.Errorf("%d attempts leak with plain grants, want 99", n)
	}
	wrong, err := RunBenign(context.Background(), at, corpus.Benign)
	if err != nil {
		t.Fatal(err)
	}
	isWrong := map[string]string{}
	for _, w := range wrong {
		isWrong[w.Entry.ID] = w.String()
	}
	for _, e := range corpus.Benign {
		if (e.Measured["baseline"] == "ok") != (isWrong[e.ID] == "") {
			t.Errorf("%s: measured by hand: %s; %s", e.ID, e.Measured["baseline"], isWrong[e.ID])
		}
	}
	if ok := len(corpus.Benign) - len(wrong); ok != 9 {
		t.Errorf("%d ordinary queries are right with plain grants, want 9", ok)
	}
}
