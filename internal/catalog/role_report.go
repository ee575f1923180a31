package catalog

import (
	"maps"
	"slices"
	"strings"
)

// RoleReport is what one role can do in one database.
type RoleReport struct {
	Role       string         `json:"role"`
	Attributes []string       `json:"attributes"`
	Connect    bool           `json:"connect"`
	Has        []string       `json:"has_rights_of"`       // roles whose rights it has at once
	SetRole    []string       `json:"after_set_role"`      // those that it comes to by SET ROLE besides
	SelfGrant  []string       `json:"after_self_grant"`    // those that it may grant itself besides
	Objects    []ObjectAccess `json:"objects"`             // sorted by kind and name
	Superuser  string         `json:"superuser,omitempty"` // now, set_role or self_grant: nothing is refused to it then
}

// ObjectAccess is what a role can do with one object: the privileges it has at once, and those that SET ROLE and granting itself roles add.
type ObjectAccess struct {
	Kind      string   `json:"kind"`
	Name      string   `json:"name"`
	Owner     bool     `json:"owner,omitempty"`
	Now       []string `json:"now,omitempty"`
	SetRole   []string `json:"set_role,omitempty"`
	SelfGrant []string `json:"self_grant,omitempty"`
}

// reached is what a role has at one When.
type reached struct{ have, acts map[string]bool }

func (x *Reacher) reached(role string, w When) reached {
	have, acts := x.rights.Reach(role, w)
	return reached{have, acts}
}

// superuser reports whether one of the roles that can be acted as is one.
func (r reached) superuser(x *Reacher) bool {
	for name := range r.acts {
		if x.rights.Superuser(name) {
			return true
		}
	}
	return false
}

// granted reports whether an ACL gives a privilege.
func (r reached) granted(acl []Grant, privilege string) bool {
	return slices.ContainsFunc(acl, func(g Grant) bool { return g.Privilege == privilege && (g.Grantee == "" || r.have[g.Grantee]) })
}

// Role reports what a role can do, or nil when there is none of that name.
func (x *Reacher) Role(name string) *RoleReport {
	role := x.rights.roles[name]
	if role == nil {
		return nil
	}
	out := &RoleReport{Role: name, Attributes: attributes(role), Connect: x.connect[name], Has: []string{}, SetRole: []string{}, SelfGrant: []string{}, Objects: []ObjectAccess{}}
	var at [3]reached
	for w := Now; w <= ByGrant; w++ {
		at[w] = x.reached(name, w)
		if out.Superuser == "" && at[w].superuser(x) {
			word, _ := w.MarshalText() // never fails
			out.Superuser = string(word)
		}
	}
	for i, list := range []*[]string{&out.Has, &out.SetRole, &out.SelfGrant} {
		for _, other := range slices.Sorted(maps.Keys(at[i].have)) {
			if other != name && (i == 0 || !at[i-1].have[other]) {
				*list = append(*list, other)
			}
		}
	}
	x.objects(out, &at)
	return out
}

func attributes(r *Role) []string {
	out := []string{}
	for _, a := range []struct {
		has  bool
		name string
	}{
		{r.Login, "LOGIN"},
		{r.Superuser, "SUPERUSER"},
		{r.CreateRole, "CREATEROLE"},
		{r.CreateDB, "CREATEDB"},
		{r.Replication, "REPLICATION"},
		{r.BypassRLS, "BYPASSRLS"},
		{!r.Inherit, "NOINHERIT"},
	} {
		if a.has {
			out = append(out, a.name)
		}
	}
	return out
}

// objects fills in what a role can do with each object that gives it something.
func (x *Reacher) objects(out *RoleReport, at *[3]reached) {
	add := func(kind, name, owner string, privileges []string, has func(r reached, privilege string) string) {
		o := ObjectAccess{Kind: kind, Name: name, Owner: at[Now].have[owner]}
		seen := map[string]bool{}
		for w, list := range []*[]string{&o.Now, &o.SetRole, &o.SelfGrant} {
			for _, p := range privileges {
				if text := has(at[w], p); text != "" && !seen[text] {
					seen[text] = true
					*list = append(*list, text)
				}
			}
		}
		if o.Owner || len(seen) > 0 {
			out.Objects = append(out.Objects, o)
		}
	}
	plain := func(acl []Grant) func(reached, string) string {
		return func(r reached, p string) string {
			if r.superuser(x) || r.granted(acl, p) {
				return p
			}
			return ""
		}
	}
	add("database", x.db.Database.Name, x.db.Database.Owner, []string{"CONNECT", "CREATE", "TEMPORARY"}, plain(x.database.ACL))
	for i := range x.db.Schemas {
		s := &x.db.Schemas[i]
		add("schema", s.Name, s.Owner, []string{"USAGE", "CREATE"}, plain(s.ACL))
	}
	for i := range x.db.Relations {
		rel := &x.db.Relations[i]
		add(strings.TrimSuffix(kindName(rel.Kind), "s"), rel.Name.String(), rel.Owner, Privileges(rel.Kind, x.major), func(r reached, p string) string { return x.onRelation(r, rel, p) })
	}
	for i := range x.db.Functions {
		if f := &x.db.Functions[i]; f.SecurityDefiner {
			add("function of "+f.Owner, f.Signature(), f.Owner, []string{"EXECUTE"}, plain(f.ACL))
		}
	}
}

// onRelation is the privilege as it is held: whole, or with the columns it is on.
func (x *Reacher) onRelation(r reached, rel *Relation, privilege string) string {
	p := predefinedFor(privilege, rel.Kind)
	if r.superuser(x) || r.granted(rel.ACL, privilege) || p != "" && r.have[p] {
		return privilege
	}
	var columns []string
	for i := range rel.Columns {
		if r.granted(rel.Columns[i].ACL, privilege) {
			columns = append(columns, rel.Columns[i].Name)
		}
	}
	if len(columns) == 0 {
		return ""
	}
	return privilege + " (" + strings.Join(columns, ", ") + ")"
}
