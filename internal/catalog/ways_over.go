package catalog

import "slices"

// over lists what gives a relation's rows over another one: a view that reads it with its owner's rights, a materialized view that holds a
// copy, a parent whose rows it stores.
func (x *Reacher) over(v, rel *Relation, privilege string) []hold {
	kind, perhaps := x.leadsTo(v, rel, privilege)
	if kind == "" {
		return nil
	}
	var out []hold
	for _, h := range x.holds(v, "", privilege) {
		if h.Kind == WaySuperuser {
			continue // it needs no view
		}
		h.Kind, h.Through, h.Perhaps, h.Columns, h.detour = kind, v.Name.String(), perhaps, nil, true
		out = append(out, h)
	}
	return out
}

// leadsTo says whether a right on one relation is a right on another's rows, and of what kind that way is.
func (x *Reacher) leadsTo(v, rel *Relation, privilege string) (kind WayKind, perhaps bool) {
	switch {
	case x.stores(v, rel.Name, nil):
		// Rights are asked of the table that a statement names, never of the partitions and children that it goes on to.
		if privilege == "INSERT" && !rel.IsPartition || !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"}, privilege) {
			return "", false
		}
		return WayParent, false
	case v.Kind == 'm' && privilege == "SELECT" && x.reads(v.Owner, v, rel, privilege, nil):
		return WayCopy, true
	case v.Kind == 'v' && !v.Invoker() && slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, privilege) && x.reads(v.Owner, v, rel, privilege, nil):
		return WayView, true
	}
	return "", false
}

// Invoker reports whether a view reads with the rights of whoever asks.
func (r *Relation) Invoker() bool {
	return slices.ContainsFunc(r.Options, func(o string) bool {
		return slices.Contains([]string{"security_invoker=true", "security_invoker=on", "security_invoker=1", "security_invoker=yes"}, o)
	})
}

// stores reports whether a table is an ancestor of another.
func (x *Reacher) stores(v *Relation, child Name, seen []Name) bool {
	c := x.db.Relation(child)
	if c == nil || slices.Contains(seen, child) {
		return false
	}
	return slices.ContainsFunc(c.Parents, func(p Name) bool { return p == v.Name || x.stores(v, p, append(seen, child)) })
}

// reads reports whether a view's query, run with the rights of a role, comes to rows of a relation.
func (x *Reacher) reads(as string, v, rel *Relation, privilege string, seen []Name) bool {
	if slices.Contains(seen, v.Name) {
		return false
	}
	return slices.ContainsFunc(v.DependsOn, func(n Name) bool {
		next := x.db.Relation(n)
		if next == nil || !x.some(as, next, privilege) {
			return false
		}
		switch {
		case n == rel.Name || x.stores(next, rel.Name, nil):
			return true
		case next.Kind != 'v' && next.Kind != 'm' || next.Invoker():
			return false // an invoker's view asks whoever runs the query, also from within another view
		}
		return x.reads(next.Owner, next, rel, privilege, append(seen, v.Name))
	})
}

// some reports whether a role has a privilege on a relation or on any of its columns.
func (x *Reacher) some(role string, rel *Relation, privilege string) bool {
	if x.rights.Table(role, rel, privilege) {
		return true
	}
	return slices.ContainsFunc(rel.Columns, func(c Column) bool { return x.rights.Grants(role, c.ACL, privilege) })
}

// functions lists the SECURITY DEFINER functions that name the relation and whose owner has the privilege, by who may call them.
func (x *Reacher) functions(rel *Relation, privilege string) []hold {
	var out []hold
	for _, m := range x.mentions[rel.Name] {
		f := m.function
		if !x.some(f.Owner, rel, privilege) {
			continue
		}
		for _, g := range f.ACL {
			w := Way{Privilege: privilege, Kind: WayFunction, Grantor: g.Grantor, Through: f.Signature(), Perhaps: true}
			if g.Grantee == f.Owner {
				w.Grantor = ""
			}
			if s := x.db.Schema(rel.Name.Schema); s != nil && !m.bound && !x.rights.Schema(f.Owner, s, "USAGE") {
				w.Lacks = []string{"USAGE on schema " + s.Name + " for " + f.Owner}
			}
			out = append(out, hold{Way: w, role: g.Grantee, detour: true, schema: f.Name.Schema})
		}
	}
	return out
}

// Opaque lists the SECURITY DEFINER functions whose owner has one of the privileges and whose text does not tell what they touch: they run
// statements that they put together, or are written in a language that is not read.
func (x *Reacher) Opaque(rel *Relation, privileges []string) []string {
	var out []string
	for i := range x.db.Routines {
		r := &x.db.Routines[i]
		f := x.db.Function(r.OID)
		if f == nil || !f.SecurityDefiner || f.Extension != "" || slices.ContainsFunc(x.mentions[rel.Name], func(m mention) bool { return m.function == f }) {
			continue
		}
		if !r.Body.Executes && (f.Language == "sql" || f.Language == "plpgsql") {
			continue
		}
		if slices.ContainsFunc(privileges, func(p string) bool { return p != "OWN" && x.some(f.Owner, rel, p) }) {
			out = append(out, f.Signature())
		}
	}
	return out
}

// fileRoles give the server's own access to its files, and with it every table's.
// nil stands for every privilege: what the server's account may do.
var fileRoles = map[string][]string{
	"pg_read_server_files": {"SELECT"}, "pg_write_server_files": nil, "pg_execute_server_program": nil,
}

// escapes lists what needs no right on the relation: the server's files, a copy of the whole cluster, and CREATEROLE before 16.
func (x *Reacher) escapes(privilege string) []hold {
	var out []hold
	add := func(kind WayKind, to string, when When, attribute bool) {
		w := Way{Privilege: privilege, Kind: kind, When: when, Perhaps: kind != WayCreateRole}
		out = append(out, hold{Way: w, role: to, attribute: attribute, detour: true})
	}
	for name, only := range fileRoles {
		if x.rights.roles[name] != nil && (only == nil || slices.Contains(only, privilege)) {
			add(WayServer, name, Now, false)
		}
	}
	for name, r := range x.rights.roles {
		if r.Superuser {
			continue
		}
		// Before 16 CREATEROLE grants itself every role that is no superuser, pg_execute_server_program among them.
		if r.CreateRole && x.major < 16 {
			add(WayCreateRole, name, ByGrant, true)
		}
		if r.Replication && privilege == "SELECT" {
			add(WayReplication, name, Now, true)
		}
	}
	return out
}
