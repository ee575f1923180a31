package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// WayKind is what a way comes to its right by.
type WayKind string

// The kinds of way.
const (
	WaySuperuser   WayKind = "superuser"
	WayOwner       WayKind = "owner"
	WayRegrant     WayKind = "owner without the right" // who has taken it from itself, and may give it back
	WayGrant       WayKind = "grant"
	WayColumns     WayKind = "column grant"
	WayPublic      WayKind = "PUBLIC"
	WayPredefined  WayKind = "predefined role"
	WaySchemaOwner WayKind = "schema owner"
	WayParent      WayKind = "parent table"
	WayView        WayKind = "view"
	WayCopy        WayKind = "materialized view"
	WayFunction    WayKind = "function"
	WayCreateRole  WayKind = "CREATEROLE"
	WayReplication WayKind = "replication"
	WayServer      WayKind = "server's files"
)

// Way is one path by which a role comes to a privilege on a relation.
type Way struct {
	Privilege string  `json:"privilege"`
	Kind      WayKind `json:"kind"`
	When      When    `json:"when"`
	// Roles is the chain of roles from the one that asks to the one that has the right; PUBLIC's rights end at the role itself.
	Roles   []string `json:"roles"`
	Grantor string   `json:"grantor,omitempty"`
	Columns []string `json:"columns,omitempty"` // of a right on columns only
	// Through is the view, parent or function that stands between.
	Through string `json:"through,omitempty"`
	// Rows says which rows a row policy leaves; "" for all.
	Rows string `json:"rows,omitempty"`
	// Lacks is what the right needs besides and the role does not have, such as USAGE on the schema. The way is closed as long as it lacks.
	Lacks []string `json:"lacks,omitempty"`
	// Perhaps: what stands between may show less, or do nothing of the kind; its text was not judged.
	Perhaps bool `json:"perhaps,omitempty"`
	// Public: every role has it.
	Public bool `json:"public,omitempty"`
}

// Open reports whether the role has the privilege on the relation itself, at once and on all its columns: what has_table_privilege says.
func (w *Way) Open() bool {
	return w.When == Now && w.Through == "" && len(w.Columns) == 0 && !w.Perhaps && w.Kind != WaySchemaOwner
}

// Holder is a role and all its ways, the nearest first.
type Holder struct {
	Role    string `json:"role"`
	Login   bool   `json:"login"`
	Connect bool   `json:"connect"` // may connect to the database
	Ways    []Way  `json:"ways"`
}

// hold is one fact that gives a right to whoever comes to a role.
type hold struct {
	Way
	role      string    // "" is PUBLIC
	attribute bool      // goes with acting as the role only
	detour    bool      // of no use to a superuser
	schema    string    // on which USAGE is needed; "" for none
	on        *Relation // whose row policies apply; nil for none
}

// Reacher answers who comes to a relation of one database, and how.
type Reacher struct {
	major    int
	rights   *Rights
	db       *DatabaseEvidence
	database *Database
	connect  map[string]bool
	mentions map[Name][]mention         // relation -> SECURITY DEFINER functions whose text names it
	leads    map[string]map[string]bool // role -> those that could come to it
}

// mention is a function that names a relation; bound when the server bound the name as the function was made.
type mention struct {
	function *Function
	bound    bool
}

// NewReacher prepares the answers for one database of a server that was looked at. database is its row, with its ACL.
func NewReacher(s *Server, d *DatabaseEvidence, database *Database) *Reacher {
	x := &Reacher{major: s.Major(), db: d, database: database, connect: map[string]bool{}, mentions: map[Name][]mention{}, leads: map[string]map[string]bool{}, rights: NewRights(s.Major(), s.Roles, s.Memberships, database)}
	for name := range x.rights.roles {
		x.connect[name] = x.rights.Superuser(name) || x.rights.Grants(name, database.ACL, "CONNECT")
	}
	for i := range d.Routines {
		if f := d.Function(d.Routines[i].OID); f != nil && f.SecurityDefiner && d.Routines[i].Result != "trigger" && d.Routines[i].Result != "event_trigger" {
			for _, n := range d.Routines[i].Body.Names {
				x.mentions[n] = append(x.mentions[n], mention{f, false})
			}
			for _, n := range d.Routines[i].Body.Bound {
				x.mentions[n] = append(x.mentions[n], mention{f, true})
			}
		}
	}
	return x
}

// Rights are the effective rights that the answers rest on.
func (x *Reacher) Rights() *Rights { return x.rights }

// columnPrivileges can be given on columns.
var columnPrivileges = []string{"SELECT", "INSERT", "UPDATE", "REFERENCES"}

// Privileges lists the privileges on a relation of a kind.
func Privileges(kind byte, major int) []string {
	if kind == 'S' {
		return []string{"SELECT", "UPDATE", "USAGE"}
	}
	all := []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}
	if major >= 17 {
		all = append(all, "MAINTAIN")
	}
	return all
}

