package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Build checks a document and makes a Policy of it. Every mistake is among the problems; the policy is nil when there is one.
// Warnings are what is allowed and probably not meant.
func Build(doc *Document, syntax Syntax) (p *Policy, problems, warnings Problems) {
	b := &builder{doc: doc, syntax: syntax, suggestions: maxSuggestions, p: &Policy{
		Stores:   map[string]*Store{},
		Groups:   map[string]*Group{},
		Users:    map[string]*User{},
		Labels:   map[Column]*Label{},
		Masks:    map[string]*MaskProfile{},
		Datasets: map[string]*Dataset{},
	}}
	for _, s := range doc.Stores {
		b.p.Stores[s.Name] = s
	}
	b.users()
	b.groups()
	b.labels()
	b.masks()
	b.purposes()
	b.datasets()
	b.rules()
	b.observe()
	b.breakGlass()
	b.baseline()
	b.network()
	b.credentials()
	b.advise()
	if len(b.problems) > 0 {
		return nil, b.problems.Sort(), b.warnings.Sort()
	}
	b.p.memberOf = b.p.indexMembers()
	b.p.Digest = b.p.digest()
	return b.p, nil, b.warnings.Sort()
}

// maxSuggestions bounds the work of did-you-mean on a file with very many mistakes.
const maxSuggestions = 50

type builder struct {
	doc         *Document
	syntax      Syntax
	p           *Policy
	problems    Problems
	warnings    Problems
	suggestions int
}

