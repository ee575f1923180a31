package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// subjectAccess is what the policy gives one person on a table.
type subjectAccess struct {
	User    string         `json:"user"`
	Role    string         `json:"role"` // the identity role on the server
	Profile string         `json:"profile"`
	Rules   []string       `json:"rules"`
	Rows    string         `json:"rows"` // all, filtered
	May     []string       `json:"may"`
	Columns []columnAccess `json:"columns"`
}

// columnAccess is how a person sees a column.
type columnAccess struct {
	Name  string `json:"name"`
	Shown string `json:"shown"` // raw, masked, filtered (raw, and not in every row), none
	Mask  string `json:"mask,omitempty"`
	Label string `json:"label,omitempty"`
}

// subjects fills in the people of the policy, compiled against this very server.
func (a *app) subjects(ctx context.Context, s *accessScene, out *whoCanAnswer, rel *catalog.Relation) error {
	session, err := openAs(ctx, s.config, s.store, s.store.Provisioner)
	if err != nil {
		return err
	}
	defer session.close()
	wanted, _, err := session.server.Compile(ctx, session.request)
	if err != nil {
		return explainPlan(err)
	}
	out.own = ownRoles(wanted)
	out.Subjects = []subjectAccess{}
	for _, id := range wanted.Identities {
		if id.Profile == nil {
			continue
		}
		subject, known := s.config.Policy.Subject(id.User)
		if !known {
			continue
		}
		// Asked as if from this machine: what the network rules say of an address is another question.
		admission := s.config.Policy.Decide(policy.Login{Subject: subject, Store: s.store.Name, Local: true, TLS: true, ClientCert: true, At: time.Now()})
		if admission.Refusal != nil {
			continue
		}
		if t := id.Profile.Table(rel.Name); t != nil {
			if x := subjectOn(id, t, out); x != nil {
				out.Subjects = append(out.Subjects, *x)
			}
		}
	}
	return nil
}

// subjectOn is what one identity's profile gives on a table, or nil when that is nothing of what was asked.
func subjectOn(id *plan.Identity, t *plan.Table, out *whoCanAnswer) *subjectAccess {
	x := &subjectAccess{User: id.User, Role: id.Role, Profile: id.Profile.Schema, Rules: t.Rules, Rows: "all", May: []string{"SELECT"}, Columns: []columnAccess{}}
	if t.Filtered {
		x.Rows = "filtered"
	}
	var insert, update []string
	for i := range t.Columns {
		c := &t.Columns[i]
		if out.Column != "" && c.Name != out.Column {
			continue
		}
		x.Columns = append(x.Columns, columnOf(c, t.Filtered))
		if c.Insert {
			insert = append(insert, c.Name)
		}
		if c.Update {
			update = append(update, c.Name)
		}
	}
	if len(insert) > 0 {
		x.May = append(x.May, "INSERT ("+strings.Join(insert, ", ")+")")
	}
	if len(update) > 0 {
		x.May = append(x.May, "UPDATE ("+strings.Join(update, ", ")+")")
	}
	if t.Delete {
		x.May = append(x.May, "DELETE")
	}
	if t.Own {
		x.May = slices.Compact(append(slices.Clone(out.Privileges), "OWN"))
	}
	asked := slices.ContainsFunc(out.Privileges, func(p string) bool {
		return slices.ContainsFunc(x.May, func(m string) bool { word, _, _ := strings.Cut(m, " "); return word == p })
	})
	if !asked || len(x.Columns) == 0 && !t.Own {
		return nil
	}
	return x
}

// columnOf puts a compiled column into one of the four words.
func columnOf(c *plan.Column, filtered bool) columnAccess {
	out := columnAccess{Name: c.Name, Label: c.Label, Shown: "masked"}
	hidden, raw := 0, c.Raw
	var masks []string
	for _, b := range c.Branches {
		if b.Form.Mask.Name == policy.Hidden {
			hidden++
		}
		raw = raw || b.Form.Raw()
		if text := b.Form.Mask.String(); !slices.Contains(masks, text) {
			masks = append(masks, text)
		}
	}
	switch {
	case c.Raw && !filtered, len(c.Branches) == 0 && !filtered:
		out.Shown = "raw"
		return out
	case raw || len(c.Branches) == 0:
		out.Shown = "filtered"
	case hidden == len(c.Branches):
		out.Shown = "none"
	}
	if !c.Raw {
		out.Mask = strings.Join(masks, " or ")
	}
	return out
}

// ownRoles are the roles that Postern makes on the store.
func ownRoles(w *plan.Wanted) map[string]bool {
	out := map[string]bool{w.Provisioner: true, w.Grantor: true, plan.PublicRole: true}
	for _, r := range w.Rules {
		out[r.Role], out[r.OpenRole] = true, true
	}
	for _, p := range w.Profiles {
		out[p.Masker], out[p.Role], out[p.Schema] = true, true, true
	}
	for _, id := range w.Identities {
		out[id.Role] = true
	}
	return out
}

// postern reports whether a path is one that the policy made: from one of Postern's roles over its own roles, or through a profile's view.
func (out *whoCanAnswer) postern(w *catalog.Way) bool {
	if w.Through != "" {
		schema, _, _ := strings.Cut(w.Through, ".")
		return out.own[schema] && out.own[w.Roles[0]]
	}
	for _, r := range w.Roles {
		if !out.own[r] {
			return false
		}
	}
	// An identity role with a right of its own on the base was not made by the policy.
	return len(w.Roles) > 1 || !strings.HasPrefix(string(w.Kind), "grant") || !out.identity(w.Roles[0])
}

func (out *whoCanAnswer) identity(role string) bool {
	return slices.ContainsFunc(out.Subjects, func(s subjectAccess) bool { return s.Role == role })
}

func (a *app) printSubjects(out *whoCanAnswer) {
	if out.Store == "" {
		return
	}
	what := out.Store + "." + out.Table
	if out.Column != "" {
		what += "." + out.Column
	}
	a.ui.printf("%s %s\n", a.ui.style(styleBold, "people"), printable("that can "+out.Verb+" "+what+", by the policy"))
	var rows [][]string
	for _, s := range out.Subjects {
		groups := map[string][]string{}
		for _, c := range s.Columns {
			name := c.Name
			if c.Mask != "" && c.Shown != "none" {
				name += " " + c.Mask
			}
			groups[c.Shown] = append(groups[c.Shown], name)
		}
		var text []string
		for _, g := range []string{"raw", "filtered", "masked", "none"} {
			if len(groups[g]) > 0 {
				text = append(text, fmt.Sprintf("%s: %s", g, strings.Join(groups[g], ", ")))
			}
		}
		rows = append(rows, []string{s.User, s.Rows, strings.Join(s.Rules, ", "), strings.Join(text, "; "), strings.Join(s.May[min(1, len(s.May)):], ", ")})
	}
	if len(rows) == 0 {
		a.ui.printf("  nobody\n\n")
		return
	}
	a.ui.table([]string{"user", "rows", "rules", "columns", "besides reading"}, rows)
	a.ui.printf("\n")
}
