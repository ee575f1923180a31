package portal

import (
	"net/http"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
)

func admins(v *viewer) bool { return v.role == people.Admin }

func editors(v *viewer) bool { return v.role == people.Admin || v.role == people.Editor }

type peopleData struct {
	UsersQuery
	People []ShownUser
	Roles  []string
	New    *invited // shown this once
	Name   string   // of an invitation that was sent and not made, with the role
	Role   string
}

// invited is a one-time link.
type invited struct {
	Name, Link string
	End        time.Time
}

// accountRoles are what an account can be besides nobody in particular.
var accountRoles = []string{string(people.Admin), string(people.Editor), string(people.Reader), string(people.Auditor)}

func (p *Portal) peoplePage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.users, func(q UsersQuery, found []ShownUser) shown {
		data := peopleData{UsersQuery: q, People: found, Roles: accountRoles}
		if r.PathValue("name") == "" {
			data.Name, data.Role = r.PostFormValue("name"), r.PostFormValue("role")
		}
		return shown{"people", "People", data}
	})
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

// linkFor is the one-time link of an invitation: to the portal's own address, or where none is set, to the one that this page came
// from. Through the emergency admin's socket the latter leads nowhere for anybody else.
func (p *Portal) linkFor(r *http.Request, i Invitation) *invited {
	at := strings.TrimSuffix(p.c.URL, "/")
	if at == "" && secureHost(r) {
		at = "https://" + r.Host
	} else if at == "" {
		at = "http://" + r.Host
	}
	return &invited{i.Name, at + "/join#" + i.Code, i.End}
}

// invitePage makes an account, or a new link for one, and shows the link, once.
func (p *Portal) invitePage(r *http.Request, v *viewer) (shown, error) {
	var made Invitation
	var err error
	if r.PathValue("name") == "" {
		role := r.PostFormValue("role")
		made, err = p.createUser(r, v, UserCall{Name: strings.TrimSpace(r.PostFormValue("name")), Role: &role})
	} else {
		made, err = p.inviteUser(r, v, UserCall{Reset: r.PostFormValue("reset") != ""})
	}
	if err != nil {
		return shown{}, err
	}
	out, err := p.peoplePage(r, v)
	if err != nil {
		return shown{}, err
	}
	data := out.data.(peopleData) //nolint:forcetypeassert // peoplePage's own
	data.New, data.Name, data.Role = p.linkFor(r, made), "", ""
	out.data = data
	return out, nil
}

// personAct changes one account.
func (p *Portal) personAct(r *http.Request, v *viewer) (string, error) {
	var err error
	what := r.PathValue("what")
	switch what {
	case "role":
		role := r.PostFormValue("role")
		_, err = p.setUser(r, v, UserCall{Role: &role})
	case "disable", "enable":
		disabled := what == "disable"
		_, err = p.setUser(r, v, UserCall{Disabled: &disabled})
	case "end":
		_, err = p.endUser(r, v, nothing{})
	default:
		err = access.ErrNotFound
	}
	return "/people?done=" + what, err
}
