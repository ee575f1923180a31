package policy

import (
	"maps"
	"slices"
	"strings"
)

// ProviderPrefix marks a group of the identity provider where a member of a group may stand: "provider:data-office".
const ProviderPrefix = "provider:"

// DirectoryPrefix marks a group of the LDAP directory there: "ldap:data-office".
const DirectoryPrefix = "ldap:"

// Person is somebody as an identity provider, or the directory, knows them.
type Person struct {
	Name       string
	Groups     []string          // the provider's, as it writes them
	Directory  []string          // the directory's, as the file calls them
	Attributes map[string]string // the file's come first
	// Ended says that the provider knows them no longer, or that nobody could say so for too long. Whatever the file says of them,
	// they are no subject until they come in again.
	Ended bool
	// Barred says that it was the directory that ended them, or that their account here is disabled: nothing of theirs opens anything.
	Barred bool
	// OfFile says that they are somebody only while the file has them: the directory makes nobody a user.
	OfFile bool
}

// WithPeople is the policy with the people that an identity provider or the directory knows, in place of those that it had before.
// Who is in the file stays what the file says, and is in their groups besides. The receiver stays as it is; the digest, which is of
// the file, too.
func (p *Policy) WithPeople(people []Person) *Policy {
	out := *p
	if out.file == nil {
		out.file = p.Users
	}
	out.Users, out.people = maps.Clone(out.file), map[string]Person{}
	if out.Users == nil {
		out.Users = map[string]*User{}
	}
	for _, person := range people {
		u := out.file[person.Name]
		if u == nil && person.OfFile {
			continue
		}
		out.people[person.Name] = person
		switch {
		case person.Ended:
			delete(out.Users, person.Name)
			continue
		case u == nil:
			u = &User{Name: person.Name, Attributes: map[string]string{}}
		default:
			known := *u
			u = &known
		}
		attributes := maps.Clone(person.Attributes)
		if attributes == nil {
			attributes = map[string]string{}
		}
		maps.Copy(attributes, u.Attributes)
		u.Attributes = attributes
		out.Users[person.Name] = u
	}
	return &out
}

// FileUser is a user as the file defines them, whatever a provider says, or nil.
func (p *Policy) FileUser(name string) *User {
	if p.file != nil {
		return p.file[name]
	}
	return p.Users[name]
}

// FileUsers lists the names of the users that the file defines, sorted.
func (p *Policy) FileUsers() []string {
	if p.file != nil {
		return slices.Sorted(maps.Keys(p.file))
	}
	return slices.Sorted(maps.Keys(p.Users))
}

// Provided lists who is or was known to an identity provider or the directory, or was disabled here, sorted: what they hold on servers
// follows it.
func (p *Policy) Provided() []string { return slices.Sorted(maps.Keys(p.people)) }

// IsProvided says whether a name is among them.
func (p *Policy) IsProvided(name string) bool { _, ok := p.people[name]; return ok }

// IsBarred says whether the directory has ended somebody, or their account is disabled.
func (p *Policy) IsBarred(name string) bool { return p.people[name].Barred }

// IsEnded says whether the provider or the directory has ended somebody, until they come in there again.
func (p *Policy) IsEnded(name string) bool { return p.people[name].Ended }

// ProviderGroups lists the provider's groups that groups of the file name, sorted.
func (p *Policy) ProviderGroups() []string { return p.outer(ProviderPrefix) }

// DirectoryGroups lists the directory's groups that groups of the file name, sorted.
func (p *Policy) DirectoryGroups() []string { return p.outer(DirectoryPrefix) }

func (p *Policy) outer(prefix string) []string {
	found := map[string]bool{}
	for _, g := range p.Groups {
		for _, m := range g.Members {
			if name, ok := strings.CutPrefix(m, prefix); ok {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// everyChoice bounds how many groups from outside are expected in every choice of them; of more, each is by itself, and all together.
const everyChoice = 4

// Expected is a subject without a name for each choice of the groups from outside: somebody in them may come at any time, and what
// they will hold can be built before.
func (p *Policy) Expected() []Subject {
	var members []string
	for _, g := range p.ProviderGroups() {
		members = append(members, ProviderPrefix+g)
	}
	for _, g := range p.DirectoryGroups() {
		members = append(members, DirectoryPrefix+g)
	}
	var out []Subject
	if len(members) > everyChoice {
		for _, m := range members {
			out = append(out, Subject{Groups: p.groupsOf(m)})
		}
		return append(out, Subject{Groups: p.groupsOf(members...)})
	}
	for chosen := 1; chosen < 1<<len(members); chosen++ {
		var some []string
		for i, m := range members {
			if chosen&(1<<i) != 0 {
				some = append(some, m)
			}
		}
		out = append(out, Subject{Groups: p.groupsOf(some...)})
	}
	return out
}
