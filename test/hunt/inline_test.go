package hunt

import (
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// inlineSample is how many statements the inline tier gets with every change, and what share of the ordinary ones must be answered:
// the catalog, which some ask, is refused there.
const (
	inlineSample      = 160
	minAcceptedInline = 70
)

// TestHuntInline goes at the gateway where nothing stands behind it, and then at one whose policy has a hole.
func TestHuntInline(t *testing.T) {
	t.Setenv("READER_PASSWORD", pgtest.PasswordOf("postern_reader"))
	first, _ := Worlds()
	n := number(t, "POSTERN_HUNT", inlineSample)
	s := newInlineSite(t, first)
	s.Serve(t)
	all := reading(schema(s.DB.Major))
	all.Functions = functions(t, s.DB)
	p := Plan{Endpoint: gateway(s, first), Subjects: subjects(), Schema: schemas(all), Seed: number(t, "POSTERN_HUNT_SEED", 1), To: n, Workers: 4, Batch: 20, Attempts: 80}
	p.Endpoint.Name = "inline " + p.Endpoint.Name
	r := run(t, p)
	t.Log(r)
	for i, f := range r.Findings {
		if i < 20 {
			t.Errorf("%s: %s", r.Name, f)
		}
	}
	if r.Accepted() < minAcceptedInline {
		t.Errorf("%.1f %% of the ordinary statements are accepted, at least %d %% should be:\n%s", r.Accepted(), minAcceptedInline, r.Complaints(20))
	}
	if log := s.DB.Log(); strings.Contains(log, "terminated by signal") || strings.Contains(log, "PANIC") {
		t.Errorf("the server crashed:\n%s", log[max(0, len(log)-4000):])
	}
	s.Stop(t)
	s.WritePolicy(t, strings.ReplaceAll(inlinePolicy(t), "shop.public.people.ssn: hidden", "shop.public.people.ssn: keep"))
	for _, step := range s.Plan(t).Operator {
		s.DB.Exec(t, strings.Join(step.SQL, ";\n"))
	}
	s.Serve(t)
	p.To, p.Subjects = min(n, inlineSample), []string{"ana"}
	if r := run(t, p); len(r.Findings) == 0 {
		t.Errorf("the hunt does not notice that a mask is gone:\n%s", r)
	}
}

// inlinePolicy is the world's policy for a server on which nothing may be created.
func inlinePolicy(t *testing.T) string {
	t.Helper()
	policy := testdata(t, "postern.yaml")
	from, to := strings.Index(policy, "    write:\n"), strings.Index(policy, "\nbaseline:")
	policy = policy[:from] + policy[to:]
	return strings.NewReplacer(
		"    provisioner: {{provisioner}}\n    grantor: {{grantor}}\n", "    tier: inline\n    reader: {user: postern_reader, password: {env: READER_PASSWORD}}\n",
		"    level: write\n", "    level: read\n", ": pseudonym\n", ": hash\n",
	).Replace(policy)
}

func newInlineSite(t *testing.T, w World) *site.Site {
	t.Helper()
	c := pgtest.Start(t, pgtest.DefaultMajor)
	c.Role(t, "app_owner", "NOLOGIN")
	c.Role(t, "postern_reader", "LOGIN")
	db := c.NewDatabaseNamed(t, "shop")
	db.Exec(t, w.Fill(testdata(t, "schema.sql")))
	s := site.New(t, db, inlinePolicy(t))
	for _, step := range s.Plan(t).Operator {
		db.Exec(t, strings.Join(step.SQL, ";\n"))
	}
	return s
}
