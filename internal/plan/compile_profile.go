package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
)

// identityRole is the login role of a user on the server: the one the file names, else the user's own name (ENF-90).
func identityRole(u *policy.User) string {
	if u.Role != "" {
		return u.Role
	}
	return u.Name
}

// identities lists who logs in, and the profile of each.
func (c *compiler) identities() {
	roles := map[string]string{}
	profiles := map[string]*Profile{}
	want := func(held []*policy.Rule) *Profile {
		name := ProfileName(c.in.Store, ruleNames(held))
		if profiles[name] == nil {
			profiles[name] = c.profile(name, held)
			c.w.Profiles = append(c.w.Profiles, profiles[name])
		}
		return profiles[name]
	}
	for _, s := range c.p.Expected() {
		for _, set := range append(c.likely(s), c.p.RulesOf(s, c.in.Store)) {
			if len(set) > 0 {
				want(set)
			}
		}
	}
	for _, s := range c.p.Subjects() {
		for _, set := range c.likely(s) {
			want(set)
		}
		held := c.p.RulesOf(s, c.in.Store)
		if len(held) == 0 {
			continue
		}
		u := c.p.Users[s.Name]
		id := &Identity{User: s.Name, Role: identityRole(u), Adopt: u.Adopt, Attributes: map[string]string{}, Pos: u.Pos}
		for k, v := range s.Attributes {
			id.Attributes[k] = v
		}
		id.Attributes["name"] = s.Name
		if c.p.Observes(s, c.in.Store) {
			id.Role, id.Profile = "", want(held)
			c.w.Observed = append(c.w.Observed, id)
			continue
		}
		if other := roles[id.Role]; other != "" {
			c.problem(u.Pos, policy.KindConflict, "give one of them role: another_name", "users %s and %s would both log in as role %q", other, s.Name, id.Role)
			continue
		}
		roles[id.Role] = s.Name
		if !usableRoleName(id.Role) {
			c.problem(u.Pos, policy.KindValue, "give the user role: another_name", "%q cannot be a login role: names start with no pg_ or postern_, and have 1 to 63 bytes", id.Role)
			continue
		}
		if id.Role == c.w.Provisioner || id.Role == c.w.Grantor {
			c.problem(u.Pos, policy.KindConflict, "give the user role: another_name", "role %q is a login of Postern's own", id.Role)
		}
		for _, r := range held {
			if until := c.p.Until(s, r); !until.IsZero() {
				id.Holds = append(id.Holds, Hold{Rule: r.Name, Until: until.UTC(), Granted: r.Request != nil})
			}
		}
		id.ValidUntil = c.validUntil(s)
		id.Profile = want(held)
		c.w.Identities = append(c.w.Identities, id)
	}
	slices.SortFunc(c.w.Profiles, func(a, b *Profile) int { return strings.Compare(a.Schema, b.Schema) })
}

// maxLikely bounds the profiles that are built before anybody holds them, for one set of direct rules; up to everyAsk rules that can
// be asked for, they are all the sets there are.
const (
	maxLikely = 16
	everyAsk  = 4
)

// likely lists the sets of rules that a subject will hold when requests are granted: the direct rules with every choice of a few that
// they may ask for, or, of many, with each one and with all of them. What is built ahead needs no apply when it is granted; a set
// that is not waits for the next.
func (c *compiler) likely(s policy.Subject) [][]*policy.Rule {
	asks := c.p.Askable(s, c.in.Store)
	if len(asks) == 0 {
		return nil
	}
	var base []*policy.Rule
	for _, r := range c.p.RulesOf(s, c.in.Store) {
		if r.Request == nil {
			base = append(base, r)
		}
	}
	with := func(more ...*policy.Rule) []*policy.Rule {
		set := append(slices.Clone(base), more...)
		slices.SortFunc(set, func(a, b *policy.Rule) int { return a.Order - b.Order })
		return set
	}
	out := [][]*policy.Rule{with(asks...)}
	if len(base) > 0 {
		out = append(out, base)
	}
	if len(asks) <= everyAsk {
		for chosen := 1; chosen < 1<<len(asks)-1; chosen++ {
			var some []*policy.Rule
			for i, r := range asks {
				if chosen&(1<<i) != 0 {
					some = append(some, r)
				}
			}
			out = append(out, with(some...))
		}
		return out
	}
	for _, r := range asks {
		if len(out) == maxLikely {
			break
		}
		out = append(out, with(r))
	}
	return out
}

