package attacks

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// observing is the corpus' policy with the analyst observed as a role of the application's own, and a shadow rule for support.
func observing(t *testing.T, all bool) string {
	t.Helper()
	policy := site.Testdata(t, "postern.yaml")
	who := "observe: [analyst]"
	if all {
		who = "mode: observe"
	}
	policy = strings.Replace(policy, "    grantor: {{grantor}}\n", "    grantor: {{grantor}}\n    "+who+
		"\n    upstream: {analyst: {user: reporting, password: {env: REPORTING_PASSWORD}}}\n", 1)
	return strings.Replace(policy, "\nbaseline:", `
  support-products:
    to: [support]
    on: records
    shadow: true

baseline:`, 1)
}

// TestPRO118_Observe: what an observed user sends reaches the server as it is, whatever was decided, and the trail says what would
// have happened. The same statement of a user who is not observed is refused or masked.
func TestPRO118_Observe(t *testing.T) {
	t.Setenv("REPORTING_PASSWORD", pgtest.PasswordOf("reporting"))
	majors := pgtest.Majors(t)
	c := pgtest.Start(t, majors[len(majors)-1])
	db := site.NewShopDatabase(t, c)
	c.Role(t, "reporting", "LOGIN REPLICATION")
	db.Exec(t, "GRANT USAGE ON SCHEMA public TO reporting; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reporting")
	s := site.New(t, db, observing(t, false))

	check := s.Run(t, "policy", "check")
	for _, want := range []string{"NOT ENFORCED: on store shop the statements of analyst", "NOT ENFORCED: rule support-products is a shadow"} {
		if check.Code != 0 || !strings.Contains(check.Stderr, want) {
			t.Errorf("policy check: exit %d, and it does not say %q:\n%s", check.Code, want, check.Stderr)
		}
	}
	if plan := s.Run(t, "plan"); !strings.Contains(plan.Stdout+plan.Stderr, "NOT ENFORCED: the gateway sends every statement of analyst") {
		t.Errorf("plan does not say that analyst is observed:\n%s%s", plan.Stdout, plan.Stderr)
	}
	ctx := context.Background()
	t.Run("a whole store, before anything is applied", func(t *testing.T) { testObservedStore(ctx, t, s) })
	s.WritePolicy(t, observing(t, false))
	s.Apply(t)
	s.Serve(t)
	analyst := connectObserved(t, s, "analyst", map[string]string{"options": "-c search_path=public -c geqo=off"})

	t.Run("enforced for nobody observed", func(t *testing.T) {
		var role, ssn, path, geqo string
		err := analyst.QueryRow(ctx, "SELECT current_user, (SELECT ssn FROM customers WHERE id = $1), current_setting('search_path'), current_setting('geqo')", 3).
			Scan(&role, &ssn, &path, &geqo)
		if err != nil || role != "reporting" || !strings.HasPrefix(ssn, "CANARY") || path != "public" || geqo != "off" {
			t.Errorf("the observed analyst is %q with ssn %q, search_path %q, geqo %q: %v", role, ssn, path, geqo, err)
		}
		var pgErr *pgconn.PgError
		if _, err := analyst.Exec(ctx, "SELECT notes::int FROM customers WHERE id = 3"); !asPgError(err, &pgErr) || !strings.Contains(pgErr.Message, "CANARY") {
			t.Errorf("the error is not the server's own: %v", err)
		}
		if _, err := analyst.Exec(ctx, "DO $$ BEGIN PERFORM 1; END $$"); err != nil {
			t.Errorf("a statement that would be refused: %v", err)
		}
	})
	t.Run("enforced for everybody else", func(t *testing.T) {
		support := connectObserved(t, s, "support", nil)
		var ssn string
		if err := support.QueryRow(ctx, "SELECT ssn FROM customers WHERE id = 2").Scan(&ssn); err != nil || !strings.HasPrefix(ssn, "***") {
			t.Errorf("support sees ssn %q: %v", ssn, err)
		}
		if _, err := support.Exec(ctx, "DO $$ BEGIN PERFORM 1; END $$"); err == nil {
			t.Error("support may run DO")
		}
		if _, err := pgconn.Connect(ctx, s.DSN("support", "shop")+" options='-c geqo=off'"); err == nil {
			t.Error("support may bring a setting that only the observed may")
		}
		var n int
		if err := support.QueryRow(ctx, "SELECT count(*) FROM customers").Scan(&n); err != nil || n != 2 {
			t.Errorf("support sees %d customers, the shadow rule must not count: %v", n, err)
		}
	})
	t.Run("replication", func(t *testing.T) {
		conn, err := pgconn.Connect(ctx, s.DSN("analyst", "shop")+" replication=database")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if r, err := conn.Exec(ctx, "IDENTIFY_SYSTEM").ReadAll(); err != nil || len(r) != 1 || len(r[0].Rows) != 1 {
			t.Errorf("IDENTIFY_SYSTEM: %v %v", r, err)
		}
		if _, err := pgconn.Connect(ctx, s.DSN("support", "shop")+" replication=database"); err == nil {
			t.Error("support may replicate")
		}
	})
	t.Run("copy and cancel", func(t *testing.T) {
		rows := &strings.Builder{}
		if _, err := analyst.PgConn().CopyTo(ctx, rows, "COPY customers (id) TO STDOUT"); err != nil || strings.Count(rows.String(), "\n") != 6 {
			t.Errorf("COPY of the observed: %q %v", rows, err)
		}
		conn := connectObserved(t, s, "analyst", nil)
		done := make(chan error, 1)
		go func() {
			_, err := conn.Exec(ctx, "SELECT pg_sleep(30)")
			done <- err
		}()
		waitFor(t, func() bool {
			return s.DB.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'") == "1"
		})
		if err := conn.PgConn().CancelRequest(ctx); err != nil {
			t.Fatal(err)
		}
		var pgErr *pgconn.PgError
		if err := <-done; !asPgError(err, &pgErr) || pgErr.Code != "57014" {
			t.Errorf("after a cancel: %v", err)
		}
	})
	t.Run("pg_dump", func(t *testing.T) {
		dump, err := exec.LookPath("pg_dump")
		if err != nil {
			t.Fatal("pg_dump is not installed: build/prepare test")
		}
		cmd := exec.CommandContext(ctx, dump, "--schema-only", "--table=public.products") // #nosec G204 -- found in PATH
		cmd.Env = s.Environ("analyst", "shop")
		out, err := cmd.CombinedOutput()
		if err == nil && !strings.Contains(string(out), "CREATE TABLE public.products") {
			t.Errorf("pg_dump dumps nothing:\n%s", out)
		}
		if err != nil && !strings.Contains(string(out), "server version mismatch") {
			t.Errorf("pg_dump: %v\n%s", err, out)
		}
	})
	testObservedTrail(t, s)
	t.Run("explain", func(t *testing.T) {
		r := s.Run(t, "explain", "--as", "analyst", "DO $$ BEGIN END $$")
		if r.Code != 1 || !strings.Contains(r.Stdout, "NOT ENFORCED") {
			t.Errorf("explain: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
		r = s.Run(t, "explain", "--as", "support", "SELECT ssn FROM customers")
		if r.Code != 0 || !strings.Contains(r.Stdout, "rewrite with support-products in force") && !strings.Contains(r.Stdout, "allow with support-products in force") {
			t.Errorf("explain with a shadow rule: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
	})
	t.Run("drain", func(t *testing.T) { testObservedDrain(ctx, t, s) })
}

// testObservedDrain: a gateway that shuts down lets an observed session finish what it has asked for.
func testObservedDrain(ctx context.Context, t *testing.T, s *site.Site) {
	conn, idle := connectObserved(t, s, "analyst", nil), connectObserved(t, s, "analyst", nil)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(1.5)")
		done <- err
	}()
	waitFor(t, func() bool {
		return s.DB.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(1.5)%'") == "1"
	})
	s.Stop(t)
	if err := <-done; err != nil {
		t.Errorf("what ran when the gateway stopped: %v", err)
	}
	for _, c := range []*pgx.Conn{conn, idle} {
		if err := c.Ping(ctx); err == nil {
			t.Error("a session lives on after the gateway has stopped")
		}
	}
}

// testObservedStore: mode: observe needs nothing of Postern on the server, and lets nobody in who has no login of their own there.
func testObservedStore(ctx context.Context, t *testing.T, s *site.Site) {
	s.WritePolicy(t, observing(t, true))
	s.Serve(t)
	defer s.Stop(t)
	conn := connectObserved(t, s, "analyst", nil)
	var role string
	if err := conn.QueryRow(ctx, "SELECT current_user || (SELECT count(*) FROM payroll)").Scan(&role); err != nil || !strings.HasPrefix(role, "reporting") {
		t.Errorf("the observed analyst is %q: %v", role, err)
	}
	var pgErr *pgconn.PgError
	if _, err := pgconn.Connect(ctx, s.DSN("support", "shop")); !asPgError(err, &pgErr) || !strings.Contains(pgErr.Message, "observe mode") {
		t.Errorf("support has no login in upstream, and gets %v", err)
	}
	if schemas := s.DB.Query(t, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'postern%'"); schemas != "0" {
		t.Errorf("observing has made %s schemas", schemas)
	}
}

// testObservedTrail: the trail says of every statement what would have happened, and that it did not.
func testObservedTrail(t *testing.T, s *site.Site) {
	t.Run("trail", func(t *testing.T) {
		type event struct {
			Subject, Command, Verdict, Reason, Role string
			NotEnforced                             bool `json:"not_enforced"`
			Shadow                                  *struct {
				Rules   []string
				Verdict string
			}
		}
		var would, rewritten, shadowed bool
		for line := range strings.Lines(s.Must(t, "audit", "search", "--kind", "statement.decision", "--format", "json")) {
			var e event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			if e.NotEnforced != (e.Subject == "analyst") {
				t.Errorf("not_enforced is %t in %s", e.NotEnforced, line)
			}
			would = would || e.Subject == "analyst" && e.Command == "DO" && e.Verdict == "refuse" && e.Role == "reporting"
			rewritten = rewritten || e.Subject == "analyst" && e.Verdict == "rewrite"
			shadowed = shadowed || e.Subject == "support" && e.Verdict == "rewrite" && e.Shadow != nil && e.Shadow.Rules[0] == "support-products" && e.Shadow.Verdict != "refuse"
		}
		if !would || !rewritten || !shadowed {
			t.Errorf("the trail says what would be refused: %t, rewritten: %t, shadowed: %t", would, rewritten, shadowed)
		}
	})
	t.Run("replay", func(t *testing.T) {
		r := s.Run(t, "audit", "replay", "--policy", s.Config, "--subject", "analyst")
		if r.Code != 0 && r.Code != 3 || !strings.Contains(r.Stdout, "nobody gains or loses") {
			t.Errorf("replay under the same policy: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
	})
}

// connectObserved is a session through the gateway.
func connectObserved(t *testing.T, s *site.Site, user string, params map[string]string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(s.DSN(user, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range params {
		config.RuntimeParams[k] = v
	}
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func asPgError(err error, to **pgconn.PgError) bool { return errors.As(err, to) }

// waitFor waits until something has happened.
func waitFor(t *testing.T, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen within 20 s")
		}
	}
}
