package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
)

// Compile works out the wanted state of one store. Its error is a policy.Problems: every mistake, with its place in the file.
func Compile(in Input) (*Wanted, error) {
	c := &compiler{in: in, p: in.Policy, snap: in.Snapshot, datasets: map[catalog.Name]string{}, compiled: map[string]*Rule{}}
	c.store = c.p.Stores[in.Store]
	if c.store == nil {
		return nil, policy.Problems{{Kind: policy.KindDangling, Message: fmt.Sprintf("there is no store %q", in.Store)}}
	}
	c.w = &Wanted{
		Store: in.Store, Database: in.Snapshot.Database.Name, Installation: InstallationID(in.RootKey), Schemas: c.store.Schemas,
		Provisioner: in.Provisioner, Grantor: in.Grantor, Inline: c.store.Inline, Generation: in.Generation, ServerID: in.Snapshot.ServerID, RootKey: in.RootKey,
	}
	c.defaults()
	c.limits()
	c.notEnforced()
	c.extensions()
	c.universe()
	c.names()
	c.rules()
	c.identities()
	c.profiles()
	c.hidden()
	c.inline()
	if len(c.problems) > 0 {
		return nil, c.problems.Sort()
	}
	return c.w, nil
}

// compiler carries one compilation. Problems are collected, so that a person sees all of them at once.
type compiler struct {
	in       Input
	p        *policy.Policy
	store    *policy.Store
	snap     *catalog.Snapshot
	w        *Wanted
	problems policy.Problems

	tables   []*catalog.Relation // what rules can admit: tables and partitioned tables that are nobody's child
	datasets map[catalog.Name]string
	compiled map[string]*Rule
}