func usableRoleName(name string) bool {
	return name != "" && len(name) <= maxName && name != "public" && name != "none" &&
		!strings.HasPrefix(name, "pg_") && !strings.HasPrefix(name, "postern_") && !strings.ContainsRune(name, 0)
}

// validUntil is the latest end of a subject's rules on all stores: the role is the server's, not one database's. Zero when some
// rule never ends (ENF-91).
func (c *compiler) validUntil(s policy.Subject) time.Time {
	var last time.Time
	for _, r := range c.p.Rules {
		if !c.p.Holds(s, r) {
			continue
		}
		until := c.p.Until(s, r)
		if until.IsZero() {
			return time.Time{}
		}
		if until.After(last) {
			last = until
		}
	}
	return last.UTC()
}

// profile starts a profile; its tables come with profiles().
func (c *compiler) profile(name string, held []*policy.Rule) *Profile {
	p := &Profile{Schema: name, Masker: name + "_mask", Role: name + "_prof"}
	for _, r := range held {
		if rule := c.compiled[r.Name]; rule != nil {
			p.Rules = append(p.Rules, rule)
		}
	}
	if last := len(c.w.Rules) - 1; last >= 0 && c.w.Rules[last].Baseline {
		p.Rules = append(p.Rules, c.w.Rules[last])
	}
	for _, r := range p.Rules {
		p.Ends = p.Ends || r.Ends
		p.Owners = append(p.Owners, r.Owners...)
	}
	slices.Sort(p.Owners)
	p.Owners = slices.Compact(p.Owners)
	return p
}

// profiles fills in what each profile shows.
func (c *compiler) profiles() {
	for _, p := range c.w.Profiles {
		views := map[string]catalog.Name{}
		for _, rel := range c.tables {
			if t := c.profileTable(p, rel); t != nil {
				p.Tables = append(p.Tables, t)
				if !t.Open {
					if other, taken := views[t.View.Name]; taken {
						c.problem(c.store.Pos, policy.KindConflict, "rename one, or leave it out of the datasets", "%s and %s would both be called %q in a profile", other, rel.Name, t.View.Name)
					}
					views[t.View.Name] = rel.Name
				}
			}
		}
		slices.SortFunc(p.Tables, func(a, b *Table) int { return a.Base.Compare(b.Base) })
		c.cycles(p)
		p.Allow = c.allowed(p)
		p.SearchPath = c.searchPath(p)
		p.Digest = digest(p)
	}
}

// admission is a rule that admits a table, and what it says of it.
type admission struct {
	rule *Rule
	says *RuleTable
}

// profileTable compiles the union of a profile's rules over one table, or nil when none admits it.
func (c *compiler) profileTable(p *Profile, rel *catalog.Relation) *Table {
	var by []admission
	for _, r := range p.Rules {
		if says := r.Table(rel.Name); says != nil {
			by = append(by, admission{r, says})
		}
	}
	if len(by) == 0 {
		return nil
	}
	t := &Table{
		Base: rel.Name, BaseOID: rel.OID, Kind: rel.Kind, Dataset: c.datasets[rel.Name], Source: rel, Filtered: true,
		Plain: rel.Name.Schema == c.store.Schemas[0],
	}
	whole, writesOpen := false, true
	for _, a := range by {
		t.Rules = append(t.Rules, a.rule.Name)
		t.Own = t.Own || a.rule.Level == policy.Own
		t.Delete = t.Delete || a.says.Delete
		whole = whole || a.says.Whole
		if !a.says.Whole && (len(a.says.Update) > 0 || len(a.says.Insert) > 0 || a.says.Delete) {
			writesOpen = false
		}
		if a.says.Filter == nil {
			t.Filtered = false
		}
	}
	t.MinGroup = c.w.minGroup(t)
	t.Delete = t.Delete || t.Own
	t.Open = t.Own || whole && writesOpen
	t.View = catalog.Name{Schema: p.Schema, Name: ViewName(rel.Name, c.store.Schemas[0])}
	if t.Open {
		t.View = rel.Name
	}
	update, insert := c.writable(p, rel, by)
	inserts := false
	for i, col := range rel.Columns {
		out, ok := c.profileColumn(rel, i, by)
		if !ok {
			return nil
		}
		out.Update = t.Own || out.Raw && slices.Contains(update, col.Name)
		out.Insert = t.Own || out.Raw && slices.Contains(insert, col.Name)
		inserts = inserts || out.Insert
		t.Columns = append(t.Columns, out)
	}
	if inserts && !t.Own {
		t.Sequences = sequences(rel)
	}
	return t
}

