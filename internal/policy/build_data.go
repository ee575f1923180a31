package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// column reads store.schema.table.column.
func (b *builder) column(t Text) (Column, bool) {
	parts, ok := b.location(t, 4, "store.schema.table.column")
	if !ok {
		return Column{}, false
	}
	return Column{Table{parts[0], parts[1], parts[2]}, parts[3]}, true
}

// table reads store.schema.table.
func (b *builder) table(t Text) (Table, bool) {
	parts, ok := b.location(t, 3, "store.schema.table")
	if !ok {
		return Table{}, false
	}
	return Table{parts[0], parts[1], parts[2]}, true
}

// location reads a location of exactly n names and checks what can be checked without a server: store and schema.
func (b *builder) location(t Text, n int, form string) ([]string, bool) {
	parts, err := splitLocation(t.Value)
	if err != nil {
		b.report(KindSyntax, t.Pos, "write "+form, "%q: %v", t.Value, err)
		return nil, false
	}
	if len(parts) != n {
		b.report(KindSyntax, t.Pos, "", "%q is not of the form %s", t.Value, form)
		return nil, false
	}
	names := make([]string, n)
	for i, p := range parts {
		if !p.quoted && strings.Contains(p.text, "*") {
			b.report(KindSyntax, t.Pos, "", "%q: * has no place here", t.Value)
			return nil, false
		}
		names[i] = p.text
	}
	return names, b.reachable(t, names[0], names[1])
}

// reachable checks that a store exists and that a schema is among those it serves.
func (b *builder) reachable(t Text, store, schema string) bool {
	s := b.p.Stores[store]
	if s == nil {
		b.report(KindDangling, t.Pos, meant(b, store, b.p.Stores), "%q: there is no store %q", t.Value, store)
		return false
	}
	if !slices.Contains(s.Schemas, schema) {
		hint := fmt.Sprintf("add it to stores.%s.schemas", store)
		if near := Nearest(schema, s.Schemas); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		b.report(KindDangling, t.Pos, hint, "%q: store %s does not serve schema %q", t.Value, store, schema)
		return false
	}
	return true
}

func (b *builder) labels() {
	for _, e := range b.doc.Labels.Entries {
		if e.Value.Value != "" {
			if err := checkLabel(e.Value.Value); err != nil {
				b.report(KindValue, e.Value.Pos, "a label is one to three lower-case words with dots between, such as contact.email", "label %q: %v", e.Value.Value, err)
			}
		}
		c, ok := b.column(e.Key)
		if !ok {
			continue
		}
		if other := b.p.Labels[c]; other != nil {
			b.report(KindDuplicate, e.Key.Pos, "", "column %s is labelled at %s already", c, other.Pos)
			continue
		}
		b.p.Labels[c] = &Label{Column: c, Class: e.Value.Value, Pos: e.Key.Pos}
	}
}

// maxLabelParts keeps labels shorter than the four parts of a column, so that a mask profile's key cannot be both.
const maxLabelParts = 3

func checkLabel(s string) error {
	parts := strings.Split(s, ".")
	if s == PatternUnlabelled {
		return fmt.Errorf("the word stands for columns without a label")
	}
	if len(parts) > maxLabelParts {
		return fmt.Errorf("more than %d parts", maxLabelParts)
	}
	for _, p := range parts {
		if p == "" || len(p) > maxName || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return fmt.Errorf("not a label")
		}
	}
	return nil
}

func (b *builder) masks() {
	for _, e := range b.doc.Masks.Entries {
		b.name("mask profile", e.Key)
		m := &MaskProfile{Name: e.Key.Value, Pos: e.Key.Pos}
		b.p.Masks[m.Name] = m
		columns := map[Column]Pos{}
		for _, line := range e.Value.Entries {
			entry := MaskEntry{Pattern: line.Key.Value, Pos: line.Key.Pos}
			ok := b.maskPattern(&entry, line.Key)
			if ok && entry.Column != nil {
				if other, twice := columns[*entry.Column]; twice {
					b.report(KindDuplicate, entry.Pos, "", "column %s has a mask at %s already", entry.Column, other)
				}
				columns[*entry.Column] = entry.Pos
			}
			if line.Value.Value == "" {
				continue
			}
			mask, good := b.mask(line.Value)
			if entry.Mask = mask; ok && good {
				m.Entries = append(m.Entries, entry)
			}
		}
	}
}

func (b *builder) maskPattern(entry *MaskEntry, key Text) bool {
	if entry.Pattern == PatternAny || entry.Pattern == PatternUnlabelled {
		return true
	}
	if prefix, ok := strings.CutSuffix(entry.Pattern, ".*"); ok && checkLabel(prefix) == nil {
		return true
	}
	if checkLabel(entry.Pattern) == nil {
		return true
	}
	if parts, err := splitLocation(entry.Pattern); err == nil && len(parts) == 4 {
		c, ok := b.column(key)
		entry.Column = &c
		return ok
	}
	b.report(KindSyntax, key.Pos, `write a label, a prefix such as "id.*", "*", unlabelled, or store.schema.table.column`, "%q names neither a label nor a column", entry.Pattern)
	return false
}

