package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// restKey is the line of a part that changes with whatever the other lines of it do not spell out.
const restKey = "all of it"

// Outline is what a policy says, one fact a line as "part name: key = value", sorted: what two versions of it differ in can be read off
// the lines, however their files are laid out. Of what proves a password it holds a fingerprint alone.
func (p *Policy) Outline() []string {
	o := outline{}
	for name, s := range p.Stores {
		o.part("store "+name, []any{s.Engine, s.Database, s.Schemas, sortedSet(s.Extensions), s.Limits.String(), s.Inline, s.NoTokens, s.Observe.All, sortedSet(s.Observe.To), sortedSet(s.Observe.Upstream)},
			"engine", s.Engine, "database", s.Database, "schemas", list(s.Schemas), "extensions", set(s.Extensions), "limits", s.Limits.String(), "inline", yes(s.Inline), "no_personal_tokens", yes(s.NoTokens),
			"observed", yes(s.Observe.All), "observe", set(s.Observe.To), "upstream", set(s.Observe.Upstream))
	}
	for name, g := range p.Groups {
		o.part("group "+name, sortedSet(g.Members), "members", set(g.Members))
	}
	for name, u := range p.Users {
		o.user(name, u)
	}
	for column, l := range p.Labels {
		o.part("label "+column.String(), l.Class, "class", l.Class)
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
		o.part("masks "+name, entries, pairs(entries)...)
	}
	for name, d := range p.Datasets {
		o.part("dataset "+name, []any{sortedSet(d.Owners), patternSet(d.Include), patternSet(d.Exclude), d.Approvers, d.Purpose, d.Slack, d.Channel, d.Statement},
			"owners", set(d.Owners), "include", list(patternSet(d.Include)), "exclude", list(patternSet(d.Exclude)), "approvers", steps(d.Approvers), "purpose required", yes(d.Purpose),
			"slack", string(d.Slack), "slack_channel", d.Channel, "statement_text", string(d.Statement))
	}
	for _, r := range p.Rules {
		o.rule(r)
	}
	for i, n := range p.Network {
		o.part(fmt.Sprintf("network line %d", i+1), []any{prefixSet(n.From), n.Any, n.Local, sortedSet(n.To), n.Auth, n.TLS},
			"from", list(prefixSet(n.From)), "everywhere", yes(n.Any), "sockets", yes(n.Local), "to", set(n.To), "auth", string(n.Auth), "tls", string(n.TLS))
	}
	o.part("policy", []any{p.Baseline.OutsideDatasets, p.Purposes, p.BreakGlass.meaning(), namesOf(p.Rules)},
		"outside datasets", string(p.Baseline.OutsideDatasets), "purposes", list(p.Purposes), "order of rules", list(namesOf(p.Rules)))
	if g := p.BreakGlass; g != nil {
		o.part("break_glass", g.meaning(), "groups", set(g.Groups), "max", g.Max.String())
	}
	slices.Sort(o.lines)
	return o.lines
}

type outline struct{ lines []string }

// part adds the facts of one part. whole is all that it means.
func (o *outline) part(name string, whole any, facts ...string) {
	for i := 0; i+1 < len(facts); i += 2 {
		if facts[i+1] != "" {
			o.lines = append(o.lines, name+": "+facts[i]+" = "+strings.Map(printable, facts[i+1]))
		}
	}
	o.lines = append(o.lines, name+": "+restKey+" = "+fingerprint(whole))
}

func (o *outline) user(name string, u *User) {
	verifier := ""
	if u.SCRAM != "" {
		verifier = "a verifier, " + fingerprint(u.SCRAM)
	}
	attributes := make([]string, 0, 2*len(u.Attributes))
	for _, key := range slices.Sorted(maps.Keys(u.Attributes)) {
		attributes = append(attributes, "attribute "+key, u.Attributes[key])
	}
	o.part("user "+name, []any{u.SCRAM, u.Attributes, u.Role, u.Adopt, u.Owner, u.NoSlack},
		append([]string{"password", verifier, "role", u.Role, "adopt", yes(u.Adopt), "owner", u.Owner, "not in slack", yes(u.NoSlack)}, attributes...)...)
}