// Verb reads who-can's verb: a privilege of the relation, or read, write and own, as the privileges that it stands for. OWN is the
// owner's right to change and drop, which no ACL holds.
func Verb(word string, rel *Relation, column string, major int) ([]string, error) {
	var out []string
	switch strings.ToLower(word) {
	case "read":
		out = []string{"SELECT"}
	case "write":
		out = []string{"INSERT", "UPDATE", "DELETE"}
		if rel.Kind == 'S' {
			out = []string{"UPDATE", "USAGE"}
		} else if column != "" {
			out = out[:2]
		}
	case "own":
		out = []string{"OWN"}
	default:
		out = []string{strings.ToUpper(word)}
	}
	known := append(Privileges(rel.Kind, major), "OWN")
	for _, p := range out {
		if !slices.Contains(known, p) {
			return nil, fmt.Errorf("%q is no privilege on %s of PostgreSQL %d: read, write, own, or one of %s", word, kindName(rel.Kind), major, strings.Join(Privileges(rel.Kind, major), ", "))
		}
		if column != "" && !slices.Contains(columnPrivileges, p) {
			return nil, fmt.Errorf("%s is never on a column: it is a right on the whole table", p)
		}
	}
	return out, nil
}

func kindName(kind byte) string {
	switch kind {
	case 'S':
		return "sequences"
	case 'v':
		return "views"
	case 'm':
		return "materialized views"
	}
	return "tables"
}

// WhoCan lists every role that comes to one of the privileges on a relation, or on one of its columns, with every way, sorted by name.
func (x *Reacher) WhoCan(rel *Relation, column string, privileges []string) []Holder {
	var holds []hold
	for _, p := range privileges {
		holds = append(holds, x.everything(rel, column, p)...)
	}
	var out []Holder
	for name, role := range x.rights.roles {
		h := Holder{Role: name, Login: role.Login, Connect: x.connect[name]}
		for i := range holds {
			h.Ways = append(h.Ways, x.comeTo(name, &holds[i])...)
		}
		if len(h.Ways) == 0 {
			continue
		}
		slices.SortFunc(h.Ways, compareWays)
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Holder) int { return cmp.Compare(a.Role, b.Role) })
	return out
}

func compareWays(a, b Way) int {
	return cmp.Or(int(a.When-b.When), len(a.Lacks)-len(b.Lacks), cmp.Compare(a.Privilege, b.Privilege), len(a.Roles)-len(b.Roles), cmp.Compare(a.Through, b.Through),
		slices.Compare(a.Roles, b.Roles), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Grantor, b.Grantor), slices.Compare(a.Columns, b.Columns))
}

// everything lists all that gives a privilege on a relation, whatever lies between.
func (x *Reacher) everything(rel *Relation, column, privilege string) []hold {
	out := x.holds(rel, column, privilege)
	if privilege != "OWN" {
		for i := range x.db.Relations {
			if v := &x.db.Relations[i]; v.Name != rel.Name {
				out = append(out, x.over(v, rel, privilege)...)
			}
		}
		out = append(out, x.functions(rel, privilege)...)
	}
	return append(out, x.escapes(privilege)...)
}

// holds lists what gives the privilege on the relation itself, by role.
func (x *Reacher) holds(rel *Relation, column, privilege string) []hold {
	var out []hold
	for name, r := range x.rights.roles {
		if r.Superuser {
			out = append(out, hold{Way: Way{Kind: WaySuperuser, Privilege: privilege}, role: name, attribute: true})
		}
	}
	add := func(role string, w Way) {
		w.Privilege = privilege
		h := hold{Way: w, role: role, on: rel}
		if privilege != "OWN" {
			h.schema = rel.Name.Schema
		}
		out = append(out, h)
	}
	owned := false
	for _, g := range rel.ACL {
		if g.Privilege != privilege {
			continue
		}
		kind := WayGrant
		switch g.Grantee {
		case "":
			kind = WayPublic
		case rel.Owner:
			kind, owned = WayOwner, true
			if g.Grantor == rel.Owner {
				g.Grantor = ""
			}
		}
		add(g.Grantee, Way{Kind: kind, Grantor: g.Grantor})
	}
	if !owned {
		w := Way{Kind: WayOwner}
		if privilege != "OWN" {
			w = Way{Kind: WayRegrant, When: ByGrant}
		}
		add(rel.Owner, w)
	}
	if s := x.db.Schema(rel.Name.Schema); s != nil && privilege == "OWN" && s.Owner != rel.Owner {
		add(s.Owner, Way{Kind: WaySchemaOwner, Through: "schema " + s.Name})
	}
	if p := predefinedFor(privilege, rel.Kind); p != "" && x.rights.roles[p] != nil {
		add(p, Way{Kind: WayPredefined})
	}
	for _, h := range columnHolds(rel, column, privilege) {
		add(h.role, h.Way)
	}
	return out
}

