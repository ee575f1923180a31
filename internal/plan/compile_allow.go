package plan

import (
	"cmp"
	"slices"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
)

// allow compiles what a rule allows beside reading and writing.
func (c *compiler) allow(r *policy.Rule) Allow {
	out := Allow{Explain: r.Allow.Explain, Temporary: r.Allow.Temporary, Channels: slices.Clone(r.Allow.Channels)}
	for _, place := range r.Allow.CreateIn {
		if place.Store == c.in.Store {
			out.Places = append(out.Places, place.Schema)
		}
	}
	for _, want := range r.Allow.Functions {
		if want.Store != c.in.Store {
			continue
		}
		name, found := catalog.Name{Schema: want.Schema, Name: want.Name}, false
		for _, f := range c.snap.Functions {
			if f.Name != name {
				continue
			}
			found = true
			out.Functions = append(out.Functions, Routine{Name: name, Arguments: f.Arguments, Kind: f.Kind})
			if f.SecurityDefiner {
				c.warn(want.Pos, "definer:"+r.Name+":"+name.String(), "make it SECURITY INVOKER, or let the rule go without it",
					"rule %s lets its holders call %s(%s), which runs with the rights of %s: what it reads is neither masked nor filtered", r.Name, name, f.Arguments, f.Owner)
			}
		}
		if !found {
			c.problem(want.Pos, policy.KindDangling, "", "rule %s: there is no function or procedure %s", r.Name, name)
		}
	}
	return out
}

// allowed is what the rules of a profile allow together, with the reviewed functions of the store's extensions.
func (c *compiler) allowed(p *Profile) Allow {
	var out Allow
	for _, r := range p.Rules {
		out.Explain = out.Explain || r.Allow.Explain
		out.Temporary = out.Temporary || r.Allow.Temporary
		out.Channels = append(out.Channels, r.Allow.Channels...)
		out.Places = append(out.Places, r.Allow.Places...)
		out.Functions = append(out.Functions, r.Allow.Functions...)
	}
	for _, name := range c.store.Extensions {
		reviewed := c.in.Extensions[name]
		for _, f := range c.snap.Functions {
			if f.Extension == name && slices.Contains(reviewed, f.Name.Name) {
				out.Functions = append(out.Functions, Routine{Name: f.Name, Arguments: f.Arguments, Kind: f.Kind, Extension: name})
			}
		}
	}
	slices.Sort(out.Places)
	out.Places = slices.Compact(out.Places)
	slices.Sort(out.Channels)
	out.Channels = slices.Compact(out.Channels)
	slices.SortFunc(out.Functions, func(a, b Routine) int {
		return cmp.Or(a.Name.Compare(b.Name), cmp.Compare(a.Arguments, b.Arguments))
	})
	out.Functions = slices.Compact(out.Functions)
	return out
}

// extensions checks the store's extensions against the server.
func (c *compiler) extensions() {
	for _, name := range c.store.Extensions {
		installed := slices.ContainsFunc(c.snap.Extensions, func(e catalog.Extension) bool { return e.Name == name })
		switch {
		case len(c.in.Extensions[name]) == 0:
			c.problem(c.store.Pos, policy.KindValue, "name its functions in a rule's allow: {functions: […]}", "no functions of extension %s have been reviewed", name)
		case !installed:
			c.warn(c.store.Pos, "extension:"+name, "", "extension %s is not installed in database %s", name, c.snap.Database.Name)
		}
	}
}