func (o *outline) rule(r *Rule) {
	facts := []string{
		"to", set(r.To), "on", r.On, "level", r.Level.String(), "masks", r.Masks, "limits", r.Limits.String(), "off", yes(!r.Enabled && !r.Shadow), "shadow", yes(r.Shadow),
		"network", list(prefixSet(r.Require.Network)), "sockets", yes(r.Require.Local), "tls", yes(r.Require.TLS), "explain", yes(r.Allow.Explain), "temporary", yes(r.Allow.Temporary),
		"channels", set(r.Allow.Channels), "create_in", set(r.Allow.places()),
	}
	if !r.Until.IsZero() {
		facts = append(facts, "until", r.Until.UTC().Format(time.RFC3339))
	}
	for _, f := range r.Allow.Functions {
		facts = append(facts, "function "+f.Table.String(), "yes")
	}
	for t, f := range r.Rows {
		facts = append(facts, "rows of "+t.String(), f.SQL)
	}
	for t, w := range r.Write {
		text, _ := json.Marshal([]any{sortedSet(w.Update), w.Insert, sortedSet(w.InsertOnly), w.Delete}) // texts and booleans: this cannot fail
		facts = append(facts, "writes "+t.String()+" (update, insert, insert only, delete)", string(text))
	}
	if q := r.Request; q != nil {
		facts = append(facts, "request", string(q.Kind), "max", q.Max.String(), "default", q.Default.String(), "approvers", steps(q.Approvers), "note", string(q.Note), "second factor", string(q.Factor),
			"purpose required", yes(q.Purpose), "unused days", fmt.Sprint(q.Unused), "expires", q.Expires.String())
	}
	o.part("rule "+r.Name, r.meaning(), facts...)
}

// CompareOutlines lists the lines that went and those that came. That something in a part is different is said by itself only where no
// other line of the part says what.
func CompareOutlines(before, after []string) (gone, come []string) {
	gone, come = missing(before, after), missing(after, before)
	spelled := map[string]bool{}
	for _, l := range slices.Concat(gone, come) {
		if part, fact, _ := strings.Cut(l, ": "); !strings.HasPrefix(fact, restKey) {
			spelled[part] = true
		}
	}
	told := func(l string) bool {
		part, fact, _ := strings.Cut(l, ": ")
		return strings.HasPrefix(fact, restKey) && spelled[part]
	}
	return slices.DeleteFunc(gone, told), slices.DeleteFunc(come, told)
}

// missing are the lines of a sorted list that are not in another.
func missing(lines, from []string) []string {
	var out []string
	for _, l := range lines {
		if _, there := slices.BinarySearch(from, l); !there {
			out = append(out, l)
		}
	}
	return out
}

func fingerprint(v any) string {
	text, _ := json.Marshal(v) // strings, numbers, booleans, lists and maps with text keys: this cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

func set(names []string) string { return list(sortedSet(names)) }

func list(names []string) string { return strings.Join(names, ", ") }

func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

func pairs(m map[string]string) []string {
	out := make([]string, 0, 2*len(m))
	for key, value := range m {
		out = append(out, key, value)
	}
	return out
}

func steps(all []Step) string {
	var out []string
	for _, s := range all {
		text := fmt.Sprintf("%d of %s", max(s.Min, 1), list(s.Names))
		if s.Each {
			text = "each of " + list(s.Names)
		}
		if s.SkipAfter > 0 {
			text += " or after " + s.SkipAfter.String()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", then ")
}

func namesOf(rules []*Rule) []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = r.Name
	}
	return out
}

// printable keeps a fact on its line.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}
