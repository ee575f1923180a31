package access_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
)

const wanted = "SELECT name FROM payroll -- for 4711\nWHERE iban = 'DE89370400440532013000' AND id > 41"

// sqlParts are what a reader of SQL leaves out or writes in one way, of the statements here; the guard's own is tried in pgsql, and through the
// whole product in test/scripts.
var sqlParts = regexp.MustCompile(`'[^']*'|\b\d+\b|/\*[^*]*\*/|--[^\n]*|\s+`)

// redacted is what the desk's reader makes of a text.
func redacted(text string) (string, bool) {
	if !strings.HasPrefix(strings.ToUpper(text), "SELECT") {
		return "", false
	}
	whole := true
	out := sqlParts.ReplaceAllStringFunc(text, func(part string) string {
		switch {
		case strings.HasPrefix(part, "'"), part[0] >= '0' && part[0] <= '9':
			whole = false
			return "?"
		case strings.TrimSpace(part) != "":
			whole = false
		}
		return " "
	})
	return strings.Join(strings.Fields(strings.NewReplacer("select", "SELECT", "from", "FROM").Replace(out)), " "), whole
}

// A statement goes with a request, and with it to the trail without its literals; its text is gone with the request's end, whichever it is.
func TestStatementGoesWithItsRequest(t *testing.T) {
	t.Parallel()
	ends := map[string]func(w *world, id string) error{
		"approved": func(w *world, id string) error { w.approve("dora", id); return nil },
		"denied": func(w *world, id string) error {
			_, err := w.desk.Deny(t.Context(), w.as("dora"), id, "no")
			return err
		},
		"withdrawn": func(w *world, id string) error { _, err := w.desk.Withdraw(t.Context(), w.as("ana"), id); return err },
		"expired":   func(w *world, _ string) error { w.pass(8 * 24 * time.Hour); return nil },
		"superseded": func(w *world, _ string) error {
			w.p.Rule("any").To = []string{"nobody"}
			return w.desk.Recheck(t.Context())
		},
	}
	for state, end := range ends {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.ask("ana", access.Ask{Rule: "any", Statement: "  " + wanted + "\n"}).Request
			kept := w.request(r.ID)
			if kept.Statement == nil || kept.Statement.Text != wanted || kept.Statement.Redacted != "SELECT name FROM payroll WHERE iban = ? AND id > ?" {
				t.Fatalf("kept: %+v", kept.Statement)
			}
			if err := end(w, r.ID); err != nil {
				t.Fatal(err)
			}
			over := w.request(r.ID)
			if string(over.State) != state || over.Statement == nil || over.Statement.Text != "" || over.Statement.Redacted != kept.Statement.Redacted {
				t.Errorf("at its end: %s, %+v", over.State, over.Statement)
			}
			events, err := w.db.Events(t.Context(), 100)
			if err != nil || len(events) == 0 || events[0].Kind != "request.submitted" || events[0].Statement != kept.Statement.Redacted {
				t.Errorf("the trail: %+v, %v", events, err)
			}
		})
	}
	w := newWorld(t)
	out := w.ask("ana", access.Ask{Rule: "self", Statement: wanted})
	if s := w.request(out.Request.ID).Statement; s == nil || s.Text != "" || s.Redacted == "" {
		t.Errorf("of self-service, which is decided at once: %+v", s)
	}
	if plain := w.ask("bob", access.Ask{Rule: "self", Statement: " \n"}).Request; plain.Statement != nil {
		t.Errorf("of an empty one: %+v", plain.Statement)
	}
}

// What of a statement is shown outside, and whether that is all of it.
func TestOutside(t *testing.T) {
	t.Parallel()
	of := func(text string) *access.Statement {
		s := &access.Statement{Text: text}
		s.Redacted, s.Whole = redacted(text)
		return s
	}
	tests := map[string]struct {
		use       policy.StatementText
		statement *access.Statement
		mail      bool // what is sent cannot be taken back
		over      bool
		want      string
		whole     bool
	}{
		"none":                       {policy.StatementOmit, nil, false, false, "", true},
		"omit":                       {policy.StatementOmit, of("SELECT name FROM payroll"), false, false, "", false},
		"no setting":                 {"", of("SELECT name FROM payroll"), false, false, "", false},
		"auto":                       {policy.StatementAuto, of("select name from payroll"), false, false, "SELECT name FROM payroll", true},
		"auto, with a literal":       {policy.StatementAuto, of("SELECT 1 FROM payroll"), false, false, "SELECT ? FROM payroll", false},
		"auto, with a comment":       {policy.StatementAuto, of("SELECT name /* 4711 */ FROM payroll"), false, false, "SELECT name FROM payroll", false},
		"auto, of which it is said":  {policy.StatementAuto, &access.Statement{Text: "GRANT ALL ON payroll TO PUBLIC", Redacted: "GRANT"}, false, false, "GRANT", false},
		"auto, no SQL":               {policy.StatementAuto, of("please let me in"), false, false, "", false},
		"full":                       {policy.StatementFull, of(wanted), false, false, wanted, true},
		"full, no SQL":               {policy.StatementFull, of("please let me in"), false, false, "please let me in", true},
		"full, by mail":              {policy.StatementFull, of(wanted), true, false, "SELECT name FROM payroll WHERE iban = ? AND id > ?", false},
		"full, over":                 {policy.StatementFull, of(wanted), false, true, "SELECT name FROM payroll WHERE iban = ? AND id > ?", false},
		"a setting that there isn't": {"everything", of(wanted), false, false, "", false},
	}
	for name, tt := range tests {
		r := access.Request{State: access.Pending, Statement: tt.statement}
		if tt.over {
			r.State = access.Approved
		}
		if text, whole := r.Outside(tt.use, !tt.mail); text != tt.want || whole != tt.whole {
			t.Errorf("%s: %q, whole: %v", name, text, whole)
		}
	}
}

// Without a reader of SQL no statement can be read: its text is for who decides, and nothing of it for elsewhere.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.desk = access.NewDesk(access.Config{Store: w.db, Policy: func() *policy.Policy { return w.p }, Now: func() time.Time { return w.now }, NewID: func() string { return "only" }})
	s := w.ask("ana", access.Ask{Rule: "any", Statement: "SELECT 1"}).Request.Statement
	if s == nil || s.Text != "SELECT 1" || s.Redacted != "" {
		t.Errorf("%+v", s)
	}
}
