package pgwire

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestReasonsReachClientAndTrail: what a refusal says is told to the client shortly and to the trail fully, except for what
// repeats a literal of the statement, which is for the client alone (PRO-113).
func TestReasonsReachClientAndTrail(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	conn := r.connect(t, "")
	refused := func(sql string) (*pgconn.PgError, audit.Event) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		var pe *pgconn.PgError
		if !errors.As(err, &pe) {
			t.Fatalf("%s: %v", sql, err)
		}
		for _, e := range r.trail.all() {
			if e.Kind == audit.Decision && strings.Contains(pe.Detail, "Event "+e.ID+".") {
				return pe, e
			}
		}
		t.Fatalf("%s: no event behind %q", sql, pe.Detail)
		return nil, audit.Event{}
	}

	pe, e := refused("select * from payroll")
	if pe.Hint != "Ask for the dataset hr: postern request hr." {
		t.Errorf("the client's hint: %q", pe.Hint)
	}
	if e.Reason != "relation_not_admitted" || e.Message != pe.Message || e.Detail["rule"] != "No rule that you hold admits it." ||
		e.Detail["dataset"] != "hr" || e.Detail["object"] != "public.payroll" || e.Detail["remedy"] != pe.Hint {
		t.Errorf("the event: %+v", e)
	}

	for _, sql := range []string{
		"select 'secretly'::regclass", "select 'hidden.\"Secretly\"'::regclass", "select 'x secretly y",
	} {
		_, e := refused(sql)
		if text := e.Message + e.Reason + e.Statement + e.Detail["object"] + e.Detail["rule"] + e.Detail["remedy"]; strings.Contains(strings.ToLower(text), "secretly") {
			t.Errorf("%s: the trail repeats a literal: %+v", sql, e)
		}
	}

	if _, err := conn.Exec(t.Context(), "select email from customers"); err != nil {
		t.Fatal(err)
	}
	all := r.trail.all()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Kind == audit.Decision {
			if len(all[i].Touches) != 1 || len(all[i].Touches[0].Rules) == 0 {
				t.Errorf("an allowed statement's event does not name the rules: %+v", all[i])
			}
			break
		}
	}
}

// Where there is a portal with an address, the hint leads to the dataset there, with the event; where nobody can ask for anything, and in
// the trail, there is no link (ACC-38).
func TestRefusalLeadsToThePortal(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t), func(_ *rig, _ *gateway.Config, c *Config) { c.Portal = "https://postern.example" })
	conn := r.connect(t, "")
	for sql, want := range map[string]string{
		"select * from payroll":      "Ask for the dataset hr: postern request hr. In a browser: https://postern.example/datasets/hr?event=",
		"select pg_read_file('x')":   "",
		"select * from nothing.here": "",
	} {
		_, err := conn.Exec(t.Context(), sql)
		var pe *pgconn.PgError
		if !errors.As(err, &pe) {
			t.Fatalf("%s: %v", sql, err)
		}
		_, rest, _ := strings.Cut(pe.Detail, "Event ")
		event := strings.TrimSuffix(rest, ".")
		if want != "" && pe.Hint != want+event || want == "" && strings.Contains(pe.Hint, "https://") {
			t.Errorf("%s: the hint of event %s: %q", sql, event, pe.Hint)
		}
		for _, e := range r.trail.all() {
			if e.ID == event && strings.Contains(e.Detail["remedy"], "https://") {
				t.Errorf("%s: the trail leads to itself: %q", sql, e.Detail["remedy"])
			}
		}
	}
}
