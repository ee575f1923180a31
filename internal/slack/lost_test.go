package slack_test

import (
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
)

// Of several grants that ended at once, Slack reads those on datasets that are for it, and not a word of the others.
func TestLostGrants(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackNotices)
	for _, rule := range []string{"payroll", "two", "secretly"} {
		r := s.asks(rule, "")
		for _, who := range []string{"dora", "emil"} {
			if s.request(r.ID).State != access.Pending {
				continue
			}
			if _, err := s.desk.Approve(t.Context(), s.as(who), r.ID, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.turn()
	before := len(s.ws.Messages("Uana"))
	p := testPolicy(policy.SlackNotices)
	p.Groups["askers"].Members = []string{"dora"}
	s.p.Store(p)
	if err := s.desk.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.turn()
	got := s.ws.Messages("Uana")
	if len(got) != before+1 {
		t.Fatalf("%d messages for three grants", len(got)-before)
	}
	said := got[before].Says()
	if got[before].Text != "ana has lost access by 2 grants" || !strings.Contains(said, "staff, rule payroll") || !strings.Contains(said, "staff, rule two") || strings.Contains(said, "hidden") || strings.Contains(said, "secretly") {
		t.Errorf("%s: %s", got[before].Text, said)
	}
}
