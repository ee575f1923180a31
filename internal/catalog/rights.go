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
	becomes map[string]map[string]bool // role -> roles whose rights it can come to have by SET ROLE and then inheritance
	any     map[string]map[string]bool // role -> roles that it is a member of by any path of memberships that give something
	admin   map[string][]string        // role -> roles that it may grant
	edges   map[string][]edge          // role -> what it is directly a member of
	members map[string][]string        // role -> its direct members
}

// databaseOwner is the predefined role whose only member is the database's owner.
const databaseOwner = "pg_database_owner"

// NewRights prepares the closures. The database's owner is a member of pg_database_owner.
func NewRights(major int, roles []Role, memberships []Membership, database *Database) *Rights {
	r := &Rights{major: major, roles: map[string]*Role{}, admin: map[string][]string{}, members: map[string][]string{}}
	inherit, set, either := map[string][]string{}, map[string][]string{}, map[string][]string{}
	for i := range roles {
		r.roles[roles[i].Name] = &roles[i]
	}
	if database != nil && r.roles[databaseOwner] != nil {
		// The implicit membership inherits, and before 16 it does so only for a role with INHERIT.
		if o := r.roles[database.Owner]; o != nil {
			memberships = append(slices.Clone(memberships), Membership{Role: databaseOwner, Member: database.Owner, Inherit: major >= 16 || o.Inherit, Set: true})
		}
	}
	r.edges = edgesOf(memberships)
	for _, m := range memberships {
		if m.Inherit || m.Set {
			either[m.Member] = append(either[m.Member], m.Role)
		}
		r.members[m.Role] = append(r.members[m.Role], m.Member)
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
	r.uses, r.sets = map[string]map[string]bool{}, map[string]map[string]bool{}
	r.becomes, r.any = map[string]map[string]bool{}, map[string]map[string]bool{}
	for name := range r.roles {
		r.uses[name] = closure(name, inherit)
		r.sets[name] = closure(name, set)
		r.any[name] = closure(name, either)
	}
	for name := range r.roles {
		r.becomes[name] = map[string]bool{}
		for as := range r.sets[name] { // SET ROLE is judged by who logged in, so inheritance comes after it and never before
			for other := range r.uses[as] {
				r.becomes[name][other] = true
			}
		}
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
func (r *Rights) MemberOf(role, other string) bool { return r.any[role][other] }

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

// Predefined reports whether a role is one of PostgreSQL's own.
func Predefined(role string) bool { return strings.HasPrefix(role, "pg_") }
