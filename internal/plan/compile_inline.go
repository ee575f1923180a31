package plan

import (
	"slices"

	"github.com/postern-sec/postern/internal/policy"
)

// inline refuses what the inline tier cannot keep, and says of each table what it does not promise (ENF-43).
func (c *compiler) inline() {
	if !c.w.Inline {
		return
	}
	for _, r := range c.w.Rules {
		if r.Level != policy.Read {
			c.problem(r.Pos, policy.KindConflict, "write level: read", "rule %s has level %s, and store %s is read only (tier: inline, ENF-41)", r.Name, r.Level, c.in.Store)
		}
		if r.Allow.Explain || r.Allow.Temporary || len(r.Allow.Functions)+len(r.Allow.Places) > 0 {
			c.problem(r.Pos, policy.KindConflict, "leave allow out", "rule %s allows EXPLAIN, tables of their own or functions, which tier: inline cannot (ENF-42)", r.Name)
		}
		for _, t := range r.Tables {
			if slices.ContainsFunc(t.Forms, func(f Form) bool { return f.Keys }) {
				c.problem(t.Pos, policy.KindConflict, "use hash, or hidden", "rule %s: a pseudonym of %s needs a key on the server, which tier: inline does not put there", r.Name, t.Base)
			}
		}
	}
	seen := map[string]bool{}
	for _, p := range c.w.Profiles {
		for _, t := range p.Tables {
			for _, col := range t.Source.Columns {
				if c.extensionSchema(col) != "" {
					c.problem(c.store.Pos, policy.KindConflict, "leave the table out of the datasets", "%s.%s has a type of an extension, whose operators tier: inline does not admit (ENF-42)", t.Base, col.Name)
				}
			}
			if !seen[t.Base.String()] {
				seen[t.Base.String()] = true
				c.warn(c.store.Pos, "inline:"+t.Base.String(), "use tier: walled where something may be created on the server",
					"%s is masked and filtered by the gateway only: whoever has the reader's password, or finds a hole in the gateway, reads it whole", t.Base)
			}
		}
	}
}
