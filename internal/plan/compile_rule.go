package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
)

// rule compiles one rule of the file.
func (c *compiler) rule(r *policy.Rule) *Rule {
	out := &Rule{
		Name: r.Name, Role: RuleRoleName(c.in.Store, r.Name), Level: r.Level, Ends: r.Ends(), Requested: r.Request != nil, Until: r.Until, Pos: r.Pos,
	}
	tables := c.tablesOf(r.On)
	c.ruleNames(r, tables)
	if len(tables) == 0 {
		c.warn(r.Pos, "empty:"+r.Name, "", "rule %s admits no table of store %s: dataset %s holds none here", r.Name, c.in.Store, r.On)
	}
	for _, rel := range tables {
		t := c.ruleTable(r, rel)
		if t == nil {
			continue
		}
		out.Tables = append(out.Tables, t)
		if r.Level == policy.Own {
			out.Owners = append(out.Owners, rel.Owner)
		} else if t.Whole {
			out.OpenRole = OpenRoleName(c.in.Store, r.Name)
		}
	}
	slices.Sort(out.Owners)
	out.Owners = slices.Compact(out.Owners)
	out.Allow = c.allow(r)
	c.lasting(r, out)
	return out
}

// lasting warns of what a rule with an end gives by rights that the server knows no end of. Rows and columns end by data (ENF-91), and
// somebody's hold of a rule on request ends with their membership.
func (c *compiler) lasting(r *policy.Rule, out *Rule) {
	if r.Until.IsZero() {
		return
	}
	var what []string
	if r.Level == policy.Own {
		what = append(what, "membership in "+strings.Join(out.Owners, ", "))
	}
	if len(out.Allow.Functions) > 0 {
		what = append(what, "EXECUTE on its functions")
	}
	if out.Allow.Temporary {
		what = append(what, "TEMPORARY")
	}
	if len(out.Allow.Places) > 0 {
		what = append(what, "CREATE in "+strings.Join(out.Allow.Places, ", "))
	}
	if len(what) > 0 {
		c.warn(r.Pos, "lasting:"+r.Name, "take the rule out of the file when it is over, and run postern apply",
			"rule %s ends at the gateway in time; on the server %s stays until the rule is out of the file", r.Name, strings.Join(what, ", "))
	}
}

// ruleNames checks the tables that a rule's rows and write name.
func (c *compiler) ruleNames(r *policy.Rule, tables []*catalog.Relation) {
	check := func(t policy.Table, pos policy.Pos, what string) {
		if t.Store != c.in.Store {
			return
		}
		n := catalog.Name{Schema: t.Schema, Name: t.Name}
		held := slices.ContainsFunc(tables, func(rel *catalog.Relation) bool { return rel.Name == n })
		if !held && c.mustExist(pos, n) != nil {
			c.problem(pos, policy.KindDangling, "", "rule %s has %s for %s, which is not a table that dataset %s admits", r.Name, what, n, r.On)
		}
	}
	for t, f := range r.Rows {
		check(t, f.Pos, "rows")
	}
	for t, w := range r.Write {
		check(t, w.Pos, "write")
	}
}

// ruleTable compiles what a rule says of one table, or nil when it has problems.
func (c *compiler) ruleTable(r *policy.Rule, rel *catalog.Relation) *RuleTable {
	t := &RuleTable{Base: rel.Name, Dataset: r.On, Pos: r.Pos}
	ok := true
	if f, has := r.Rows[c.location(rel.Name)]; has && r.Level != policy.Own {
		t.Pos = f.Pos
		t.Filter = c.filter(r, rel, f)
		ok = t.Filter != nil
	}
	forms, good := c.forms(r, rel)
	if !ok || !good {
		return nil
	}
	t.Forms = forms
	raw := true
	for _, f := range forms {
		raw = raw && f.Raw()
	}
	t.Whole = raw && t.Filter == nil && (!r.Ends() || r.Level == policy.Own)
	t.Future = t.Whole && r.Masks == ""
	t.Select = neededColumns(rel, forms, t.Filter)
	if w, has := r.Write[c.location(rel.Name)]; has && r.Level == policy.Write {
		c.write(r, rel, w, t)
	}
	return t
}

// neededColumns lists the columns that the masker must read: those of the masks and of the filter (ENF-12), never none.
func neededColumns(rel *catalog.Relation, forms []Form, f *Filter) []string {
	used := map[string]bool{}
	for _, form := range forms {
		for _, u := range form.Uses {
			used[u] = true
		}
	}
	if f != nil {
		for _, col := range f.Columns {
			used[col] = true
		}
	}
	var out []string
	for _, col := range rel.Columns {
		if used[col.Name] {
			out = append(out, col.Name)
		}
	}
	if len(out) == 0 && len(rel.Columns) > 0 {
		out = append(out, rel.Columns[0].Name)
	}
	return out
}

