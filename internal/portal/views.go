package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
)

// Views keeps searches of the trail. It is safe for concurrent use.
type Views interface {
	Views(ctx context.Context, subject string) ([]people.View, error)
	// KeepView adds one; access.ErrConflict says that its owner has one of that name.
	KeepView(ctx context.Context, v people.View) error
	// RenameView and DropView return access.ErrNotFound for one that is not its owner's.
	RenameView(ctx context.Context, subject, id, name string) error
	DropView(ctx context.Context, subject, id string) error
}

const (
	mostViews    = 50 // of one person
	maxViewName  = 80 // characters
	maxViewQuery = 2000
)

// trailKeys are what a search of the trail is made of.
var trailKeys = []string{"subject", "store", "kind", "verdict", "table", "label", "since", "until", "text"}

func (p *Portal) viewCalls() {
	route(p, Call{Pattern: "GET /api/v1/trail/views", Scope: identity.ScopeInspect, who: trailReaders, pages: []string{"GET /trail/views/{id}"}, Summary: "List your saved searches of the trail"},
		func(r *http.Request, v *viewer, _ nothing) ([]people.View, error) { return p.viewsOf(r, v) })
	route(p, Call{Pattern: "POST /api/v1/trail/views", Scope: peopleOnly, who: trailReaders, pages: []string{"POST /trail/views"}, Summary: "Keep a search of the trail under a name"}, p.keepView)
	route(p, Call{Pattern: "POST /api/v1/trail/views/{id}", Scope: peopleOnly, who: trailReaders, pages: []string{"POST /trail/views/{id}/{what}"}, Summary: "Give a saved search another name"},
		func(r *http.Request, v *viewer, in NameCall) (nothing, error) {
			return nothing{}, p.renameView(r, v, in.Name)
		})
	route(p, Call{Pattern: "DELETE /api/v1/trail/views/{id}", Scope: peopleOnly, who: trailReaders, Summary: "Forget a saved search"},
		func(r *http.Request, v *viewer, _ nothing) (nothing, error) { return nothing{}, p.dropView(r, v) })
}

func (p *Portal) viewRoutes() {
	p.guarded("GET /trail/views/{id}", p.openView, nil)
	p.post("/trail/views", p.keepViewAct, p.trailPage)
	p.post("/trail/views/{id}/{what}", p.viewAct, p.trailPage)
}

// ViewCall is a search to keep.
type ViewCall struct {
	Name  string `json:"name"`
	Query string `json:"query"` // as it stands in an address behind /trail?
}

// NameCall carries a new name.
type NameCall struct {
	Name string `json:"name"`
}

func (p *Portal) viewsOf(r *http.Request, v *viewer) ([]people.View, error) {
	if p.c.Views == nil {
		return []people.View{}, nil
	}
	out, err := p.c.Views.Views(r.Context(), v.Subject.Name)
	return notNil(out), err
}

// keepView keeps a search for whoever asks. Only what a search is made of is kept, so that the link cannot be made to say anything else.
func (p *Portal) keepView(r *http.Request, v *viewer, in ViewCall) (*people.View, error) {
	name, err := viewName(in.Name)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(strings.TrimPrefix(in.Query, "?"))
	if err != nil || len(in.Query) > maxViewQuery {
		return nil, badCall("the search cannot be read, or is too long")
	}
	kept := url.Values{}
	for _, key := range trailKeys {
		if text := strings.TrimSpace(values.Get(key)); text != "" {
			kept.Set(key, text)
		}
	}
	for key := range values {
		if !slices.Contains(trailKeys, key) {
			return nil, badCall("a search of the trail has no " + strings.ToValidUTF8(key, "?") + ": it is made of " + strings.Join(trailKeys, ", "))
		}
	}
	all, err := p.viewsOf(r, v)
	if err != nil {
		return nil, err
	}
	if len(all) >= mostViews || p.c.Views == nil {
		return nil, &access.Refusal{Code: "too_many", Text: "You keep as many views as one person may.", Hint: "Delete one that you no longer need."}
	}
	out := people.View{ID: p.newID(), Subject: v.Subject.Name, Name: name, Query: kept.Encode(), At: p.c.Desk.Now()}
	if err := p.recordView(r, v, "kept", out.ID); err != nil {
		return nil, err
	}
	return &out, taken(p.c.Views.KeepView(r.Context(), out))
}

func viewName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxViewName:
		return "", badCall("give the view a name of at most 80 characters")
	case !onOneLine(name, maxViewName):
		return "", badCall("the name of a view is text on one line")
	}
	return name, nil
}

// onOneLine says whether a name that somebody chose is text on one line, of so many characters at most.
func onOneLine(name string, most int) bool {
	return utf8.ValidString(name) && utf8.RuneCountInString(name) <= most && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// taken makes a conflict something that a person understands.
func taken(err error) error {
	if errors.Is(err, access.ErrConflict) {
		return &access.Refusal{Code: "name_taken", Text: "You have a view of that name.", Hint: "Choose another name, or rename the other view."}
	}
	return err
}

func (p *Portal) renameView(r *http.Request, v *viewer, name string) error {
	name, err := viewName(name)
	if err != nil {
		return err
	}
	if p.c.Views == nil {
		return access.ErrNotFound
	}
	if err := p.recordView(r, v, "renamed", r.PathValue("id")); err != nil {
		return err
	}
	return taken(p.c.Views.RenameView(r.Context(), v.Subject.Name, r.PathValue("id"), name))
}

func (p *Portal) dropView(r *http.Request, v *viewer) error {
	if p.c.Views == nil {
		return access.ErrNotFound
	}
	if err := p.recordView(r, v, "dropped", r.PathValue("id")); err != nil {
		return err
	}
	return p.c.Views.DropView(r.Context(), v.Subject.Name, r.PathValue("id"))
}

// recordView is before the deed: what is not in the trail does not happen.
func (p *Portal) recordView(r *http.Request, v *viewer, what, id string) error {
	return p.record(r, audit.Event{Kind: audit.TrailView, Subject: v.Subject.Name, Verdict: "allow", Detail: map[string]string{"what": what, "view": id}})
}

// openView leads from the name that a view keeps to what it looks for.
func (p *Portal) openView(w http.ResponseWriter, r *http.Request, v *viewer) {
	all, err := p.viewsOf(r, v)
	i := slices.IndexFunc(all, func(x people.View) bool { return x.ID == r.PathValue("id") })
	switch {
	case err != nil:
		p.failPage(w, r, v, err)
	case i < 0:
		p.failPage(w, r, v, access.ErrNotFound)
	default:
		http.Redirect(w, r, "/trail?"+all[i].Query, http.StatusSeeOther)
	}
}

func (p *Portal) keepViewAct(r *http.Request, v *viewer) (string, error) {
	out, err := p.keepView(r, v, ViewCall{r.PostFormValue("name"), r.PostFormValue("query")})
	if err != nil {
		return "", err
	}
	return "/trail?" + withDone(out.Query, "view"), nil
}

func (p *Portal) viewAct(r *http.Request, v *viewer) (string, error) {
	switch r.PathValue("what") {
	case "rename":
		return "/trail?done=renamed", p.renameView(r, v, r.PostFormValue("name"))
	case "delete":
		return "/trail?done=dropped", p.dropView(r, v)
	}
	return "", access.ErrNotFound
}

func withDone(query, done string) string {
	if query == "" {
		return "done=" + done
	}
	return query + "&done=" + done
}
