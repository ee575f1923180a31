package hunt

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
	"github.com/postern-sec/postern/test/sqlgen"
)

// sample is how many statements each wall gets with every change. `make hunt N=…` asks for more.
const sample = 800

// minAccepted is the share of ordinary statements, in per cent, that must get an answer for a run to mean something.
const minAccepted = 80

// TestHunt goes at both walls. POSTERN_HUNT is the number of statements for all of them, POSTERN_HUNT_MAJORS the servers,
// POSTERN_HUNT_SEED where the generator starts; without them a sample runs on one server, and asks the twin each time.
func TestHunt(t *testing.T) {
	majors := strings.Fields(os.Getenv("POSTERN_HUNT_MAJORS"))
	if len(majors) == 0 {
		majors = []string{strconv.Itoa(pgtest.DefaultMajor)}
	}
	each := number(t, "POSTERN_HUNT", uint64(2*sample*len(majors))) / uint64(2*len(majors))
	for _, m := range majors {
		major, err := strconv.Atoi(m)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("pg"+m, func(t *testing.T) {
			s := testMajor(t, major, each, number(t, "POSTERN_HUNT_SEED", 1))
			testPlantedHoles(t, s)
		})
	}
}

// testMajor hunts on one server and returns the site of the first world.
func testMajor(t *testing.T, major int, n, seed uint64) *site.Site {
	t.Helper()
	first, second := Worlds()
	s, twin := newSite(t, major, first), newSite(t, major, second)
	sameKey(t, s, twin)
	s.Serve(t)
	twin.Serve(t)
	all := schema(major)
	all.Functions = functions(t, s.DB)
	for _, w := range []struct {
		one, two Endpoint
		schema   *sqlgen.Schema
	}{{gateway(s, first), gateway(twin, second), all}, {wall(t, s, first), wall(t, twin, second), wallSchema(all)}} {
		p := Plan{Endpoint: w.one, Subjects: subjects(), Schema: schemas(w.schema), Seed: seed, Workers: 6, Batch: 20, Attempts: 80}
		// The twin costs as much again, so a long run asks it for the first part only.
		with := p
		with.Twin, with.To, with.Sweep = &w.two, min(n, max(sample, n/10)), true
		check(t, run(t, with))
		if with.To < n {
			p.From, p.To = with.To, n
			check(t, run(t, p))
		}
	}
	if log := s.DB.Log(); strings.Contains(log, "terminated by signal") || strings.Contains(log, "PANIC") {
		t.Errorf("the server crashed:\n%s", log[max(0, len(log)-4000):])
	}
	return s
}

// check prints a report and fails for its findings.
func check(t *testing.T, r *Report) {
	t.Helper()
	t.Log(r)
	if testing.Verbose() {
		t.Log(r.Complaints(60))
	}
	for i, f := range r.Findings {
		if i == 20 {
			t.Errorf("and %d more", len(r.Findings)-i)
			break
		}
		t.Errorf("%s: %s", r.Name, f)
	}
	if len(r.Lost) > 3+r.Sent()/1000 {
		t.Errorf("%s: %d sessions ended by themselves: %s", r.Name, len(r.Lost), r.Lost[0])
	} else if len(r.Lost) > 0 {
		t.Logf("%s: a session ended: %s", r.Name, r.Lost[0])
	}
	if r.Accepted() < minAccepted {
		t.Errorf("%s: %.1f %% of the ordinary statements are accepted, at least %d %% should be", r.Name, r.Accepted(), minAccepted)
	}
}

// testPlantedHoles opens a wall in four ways and wants the same hunt to notice each.
func testPlantedHoles(t *testing.T, s *site.Site) {
	t.Helper()
	first, _ := Worlds()
	letIn(t, s)
	schemaOf, masker := profileOf(t, s, "ana")
	view := s.DB.Query(t, "SELECT pg_get_viewdef('"+schemaOf+".people'::regclass)")
	// The gateway lets nobody in whose wall was changed by hand, so the holes after the first are looked for behind its back.
	// pg_catalog takes functions of its superuser only when it is told to.
	mods := "SET allow_system_table_mods = on; "
	for _, hole := range []struct {
		name          string
		plant, repair string
		gateway       bool
	}{
		{
			"query_to_xml runs under an allowed name",
			mods + `CREATE FUNCTION pg_catalog.to_json(text) RETURNS xml LANGUAGE plpgsql SECURITY DEFINER AS
				$$ BEGIN RETURN query_to_xml($1, true, false, ''); EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$`,
			mods + "DROP FUNCTION pg_catalog.to_json(text)", true,
		},
		{
			"a mask is gone",
			"GRANT SELECT ON public.people TO " + masker + "; CREATE OR REPLACE VIEW " + schemaOf + ".people AS " + strings.Replace(view, "NULL::text AS ssn", "people.ssn", 1),
			"CREATE OR REPLACE VIEW " + schemaOf + ".people AS " + view, false,
		},
		{"a policy is gone", "ALTER TABLE public.orders DISABLE ROW LEVEL SECURITY", "ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY", false},
		{
			"a revoke is gone",
			"GRANT USAGE ON SCHEMA public TO PUBLIC; GRANT EXECUTE ON FUNCTION public.ssn_of(int) TO PUBLIC",
			"REVOKE USAGE ON SCHEMA public FROM PUBLIC; REVOKE EXECUTE ON FUNCTION public.ssn_of(int) FROM PUBLIC", false,
		},
	} {
		t.Run(hole.name, func(t *testing.T) {
			s.DB.Exec(t, hole.plant)
			defer s.DB.Exec(t, hole.repair)
			all := schema(s.DB.Major)
			all.Functions = functions(t, s.DB)
			at, sch := wall(t, s, first), wallSchema(all)
			if hole.gateway {
				at, sch = gateway(s, first), all
			}
			r := run(t, Plan{Endpoint: at, Subjects: []string{"ana"}, Schema: schemas(sch), Seed: 1, To: sample, Workers: 2, Batch: 20, Attempts: 80, Sweep: true})
			if len(r.Findings) == 0 {
				t.Errorf("the hunt does not notice:\n%s", r)
			} else {
				t.Logf("%d findings, such as %s", len(r.Findings), r.Findings[0])
			}
		})
	}
}

// letIn takes back what the attempts at the wall alone did to the logins' own settings, for which the gateway refuses them (ENF-50,
// ENF-95), and waits until it lets everybody in again.
func letIn(t *testing.T, s *site.Site) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, subject := range subjects() {
		s.DB.Exec(t, "ALTER ROLE "+subject+" RESET work_mem")
		for {
			conn, err := pgconn.Connect(ctx, s.DSN(subject, "shop"))
			if err == nil {
				_ = conn.Close(ctx)
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s is not let in: %v", subject, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// profileOf returns a subject's profile schema and the masker that owns its views.
func profileOf(t *testing.T, s *site.Site, subject string) (schema, masker string) {
	t.Helper()
	row := s.DB.Query(t, `SELECT n.nspname, pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relname = 'people' AND c.relkind = 'v' AND has_table_privilege('`+subject+`', c.oid, 'SELECT') AND has_schema_privilege('`+subject+`', n.oid, 'USAGE')`)
	schema, masker, ok := strings.Cut(row, "|")
	if !ok {
		t.Fatalf("the profile of %s: %q", subject, row)
	}
	return schema, masker
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