// filter compiles a row filter.
func (c *compiler) filter(r *policy.Rule, rel *catalog.Relation, f policy.Filter) *Filter {
	out, err := c.in.Engine.Filter(c.snap, c.store.Schemas, rel, f.SQL, c.rowsOf(r), c.ownNames(r))
	if err != nil {
		at := ""
		var positioned interface{ Position() int }
		if errors.As(err, &positioned) && positioned.Position() >= 0 {
			at = fmt.Sprintf(" at character %d", positioned.Position()+1)
		}
		c.problem(f.Pos, policy.KindSyntax, "", "row filter of %s in rule %s%s: %v", rel.Name, r.Name, at, err)
		return nil
	}
	rows := c.rowsOf(r)
	for _, read := range out.Reads {
		if rows[read] == nothing && c.datasets[read] != r.On {
			c.warn(f.Pos, "filter-reads:"+r.Name+":"+rel.Name.String(), "put both tables into one dataset",
				"the row filter of %s in rule %s reads %s, of which rule %s admits no row: it will not find any", rel.Name, r.Name, read, r.Name)
		}
	}
	return out
}

// nothing is the filter of a table that a rule does not admit.
const nothing = "false"

// rowsOf says which rows of each table the rule by itself admits, where row security limits them: its own filter, or none of a table
// that only other rules admit. Filters that read such a table see just those: in a profile of several rules, row security would show
// them the rows of all, and they would admit what no rule admits alone (ENF-33).
func (c *compiler) rowsOf(r *policy.Rule) map[catalog.Name]string {
	rows := map[catalog.Name]string{}
	for _, rel := range c.tables {
		if c.datasets[rel.Name] == r.On {
			if f, ok := r.Rows[c.location(rel.Name)]; ok {
				rows[rel.Name] = f.SQL
			}
			continue
		}
		for _, other := range c.p.Rules {
			_, filtered := other.Rows[c.location(rel.Name)]
			if other.Enabled && other.Level != policy.Own && other.On == c.datasets[rel.Name] && (filtered || other.Ends()) {
				rows[rel.Name] = nothing
			}
		}
	}
	return rows
}

// ownNames says whether every subject of a rule logs in to the server under their own name, so that current_user means them (ENF-90).
func (c *compiler) ownNames(r *policy.Rule) bool {
	for _, s := range c.p.Subjects() {
		if s.Is(r.To) && identityRole(c.p.Users[s.Name]) != s.Name {
			return false
		}
	}
	return true
}

// forms compiles how a rule shows each column of a table.
func (c *compiler) forms(r *policy.Rule, rel *catalog.Relation) ([]Form, bool) {
	out := make([]Form, len(rel.Columns))
	for i, col := range rel.Columns {
		name := policy.Column{Table: c.location(rel.Name), Column: col.Name}
		form, ok := c.form(r.Name, rel, col, c.p.MaskOf(r, name, c.p.LabelOf(name)))
		if !ok {
			return nil, false
		}
		out[i] = form
	}
	return out, c.derive(r.Name, rel, out)
}

// form compiles one mask of one column. A mask of the rest ("*", "unlabelled") that cannot fit a column is an error like any other.
func (c *compiler) form(rule string, rel *catalog.Relation, col catalog.Column, m policy.Mask) (Form, bool) {
	form, err := c.in.Engine.Mask(m, col)
	if err != nil {
		c.problem(m.Pos, policy.KindValue, "", "mask %s does not fit column %s.%s (%s) in rule %s: %v", m, rel.Name, col.Name, col.Type, rule, err)
		return Form{}, false
	}
	return form, true
}

// derive protects generated columns whose inputs are masked and which have no mask of their own (ENF-19): they are recomputed
// from the masked inputs.
func (c *compiler) derive(rule string, rel *catalog.Relation, forms []Form) bool {
	byName := map[string]Form{}
	for i, col := range rel.Columns {
		byName[col.Name] = forms[i]
	}
	for i, col := range rel.Columns {
		if col.Generated == 0 || !forms[i].Raw() {
			continue
		}
		inputs, masked := map[string]Form{}, false
		for _, dep := range col.DependsOn {
			inputs[dep] = byName[dep]
			masked = masked || !byName[dep].Raw()
		}
		if !masked {
			continue
		}
		form, err := c.in.Engine.Derived(col, inputs)
		if err != nil {
			c.problem(policy.Pos{}, policy.KindConflict, "give the column a label and a mask of its own",
				"%s.%s is generated from masked columns and cannot be recomputed for rule %s: %v", rel.Name, col.Name, rule, err)
			return false
		}
		forms[i] = form
	}
	return true
}

