package notify_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
)

// redacted is what the desk's reader makes of the statements here.
func redacted(text string) (out string, whole bool) {
	out = map[string]string{
		"SELECT name FROM payroll": "SELECT name FROM payroll", "select name from payroll": "SELECT name FROM payroll",
		"SELECT name FROM payroll WHERE iban = 'DE89'": "SELECT name FROM payroll WHERE iban = ?",
	}[text]
	return out, out != "" && !strings.Contains(out, "?")
}

// What cannot be taken back, a mail and a call of a webhook, never has a value of a statement; who decides by it reads at most what the
// dataset lets be told, and is not offered to approve what they do not read whole.
func TestStatement(t *testing.T) {
	t.Parallel()
	const approve = "postern approve id"
	tests := map[string]struct {
		use     policy.StatementText
		sql     string
		shows   string
		approve bool
	}{
		"none":                 {policy.StatementFull, "", "", true},
		"omit":                 {policy.StatementOmit, "SELECT name FROM payroll", "", false},
		"auto":                 {policy.StatementAuto, "select name from payroll", "SELECT name FROM payroll", true},
		"auto, with a literal": {policy.StatementAuto, "SELECT name FROM payroll WHERE iban = 'DE89'", "SELECT name FROM payroll WHERE iban = ?", false},
		"full":                 {policy.StatementFull, "SELECT name FROM payroll WHERE iban = 'DE89'", "SELECT name FROM payroll WHERE iban = ?", false},
		"no SQL":               {policy.StatementFull, "all of DE89", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, policy.SlackOff)
			w.p.Datasets["staff"].Statement = tt.use
			w.desk = access.NewDesk(access.Config{
				Store: w.db, Policy: func() *policy.Policy { return w.p }, Now: w.desk.Now, NewID: func() string { return "id" }, Redact: redacted,
			})
			r := w.ask(access.Ask{Rule: "ask", Statement: tt.sql}).Request
			w.turn()
			if _, err := w.desk.Deny(context.Background(), w.as("dora"), r.ID, "no"); err != nil {
				t.Fatal(err)
			}
			w.turn()
			decides := 0
			for _, m := range w.hooks {
				text, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				_, mail, err := notify.Compose(w.texts.Texts, &m)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(text)+mail, "DE89") {
					t.Errorf("%s to %s has a value:\n%s\n%s", m.Kind, m.To, text, mail)
				}
				if !notify.Decides(m.Kind) {
					if m.Statement != "" || m.Withheld || strings.Contains(mail, "tatement") {
						t.Errorf("%s to %s tells of a statement:\n%s\n%s", m.Kind, m.To, text, mail)
					}
					continue
				}
				decides++
				if m.Statement != tt.shows || m.Withheld == tt.approve || !strings.Contains(mail, tt.shows) || strings.Contains(mail, approve) != tt.approve {
					t.Errorf("to %s:\n%s\n%s", m.To, text, mail)
				}
				if tt.approve == strings.Contains(mail, "read it in the portal") {
					t.Errorf("what there is more of, to %s:\n%s", m.To, mail)
				}
			}
			if decides == 0 {
				t.Error("nobody was asked to decide")
			}
		})
	}
}
