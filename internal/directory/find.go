package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

const (
	inChain    = "1.2.840.113556.1.4.1941" // LDAP_MATCHING_RULE_IN_CHAIN
	memberOf   = "memberOf"
	nothing    = "1.1" // no attributes: the name is all that is asked for
	maxSubject = 1024  // bytes of what somebody is looked for by
)

// person is an entry of somebody.
type person struct {
	dn, id   string
	key      string // the folded DN
	values   []string
	direct   []string // of memberOf
	disabled bool
}

// sought is what somebody is looked for by, "" if there is nothing.
func (s *Settings) sought(c Candidate) string {
	key := c.Name
	if s.ByEmail {
		key = strings.ToLower(c.Email)
	}
	if len(key) > maxSubject {
		return ""
	}
	return key
}

// filterOf matches entries of some people, whatever they are called.
func (s *Settings) filterOf(keys []string) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteString("(" + s.UserAttribute + "=" + escaped(k) + ")")
	}
	return both(s.UserFilter, "(|"+b.String()+")")
}

// people finds the entries of those who are looked for, by what they are looked for by. The directory may think that more texts are
// equal than we do; what it finds by that is nobody's.
func (s *session) people(keys []string) (map[string][]*person, error) {
	out := map[string][]*person{}
	attributes := append([]string{s.s.UserAttribute}, identifiers...)
	if s.s.Members == "" && !s.chain {
		attributes = append(attributes, memberOf)
	}
	for some := range slices.Chunk(keys, batch) {
		filter := s.s.filterOf(some)
		all, err := s.search(s.s.UserBase, ldap.ScopeWholeSubtree, filter, attributes)
		if err != nil {
			return nil, err
		}
		active, err := s.enabled(filter)
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			p := &person{dn: e.DN, key: folded(e.DN), id: identifier(e), direct: e.GetEqualFoldAttributeValues(memberOf)}
			p.disabled = active != nil && !active[p.key]
			for _, v := range e.GetEqualFoldAttributeValues(s.s.UserAttribute) {
				if s.s.ByEmail {
					v = strings.ToLower(v)
				}
				if slices.Contains(some, v) && !slices.Contains(p.values, v) {
					p.values = append(p.values, v)
					out[v] = append(out[v], p)
				}
			}
		}
	}
	return out, nil
}

// enabled lists who of a filter's people is not disabled; nil: nobody can be. It is asked the other way round because a server says
// no to what it does not understand.
func (s *session) enabled(filter string) (map[string]bool, error) {
	if s.active == "" {
		return nil, nil
	}
	found, err := s.search(s.s.UserBase, ldap.ScopeWholeSubtree, both(filter, s.active), []string{nothing})
	return names(found), err
}

func names(entries []*ldap.Entry) map[string]bool {
	out := map[string]bool{}
	for _, e := range entries {
		if key := folded(e.DN); key != "" {
			out[key] = true
		}
	}
	return out
}

// members says who is in each of the file's groups, by folded DN. people are those that anybody wants to know about.
func (s *session) members(keys []string, people map[string]*person) (map[string]map[string]bool, error) {
	w := &walker{s: s, lists: map[string][]string{}}
	if s.s.GroupBase != "" && !s.chain && s.s.Members != "" {
		found, err := s.search(s.s.GroupBase, ldap.ScopeWholeSubtree, s.s.GroupFilter, []string{nothing})
		if err != nil {
			return nil, err
		}
		w.groups = names(found)
	}
	out := map[string]map[string]bool{}
	for name, dn := range s.s.Groups {
		if _, err := s.entry(dn, nothing); err != nil {
			return nil, err // a group that is gone is no empty one
		}
		var err error
		switch {
		case s.chain:
			out[name], err = s.chained(dn, keys)
		case s.s.Members != "":
			out[name], err = w.down(dn)
		default:
			out[name], err = w.under(dn, people)
		}
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", name, err)
		}
	}
	return out, nil
}

// chained asks the server, which follows groups in groups itself.
func (s *session) chained(dn string, keys []string) (map[string]bool, error) {
	out := map[string]bool{}
	for some := range slices.Chunk(keys, batch) {
		found, err := s.search(s.s.UserBase, ldap.ScopeWholeSubtree, both(s.s.filterOf(some), "("+memberOf+":"+inChain+":="+escaped(dn)+")"), []string{nothing})
		if err != nil {
			return nil, err
		}
		for key := range names(found) {
			out[key] = true
		}
	}
	return out, nil
}

// walker follows groups in groups where the server does not.
type walker struct {
	s      *session
	groups map[string]bool     // all there are, when members are looked at
	lists  map[string][]string // what stands in an entry's list, by folded DN
}

// list reads what stands in an entry's list.
func (w *walker) list(dn, attribute string) ([]string, error) {
	key := folded(dn)
	if l, ok := w.lists[key]; ok {
		return l, nil
	}
	e, err := w.s.entry(dn, attribute)
	if err != nil {
		return nil, err
	}
	w.lists[key] = e.GetEqualFoldAttributeValues(attribute)
	return w.lists[key], nil
}

// down lists everybody in a group, also by groups that are in it.
func (w *walker) down(dn string) (map[string]bool, error) {
	out, seen := map[string]bool{}, map[string]bool{folded(dn): true}
	level := []string{dn}
	for depth := 0; len(level) > 0; depth++ {
		if depth > maxNesting {
			return nil, tooDeep(dn)
		}
		var next []string
		for _, g := range level {
			list, err := w.list(g, w.s.s.Members)
			if err != nil {
				return nil, err
			}
			for _, m := range list {
				switch key := folded(m); {
				case key == "":
				case !w.groups[key]:
					out[key] = true
				case !seen[key]:
					seen[key] = true
					next = append(next, m)
				}
			}
		}
		level = next
	}
	return out, nil
}

// under lists who of some people is in a group, by what their entries say, and what those of their groups say.
func (w *walker) under(dn string, people map[string]*person) (map[string]bool, error) {
	want, out := folded(dn), map[string]bool{}
	for key, p := range people {
		in, err := w.reaches(p.direct, want)
		if err != nil {
			return nil, err
		}
		if in {
			out[key] = true
		}
	}
	return out, nil
}

func (w *walker) reaches(level []string, want string) (bool, error) {
	seen := map[string]bool{}
	for depth := 0; len(level) > 0; depth++ {
		if depth > maxNesting {
			return false, tooDeep(want)
		}
		var next []string
		for _, g := range level {
			key := folded(g)
			if key == want {
				return true, nil
			}
			if key == "" || seen[key] || w.s.s.GroupBase == "" {
				continue
			}
			seen[key] = true
			above, err := w.list(g, memberOf)
			var no *Failure
			if errors.As(err, &no) && no.Reason == failMissing {
				above, err = nil, nil // a group that the account may not see is in none that it may
			}
			if err != nil {
				return false, err
			}
			next = append(next, above...)
		}
		level = next
	}
	return false, nil
}

func tooDeep(dn string) error {
	return &Failure{failNesting, fmt.Sprintf("groups in %s are more than %d deep", dn, maxNesting), "name the inner groups in ldap.groups too", nil}
}