// predefinedFor is the predefined role that stands for a privilege on every relation, or "".
func predefinedFor(privilege string, kind byte) string {
	switch {
	case privilege == "SELECT":
		return "pg_read_all_data"
	case slices.Contains(writeAll, privilege):
		return "pg_write_all_data"
	case privilege == "MAINTAIN" && kind != 'S':
		return "pg_maintain"
	}
	return ""
}

// columnHolds gathers the columns that one grantor gave to one role.
func columnHolds(rel *Relation, column, privilege string) []hold {
	var out []hold
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if column != "" && c.Name != column {
			continue
		}
		for _, g := range c.ACL {
			if g.Privilege != privilege {
				continue
			}
			j := slices.IndexFunc(out, func(h hold) bool { return h.role == g.Grantee && h.Grantor == g.Grantor })
			if j < 0 {
				kind := WayColumns
				if g.Grantee == "" {
					kind = WayPublic
				}
				out = append(out, hold{Way: Way{Privilege: privilege, Kind: kind, Grantor: g.Grantor}, role: g.Grantee})
				j = len(out) - 1
			}
			out[j].Columns = append(out[j].Columns, c.Name)
		}
	}
	return out
}

// comeTo lists how a role comes to what another holds.
func (x *Reacher) comeTo(role string, h *hold) []Way {
	if h.detour && x.rights.Superuser(role) {
		return nil
	}
	var out []Way
	for _, c := range x.chains(role, h.role) {
		if h.attribute && !c.Acts {
			continue
		}
		w := h.Way
		w.Roles, w.When, w.Public = c.Roles, max(w.When, c.When), h.role == ""
		if h.attribute && len(c.Roles) > 1 {
			w.When = max(w.When, BySet) // attributes are never inherited
		}
		x.dress(&w, &c, h)
		out = append(out, w)
	}
	return out
}

// chains is Rights.Chains, with PUBLIC no step from everybody.
func (x *Reacher) chains(role, holder string) []Chain {
	if holder == "" {
		return []Chain{{Roles: []string{role}, Acts: true}}
	}
	leads := x.leads[holder]
	if leads == nil {
		leads = x.rights.leads(holder)
		x.leads[holder] = leads
	}
	if !leads[role] {
		return nil
	}
	return x.rights.Chains(role, holder)
}

// actor is the role as which the right at the end of a chain is used: the last one that is reached by SET ROLE, and the first when all are
// inherited.
func (c *Chain) actor(r *Rights) string {
	if c.When == Now {
		return c.Roles[0]
	}
	at := c.Roles[0]
	for i := 1; i < len(c.Roles); i++ {
		here := slices.IndexFunc(r.edges[c.Roles[i-1]], func(e edge) bool { return e.to == c.Roles[i] })
		if slices.Contains(c.Grants, c.Roles[i]) || here >= 0 && !r.edges[c.Roles[i-1]][here].inherit {
			at = c.Roles[i]
		}
	}
	return at
}

// dress adds what row policies leave and what else the right needs, for whoever uses it.
func (x *Reacher) dress(w *Way, c *Chain, h *hold) {
	actor := c.actor(x.rights)
	if s := x.db.Schema(h.schema); s != nil && !x.enters(actor, c, s) {
		w.Lacks = append(slices.Clone(w.Lacks), "USAGE on schema "+s.Name)
	}
	if h.on == nil {
		return
	}
	rows, none := x.rows(actor, h.on, w.Privilege)
	w.Rows = rows
	if none {
		w.Lacks = append(slices.Clone(w.Lacks), "a row policy that admits a row")
	}
}

// enters reports whether the role at the end of a chain may use a schema; one that grants itself roles may grant itself that too.
func (x *Reacher) enters(actor string, c *Chain, s *Schema) bool {
	if x.rights.Schema(actor, s, "USAGE") {
		return true
	}
	if c.When != ByGrant {
		return false
	}
	have, _ := x.rights.Reach(c.Roles[0], ByGrant)
	for name := range have {
		if x.rights.Schema(name, s, "USAGE") {
			return true
		}
	}
	return false
}

// rows says what row security leaves to a role of a table: "" for everything, else the policies; none for no row at all.
func (x *Reacher) rows(role string, rel *Relation, privilege string) (text string, none bool) {
	if !rel.RowSecurity || !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, privilege) {
		return "", false
	}
	if r := x.rights.roles[role]; r == nil || r.Superuser || r.BypassRLS || x.rights.Uses(role, rel.Owner) && !rel.ForceRowSecurity {
		return "", false
	}
	var permissive, restrictive []string
	for _, p := range rel.Policies {
		applies := slices.ContainsFunc(p.Roles, func(to string) bool { return to == "" || to == "public" || x.rights.Uses(role, to) })
		switch {
		case !applies || p.Command != "ALL" && p.Command != privilege:
		case p.Permissive:
			permissive = append(permissive, p.Name)
		default:
			restrictive = append(restrictive, p.Name)
		}
	}
	if len(permissive) == 0 {
		return "none", true
	}
	return "policy " + strings.Join(append(permissive, restrictive...), ", "), false
}