func (b *builder) mask(t Text) (Mask, bool) {
	m, err := ParseMask(t.Value)
	if err != nil {
		e := asMaskError(err)
		b.report(KindSyntax, t.At(e.Offset), e.Hint, "%s", e.Message)
		return Mask{}, false
	}
	m.Pos = t.Pos
	if m.Name == Expression || m.Name == NullIf {
		if offset, err := b.syntax.CheckMaskExpression(m.Args[0]); err != nil {
			at := -1
			if start := strings.Index(t.Value, m.Args[0]); start >= 0 && offset >= 0 {
				at = start + offset
			}
			b.report(KindSyntax, t.At(at), "", "mask expression: %v", err)
			return Mask{}, false
		}
	}
	return m, true
}

// maxPatterns bounds the locations of all datasets together: they are compared with one another.
const maxPatterns = 4000

func (b *builder) datasets() {
	total := 0
	for _, e := range b.doc.Datasets.Entries {
		b.name("dataset", e.Key)
		d := &Dataset{Name: e.Key.Value, Slack: SlackUse(e.Value.Slack.Value), Statement: StatementText(e.Value.Statement.Value), Pos: e.Key.Pos}
		if d.Slack == "" {
			d.Slack = SlackNotices
		}
		if d.Statement == "" {
			d.Statement = StatementOmit
		}
		b.p.Datasets[d.Name] = d
		b.channel(d, e.Value.Channel)
		d.Review = b.review(d, e.Value.Review)
		d.Owners = b.subjects("owners of "+d.Name, e.Value.Owners)
		if q := e.Value.Request; !q.Pos.IsZero() {
			if !q.Approvers.Pos.IsZero() {
				d.Approvers = b.approvers("dataset "+d.Name, q.Approvers)
			}
			if d.Purpose = q.Purpose.Value == "required"; d.Purpose && len(b.p.Purposes) == 0 {
				b.report(KindMissing, q.Purpose.Pos, "list them under the key purposes", "dataset %s wants a purpose, and the file names none", d.Name)
			}
		}
		if e.Value.Include == nil {
			b.report(KindMissing, e.Value.Pos, "", "missing key %q", "include")
		} else if len(e.Value.Include) == 0 {
			b.report(KindValue, e.Value.Pos, "", "dataset %s includes nothing", d.Name)
		}
		d.Include = b.patterns(d.Name, e.Value.Include)
		d.Exclude = b.patterns(d.Name, e.Value.Exclude)
		total += len(d.Include) + len(d.Exclude)
		for _, in := range d.Include {
			if i := slices.IndexFunc(d.Exclude, func(out TablePattern) bool { return same(in, out) }); i >= 0 {
				b.report(KindConflict, in.Pos, "", "dataset %s both includes and excludes %s", d.Name, in)
			}
		}
	}
	if total > maxPatterns {
		b.report(KindLimit, b.doc.Datasets.Pos, "name whole schemas instead of single tables", "datasets name %d locations; at most %d can be compared", total, maxPatterns)
		return
	}
	b.overlaps()
}

// slackChannel is what Slack calls a channel; its name would be another's tomorrow.
var slackChannel = regexp.MustCompile(`^[CG][A-Z0-9]{2,20}$`)

func (b *builder) channel(d *Dataset, t Text) {
	d.Channel = t.Value
	switch {
	case t.Pos.IsZero():
	case !slackChannel.MatchString(t.Value):
		b.report(KindValue, t.Pos, "write the channel's id, which stands at the end of its link", "slack_channel: %q is not the id of a channel", t.Value)
	case d.Slack == SlackOff:
		b.report(KindConflict, t.Pos, "leave out one of them", "dataset %s has slack: off and a slack_channel", d.Name)
	}
}

// The time for answers where nobody says another, and the shortest there can be: some owner has to come by.
const (
	reviewDue      = 14 * 24 * time.Hour
	reviewShortest = 24 * time.Hour
)

func (b *builder) review(d *Dataset, e ReviewEntry) *Review {
	if e.Pos.IsZero() {
		return nil
	}
	out := &Review{Every: b.span(e.Every, "every", Span{}), Due: b.span(e.Due, "due", Span{Time: reviewDue}), Revoke: e.Overdue.Value == "revoke", Pos: e.Pos}
	day := Span{Time: reviewShortest}
	switch {
	case e.Every.Value == "":
		b.report(KindMissing, e.Pos, "write every: 90d", "dataset %s: review: missing key %q", d.Name, "every")
	case out.Every.IsZero() || out.Due.IsZero(): // one cannot be read, which is said already
	case out.Every.Never || out.Due.Never:
		b.report(KindValue, e.Pos, "leave out review", "dataset %s: a review that never comes is none", d.Name)
	case !day.Within(out.Due, time.Time{}):
		b.report(KindValue, e.Due.Pos, "write 1d or more", "dataset %s: review: due %s is less than a day", d.Name, out.Due)
	case out.Every.Within(out.Due, time.Time{}):
		b.report(KindConflict, e.Pos, "write a shorter due", "dataset %s: the next review begins after %s, before the answers of this one are due, after %s", d.Name, out.Every, out.Due)
	}
	return out
}

