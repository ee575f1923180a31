package catalog

import (
	"slices"
	"strings"
)

// Rights answers what roles may do in one database: memberships with INHERIT and SET, ownership, ACLs with their built-in defaults spelled
// out, PUBLIC, predefined roles and superusers. It is made for one snapshot and not changed after.
type Rights struct {
	major   int
	roles   map[string]*Role
	uses    map[string]map[string]bool // role -> roles whose rights it has without doing anything, itself among them
	sets    map[string]map[string]bool // role -> roles that it may become by SET ROLE, itself among them
	becomes map[string]map[string]bool // role -> roles whose rights it can come to have by SET ROLE and inheritance
	admin   map[string][]string        // role -> roles that it may grant
}

// NewRights prepares the closures. The database's owner is a member of pg_database_owner.
func NewRights(major int, roles []Role, memberships []Membership, database *Database) *Rights {
	r := &Rights{major: major, roles: map[string]*Role{}, admin: map[string][]string{}}
	inherit, set := map[string][]string{}, map[string][]string{}
	for i := range roles {
		r.roles[roles[i].Name] = &roles[i]
	}
	for _, m := range memberships {
		if m.Inherit {
			inherit[m.Member] = append(inherit[m.Member], m.Role)
		}
		if m.Set {
			set[m.Member] = append(set[m.Member], m.Role)
		}
		if m.Admin {
			r.admin[m.Member] = append(r.admin[m.Member], m.Role)
		}
	}
	if database != nil && r.roles["pg_database_owner"] != nil {
		// The implicit membership inherits, and before 16 it does so only for a role with INHERIT.
		if o := r.roles[database.Owner]; o != nil && (major >= 16 || o.Inherit) {
			inherit[database.Owner] = append(inherit[database.Owner], "pg_database_owner")
		}
	}
	r.uses, r.sets = map[string]map[string]bool{}, map[string]map[string]bool{}
	r.becomes = map[string]map[string]bool{}
	both := map[string][]string{}
	for name := range r.roles {
		both[name] = append(slices.Clone(inherit[name]), set[name]...)
	}
	for name := range r.roles {
		r.uses[name] = closure(name, inherit)
		r.sets[name] = closure(name, set)
		r.becomes[name] = closure(name, both)
	}
	return r
}

func closure(from string, edges map[string][]string) map[string]bool {
	seen := map[string]bool{from: true}
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		for _, next := range edges[todo[0]] {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return seen
}

// Uses reports whether a role has another's rights without doing anything: pg_has_role(…, 'USAGE').
func (r *Rights) Uses(role, other string) bool {
	return r.Superuser(role) || r.uses[role][other]
}

// CanSet reports whether a role may SET ROLE to another.
func (r *Rights) CanSet(role, other string) bool { return r.Superuser(role) || r.sets[role][other] }

// CanBecome reports whether a role can come to have another's rights, by inheritance, SET ROLE or both.
func (r *Rights) CanBecome(role, other string) bool {
	return r.Superuser(role) || r.becomes[role][other]
}

// MemberOf reports membership by any path, superusers not counted.
func (r *Rights) MemberOf(role, other string) bool { return r.becomes[role][other] }

// Superuser reports the attribute, which is never inherited.
func (r *Rights) Superuser(role string) bool { return r.roles[role] != nil && r.roles[role].Superuser }

// Grants reports whether an ACL gives a role a privilege: directly, through a role whose rights it has, or through PUBLIC.
func (r *Rights) Grants(role string, acl []Grant, privilege string) bool {
	return slices.ContainsFunc(acl, func(g Grant) bool {
		return g.Privilege == privilege && (g.Grantee == "" || r.uses[role][g.Grantee])
	})
}

// writeAll is what pg_write_all_data stands for.
var writeAll = []string{"INSERT", "UPDATE", "DELETE"}

// Table reports whether a role has a privilege on a whole relation, as has_table_privilege does.
func (r *Rights) Table(role string, rel *Relation, privilege string) bool {
	switch {
	case r.Superuser(role) || r.Grants(role, rel.ACL, privilege):
		return true
	case privilege == "SELECT" && r.uses[role]["pg_read_all_data"]:
		return true
	case slices.Contains(writeAll, privilege) && r.uses[role]["pg_write_all_data"]:
		return true
	}
	return privilege == "MAINTAIN" && r.uses[role]["pg_maintain"]
}

// Column reports whether a role has a privilege on a column, through the table or through the column's own ACL.
func (r *Rights) Column(role string, rel *Relation, c *Column, privilege string) bool {
	return r.Table(role, rel, privilege) || r.Grants(role, c.ACL, privilege)
}

// Schema reports whether a role has a privilege on a schema.
func (r *Rights) Schema(role string, s *Schema, privilege string) bool {
	if r.Superuser(role) || r.Grants(role, s.ACL, privilege) {
		return true
	}
	return privilege == "USAGE" && (r.uses[role]["pg_read_all_data"] || r.uses[role]["pg_write_all_data"])
}

// Routine reports whether a role may call a function.
func (r *Rights) Routine(role string, f *Function) bool {
	return r.Superuser(role) || r.Grants(role, f.ACL, "EXECUTE")
}

// Owns reports whether a role has an owner's rights.
func (r *Rights) Owns(role, owner string) bool { return r.Uses(role, owner) }

// Admin lists the roles that a role may grant, with its own name left out.
func (r *Rights) Admin(role string) []string { return r.admin[role] }

// LoginRoles lists the roles that can log in, sorted.
func (r *Rights) LoginRoles() []string {
	var out []string
	for name, role := range r.roles {
		if role.Login {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Path is how a role comes to another: the roles on the shortest way, both ends included, or nil. It follows inheritance and SET ROLE.
func (r *Rights) Path(memberships []Membership, from, to string) []string {
	before := map[string]string{from: ""}
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		if todo[0] == to {
			var path []string
			for at := to; at != ""; at = before[at] {
				path = append(path, at)
			}
			slices.Reverse(path)
			return path
		}
		for _, m := range memberships {
			if m.Member == todo[0] && (m.Inherit || m.Set) {
				if _, seen := before[m.Role]; !seen {
					before[m.Role] = todo[0]
					todo = append(todo, m.Role)
				}
			}
		}
	}
	return nil
}

// Predefined reports whether a role is one of PostgreSQL's own.
func Predefined(role string) bool { return strings.HasPrefix(role, "pg_") }
