package slack_test

import (
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/demo/workspace"
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

// tells is a policy whose dataset has a channel and says what of statements is told.
func (s *site) tells(use policy.StatementText) {
	p := testPolicy(policy.SlackDecide)
	p.Datasets["staff"].Statement, p.Datasets["staff"].Channel = use, "C0STAFF"
	s.p.Store(p)
}

// wants lets ana ask with a statement, and everybody be told.
func (s *site) wants(use policy.StatementText, sql string) access.Request {
	s.t.Helper()
	s.tells(use)
	out, err := s.desk.Request(s.t.Context(), s.as("ana"), access.Ask{Rule: "payroll", Statement: sql})
	if err != nil {
		s.t.Fatal(err)
	}
	s.turn()
	return out.Request
}

// What a dataset lets be told of a statement is in the message to who decides, and nothing of it in any other. Nobody approves what they
// do not read whole (ACC-37, ACC-48): there is no button, and one that somebody makes up is refused.
func TestStatement(t *testing.T) {
	t.Parallel()
	const elsewhere = "read it in the portal"
	tests := map[string]struct {
		use     policy.StatementText
		sql     string
		shows   string
		approve bool
	}{
		"omit":                  {policy.StatementOmit, "SELECT name FROM payroll", "", false},
		"auto":                  {policy.StatementAuto, "select name from payroll", "SELECT name FROM payroll", true},
		"auto, with a literal":  {policy.StatementAuto, "SELECT name FROM payroll WHERE iban = 'DE89'", "SELECT name FROM payroll WHERE iban = ?", false},
		"auto, no SQL":          {policy.StatementAuto, "all of DE89 please", "", false},
		"full":                  {policy.StatementFull, "SELECT name FROM payroll WHERE iban = '<!channel> DE89'", "SELECT name FROM payroll WHERE iban = '<!channel> DE89'", true},
		"full, longer than fit": {policy.StatementFull, "SELECT 'DE89" + strings.Repeat("ü", 3000) + "'", "SELECT 'DE89ü", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, policy.SlackDecide).run()
			r := s.wants(tt.use, tt.sql)
			m, _ := s.first("Udora", "deny")
			if _, there := m.Button("approve"); there != tt.approve || strings.Contains(m.Says(), elsewhere) == tt.approve || !strings.Contains(m.Says(), tt.shows) {
				t.Errorf("button to approve: %v\n%s", there, m.Says())
			}
			if _, there := m.Button("open"); !there {
				t.Error("no way to the portal")
			}
			for _, user := range []string{"Udora", "Uana"} {
				for _, m := range s.ws.Messages(user) {
					if (user == "Uana" || tt.use != policy.StatementFull) && strings.Contains(m.Says()+m.Text, "DE89") || user == "Uana" && strings.Contains(m.Says(), "SELECT") {
						t.Errorf("%s reads\n%s", user, m.Says())
					}
				}
			}
			posts := s.ws.Posts("C0STAFF")
			if len(posts) != 1 {
				t.Errorf("%d posts in the channel", len(posts))
			}
			for _, m := range posts {
				if strings.Contains(m.Says()+m.Text, "SELECT") || strings.Contains(m.Says()+m.Text, "DE89") {
					t.Errorf("the channel reads\n%s", m.Says())
				}
			}
			if name == "full, longer than fit" {
				return // a click cannot know what fitted: that there is no button is all
			}
			s.deliver(s.ws.Click("Udora", m, workspace.Part{ActionID: "approve", Value: r.ID + ":1"}))
			if tt.approve {
				s.until("the approval", func() bool { return s.request(r.ID).State == access.Approved })
				return
			}
			s.until("the refusal", func() bool { return len(s.events("request.decision_refused")) == 1 })
			if e := s.events("request.decision_refused")[0]; e.Reason != access.CodeChannel || s.request(r.ID).State != access.Pending {
				t.Errorf("%+v", e)
			}
		})
	}
}

// With the decision, wherever it is made, every copy shows what auto would, and so with a setting that became narrower meanwhile.
func TestStatementIsTakenBack(t *testing.T) {
	t.Parallel()
	const sql = "SELECT name FROM payroll WHERE iban = 'DE89'"
	for end, now := range map[string]policy.StatementText{"approved": policy.StatementFull, "denied": policy.StatementFull, "withdrawn": policy.StatementFull, "approved, with less": policy.StatementOmit} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, policy.SlackDecide).run()
			r := s.wants(policy.StatementFull, sql)
			for _, user := range []string{"Udora", "Uemil"} {
				if m, _ := s.first(user, "approve"); !strings.Contains(m.Says(), sql) {
					t.Fatalf("%s reads\n%s", user, m.Says())
				}
			}
			s.tells(now)
			var err error
			switch end {
			case "denied":
				_, err = s.desk.Deny(t.Context(), s.as("dora"), r.ID, "no")
			case "withdrawn":
				_, err = s.desk.Withdraw(t.Context(), s.as("ana"), r.ID)
			default:
				_, err = s.desk.Approve(t.Context(), s.as("dora"), r.ID, "")
			}
			if err != nil {
				t.Fatal(err)
			}
			s.turn()
			for _, user := range []string{"Udora", "Uemil"} {
				s.until("the edit of "+user+"'s copy", func() bool { return !strings.Contains(s.ws.Messages(user)[0].Says(), "DE89") })
				if says := s.ws.Messages(user)[0].Says(); strings.Contains(says, "WHERE iban = ?") != (now == policy.StatementFull) {
					t.Errorf("%s reads\n%s", user, says)
				}
			}
		})
	}
}