func same(a, b TablePattern) bool {
	return a.Store == b.Store && a.Schema == b.Schema && a.Table == b.Table
}

func (b *builder) patterns(dataset string, list []Text) []TablePattern {
	var out []TablePattern
	seen := map[TablePattern]bool{}
	for _, t := range list {
		if t.Value == "" {
			continue
		}
		p, ok := b.pattern(t)
		if !ok {
			continue
		}
		if key := (TablePattern{Store: p.Store, Schema: p.Schema, Table: p.Table}); seen[key] {
			b.report(KindDuplicate, t.Pos, "", "dataset %s names %s twice", dataset, p)
			continue
		} else {
			seen[key] = true
		}
		out = append(out, p)
	}
	return out
}

// pattern reads a location of one to three parts. "*" as a whole part stands for any name; trailing ones are left out.
func (b *builder) pattern(t Text) (TablePattern, bool) {
	parts, err := splitLocation(t.Value)
	if err != nil {
		b.report(KindSyntax, t.Pos, "write store, store.schema or store.schema.table", "%q: %v", t.Value, err)
		return TablePattern{}, false
	}
	if len(parts) > 3 {
		b.report(KindSyntax, t.Pos, "columns are hidden by masks, not by datasets", "%q has more parts than store.schema.table", t.Value)
		return TablePattern{}, false
	}
	var names [3]string
	for i, p := range parts {
		switch {
		case p.quoted || !strings.Contains(p.text, "*"):
			names[i] = p.text
		case p.text == "*":
			names[i] = "*"
		default:
			b.report(KindSyntax, t.Pos, "", "%q: * stands for a whole name only", t.Value)
			return TablePattern{}, false
		}
		if p.quoted && p.text == "*" {
			b.report(KindValue, t.Pos, "", "%q: a name that is a star cannot be told from any name", t.Value)
			return TablePattern{}, false
		}
	}
	for i := 2; i >= 0 && (names[i] == "*" || names[i] == ""); i-- {
		names[i] = ""
	}
	p := TablePattern{Store: names[0], Schema: names[1], Table: names[2], Pos: t.Pos}
	return p, b.patternReachable(t, p)
}

func (b *builder) patternReachable(t Text, p TablePattern) bool {
	if p.Store == "" || p.Store == "*" {
		return true
	}
	if p.Schema == "" || p.Schema == "*" {
		if b.p.Stores[p.Store] == nil {
			b.report(KindDangling, t.Pos, meant(b, p.Store, b.p.Stores), "%q: there is no store %q", t.Value, p.Store)
			return false
		}
		return true
	}
	return b.reachable(t, p.Store, p.Schema)
}

// overlaps refuses a location in two datasets unless one of them names it by a longer pattern (ACC-01).
//
// For each two includes of equal length that can cover one table, it looks at a table with fresh names in place of the
// stars both have. That one is enough: whatever pattern covers it covers every table that both cover, so if any table is in
// both datasets by these two patterns, so is this one.
func (b *builder) overlaps() {
	type located struct {
		TablePattern
		dataset *Dataset
	}
	byLength := [4][]located{}
	for _, e := range b.doc.Datasets.Entries {
		d := b.p.Datasets[e.Key.Value]
		for _, p := range d.Include {
			byLength[p.Length()] = append(byLength[p.Length()], located{p, d})
		}
	}
	found := 0
	for length, list := range byLength {
		for i, x := range list {
			for _, y := range list[i+1:] {
				if x.dataset == y.dataset {
					continue
				}
				t, ok := witness(x.TablePattern, y.TablePattern)
				if !ok || x.dataset.match(t) != length || y.dataset.match(t) != length {
					continue
				}
				b.report(KindConflict, y.Pos, "exclude it in one of them, or name it by a longer location", "%s is also in dataset %s, at %s", y.TablePattern, x.dataset.Name, x.Pos)
				if found++; found == maxSuggestions {
					return
				}
			}
		}
	}
}

// witness is a table that both patterns cover, with names that no other pattern can hold where neither says one.
func witness(x, y TablePattern) (Table, bool) {
	const fresh = "\x00"
	meet := func(a, b string) (string, bool) {
		switch {
		case a == "" || a == "*":
			a = b
		case b != "" && b != "*" && a != b:
			return "", false
		}
		if a == "" || a == "*" {
			a = fresh
		}
		return a, true
	}
	var t Table
	var ok [3]bool
	t.Store, ok[0] = meet(x.Store, y.Store)
	t.Schema, ok[1] = meet(x.Schema, y.Schema)
	t.Name, ok[2] = meet(x.Table, y.Table)
	return t, ok[0] && ok[1] && ok[2]
}