func (b *builder) report(kind Kind, pos Pos, hint, format string, args ...any) {
	b.problems = append(b.problems, Problem{Pos: pos, Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (b *builder) warn(pos Pos, hint, format string, args ...any) {
	b.warnings = append(b.warnings, Problem{Pos: pos, Kind: KindAdvice, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// missing reports a required value that was not given. A value that was given and refused is empty too, and is reported
// already.
func (b *builder) missing(t Text, owner Pos, key string) bool {
	if t.Pos.IsZero() {
		b.report(KindMissing, owner, "", "missing key %q", key)
	}
	return t.Value == ""
}

// meant is a hint with the nearest of the names that exist.
func meant[V any](b *builder, word string, names map[string]V) string {
	if b.suggestions == 0 {
		return ""
	}
	b.suggestions--
	if near := Nearest(word, slices.Collect(maps.Keys(names))); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// CheckName refuses names of stores, groups, mask profiles, datasets and rules that would be ambiguous in a location or on
// a server.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("a name cannot be empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("a name has at most %d bytes", maxName)
	}
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !letter && (c != '-' || i == 0) {
			return fmt.Errorf("a name is made of letters, digits, _ and -")
		}
	}
	return nil
}

// name checks the key of a map; mistakes do not keep the rest of the entry from being checked.
func (b *builder) name(what string, key Text) {
	if err := CheckName(key.Value); err != nil {
		b.report(KindValue, key.Pos, "", "%s %q: %v", what, key.Value, err)
	}
}

// checkSubjectName is laxer than CheckName: people are called what they are called elsewhere.
func checkSubjectName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a name cannot be empty")
	case len(name) > maxName:
		return fmt.Errorf("longer than the %d bytes of a PostgreSQL name", maxName)
	case strings.HasPrefix(name, GroupPrefix):
		return fmt.Errorf("%q marks a group", GroupPrefix)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("a name cannot begin or end with a space")
	}
	return checkText(name)
}

func (b *builder) users() {
	roles := map[string]Text{}
	for i := range b.doc.Users.Entries {
		e := &b.doc.Users.Entries[i]
		name := e.Key.Value
		if err := checkSubjectName(name); err != nil {
			b.report(KindValue, e.Key.Pos, "", "user %q: %v", name, err)
		}
		u := &User{Name: name, SCRAM: e.Value.SCRAM.Value, Attributes: map[string]string{}, Role: e.Value.Role.Value, Adopt: e.Value.Adopt.Value, Owner: e.Value.Owner.Value, NoSlack: e.Value.Slack.No(), Pos: e.Key.Pos}
		b.p.Users[name] = u
		if u.SCRAM != "" {
			if err := b.syntax.CheckVerifier(u.SCRAM); err != nil {
				b.report(KindValue, e.Value.SCRAM.Pos, "'postern user hash' makes one from a password", "user %s: not a SCRAM-SHA-256 verifier: %v", name, err)
			}
		}
		b.attributes(u, e.Value.Attributes)
		b.role(u, e.Value.Role, roles)
	}
	for i := range b.doc.Users.Entries {
		e := &b.doc.Users.Entries[i]
		owner := b.p.Users[e.Value.Owner.Value]
		switch {
		case e.Value.Owner.Value == "":
		case owner == nil:
			b.report(KindDangling, e.Value.Owner.Pos, meant(b, e.Value.Owner.Value, b.p.Users), "user %s: there is no user %q", e.Key.Value, e.Value.Owner.Value)
		case owner.Owner != "":
			b.report(KindConflict, e.Value.Owner.Pos, "name a person", "user %s: %q is a service account itself", e.Key.Value, e.Value.Owner.Value)
		}
	}
	for _, u := range b.p.Users {
		if t, ok := roles[u.Name]; ok && u.Role == "" {
			b.report(KindConflict, t.Pos, "give each user a role of their own", "role %q is also the name of user %s", t.Value, u.Name)
		}
	}
}

func (b *builder) attributes(u *User, given Map[Text]) {
	for _, a := range given.Entries {
		key := a.Key.Value
		switch {
		case key == "name":
			b.report(KindConflict, a.Key.Pos, "", "user %s: attribute \"name\" is always the user's own name", u.Name)
		case !isIdentifier(key):
			b.report(KindValue, a.Key.Pos, "use lower-case letters, digits and _", "user %s: attribute %q could not be written as subject.NAME", u.Name, key)
		}
		if err := checkText(a.Value.Value); err != nil {
			b.report(KindValue, a.Value.Pos, "", "user %s: attribute %q cannot hold control characters", u.Name, key)
		}
		u.Attributes[key] = a.Value.Value
	}
}

func (b *builder) role(u *User, role Text, taken map[string]Text) {
	if role.Value == "" {
		return
	}
	if err := checkSubjectName(role.Value); err != nil {
		b.report(KindValue, role.Pos, "", "user %s: role %q: %v", u.Name, role.Value, err)
	} else if strings.HasPrefix(role.Value, "pg_") {
		b.report(KindValue, role.Pos, "", "user %s: role %q: PostgreSQL keeps names that begin with pg_ to itself", u.Name, role.Value)
	}
	if other, ok := taken[role.Value]; ok {
		b.report(KindConflict, role.Pos, "give each user a role of their own", "role %q is also used at %s", role.Value, other.Pos)
	}
	taken[role.Value] = role
}

func isIdentifier(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// maxNesting is how deep groups may hold groups (ACC-09).
const maxNesting = 10

func (b *builder) groups() {
	for _, e := range b.doc.Groups.Entries {
		b.name("group", e.Key)
		b.p.Groups[e.Key.Value] = &Group{Name: e.Key.Value, Pos: e.Key.Pos}
	}
	for _, e := range b.doc.Groups.Entries {
		g := b.p.Groups[e.Key.Value]
		seen := map[string]bool{}
		for _, m := range e.Value {
			if m.Value == "" {
				continue
			}
			if seen[m.Value] {
				b.report(KindDuplicate, m.Pos, "", "group %s names %q twice", g.Name, m.Value)
			}
			seen[m.Value] = true
			g.Members = append(g.Members, m.Value)
			if name, ok := strings.CutPrefix(m.Value, GroupPrefix); ok {
				b.groupExists(name, m)
			} else if name, ok := strings.CutPrefix(m.Value, ProviderPrefix); ok {
				if name == "" {
					b.report(KindValue, m.Pos, "write provider:NAME, as the identity provider's tokens name the group", "group %s: the provider's group has no name", g.Name)
				}
			} else if name, ok := strings.CutPrefix(m.Value, DirectoryPrefix); ok {
				if name == "" {
					b.report(KindValue, m.Pos, "write ldap:NAME, as ldap.groups calls the group", "group %s: the directory's group has no name", g.Name)
				}
			} else if b.p.Users[m.Value] == nil {
				b.warn(m.Pos, meant(b, m.Value, b.p.Users), "group %s: there is no user %q in this file", g.Name, m.Value)
			}
		}
	}
	b.nesting()
}

func (b *builder) groupExists(name string, at Text) {
	if b.p.Groups[name] != nil {
		return
	}
	hint := meant(b, name, b.p.Groups)
	if hint == "" && b.p.Users[name] != nil {
		hint = fmt.Sprintf("write %q for the user", name)
	}
	b.report(KindDangling, at.Pos, hint, "there is no group %q", name)
}

// nesting refuses groups that hold themselves, and towers of groups.
func (b *builder) nesting() {
	depth := map[string]int{} // 0: not seen, -1: being looked at
	var visit func(name string) int
	visit = func(name string) int {
		g := b.p.Groups[name]
		if g == nil || depth[name] != 0 {
			return max(depth[name], 0)
		}
		depth[name] = -1
		deepest := 0
		for _, m := range g.Members {
			inner, ok := strings.CutPrefix(m, GroupPrefix)
			if !ok {
				continue
			}
			if depth[inner] == -1 {
				b.report(KindConflict, g.Pos, "", "group %s holds itself through group %s", inner, name)
				continue
			}
			deepest = max(deepest, visit(inner))
		}
		depth[name] = deepest + 1
		if depth[name] == maxNesting+1 {
			b.report(KindLimit, g.Pos, "", "groups in groups go at most %d deep", maxNesting)
		}
		return depth[name]
	}
	for _, e := range b.doc.Groups.Entries {
		visit(e.Key.Value)
	}
}

// subjects checks a list of users and groups.
func (b *builder) subjects(what string, list []Text) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range list {
		if t.Value == "" {
			continue
		}
		if seen[t.Value] {
			b.report(KindDuplicate, t.Pos, "", "%s: %q is named twice", what, t.Value)
			continue
		}
		seen[t.Value] = true
		if name, ok := strings.CutPrefix(t.Value, GroupPrefix); ok {
			b.groupExists(name, t)
		} else if b.p.Users[t.Value] == nil {
			hint := meant(b, t.Value, b.p.Users)
			if b.p.Groups[t.Value] != nil {
				hint = fmt.Sprintf("write \"%s%s\" for the group", GroupPrefix, t.Value)
			}
			b.report(KindDangling, t.Pos, hint, "there is no user %q", t.Value)
		}
		out = append(out, t.Value)
	}
	return out
}

func (b *builder) baseline() {
	e := b.doc.Baseline
	b.p.Baseline = Baseline{OutsideDatasets: OutsideBlock, Pos: e.Pos}
	switch Outside(e.OutsideDatasets.Value) {
	case "", OutsideBlock:
	case OutsideRead:
		b.p.Baseline.OutsideDatasets = OutsideRead
	default:
		b.report(KindValue, e.OutsideDatasets.Pos, "", "outside_datasets is block or read, not %q", e.OutsideDatasets.Value)
	}
}
