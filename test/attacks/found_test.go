package attacks

import (
	"context"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// foundStrict and foundLoose are strictlyRefused and looselyAnswered of what was found later.
var (
	foundStrict = map[string]string{}

	foundLoose = map[string]string{}
)

// found is what was found later, as far as a major can be asked.
func found(t *testing.T, major int) *Corpus {
	t.Helper()
	c, err := LoadFound("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return c.On(major)
}

// playsFound says whether a major is asked them through the gateway, and at the wall: the oldest and the newest, and the newest alone,
// unless majors are named.
func playsFound(t *testing.T, major int) (gateway, wall bool) {
	t.Helper()
	majors := pgtest.Majors(t)
	if os.Getenv("POSTERN_TEST_MAJORS") != "" {
		return true, true
	}
	newest := major == majors[len(majors)-1]
	return newest || major == majors[0], newest
}

// within leaves of a list the entries of a corpus.
func within(list map[string]string, c *Corpus) map[string]string {
	out := maps.Clone(list)
	maps.DeleteFunc(out, func(id, _ string) bool {
		return !slices.ContainsFunc(c.Attacks, func(e *Entry) bool { return e.ID == id })
	})
	return out
}

// copies makes of the application's tables what a role may see of them, and puts the tables themselves out of sight.
var copies = map[string]string{
	"analyst": `
		CREATE TABLE public.customers AS SELECT id, name, left(email, 1) || '***@' || split_part(email, '@', 2) AS email, NULL::text AS ssn, phone, region, balance, notes
			FROM base.customers WHERE region = 'EU';
		CREATE TABLE public.orders AS SELECT id, customer_id, total, NULL::text AS memo, created_at FROM base.orders WHERE customer_id IN (1, 2, 6);
		CREATE TABLE public.patients AS SELECT id, customer_id, NULL::text AS diagnosis, date_trunc('year', dob)::date AS dob, doctor FROM base.patients WHERE customer_id IN (1, 2, 6);
		CREATE TABLE public.events AS SELECT * FROM base.events WHERE region = 'EU';`,
	"support": `
		CREATE TABLE public.customers AS SELECT id, name, email, '***' || right(ssn, 1) AS ssn, phone, region, balance, notes FROM base.customers WHERE id IN (2, 4);
		CREATE TABLE public.orders AS SELECT id, customer_id, total, NULL::text AS memo, created_at FROM base.orders WHERE customer_id IN (2, 4);
		CREATE TABLE public.patients AS SELECT * FROM base.patients WHERE false;
		CREATE TABLE public.events AS SELECT * FROM base.events WHERE false;`,
}

// TestFoundAnswers holds the answers that found_benign.yaml expects against copies of the tables that are masked and filtered: the
// policy says them, not the gateway. What asks the catalog is left out, since copies have another one.
func TestFoundAnswers(t *testing.T) {
	majors := pgtest.Majors(t)
	major := majors[len(majors)-1]
	c := pgtest.Start(t, major)
	queries := found(t, major).Benign
	c.Role(t, "app_owner", "NOLOGIN")
	for role, sql := range copies {
		c.Role(t, role)
		db := c.NewDatabaseNamed(t, map[string]string{"analyst": "shop", "support": "shop_of_support"}[role])
		db.Exec(t, site.Testdata(t, "schema.sql"))
		db.Exec(t, `CREATE SCHEMA base; ALTER TABLE customers SET SCHEMA base; ALTER TABLE orders SET SCHEMA base; ALTER TABLE patients SET SCHEMA base;
			ALTER TABLE events SET SCHEMA base;`+sql+`
			ALTER TABLE public.customers ADD PRIMARY KEY (id); ALTER TABLE public.orders ADD PRIMARY KEY (id);
			CREATE TABLE base.as_it_was AS TABLE public.customers;
			GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO `+role+`; ALTER ROLE `+role+` SET search_path = public`)
		at := Endpoint{Config: func(role string) (*pgconn.Config, error) { return pgconn.ParseConfig(db.DSN(role)) }, Restore: func(ctx context.Context) error {
			if role == "support" { // who alone writes
				db.Exec(t, "DELETE FROM public.customers; INSERT INTO public.customers TABLE base.as_it_was")
			}
			return ctx.Err()
		}}
		var own []*Entry
		for _, e := range queries {
			if e.Role == role && e.Class != "catalog" {
				own = append(own, e)
			}
		}
		if len(own) < 5 {
			t.Fatalf("%d queries of %s", len(own), role)
		}
		wrong, err := RunBenign(context.Background(), at, own)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wrong {
			t.Errorf("copies that are masked beforehand say: %s", w)
		}
	}
}
