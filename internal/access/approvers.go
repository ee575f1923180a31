package access

import (
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// circle answers who may approve a request. It is asked when a request is made, to tell people, and again when somebody acts.
type circle struct {
	p           *policy.Policy
	delegations []Delegation
	now         time.Time
}

// names replaces the words that depend on a request by users and groups.
func (c circle) names(r *Request, s policy.Step) []string {
	var out []string
	for _, n := range s.Names {
		switch n {
		case policy.ApproverOwners:
			if d := c.p.Datasets[r.Dataset]; d != nil {
				out = append(out, d.Owners...)
			}
		case policy.ApproverManager:
			// One person, whatever a provider or a directory writes there: never all of a group.
			if u := c.p.Users[r.Subject]; u != nil {
				if one := u.Attributes[policy.ApproverManager]; c.p.Users[one] != nil && !strings.HasPrefix(one, policy.GroupPrefix) {
					out = append(out, one)
				}
			}
		default:
			out = append(out, n)
		}
	}
	return out
}

// places lists the names of which each wants a person of its own; for a step of "any", all names are one place, several times.
func (c circle) places(r *Request, s policy.Step) [][]string {
	if !s.Each {
		names := c.names(r, s)
		out := make([][]string, max(s.Min, 1))
		for i := range out {
			out[i] = names
		}
		return out
	}
	out := make([][]string, 0, len(s.Names))
	for _, n := range s.Names {
		out = append(out, c.names(r, policy.Step{Names: []string{n}}))
	}
	return out
}

// person says whether somebody may sit in an approver set at all, for this request: a person of the policy, not the requester, and
// not the owner of the service account that asks (ACC-11, ACC-19).
func (c circle) person(r *Request, name string) bool {
	u := c.p.Users[name]
	if u == nil || u.Owner != "" || name == r.Subject {
		return false
	}
	requester := c.p.Users[r.Subject]
	return requester == nil || requester.Owner != name
}

// standsFor lists the people in whose place somebody may decide: themselves first, then whoever asked them to.
func (c circle) standsFor(r *Request, name string) []string {
	if !c.person(r, name) {
		return nil
	}
	out := []string{name}
	for _, d := range c.delegations {
		if d.To == name && c.now.Before(d.End) && c.person(r, d.From) {
			out = append(out, d.From)
		}
	}
	return out
}

// fits says whether a person is among names.
func (c circle) fits(name string, names []string) bool {
	s, ok := c.p.Subject(name)
	return ok && s.Is(names)
}

// eligible finds in whose name somebody may decide on the step that a request is at; "" if in nobody's.
func (c circle) eligible(r *Request, name string) string {
	if r.Step >= len(r.Steps) {
		return ""
	}
	for _, who := range c.standsFor(r, name) {
		for _, names := range c.places(r, r.Steps[r.Step]) {
			if c.fits(who, names) {
				return who
			}
		}
	}
	return ""
}

// approvers lists everybody who could decide on a step by themselves, sorted.
func (c circle) approvers(r *Request, step policy.Step) []string {
	var out []string
	for _, s := range c.p.Subjects() {
		if !c.person(r, s.Name) {
			continue
		}
		if slices.ContainsFunc(c.places(r, step), func(names []string) bool { return s.Is(names) }) {
			out = append(out, s.Name)
		}
	}
	return out
}

// told lists whom to tell that a step waits: who could decide on it, and who stands in for them, without those who have decided.
func (c circle) told(r *Request) []string {
	out := c.approvers(r, r.Steps[r.Step])
	for _, d := range c.delegations {
		if c.now.Before(d.End) && slices.Contains(out, d.From) && c.person(r, d.To) {
			out = append(out, d.To)
		}
	}
	return slices.DeleteFunc(out, r.decided)
}

// filled says whether people can be seated so that every place of a step has one, each person in one place only (ACC-19).
func (c circle) filled(r *Request, step policy.Step, people []policy.Subject) bool {
	places := c.places(r, step)
	seat := map[string]int{} // person -> place
	var find func(place int, tried map[string]bool) bool
	find = func(place int, tried map[string]bool) bool {
		for _, who := range people {
			if tried[who.Name] || !who.Is(places[place]) {
				continue
			}
			tried[who.Name] = true
			if at, taken := seat[who.Name]; !taken || find(at, tried) {
				seat[who.Name] = place
				return true
			}
		}
		return false
	}
	for place := range places {
		if !find(place, map[string]bool{}) {
			return false
		}
	}
	return true
}

// possible says whether everybody there is could approve a request, step by step, with no person counted twice.
func (c circle) possible(r *Request) bool {
	for _, s := range r.Steps {
		var people []policy.Subject
		for _, name := range c.approvers(r, s) {
			who, _ := c.p.Subject(name)
			people = append(people, who)
		}
		if !c.filled(r, s, people) {
			return false
		}
	}
	return true
}

// stuck says whether a step that is still to come can be neither approved by whoever is left nor skipped: those who could were
// deactivated or lost the role since (ACC-20).
func (c circle) stuck(r *Request) bool {
	for i := r.Step; i < len(r.Steps); i++ {
		if i < len(r.Steps)-1 && r.Steps[i].SkipAfter > 0 {
			continue
		}
		people := c.said(r, i)
		for _, name := range c.approvers(r, r.Steps[i]) {
			if who, _ := c.p.Subject(name); !r.decided(name) {
				people = append(people, who)
			}
		}
		if !c.filled(r, r.Steps[i], people) {
			return true
		}
	}
	return false
}

// said lists the people in whose names a step was approved, with the groups they had then. Who was deactivated since does not
// count: neither the one in whose name it was, nor the one who spoke (ACC-22).
func (c circle) said(r *Request, step int) []policy.Subject {
	var out []policy.Subject
	for _, d := range r.Decisions {
		if d.Step == step && d.Verdict == verdictApprove && c.p.Users[d.For] != nil && c.p.Users[d.By] != nil {
			out = append(out, policy.Subject{Name: d.For, Groups: d.Groups})
		}
	}
	return out
}

// open finds the first step that wants more approvals; len(r.Steps) if none does.
func (c circle) open(r *Request) int {
	for i, s := range r.Steps {
		skipped := slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.Step == i && d.Verdict == verdictSkip })
		if !skipped && !c.filled(r, s, c.said(r, i)) {
			return i
		}
	}
	return len(r.Steps)
}

// decided says whether a person has spoken on a request, for themselves or for somebody, or somebody for them.
func (r *Request) decided(name string) bool {
	return slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.By == name || d.For == name })
}
