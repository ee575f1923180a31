package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

func (b *builder) rules() {
	for i := range b.doc.Rules.Entries {
		e := &b.doc.Rules.Entries[i]
		b.name("rule", e.Key)
		b.p.Rules = append(b.p.Rules, b.rule(e.Key, &e.Value, i))
	}
}

func (b *builder) rule(key Text, e *RuleEntry, order int) *Rule {
	r := &Rule{
		Name: key.Value, On: e.On.Value, Level: Read, Masks: e.Masks.Value, Order: order, Pos: key.Pos,
		Rows: map[Table]Filter{}, Write: map[Table]WriteRule{}, Enabled: (e.Enabled.Value || !e.Enabled.Set) && !e.Shadow.Value, Shadow: e.Shadow.Value && (e.Enabled.Value || !e.Enabled.Set),
	}
	switch e.Level.Value {
	case "", "read":
	case "write":
		r.Level = Write
	case "own":
		r.Level = Own
	default:
		b.report(KindValue, e.Level.Pos, "", "level is read, write or own, not %q", e.Level.Value)
	}
	r.To = b.subjects("rule "+r.Name, e.To)
	if e.To == nil {
		b.report(KindMissing, e.Pos, "", "missing key %q", "to")
	} else if len(e.To) == 0 {
		b.report(KindValue, e.Pos, "name somebody, or write enabled: false", "rule %s is to nobody", r.Name)
	}
	if !b.missing(e.On, e.Pos, "on") && b.p.Datasets[r.On] == nil {
		b.report(KindDangling, e.On.Pos, meant(b, r.On, b.p.Datasets), "rule %s: there is no dataset %q", r.Name, r.On)
	}
	if r.Masks != "" && b.p.Masks[r.Masks] == nil {
		b.report(KindDangling, e.Masks.Pos, meant(b, r.Masks, b.p.Masks), "rule %s: there is no mask profile %q", r.Name, r.Masks)
	}
	b.own(r, e)
	b.rows(r, e)
	b.writes(r, e)
	r.Until = b.until(e.Until)
	r.Require = b.require(e.Require)
	r.Limits = b.limits(r, e.Limits)
	r.Request = b.request(r, e)
	r.Allow = b.allow(r, e.Allow)
	return r
}

// allow reads what a rule allows beside reading and writing.
func (b *builder) allow(r *Rule, e AllowEntry) Allow {
	out := Allow{Temporary: e.Temporary.Value}
	switch e.Explain.Value {
	case "", "none":
	case "plain":
		out.Explain = true
	default:
		b.report(KindValue, e.Explain.Pos, "", "explain is none or plain, not %q", e.Explain.Value)
	}
	for _, t := range e.CreateIn {
		if place, ok := b.place(r, t); ok {
			out.CreateIn = append(out.CreateIn, place)
		}
	}
	for _, t := range e.Channels {
		if t.Value == "" || len(t.Value) > 63 || strings.ContainsRune(t.Value, 0) {
			b.report(KindValue, t.Pos, "", "rule %s: %q cannot be the name of a channel", r.Name, t.Value)
			continue
		}
		out.Channels = append(out.Channels, t.Value)
	}
	for _, t := range e.Functions {
		if at, ok := b.table(t); ok {
			out.Functions = append(out.Functions, Routine{Table: at, Pos: t.Pos})
		}
	}
	return out
}

// place reads a schema in which tables may be made. It may be none that the store serves: what stands there is the policy's to show.
func (b *builder) place(r *Rule, t Text) (Place, bool) {
	parts, err := splitLocation(t.Value)
	if err != nil || len(parts) != 2 || slices.ContainsFunc(parts, func(p part) bool { return !p.quoted && strings.Contains(p.text, "*") }) {
		b.report(KindSyntax, t.Pos, "write store.schema", "rule %s: %q is not of the form store.schema", r.Name, t.Value)
		return Place{}, false
	}
	out := Place{Store: parts[0].text, Schema: parts[1].text, Pos: t.Pos}
	store := b.p.Stores[out.Store]
	switch {
	case store == nil:
		b.report(KindDangling, t.Pos, "", "rule %s: there is no store %q", r.Name, out.Store)
	case slices.Contains(store.Schemas, out.Schema):
		b.report(KindConflict, t.Pos, "name one that is not there yet", "rule %s: %s is a schema of the store's tables, and no place to make others", r.Name, t.Value)
	case out.Schema == "public" || out.Schema == "information_schema" || strings.HasPrefix(out.Schema, "pg_") || strings.HasPrefix(out.Schema, "postern") || len(out.Schema) > 63:
		b.report(KindValue, t.Pos, "name one of its own, such as "+out.Store+".workbench", "rule %s: schema %s cannot be a place to make tables", r.Name, out.Schema)
	default:
		return out, true
	}
	return Place{}, false
}