// write compiles the write rights of a rule on a table (ENF-94).
func (c *compiler) write(r *policy.Rule, rel *catalog.Relation, w policy.WriteRule, t *RuleTable) {
	raw := map[string]bool{}
	for i, col := range rel.Columns {
		raw[col.Name] = t.Forms[i].Raw() && col.Generated == 0
	}
	check := func(what string, names []string) []string {
		var out []string
		for _, n := range names {
			switch {
			case rel.Column(n) == nil:
				c.problem(w.Pos, policy.KindDangling, "", "rule %s: %s has no column %q to %s", r.Name, rel.Name, n, what)
			case !raw[n]:
				c.problem(w.Pos, policy.KindConflict, "", "rule %s: %s.%s is masked or generated, and such columns are never writable (ENF-94)", r.Name, rel.Name, n)
			default:
				out = append(out, n)
			}
		}
		return inOrder(rel, out)
	}
	t.Update = check("update", w.Update)
	t.Delete = w.Delete
	switch {
	case len(w.InsertOnly) > 0:
		t.Insert = check("insert", w.InsertOnly)
	case w.Insert:
		for _, col := range rel.Columns {
			if raw[col.Name] && col.Identity != 'a' {
				t.Insert = append(t.Insert, col.Name)
			}
		}
	}
	if len(t.Insert) > 0 {
		c.insertable(r, rel, w, t)
	}
	c.triggers(r, rel, w)
}

// insertable refuses INSERT where a row could never be complete (ENF-12).
func (c *compiler) insertable(r *policy.Rule, rel *catalog.Relation, w policy.WriteRule, t *RuleTable) {
	for _, col := range rel.Columns {
		if col.NotNull && col.Default == "" && col.Identity == 0 && col.Generated == 0 && !slices.Contains(t.Insert, col.Name) {
			c.problem(w.Pos, policy.KindConflict, "show the column, or give it a default",
				"rule %s cannot allow INSERT into %s: column %s is NOT NULL, has no default and may not be written", r.Name, rel.Name, col.Name)
		}
	}
}

// triggers warns of triggers that run with the rights of the subject (ENF-12, ENF-22).
func (c *compiler) triggers(r *policy.Rule, rel *catalog.Relation, w policy.WriteRule) {
	for _, tr := range rel.Triggers {
		if !tr.SecurityDefiner {
			c.warn(w.Pos, "trigger:"+rel.Name.String()+":"+tr.Name, "make its function SECURITY DEFINER, or keep writes with the application",
				"trigger %s on %s runs as the subject who writes: it sees raw rows, and fails where it needs rights that the subject does not have", tr.Name, rel.Name)
		}
	}
}

// inOrder sorts column names by their place in the table and drops repetitions.
func inOrder(rel *catalog.Relation, names []string) []string {
	var out []string
	for _, col := range rel.Columns {
		if slices.Contains(names, col.Name) {
			out = append(out, col.Name)
		}
	}
	return out
}

// baseline compiles baseline.outside_datasets: read. Tables that no dataset holds are visible, their labelled columns hidden.
func (c *compiler) baseline() *Rule {
	out := &Rule{
		Name: baselineRule, Role: RuleRoleName(c.in.Store, baselineRule), Level: policy.Read, Baseline: true, Pos: c.p.Baseline.Pos,
	}
	for _, rel := range c.tables {
		if c.datasets[rel.Name] != "" {
			continue
		}
		t := &RuleTable{Base: rel.Name, Pos: c.p.Baseline.Pos, Whole: true, Future: true}
		ok := true
		for _, col := range rel.Columns {
			form, good := c.form(baselineRule, rel, col, c.p.Outside(policy.Column{Table: c.location(rel.Name), Column: col.Name}))
			ok = ok && good
			t.Forms = append(t.Forms, form)
		}
		if !ok || !c.derive(baselineRule, rel, t.Forms) {
			continue
		}
		for _, f := range t.Forms {
			t.Whole = t.Whole && f.Raw()
		}
		t.Select = neededColumns(rel, t.Forms, nil)
		out.Tables = append(out.Tables, t)
		if t.Whole {
			out.OpenRole = OpenRoleName(c.in.Store, baselineRule)
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func joinNames(names []catalog.Name) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n.String()
	}
	return strings.Join(out, ", ")
}