// sequences lists the sequences of serial defaults: they run with the caller's rights, those of identity columns do not (ENF-12).
func sequences(rel *catalog.Relation) []catalog.Name {
	var out []catalog.Name
	for _, col := range rel.Columns {
		if col.Identity == 0 && col.Sequence.Name != "" {
			out = append(out, col.Sequence)
		}
	}
	return out
}

// writable lists the columns that the profile may update and insert. Where several rules write to one table, row policies cannot
// tell which column a statement changes, so only what all of them allow is writable: a column may be changed only in rows
// that the writing rule admits (ENF-37).
func (c *compiler) writable(p *Profile, rel *catalog.Relation, by []admission) (update, insert []string) {
	common := func(what string, pick func(*RuleTable) []string) []string {
		var all []string
		first, narrowed := true, false
		for _, a := range by {
			cols := pick(a.says)
			if len(cols) == 0 {
				continue
			}
			if first {
				all, first = cols, false
				continue
			}
			kept := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return !slices.Contains(cols, n) })
			narrowed = narrowed || len(kept) < len(all) || len(kept) < len(cols)
			all = kept
		}
		if narrowed {
			c.warn(by[0].says.Pos, "write:"+what+":"+p.Schema+":"+rel.Name.String(), "let the rules allow the same columns",
				"who holds %s together may %s only those columns of %s that each of the writing rules allows: row policies cannot tell columns apart", strings.Join(ruleNamesOf(by), " and "), what, rel.Name)
		}
		return all
	}
	return common("update", func(t *RuleTable) []string { return t.Update }), common("insert", func(t *RuleTable) []string { return t.Insert })
}

func ruleNamesOf(by []admission) []string {
	var out []string
	for _, a := range by {
		out = append(out, a.rule.Name)
	}
	return out
}

// profileColumn writes one column as the union of the forms of its rules (ENF-34, ENF-35).
func (c *compiler) profileColumn(rel *catalog.Relation, i int, by []admission) (Column, bool) {
	col := rel.Columns[i]
	out := Column{Name: col.Name, Label: c.p.LabelOf(policy.Column{Table: c.location(rel.Name), Column: col.Name})}
	var guarded []Guarded
	for _, a := range by {
		form := a.says.Forms[i]
		at := slices.IndexFunc(out.Branches, func(b Branch) bool { return b.Form.SQL == form.SQL })
		if at < 0 {
			at = len(out.Branches)
			out.Branches = append(out.Branches, Branch{Form: form})
			guarded = append(guarded, Guarded{Form: form})
		}
		out.Branches[at].Rules = append(out.Branches[at].Rules, a.rule.Name)
		guarded[at].When = append(guarded[at].When, RulePredicate{Rule: a.rule, Filter: a.says.Filter})
	}
	slices.SortStableFunc(out.Branches, func(a, b Branch) int { return a.Form.Rank - b.Form.Rank })
	slices.SortStableFunc(guarded, func(a, b Guarded) int { return a.Form.Rank - b.Form.Rank })
	// A form that some rule shows in every row, always, leaves nothing to stronger ones.
	for k, g := range guarded {
		if slices.ContainsFunc(g.When, func(w RulePredicate) bool { return w.Filter == nil && !w.Rule.Ends }) {
			guarded, out.Branches = guarded[:k+1], out.Branches[:k+1]
			guarded[k].When = nil
			break
		}
	}
	if len(guarded) == 1 {
		out.SQL, out.Raw = guarded[0].Form.SQL, guarded[0].Form.Raw()
		return out, true
	}
	sql, err := c.in.Engine.Case(col, guarded)
	if err != nil {
		c.problem(by[0].says.Pos, policy.KindConflict, "", "column %s.%s cannot be shown by rules %s together: %v", rel.Name, col.Name, strings.Join(ruleNamesOf(by), " and "), err)
		return Column{}, false
	}
	out.SQL = sql
	return out, true
}

