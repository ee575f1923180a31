package portal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
)

// Of a grant the page shows the buttons whose calls are admitted, and no others.
func TestShownButtonsAreAdmitted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.pol.Users["etl"] = &policy.User{Name: "etl", Owner: "dora"}
	live := access.Grant{Version: 1, State: access.Active, Wall: access.WallReady, Subject: "ana", Rule: "payroll-review", Dataset: "staff", Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour)}
	words := map[string]string{"resume": ">Resume<", "suspend": ">Pause<", "confirm": ">Still needed<", "revoke": ">End now<"}
	number := 0
	keep := func(g access.Grant) access.Grant {
		t.Helper()
		number++
		g.ID, g.Rule, g.Request = fmt.Sprintf("grant%d", number), fmt.Sprintf("rule%d", number), fmt.Sprintf("request%d", number)
		if err := p.db.Commit(t.Context(), access.Change{Grants: []access.Grant{g}}); err != nil {
			t.Fatal(err)
		}
		return g
	}
	for name, tt := range map[string]struct {
		who   string
		grant func(g *access.Grant)
		shown string
	}{
		"an owner":                                  {"dora", func(*access.Grant) {}, "confirm revoke suspend"},
		"an admin":                                  {"admin", func(*access.Grant) {}, "confirm revoke suspend"},
		"an auditor":                                {"auditor", func(*access.Grant) {}, ""},
		"one that begins later":                     {"dora", func(g *access.Grant) { g.State, g.Start = access.Scheduled, time.Now().Add(time.Minute) }, "confirm revoke"},
		"one that is paused":                        {"dora", func(g *access.Grant) { g.State, g.Parked = access.Suspended, access.ByPerson }, "confirm resume revoke"},
		"one that the policy file pauses":           {"dora", func(g *access.Grant) { g.State, g.Parked = access.Suspended, access.ByRule }, "confirm revoke"},
		"an owner, of their service account":        {"dora", func(g *access.Grant) { g.Subject = "etl" }, "revoke suspend"},
		"an owner, of their own that is paused":     {"dora", func(g *access.Grant) { g.Subject, g.State, g.Parked = "etl", access.Suspended, access.ByPerson }, "revoke"},
		"an admin, of a paused one of somebody":     {"admin", func(g *access.Grant) { g.State, g.Parked = access.Suspended, access.ByPerson }, "confirm resume revoke"},
		"an admin, of what is their own and paused": {"admin", func(g *access.Grant) { g.Subject, g.State, g.Parked = "admin", access.Suspended, access.ByPerson }, "revoke"},
	} {
		g := live
		tt.grant(&g)
		seen := keep(g)
		_, page := p.call(tt.who, http.MethodGet, "/grants", nil, nil)
		panel := ""
		for article := range strings.SplitSeq(page, "</article>") {
			if strings.Contains(article, "/grants/"+seen.ID+"/") {
				panel = article
			}
		}
		var shown []string
		for what, word := range words {
			there := strings.Contains(panel, word)
			if there {
				shown = append(shown, what)
			}
			tried := keep(g)
			answer, text := p.post(tt.who, "/grants/"+tried.ID+"/"+what, url.Values{})
			after, err := p.db.Grants(t.Context(), access.Filter{IDs: []string{tried.ID}})
			if err != nil {
				t.Fatal(err)
			}
			if did := answer.StatusCode == http.StatusSeeOther && after[0].Version > 1; did != there {
				t.Errorf("%s: %s is shown: %v, and is carried out: %v (%s)\n%s", name, what, there, did, answer.Status, text)
			}
		}
		slices.Sort(shown)
		if got := strings.Join(shown, " "); got != tt.shown {
			t.Errorf("%s: %q is shown, want %q", name, got, tt.shown)
		}
	}
}