func (c *compiler) problem(pos policy.Pos, kind policy.Kind, hint, format string, args ...any) {
	c.problems = append(c.problems, policy.Problem{Pos: pos, Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (c *compiler) warn(pos policy.Pos, id, hint, format string, args ...any) {
	c.w.Warnings = append(c.w.Warnings, Warning{ID: id, Text: fmt.Sprintf(format, args...), Hint: hint, Pos: pos})
}

// defaults fills in what the caller left to the server.
func (c *compiler) defaults() {
	if c.w.Provisioner == "" {
		c.w.Provisioner = c.snap.CurrentUser
	}
	if c.w.Generation == 0 {
		c.w.Generation = 1
		if wall := c.snap.Wall; wall != nil && wall.Generation > 0 {
			c.w.Generation = wall.Generation
		}
	}
	for _, s := range c.store.Schemas {
		if c.snap.Schema(s) == nil {
			c.problem(c.store.Pos, policy.KindDangling, "", "database %s has no schema %q", c.snap.Database.Name, s)
		}
	}
}

// limits gathers what bounds reading. They are the gateway's to enforce, which a reader of the plan has to know.
func (c *compiler) limits() {
	c.w.Limits = map[string]policy.Limits{}
	note := func(pos policy.Pos, rule, what string, l policy.Limits) {
		if l.IsZero() {
			return
		}
		c.w.Limits[rule] = l
		c.warn(pos, "limits:"+rule, "keep identity roles off every other way to the server", "%s has limits (%s): the gateway enforces them, the wall does not", what, l)
	}
	note(c.store.Pos, "", "store "+c.in.Store, c.store.Limits)
	for _, r := range c.p.Rules {
		if r.Enabled && c.p.Reaches(r, c.in.Store) {
			note(r.Pos, r.Name, "rule "+r.Name, r.Limits)
		}
	}
}

// notEnforced says loudly what the policy only records.
func (c *compiler) notEnforced() {
	if o := c.store.Observe; o.All {
		c.warn(c.store.Pos, "observe", "take mode: observe out once the trail shows what would be refused",
			"NOT ENFORCED: store %s is in observe mode: the gateway sends every statement as it is, as the login that upstream names", c.in.Store)
	} else if len(o.To) > 0 {
		c.warn(c.store.Pos, "observe", "take them out of observe once the trail shows what would be refused",
			"NOT ENFORCED: the gateway sends every statement of %s to store %s as it is, as the login that upstream names", strings.Join(o.To, ", "), c.in.Store)
	}
	for _, r := range c.p.Rules {
		if r.Shadow && c.p.Reaches(r, c.in.Store) {
			c.warn(r.Pos, "shadow:"+r.Name, "take shadow out to put it in force", "NOT ENFORCED: rule %s is a shadow: nothing is built for it, and nobody gains anything by it", r.Name)
		}
	}
}

// location is a relation the way the policy names it.
func (c *compiler) location(n catalog.Name) policy.Table {
	return policy.Table{Store: c.in.Store, Schema: n.Schema, Name: n.Name}
}

// universe finds the tables that rules can admit, and refuses relations that a dataset names and that cannot be protected.
func (c *compiler) universe() {
	for i := range c.snap.Relations {
		rel := &c.snap.Relations[i]
		if !slices.Contains(c.store.Schemas, rel.Name.Schema) || rel.Kind == 'S' {
			continue
		}
		d := c.p.DatasetOf(c.location(rel.Name))
		pos, exact := c.exactly(d, rel.Name)
		switch {
		case rel.Kind != 'r' && rel.Kind != 'p':
			if exact {
				c.problem(pos, policy.KindConflict, "name the tables that it reads",
					"%s is %s: row policies and column grants of its tables would not apply to it (ENF-21)", rel.Name, kindName(rel.Kind))
			}
		case len(rel.Parents) > 0 && !exact:
			// Partitions and children are reached through their parent (ENF-18).
		case len(rel.Parents) > 0 && c.parentProtected(rel):
			c.problem(pos, policy.KindConflict, "leave it out: its rows are reached through "+rel.Parents[0].String(),
				"%s is a partition or child of a protected table, whose row policies would not apply to it (ENF-18)", rel.Name)
		default:
			c.tables = append(c.tables, rel)
			if d != nil {
				c.datasets[rel.Name] = d.Name
			}
		}
	}
}

// exactly says whether a dataset names a relation in full, and where.
func (c *compiler) exactly(d *policy.Dataset, n catalog.Name) (policy.Pos, bool) {
	if d == nil {
		return policy.Pos{}, false
	}
	for _, pat := range d.Include {
		if pat.Table == n.Name && pat.Schema == n.Schema {
			return pat.Pos, true
		}
	}
	return policy.Pos{}, false
}

// parentProtected says whether a dataset holds a relation that this one is a child of.
func (c *compiler) parentProtected(rel *catalog.Relation) bool {
	for _, p := range rel.Parents {
		if c.p.DatasetOf(c.location(p)) != nil {
			return true
		}
		if up := c.snap.Relation(p); up != nil && c.parentProtected(up) {
			return true
		}
	}
	return false
}

func kindName(kind byte) string {
	switch kind {
	case 'v':
		return "a view"
	case 'm':
		return "a materialized view"
	case 'f':
		return "a foreign table"
	}
	return "not a table"
}

// names checks that what the policy names in this store exists.
func (c *compiler) names() {
	for _, name := range sortedKeys(c.p.Datasets) {
		for _, pat := range c.p.Datasets[name].Include {
			if pat.Store != c.in.Store || pat.Table == "" || pat.Table == "*" || pat.Schema == "" || pat.Schema == "*" {
				continue
			}
			c.mustExist(pat.Pos, catalog.Name{Schema: pat.Schema, Name: pat.Table})
		}
	}
	for col, label := range c.p.Labels {
		if col.Store != c.in.Store {
			continue
		}
		rel := c.snap.Relation(catalog.Name{Schema: col.Schema, Name: col.Name})
		if rel == nil || rel.Column(col.Column) == nil {
			c.warn(label.Pos, "label:"+col.String(), "", "label %s stands on a column that does not exist: %s", label.Class, col)
		}
	}
	slices.SortFunc(c.w.Warnings, func(a, b Warning) int { return strings.Compare(a.ID, b.ID) })
}

// mustExist reports a table that the policy names and the server does not have.
func (c *compiler) mustExist(pos policy.Pos, n catalog.Name) *catalog.Relation {
	if rel := c.snap.Relation(n); rel != nil {
		if !slices.Contains(c.store.Schemas, n.Schema) {
			c.problem(pos, policy.KindValue, fmt.Sprintf("add %s to the store's schemas", n.Schema), "%s is outside the schemas of store %s", n, c.in.Store)
		}
		return rel
	}
	var all []string
	for _, rel := range c.snap.Relations {
		all = append(all, rel.Name.String())
	}
	hint := ""
	if near := policy.Nearest(n.String(), all); near != "" {
		hint = "did you mean " + near
	}
	c.problem(pos, policy.KindDangling, hint, "database %s has no table %s", c.snap.Database.Name, n)
	return nil
}

// rules compiles every rule that some subject holds on the store or may ask for, and checks the others. A rule that can be asked
// for is built before anybody holds it, so that a grant touches no table; so is what members of a provider's group will hold.
func (c *compiler) rules() {
	held := map[string]bool{}
	for _, s := range append(c.p.Subjects(), c.p.Expected()...) {
		for _, r := range c.p.RulesOf(s, c.in.Store) {
			held[r.Name] = true
		}
		for _, r := range c.p.Askable(s, c.in.Store) {
			held[r.Name] = true
		}
	}
	for _, r := range c.p.Rules {
		if !r.Enabled || !c.p.Reaches(r, c.in.Store) {
			continue
		}
		c.compiled[r.Name] = c.rule(r)
		if held[r.Name] {
			c.w.Rules = append(c.w.Rules, c.compiled[r.Name])
		}
	}
	if c.p.Baseline.OutsideDatasets == policy.OutsideRead {
		c.w.Rules = append(c.w.Rules, c.baseline())
	}
}

// hidden lists what exists and is admitted by no rule of the store, so that a refusal can say which dataset to ask for.
func (c *compiler) hidden() {
	admitted := map[catalog.Name]bool{}
	for _, r := range c.w.Rules {
		for _, t := range r.Tables {
			admitted[t.Base] = true
		}
	}
	for i := range c.snap.Relations {
		rel := &c.snap.Relations[i]
		if !slices.Contains(c.store.Schemas, rel.Name.Schema) || rel.Kind == 'S' || admitted[rel.Name] {
			continue
		}
		h := Hidden{Name: rel.Name, Kind: rel.Kind}
		if d := c.p.DatasetOf(c.location(rel.Name)); d != nil {
			h.Dataset = d.Name
		}
		c.w.Hidden = append(c.w.Hidden, h)
	}
}

// tablesOf lists the tables of a rule's dataset.
func (c *compiler) tablesOf(dataset string) []*catalog.Relation {
	var out []*catalog.Relation
	for _, rel := range c.tables {
		if c.datasets[rel.Name] == dataset {
			out = append(out, rel)
		}
	}
	return out
}