// cycles refuses row filters that read each other's tables: the server fails with "infinite recursion detected in policy" (ENF-23).
func (c *compiler) cycles(p *Profile) {
	reads := map[catalog.Name][]catalog.Name{}
	at := map[catalog.Name]policy.Pos{}
	for _, r := range p.Rules {
		for _, t := range r.Tables {
			if t.Filter != nil {
				reads[t.Base] = append(reads[t.Base], t.Filter.Reads...)
				at[t.Base] = t.Pos
			}
		}
	}
	state := map[catalog.Name]int{}
	var path []catalog.Name
	var visit func(n catalog.Name)
	visit = func(n catalog.Name) {
		if state[n] == 1 {
			loop := append(slices.Clone(path[slices.Index(path, n):]), n)
			c.problem(at[n], policy.KindConflict, "let one of the filters read a table that has none", "row filters read each other in a circle, which PostgreSQL refuses as infinite recursion: %s", joinNames(loop))
			return
		}
		if state[n] == 2 {
			return
		}
		state[n] = 1
		path = append(path, n)
		for _, next := range reads[n] {
			visit(next)
		}
		path = path[:len(path)-1]
		state[n] = 2
	}
	for _, rel := range c.tables {
		visit(rel.Name)
	}
}

// searchPath is the profile's schema, then the schemas of extensions whose types its columns have (ENF-09), then those of tables
// that it reads on the base.
func (c *compiler) searchPath(p *Profile) []string {
	path := []string{p.Schema}
	add := func(s string) {
		if s != "" && s != "pg_catalog" && !slices.Contains(path, s) {
			path = append(path, s)
		}
	}
	var extensions []string
	for _, t := range p.Tables {
		for _, col := range t.Source.Columns {
			extensions = append(extensions, c.extensionSchema(col))
		}
	}
	for _, f := range p.Allow.Functions {
		if f.Extension != "" {
			extensions = append(extensions, f.Name.Schema)
		}
	}
	slices.Sort(extensions)
	for _, s := range extensions {
		add(s)
	}
	for _, s := range c.store.Schemas {
		if slices.ContainsFunc(p.Tables, func(t *Table) bool { return t.Open && t.Base.Schema == s }) {
			add(s)
		}
	}
	return path
}

// extensionSchema is the schema of the extension that a column's type belongs to, or "".
func (c *compiler) extensionSchema(col catalog.Column) string {
	for _, typ := range c.snap.Types {
		if typ.Extension == "" || typ.OID != col.TypeOID && typ.Array != col.TypeOID {
			continue
		}
		for _, e := range c.snap.Extensions {
			if e.Name == typ.Extension {
				return e.Schema
			}
		}
	}
	return ""
}

// digest is the SHA-256 of everything a profile was compiled from and into (ENF-95).
func digest(p *Profile) string {
	type column struct {
		Name, Type, SQL string
		Insert, Update  bool
	}
	type table struct {
		Base, View             catalog.Name
		Open, Own, Delete      bool
		Columns                []column
		Sequences              []catalog.Name
		Rules                  []string
		Filters, Write, Select []string
	}
	var doc struct {
		Version    int
		Schema     string
		Rules      []string
		Owners     []string
		SearchPath []string
		Tables     []table
		Allow      *Allow `json:",omitempty"` // nothing allowed is nothing written: a profile of before stays what it was
	}
	if a := p.Allow; a.Explain || a.Temporary || len(a.Channels)+len(a.Functions)+len(a.Places) > 0 {
		doc.Allow = &a
	}
	doc.Version, doc.Schema, doc.Owners, doc.SearchPath = 1, p.Schema, p.Owners, p.SearchPath
	for _, r := range p.Rules {
		end := ""
		if r.Ends {
			end = " ends"
		}
		doc.Rules = append(doc.Rules, r.Name+end)
	}
	for _, t := range p.Tables {
		if t.Own {
			continue // held by membership in its owner: nothing on the server was made from it, and its holders may change it
		}
		out := table{Base: t.Base, View: t.View, Open: t.Open, Own: t.Own, Delete: t.Delete, Sequences: t.Sequences, Rules: t.Rules}
		for i, col := range t.Columns {
			out.Columns = append(out.Columns, column{col.Name, t.Source.Columns[i].Type, col.SQL, col.Insert, col.Update})
		}
		for _, r := range p.Rules {
			if says := r.Table(t.Base); says != nil {
				filter := ""
				if says.Filter != nil {
					filter = says.Filter.SQL
				}
				out.Filters = append(out.Filters, filter)
				out.Write = append(out.Write, strings.Join(says.Update, ",")+";"+strings.Join(says.Insert, ","))
				out.Select = append(out.Select, strings.Join(says.Select, ","))
			}
		}
		doc.Tables = append(doc.Tables, out)
	}
	text, _ := json.Marshal(doc) // strings and numbers only
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
