package differ

import (
	"strings"
	"sync"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
	"github.com/postern-sec/postern/test/sqlgen"
)

// inlineSample is how many queries the inline tier gets with every change; `make differ N=…` gives it as many as a policy.
const inlineSample = 160

// TestDifferInline compares on the inline tier, which promises the same rows and masks: the same worlds, without the one mask that
// needs a key on the server.
func TestDifferInline(t *testing.T) {
	t.Setenv("READER_PASSWORD", pgtest.PasswordOf("postern_reader"))
	n, seed := number(t, "POSTERN_DIFFER", inlineSample), number(t, "POSTERN_DIFFER_SEED", 1)
	c := pgtest.Start(t, pgtest.DefaultMajor)
	c.Role(t, "postern_reader", "LOGIN")
	var sum tally
	for i := range (n + perPolicy - 1) / perPolicy {
		one := testInline(t, c, seed+i, min(perPolicy, n-i*perPolicy))
		sum.add(one)
		if 100*one.compared < minCompared*one.asked {
			t.Errorf("only %d of %d queries could be compared: %d refused, %d failed on both sides", one.compared, one.asked, one.refused, one.failed)
		}
	}
	t.Logf("inline: %d queries, %d compared with %d rows, %d refused, %d failed on both sides, %d out of time, %d differences", sum.asked, sum.compared, sum.rows, sum.refused, sum.failed, sum.late, sum.different)
}

func testInline(t *testing.T, c *pgtest.Cluster, seed, n uint64) (sum tally) {
	t.Helper()
	t.Run("policy", func(t *testing.T) {
		w := NewWorld(seed)
		for _, r := range w.Rules {
			for _, masks := range r.Masks {
				for column, m := range masks {
					if strings.HasPrefix(m.Text, "pseudonym") {
						masks[column] = hidden()
					}
				}
			}
		}
		s, copies := newInlineSite(t, c, w)
		s.Serve(t)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i, subject := range subjects() {
			wg.Go(func() {
				one, complaints := compare(s, copies, subject, seed, uint64(i), n, sqlgen.Options{Stable: true, TablesOwnNames: true})
				mu.Lock()
				defer mu.Unlock()
				sum.add(one)
				for i, c := range complaints {
					if i < 5 {
						t.Errorf("%s", c)
					}
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			t.Logf("the policy:\n%s", w.Policy())
		}
	})
	return sum
}

// newInlineSite is newSite without a wall.
func newInlineSite(t *testing.T, c *pgtest.Cluster, w *World) (*site.Site, *pgtest.DB) {
	t.Helper()
	c.Role(t, "app_owner", "NOLOGIN")
	db := c.NewDatabaseNamed(t, "shop")
	db.Exec(t, "GRANT CREATE, USAGE ON SCHEMA public TO app_owner; SET ROLE app_owner; "+SQL(w.Tables))
	s := site.New(t, db, strings.Replace(w.Policy(), "    provisioner: {{provisioner}}\n    grantor: {{grantor}}\n",
		"    tier: inline\n    reader: {user: postern_reader, password: {env: READER_PASSWORD}}\n", 1))
	for _, step := range s.Plan(t).Operator {
		db.Exec(t, strings.Join(step.SQL, ";\n"))
	}
	copies := c.NewDatabase(t)
	for _, subject := range subjects() {
		copies.Exec(t, "CREATE SCHEMA "+subject+"; SET search_path = "+subject+"; "+SQL(w.Seen(subject, Keys{})))
	}
	return s, copies
}
