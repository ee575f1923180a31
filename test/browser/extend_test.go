package browser_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/state"
)

// TestExtended plays going on with what somebody holds: near its end ana asks for more, goes on with her work while dora decides, and has
// it for longer in the session that she had open. In the end she gives it back.
func TestExtended(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	browser, source := newBrowser(t), axeSource(t)
	folder := os.Getenv("POSTERN_SCREENSHOTS")
	ana, dora := p.newTab(t, browser, "ana"), p.newTab(t, browser, "dora")
	grant := p.granted("ana", "dora", "payroll-review")
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	session, err := pgx.Connect(ctx, p.DSN("ana", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close(ctx) }()
	reads := func(when string) {
		t.Helper()
		if _, err := session.Exec(ctx, "SELECT employee FROM payroll"); err != nil {
			t.Errorf("%s ana asks: %v", when, err)
		}
	}
	reads("with what she was given")
	extend := `a[href="/ask/payroll-review?extends=` + grant.ID + `"]`
	offered := func() bool {
		ana.open(t, "/mine")
		return ask(t, ana, chromedp.Evaluate[bool]("!!document.querySelector('"+extend+"')"))
	}
	if offered() {
		t.Error("what has just begun can be extended, says the page")
	}
	p.began(t, grant.ID, 5*time.Hour) // an hour is left, the last fifth of it
	if !offered() {
		t.Fatalf("near its end there is no way to go on:\n%s", ana.text(t))
	}
	ana.look(t, "ana-mine-extend", source, folder)
	ana.press(t, extend)
	ana.reads(t, "the form", "Keep staff for longer", "What you hold goes on meanwhile")
	ana.look(t, "ana-ask-extend", source, folder)
	ana.do(t, chromedp.SetValue(chromedp.CSS("#for"), "4h"))
	ana.fill(t, "#note", "The report is not done")
	ana.press(t, "form.panel button.primary")
	ana.reads(t, "asked", "on its way", "The report is not done", "active")
	if offered() {
		t.Error("asked for, and can be asked for once more, says the page")
	}
	reads("while it is decided")
	dora.open(t, "/inbox")
	dora.reads(t, "to decide", "ana asks for staff", "extending", "The report is not done")
	dora.press(t, `button[data-key="a"]`)
	var held struct{ Live []access.Grant }
	p.call("ana", http.MethodGet, "mine", nil, &held)
	if len(held.Live) != 1 || !held.Live[0].End.Equal(grant.End.Add(4*time.Hour)) {
		t.Errorf("by four hours: %s became %+v", grant.End, held.Live)
	}
	ana.open(t, "/mine")
	ana.reads(t, "extended", "Ends in 4 hours")
	reads("extended")
	ana.do(t, chromedp.Evaluate[chromedp.Void]("window.confirm = () => true"))
	ana.press(t, `form[action$="/revoke"] button`)
	ana.reads(t, "given back", "Open sessions are closed", "given back")
	p.eventually("the session is closed", func() bool {
		_, err := session.Exec(ctx, "SELECT employee FROM payroll")
		return err != nil
	})
	for who, b := range map[string]*tab{"ana": ana, "dora": dora} {
		for _, wrong := range b.complaints() {
			t.Errorf("%s: %s", who, wrong)
		}
	}
}

// granted has somebody ask for a rule and somebody else approve it.
func (p *place) granted(who, by, rule string) access.Grant {
	p.t.Helper()
	var asked, decided struct {
		Request access.Request
		Grant   *access.Grant
	}
	p.call(who, http.MethodPost, "requests", map[string]any{"what": rule, "note": "Quarterly report"}, &asked)
	p.call(by, http.MethodPost, "requests/"+asked.Request.ID+"/approve", struct{}{}, &decided)
	if decided.Grant == nil {
		p.t.Fatalf("%s approves, and it comes to %+v", by, decided)
	}
	return *decided.Grant
}

// began lets a grant have begun earlier, as it is kept: the hours until its last fifth are not waited for.
func (p *place) began(t *testing.T, id string, ago time.Duration) {
	t.Helper()
	db, err := state.Open(t.Context(), filepath.Join(p.Dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	p.eventually("the grant is changed", func() bool {
		found, err := db.Grants(t.Context(), access.Filter{IDs: []string{id}})
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		g := found[0]
		g.Version, g.Start = g.Version+1, g.Start.Add(-ago)
		err = db.Commit(t.Context(), access.Change{Grants: []access.Grant{g}})
		if err != nil && !strings.Contains(err.Error(), access.ErrConflict.Error()) {
			t.Fatal(err)
		}
		return err == nil // or the daemon wrote at the same time
	})
}
