package portal

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
)

func admins(v *viewer) bool { return v.role == people.Admin }

func editors(v *viewer) bool { return v.role == people.Admin || v.role == people.Editor }

type peopleData struct {
	Filter string
	People []ShownUser
	Total  int
	Roles  []string
	New    *invited // shown this once
}

// invited is a one-time link.
type invited struct {
	Name, Link string
	End        time.Time
}

// accountRoles are what an account can be besides nobody in particular.
var accountRoles = []string{string(people.Admin), string(people.Editor), string(people.Reader), string(people.Auditor)}

func (p *Portal) peoplePage(r *http.Request, _ *viewer) (shown, error) {
	all, err := p.c.People.List(r.Context())
	if err != nil {
		return shown{}, err
	}
	out := peopleData{Filter: strings.TrimSpace(r.URL.Query().Get("q")), Total: len(all), Roles: accountRoles}
	now := p.c.Desk.Now()
	for i := range all {
		u := UserShown(&all[i])
		if hit(out.Filter, u.Name+" "+u.Role+" "+u.State(now)) {
			out.People = append(out.People, u)
		}
	}
	return shown{"people", "People", out}, nil
}

// State says in words how far an account is.
func (u ShownUser) State(now time.Time) string {
	switch {
	case !u.Disabled.IsZero():
		return "disabled"
	case u.Invited.After(now):
		return "invited"
	case !u.Invited.IsZero():
		return "link ran out"
	case u.Role != "" && !u.Factor:
		return "no second factor yet"
	}
	return "active"
}

// linkFor is the one-time link of an invitation, to the address that this page came from.
func linkFor(r *http.Request, i *people.Invitation) *invited {
	scheme := "http://"
	if secureHost(r) {
		scheme = "https://"
	}
	return &invited{i.Name, scheme + r.Host + "/join#" + i.Code.Reveal(), i.End}
}

// invitePage makes an account, or a new link for one, and shows the link, once.
func (p *Portal) invitePage(r *http.Request, v *viewer) (shown, error) {
	var made *people.Invitation
	var err error
	if name := r.PathValue("name"); name == "" {
		made, err = p.c.People.Create(r.Context(), v.Subject.Name, strings.TrimSpace(r.PostFormValue("name")), people.Role(r.PostFormValue("role")), fromPage(r))
	} else {
		made, err = p.c.People.Invite(r.Context(), v.Subject.Name, name, r.PostFormValue("reset") != "", fromPage(r))
	}
	if err != nil {
		return shown{}, err
	}
	out, err := p.peoplePage(r, v)
	if err != nil {
		return shown{}, err
	}
	data := out.data.(peopleData) //nolint:forcetypeassert // peoplePage's own
	data.New = linkFor(r, made)
	out.data = data
	return out, nil
}

// personAct changes one account.
func (p *Portal) personAct(r *http.Request, v *viewer) (string, error) {
	name, what := r.PathValue("name"), r.PathValue("what")
	by, ctx := v.Subject.Name, r.Context()
	var err error
	switch what {
	case "role":
		role := people.Role(r.PostFormValue("role"))
		if role != people.NoRole && !slices.Contains(accountRoles, string(role)) {
			return "", &access.Refusal{Code: codeBadCall, Text: "There is no such role."}
		}
		err = p.c.People.Set(ctx, by, name, &role, nil, fromPage(r))
	case "disable", "enable":
		disabled := what == "disable"
		err = p.c.People.Set(ctx, by, name, nil, &disabled, fromPage(r))
	case "end":
		err = p.c.People.EndSessions(ctx, by, name, "", fromPage(r))
	default:
		err = access.ErrNotFound
	}
	return "/people?done=" + what, err
}