// own refuses what level own cannot carry: its holders are members of the owner role, on the base tables.
func (b *builder) own(r *Rule, e *RuleEntry) {
	if r.Level != Own {
		return
	}
	const why = "level own acts as the tables' owner, on the tables themselves; give a second rule with level read or write"
	if len(e.Rows.Entries) > 0 {
		b.report(KindConflict, e.Rows.Pos, why, "rule %s: level own cannot filter rows", r.Name)
	}
	if r.Masks != "" {
		b.report(KindConflict, e.Masks.Pos, why, "rule %s: level own cannot mask columns", r.Name)
	}
}

// ruleTable reads a table that a rule speaks about: it must be one of the rule's dataset.
func (b *builder) ruleTable(r *Rule, key Text, what string) (Table, bool) {
	t, ok := b.table(key)
	d := b.p.Datasets[r.On]
	if !ok || d == nil {
		return t, ok
	}
	switch at := b.p.DatasetOf(t); {
	case at == d:
	case at != nil && !d.Holds(t):
		b.report(KindConflict, key.Pos, "", "rule %s: %s for %s, which is in dataset %s, not %s", r.Name, what, t, at.Name, d.Name)
	case at != nil:
		b.report(KindConflict, key.Pos, "", "rule %s: %s for %s, which dataset %s names by a longer location than %s", r.Name, what, t, at.Name, d.Name)
	default:
		b.report(KindConflict, key.Pos, "", "rule %s: %s for %s, which is not in dataset %s", r.Name, what, t, d.Name)
	}
	return t, true
}

func (b *builder) rows(r *Rule, e *RuleEntry) {
	for _, row := range e.Rows.Entries {
		t, ok := b.ruleTable(r, row.Key, "a row filter")
		if row.Value.Value == "" {
			continue
		}
		f := Filter{SQL: row.Value.Value, Pos: row.Value.Pos}
		if offset, err := b.syntax.CheckFilter(f.SQL); err != nil {
			b.report(KindSyntax, row.Value.At(offset), "", "rule %s: row filter: %v", r.Name, err)
			continue
		}
		f.Attributes = slices.DeleteFunc(b.syntax.FilterAttributes(f.SQL), func(s string) bool { return s == "name" })
		slices.Sort(f.Attributes)
		if !ok {
			continue
		}
		if other, twice := r.Rows[t]; twice {
			b.report(KindDuplicate, row.Key.Pos, "join the two with AND or OR", "rule %s: %s has a row filter at %s already", r.Name, t, other.Pos)
			continue
		}
		r.Rows[t] = f
	}
}

func (b *builder) writes(r *Rule, e *RuleEntry) {
	if len(e.Write.Entries) > 0 && r.Level != Write {
		b.report(KindConflict, e.Write.Pos, "write level: write", "rule %s: only level write has the key write", r.Name)
		return
	}
	if r.Level == Write && len(e.Write.Entries) == 0 {
		b.warn(r.Pos, "say what may be written with the key write", "rule %s has level write and lets nothing be written", r.Name)
	}
	for i := range e.Write.Entries {
		w := &e.Write.Entries[i]
		t, ok := b.ruleTable(r, w.Key, "a write")
		rule := WriteRule{
			Insert: w.Value.Insert.Flag.Value || len(w.Value.Insert.List) > 0,
			Delete: w.Value.Delete.Value, Pos: w.Key.Pos,
		}
		rule.Update = b.writeColumns(r, w.Value.Update, "update")
		rule.InsertOnly = b.writeColumns(r, w.Value.Insert.List, "insert")
		if len(rule.Update) == 0 && !rule.Insert && !rule.Delete {
			b.warn(w.Key.Pos, "", "rule %s: write for %s allows nothing", r.Name, t)
		}
		if !ok {
			continue
		}
		b.writable(r, t, w.Value.Update)
		b.writable(r, t, w.Value.Insert.List)
		if other, twice := r.Write[t]; twice {
			b.report(KindDuplicate, w.Key.Pos, "", "rule %s: %s has a write at %s already", r.Name, t, other.Pos)
			continue
		}
		r.Write[t] = rule
	}
}

func (b *builder) writeColumns(r *Rule, list []Text, what string) []string {
	var out []string
	for _, c := range list {
		switch {
		case c.Value == "":
			continue
		case slices.Contains(out, c.Value):
			b.report(KindDuplicate, c.Pos, "", "rule %s: %s names column %q twice", r.Name, what, c.Value)
			continue
		case len(c.Value) > maxName || checkText(c.Value) != nil:
			b.report(KindValue, c.Pos, "", "rule %s: %q is not a column's name", r.Name, clip(c.Value))
		}
		out = append(out, c.Value)
	}
	return out
}

// writable refuses to write masked columns (ENF-94), as far as names and labels tell.
func (b *builder) writable(r *Rule, t Table, columns []Text) {
	if r.Masks == "" || b.p.Masks[r.Masks] == nil {
		return
	}
	for _, c := range columns {
		if c.Value == "" {
			continue
		}
		column := Column{t, c.Value}
		if m := b.p.MaskOf(r, column, b.p.LabelOf(column)); !m.IsRaw() {
			b.report(KindConflict, c.Pos, fmt.Sprintf("add %s: keep to mask profile %s, or leave the column out", column, r.Masks),
				"rule %s: mask profile %s shows %s as %s, and masked columns are never writable", r.Name, r.Masks, c.Value, m)
		}
	}
}

