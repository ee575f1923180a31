package policy

import (
	"slices"
	"strings"
)

// advise warns of what is allowed and probably not meant. It runs on whatever could be built, so it assumes nothing.
func (b *builder) advise() {
	used := map[string]bool{}
	for _, r := range b.p.Rules {
		used[r.Masks] = true
	}
	classes := map[string]bool{}
	for _, l := range b.p.Labels {
		classes[l.Class] = true
	}
	for _, e := range b.doc.Masks.Entries {
		m := b.p.Masks[e.Key.Value]
		if !used[m.Name] {
			b.warn(m.Pos, "", "no rule uses mask profile %s", m.Name)
		}
		for _, entry := range m.Entries {
			b.adviseEntry(entry, classes)
		}
	}
	b.adviseAttributes()
}

// adviseEntry speaks up about an entry for a label that no column carries, if it looks like one that a column does carry.
func (b *builder) adviseEntry(e MaskEntry, classes map[string]bool) {
	if e.Column != nil || strings.HasSuffix(e.Pattern, "*") || e.Pattern == PatternUnlabelled || classes[e.Pattern] {
		return
	}
	if hint := meant(b, e.Pattern, classes); hint != "" {
		b.warn(e.Pos, hint, "no column carries the label %q", e.Pattern)
	}
}

// adviseAttributes names users who hold a rule and lack what its filter needs: they will be refused (ENF-90).
func (b *builder) adviseAttributes() {
	b.p.memberOf = b.p.indexMembers()
	needs := slices.DeleteFunc(slices.Clone(b.p.Rules), func(r *Rule) bool {
		for _, f := range r.Rows {
			if len(f.Attributes) > 0 {
				return false
			}
		}
		return true
	})
	if len(needs) == 0 {
		return
	}
	for _, e := range b.doc.Users.Entries {
		s, _ := b.p.Subject(e.Key.Value)
		for _, r := range needs {
			if !s.Is(r.To) {
				continue
			}
			for _, f := range r.Rows {
				for _, a := range f.Attributes {
					if _, ok := s.Attributes[a]; !ok {
						b.warn(e.Key.Pos, "", "user %s holds rule %s and has no attribute %q: every login of theirs will be refused", s.Name, r.Name, a)
					}
				}
			}
		}
	}
}
