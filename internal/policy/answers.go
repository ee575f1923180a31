package policy

import (
	"maps"
	"slices"
	"strings"
)

// GroupPrefix marks a group where a subject may stand: "group:analysts".
const GroupPrefix = "group:"

// Subject returns the subject that the file defines under a name, with every group it is in, directly or through another
// group.
func (p *Policy) Subject(name string) (Subject, bool) {
	u, ok := p.Users[name]
	if !ok {
		return Subject{}, false
	}
	return Subject{Name: u.Name, Groups: p.GroupsOf(name), Attributes: maps.Clone(u.Attributes)}, true
}

// Subjects returns every subject that the file defines, sorted by name.
func (p *Policy) Subjects() []Subject {
	out := make([]Subject, 0, len(p.Users))
	for _, name := range slices.Sorted(maps.Keys(p.Users)) {
		s, _ := p.Subject(name)
		out = append(out, s)
	}
	return out
}

// GroupsOf lists the groups that a user is in, directly or through another group, sorted.
func (p *Policy) GroupsOf(user string) []string {
	members := []string{user}
	for _, g := range p.people[user].Groups {
		members = append(members, ProviderPrefix+g)
	}
	for _, g := range p.people[user].Directory {
		members = append(members, DirectoryPrefix+g)
	}
	return p.groupsOf(members...)
}

// groupsOf lists the groups that hold one of some members.
func (p *Policy) groupsOf(members ...string) []string {
	memberOf := p.memberOf
	if memberOf == nil {
		memberOf = p.indexMembers()
	}
	in := map[string]bool{}
	var climb func(member string)
	climb = func(member string) {
		for _, name := range memberOf[member] {
			if !in[name] {
				in[name] = true
				climb(GroupPrefix + name)
			}
		}
	}
	for _, m := range members {
		climb(m)
	}
	return slices.Sorted(maps.Keys(in))
}

func (p *Policy) indexMembers() map[string][]string {
	index := map[string][]string{}
	for name, g := range p.Groups {
		for _, m := range g.Members {
			index[m] = append(index[m], name)
		}
	}
	return index
}

// Is says whether one of the names, each a user's or "group:NAME", stands for the subject.
func (s Subject) Is(names []string) bool {
	for _, n := range names {
		if g, ok := strings.CutPrefix(n, GroupPrefix); ok {
			if slices.Contains(s.Groups, g) {
				return true
			}
		} else if n == s.Name {
			return true
		}
	}
	return false
}

// Rule returns the rule of a name, or nil.
func (p *Policy) Rule(name string) *Rule {
	for _, r := range p.Rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// RulesOf returns the enabled rules that a subject holds, by membership or by a grant, and whose dataset reaches into the
// store, in file order. Time plays no part: a rule that has ended is among them, see Admission.
func (p *Policy) RulesOf(s Subject, store string) []*Rule {
	var out []*Rule
	for _, r := range p.Rules {
		if p.Holds(s, r) && p.Reaches(r, store) {
			out = append(out, r)
		}
	}
	return out
}

// Reaches says whether the dataset of a rule may hold tables of the store.
func (p *Policy) Reaches(r *Rule, store string) bool {
	d := p.Datasets[r.On]
	return d != nil && slices.ContainsFunc(d.Include, func(t TablePattern) bool { return t.Store == "" || t.Store == "*" || t.Store == store })
}

// LabelOf returns the class of a column's label, or "".
func (p *Policy) LabelOf(c Column) string {
	if l := p.Labels[c]; l != nil {
		return l.Class
	}
	return ""
}

// MaskOf says how one rule shows a column that carries a label ("" for none), whether or not the rule's dataset holds it.
// The most specific entry of the rule's mask profile decides: the column by name, its label, the longest label prefix, "*"
// for the other labelled columns, "unlabelled" for the rest; without any of them the column is hidden. A rule without a
// mask profile shows every column as it is.
func (p *Policy) MaskOf(r *Rule, c Column, label string) Mask {
	if r.Masks == "" || r.Level == Own {
		return Mask{Name: Keep}
	}
	if profile := p.Masks[r.Masks]; profile != nil {
		return profile.maskOf(c, label)
	}
	return Mask{Name: Hidden}
}

// Outside says how a column of a table that no dataset holds is shown: hidden throughout unless baseline.outside_datasets
// is read, in which case labelled columns are hidden and the rest is shown.
func (p *Policy) Outside(c Column) Mask {
	if p.Baseline.OutsideDatasets == OutsideRead && p.LabelOf(c) == "" {
		return Mask{Name: Keep}
	}
	return Mask{Name: Hidden}
}

func (m *MaskProfile) maskOf(c Column, label string) Mask {
	best, found := -1, Mask{Name: Hidden, Pos: m.Pos} // the place is for errors of a plan
	for i := range m.Entries {
		if s := m.Entries[i].matches(c, label); s > best {
			best, found = s, m.Entries[i].Mask
		}
	}
	return found
}

// Scores of the kinds of entry in a mask profile. A label prefix scores by its length, which stays far below exactLabel.
const (
	scoreRest       = 0
	scorePrefix     = 1
	scoreExactLabel = 1 << 20
	scoreColumn     = 1 << 21
)

// matches returns how specifically an entry speaks about a column, or -1 when it does not.
func (e *MaskEntry) matches(c Column, label string) int {
	if e.Column != nil {
		if *e.Column == c {
			return scoreColumn
		}
		return -1
	}
	switch {
	case e.Pattern == PatternUnlabelled:
		if label == "" {
			return scoreRest
		}
	case label == "":
	case e.Pattern == PatternAny:
		return scoreRest
	case e.Pattern == label:
		return scoreExactLabel
	default:
		if prefix, ok := strings.CutSuffix(e.Pattern, "*"); ok && strings.HasPrefix(label, prefix) {
			return scorePrefix + len(prefix)
		}
	}
	return -1
}

// Branches is the union of several rules over one column (ENF-33 to 37): each form in which one of them shows it, from the
// least masked to the most, with the rules that show it so. Rules whose dataset does not hold the column's table are left
// out; what no rule admits is nothing, so the result may be empty. One element means that all agree. Between forms of equal strength the
// one of the earlier rule comes first.
func (p *Policy) Branches(rules []*Rule, c Column) []Branch {
	d := p.DatasetOf(c.Table)
	if d == nil {
		return nil
	}
	label := p.LabelOf(c)
	sorted := slices.Clone(rules)
	slices.SortFunc(sorted, func(a, b *Rule) int { return a.Order - b.Order })
	var out []Branch
	for _, r := range slices.Compact(sorted) {
		if r.On != d.Name {
			continue
		}
		m := p.MaskOf(r, c, label)
		if i := slices.IndexFunc(out, func(b Branch) bool { return b.Mask.Equal(m) }); i >= 0 {
			out[i].Rules = append(out[i].Rules, r)
		} else {
			out = append(out, Branch{Mask: m, Rules: []*Rule{r}})
		}
	}
	slices.SortStableFunc(out, func(a, b Branch) int { return int(a.Mask.Strength()) - int(b.Mask.Strength()) })
	return out
}
