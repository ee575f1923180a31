package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// digest is the SHA-256 of what the policy means: maps by key, sets sorted, lists whose order decides (rules, network
// rules, schemas) as they are, and no positions.
func (p *Policy) digest() string {
	stores, groups, users := map[string]any{}, map[string]any{}, map[string]any{}
	for name, s := range p.Stores {
		meaning := []any{s.Engine, s.Database, s.Schemas, sortedSet(s.Extensions)}
		if !s.Limits.IsZero() {
			meaning = append(meaning, s.Limits.String())
		}
		if s.Inline {
			meaning = append(meaning, "inline")
		}
		if s.NoTokens {
			meaning = append(meaning, "no tokens")
		}
		if o := s.Observe; o.All || len(o.To) > 0 {
			meaning = append(meaning, []any{"observe", o.All, sortedSet(o.To), sortedSet(o.Upstream)})
		}
		stores[name] = meaning
	}
	for name, g := range p.Groups {
		groups[name] = sortedSet(g.Members)
	}
	for name, u := range p.Users {
		user := []any{u.SCRAM, u.Attributes, u.Role, u.Adopt}
		if u.Owner != "" {
			user = append(user, u.Owner)
		}
		users[name] = user
	}
	labels, masks, datasets := map[string]any{}, map[string]any{}, map[string]any{}
	for c, l := range p.Labels {
		labels[c.String()] = l.Class
	}
	for name, m := range p.Masks {
		entries := map[string]string{}
		for _, e := range m.Entries {
			key := e.Pattern
			if e.Column != nil {
				key = e.Column.String()
			}
			entries[key] = e.Mask.String()
		}
		masks[name] = entries
	}
	for name, d := range p.Datasets {
		dataset := []any{sortedSet(d.Owners), patternSet(d.Include), patternSet(d.Exclude)}
		if len(d.Approvers) > 0 || d.Purpose {
			dataset = append(dataset, d.Approvers, d.Purpose)
		}
		if d.Slack != "" && d.Slack != SlackNotices {
			dataset = append(dataset, "slack", d.Slack)
		}
		if d.Channel != "" {
			dataset = append(dataset, "slack_channel", d.Channel)
		}
		if d.Statement != "" && d.Statement != StatementOmit {
			dataset = append(dataset, "statement_text", d.Statement)
		}
		if v := d.Review; v != nil {
			dataset = append(dataset, "review", v.Every, v.Due, v.Revoke)
		}
		datasets[name] = dataset
	}
	var rules, network []any
	for _, r := range p.Rules {
		rules = append(rules, r.meaning())
	}
	for _, n := range p.Network {
		network = append(network, []any{prefixSet(n.From), n.Any, n.Local, sortedSet(n.To), n.Auth, n.TLS})
	}
	// Strings, numbers, booleans, lists and maps with text keys: this cannot fail, and keys come out sorted.
	whole := []any{"postern policy 1", stores, groups, users, labels, masks, datasets, rules, network, p.Baseline.OutsideDatasets}
	if len(p.Purposes) > 0 || p.BreakGlass != nil {
		whole = append(whole, p.Purposes, p.BreakGlass.meaning())
	}
	if p.Certificates || len(p.Lives) > 0 || p.Life != (Span{Time: defaultLife}) && !p.Life.IsZero() {
		lives := []any{}
		for _, l := range p.Lives {
			lives = append(lives, []string{l.To, l.Life.String()})
		}
		whole = append(whole, map[string]any{"certificates": p.Certificates, "life": p.Life.String(), "lives": lives})
	}
	if p.NoTokens || p.OwnersWithoutFactor {
		whole = append(whole, map[string]any{"no tokens": p.NoTokens, "owners without factor": p.OwnersWithoutFactor})
	}
	text, _ := json.Marshal(whole)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (r *Rule) meaning() any {
	rows, writes := map[string]string{}, map[string]any{}
	for t, f := range r.Rows {
		rows[t.String()] = f.SQL
	}
	for t, w := range r.Write {
		writes[t.String()] = []any{sortedSet(w.Update), w.Insert, sortedSet(w.InsertOnly), w.Delete}
	}
	until := ""
	if !r.Until.IsZero() {
		until = r.Until.UTC().Format(time.RFC3339Nano)
	}
	meaning := []any{
		r.Name, sortedSet(r.To), r.On, r.Level, rows, r.Masks, writes, until,
		prefixSet(r.Require.Network), r.Require.Local, r.Require.TLS, r.Enabled, r.Allow.meaning(),
	}
	if !r.Limits.IsZero() {
		meaning = append(meaning, r.Limits.String())
	}
	if r.Shadow {
		meaning = append(meaning, "shadow")
	}
	if q := r.Request; q != nil {
		meaning = append(meaning, q.Kind, q.Max.String(), q.Default.String(), q.Approvers, q.Note, q.Purpose, q.Unused, q.Expires.String())
		if q.Factor.Asks() || q.Factor.Answers() {
			meaning = append(meaning, "factor", q.Factor)
		}
	}
	return meaning
}

func (g *BreakGlass) meaning() any {
	if g == nil {
		return nil
	}
	return []any{sortedSet(g.Groups), g.Max.String()}
}

func (a Allow) meaning() any {
	functions := make([]string, 0, len(a.Functions))
	for _, f := range a.Functions {
		functions = append(functions, f.Table.String())
	}
	out := []any{a.Explain, a.Temporary, sortedSet(a.Channels), sortedSet(functions)}
	if places := a.places(); len(places) > 0 { // a policy of before means what it meant
		out = append(out, sortedSet(places))
	}
	return out
}

func (a Allow) places() (names []string) {
	for _, p := range a.CreateIn {
		names = append(names, p.Store+"."+p.Schema)
	}
	return names
}

func sortedSet(list []string) []string {
	out := append([]string{}, list...) // never nil: an empty list and none mean the same
	slices.Sort(out)
	return out
}

func patternSet(list []TablePattern) []string {
	out := make([]string, 0, len(list))
	for _, p := range list {
		out = append(out, p.String())
	}
	return sortedSet(out)
}

func prefixSet[P interface{ String() string }](list []P) []string {
	out := make([]string, 0, len(list))
	for _, p := range list {
		out = append(out, p.String())
	}
	return sortedSet(out)
}