// until reads a date or a time with its zone.
func (b *builder) until(t Text) time.Time {
	if t.Value == "" {
		return time.Time{}
	}
	if day, err := time.Parse(time.DateOnly, t.Value); err == nil {
		return day.AddDate(0, 0, 1)
	}
	if at, err := time.Parse(time.RFC3339, t.Value); err == nil {
		return at.UTC()
	}
	b.report(KindValue, t.Pos, "write a date such as 2027-06-30, or a time with its zone such as 2027-06-30T18:00:00Z", "until: %q is neither a date nor a time with its zone", t.Value)
	return time.Time{}
}

func (b *builder) require(e RequireEntry) Require {
	r := Require{TLS: e.TLS.Value, Pos: e.Pos}
	if e.Network != nil && len(e.Network) == 0 {
		b.report(KindValue, e.Pos, "leave the key out", "require.network names no network, so nobody could log in")
	}
	for _, t := range e.Network {
		switch t.Value {
		case "":
		case "local":
			r.Local = true
		default:
			if p, ok := b.prefix(t); ok {
				r.Network = append(r.Network, p)
			}
		}
	}
	return r
}

// prefix reads an address or a network. Bits below the prefix are refused: they are a typing mistake in one of the two.
func (b *builder) prefix(t Text) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(t.Value); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(t.Value)
	switch {
	case err != nil:
		hint := "write an address such as 10.1.2.3 or a network such as 10.0.0.0/8"
		if strings.Trim(t.Value, "0123456789.:/abcdefABCDEF") != "" {
			hint += "; host names are not looked up"
		}
		b.report(KindValue, t.Pos, hint, "%q is not an address or a network", t.Value)
	case p.Addr().Is4In6():
		b.report(KindValue, t.Pos, "write the IPv4 network", "%q is an IPv4 network in IPv6 clothes", t.Value)
	case p != p.Masked():
		b.report(KindValue, t.Pos, fmt.Sprintf("write %s, or %s for the one address", p.Masked(), p.Addr()), "%q has address bits beyond its prefix", t.Value)
	default:
		return p, true
	}
	return netip.Prefix{}, false
}

func (b *builder) network() {
	if b.doc.Network == nil {
		b.p.Network = defaultNetwork()
		return
	}
	if len(b.doc.Network) == 0 {
		b.report(KindValue, b.doc.NetworkPos, "leave the key out for the default", "network has no rule, so nobody could connect")
	}
	all := Pos{}
	for _, e := range b.doc.Network {
		r := b.networkRule(e)
		b.p.Network = append(b.p.Network, r)
		if !all.IsZero() {
			b.warn(r.Pos, "", "the network rule at %s matches everything before this one is asked", all)
		} else if r.Any && len(r.To) == 0 {
			all = r.Pos
		}
	}
}

func (b *builder) networkRule(e NetworkEntry) *NetworkRule {
	r := &NetworkRule{Auth: Auth(e.Auth.Value), TLS: TLSDemand(e.TLS.Value), Pos: e.Pos}
	if e.From == nil {
		b.report(KindMissing, e.Pos, "", "missing key %q", "from")
	} else if len(e.From) == 0 {
		b.report(KindValue, e.Pos, "write from: [all] for everywhere", "a network rule from nowhere")
	}
	for _, t := range e.From {
		switch t.Value {
		case "":
		case "all":
			r.Any = true
		case "local":
			r.Local = true
		default:
			if p, ok := b.prefix(t); ok {
				r.From = append(r.From, p)
			}
		}
	}
	r.To = b.subjects("network rule", e.To)
	if e.To != nil && len(e.To) == 0 {
		b.report(KindValue, e.Pos, "leave the key out for everybody", "a network rule to nobody")
	}
	b.networkDemand(r, e)
	return r
}

func (b *builder) networkDemand(r *NetworkRule, e NetworkEntry) {
	b.missing(e.Auth, e.Pos, "auth")
	switch r.Auth {
	case "", AuthSCRAM:
	case AuthReject:
		if r.TLS != TLSAny {
			b.report(KindConflict, e.TLS.Pos, "", "a network rule that rejects has no use for tls")
		}
	case AuthCert, AuthCertOrSCRAM:
		if !r.Any && len(r.From) == 0 && r.Local {
			b.report(KindConflict, e.Auth.Pos, "use auth: peer", "auth: %s needs TLS, which a Unix socket does not have", r.Auth)
		}
	case AuthPeer:
		if !r.Any && !r.Local {
			b.report(KindConflict, e.Auth.Pos, "write from: [local]", "auth: peer works on Unix sockets only")
		}
	default:
		b.report(KindValue, e.Auth.Pos, "", "auth is scram, cert, cert_or_scram, peer or reject, not %q", r.Auth)
	}
	switch r.TLS {
	case TLSAny, TLSRequire, TLSVerify:
	default:
		b.report(KindValue, e.TLS.Pos, "", "tls is require or verify, not %q", r.TLS)
	}
}
