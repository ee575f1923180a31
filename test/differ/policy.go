// Package differ compares the gateway with a second opinion. It makes random policies over random data, works out in Go, on
// its own, which rows and which forms of each value a subject may see, stores exactly these in tables of their own, and then
// asks random queries twice: the subject through the gateway, and a superuser over the prepared tables. Both answers have to be
// the same. It shares no line with the compiler that it checks.
package differ

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Value is a value as PostgreSQL prints it; nil is NULL.
type Value = *string

// Row is a row by the names of its columns.
type Row map[string]Value

// Column is one of a table.
type Column struct{ Name, Type string }

// Table is a table with its rows.
type Table struct {
	Name    string
	Columns []Column
	Rows    []Row
}

// Mask is a mask, as the policy file writes it and as this package understands it.
type Mask struct {
	Text     string
	strength int // ENF-36: what is less masked comes first
	apply    func(k Keys, typ string, v string) Value
}

// Keys are the two padded keys of pseudonyms.
type Keys struct{ Inner, Outer []byte }

// Filter is a row filter; Holds is what SQL calls true.
type Filter struct {
	Text  string
	truth func(w *World, rule *Rule, subject string, r Row) truth
}

// truth is SQL's: unknown is the third value.
type truth int8

const (
	no truth = iota - 1
	unknown
	yes
)

// Rule is one line of the policy.
type Rule struct {
	Name  string
	Rows  map[string]Filter          // by table
	Masks map[string]map[string]Mask // by table and column
	To    []string
}

// World is the data and the policy.
type World struct {
	Tables []*Table
	Rules  []*Rule
	Attrs  map[string]string // the attribute team of each subject
}

// Table finds a table by its name.
func (w *World) Table(name string) *Table {
	i := slices.IndexFunc(w.Tables, func(t *Table) bool { return t.Name == name })
	return w.Tables[i]
}

// View is what a subject sees of a table: each row that some rule admits, each value in the least masked form among the
// rules that admit that row.
func (w *World) View(t *Table, subject string, k Keys) []Row {
	var out []Row
	for _, r := range t.Rows {
		var admitting []*Rule
		for _, rule := range w.Rules {
			if slices.Contains(rule.To, subject) && rule.Rows[t.Name].truth(w, rule, subject, r) == yes {
				admitting = append(admitting, rule)
			}
		}
		if len(admitting) == 0 {
			continue
		}
		shown := Row{}
		for _, c := range t.Columns {
			best := slices.MinFunc(admitting, func(a, b *Rule) int {
				x, y := a.Masks[t.Name][c.Name], b.Masks[t.Name][c.Name]
				return cmp.Or(x.strength-y.strength, w.first(subject, t, c, x)-w.first(subject, t, c, y))
			}).Masks[t.Name][c.Name]
			shown[c.Name] = best.show(k, c.Type, r[c.Name])
		}
		out = append(out, shown)
	}
	return out
}

// first is the place of the first rule of a subject's that gives a column this form. It decides between forms of equal strength, whichever
// of the rules with the form admits the row: a form is one branch for all its rules (ENF-35, ENF-36).
func (w *World) first(subject string, t *Table, c Column, m Mask) int {
	return slices.IndexFunc(w.Rules, func(r *Rule) bool {
		return slices.Contains(r.To, subject) && r.Masks[t.Name][c.Name].Text == m.Text
	})
}

// show applies a mask. NULL stays NULL, but for a constant.
func (m Mask) show(k Keys, typ string, v Value) Value {
	if v == nil {
		if m.strength == constant {
			return m.apply(k, typ, "")
		}
		return nil
	}
	return m.apply(k, typ, *v)
}

// The order of forms.
const (
	raw = iota
	partial
	pseudonym
	generalised
	constant
	null
)

func text(s string) Value { return &s }

const stars = "***"

// keep shows the value.
func keep() Mask {
	return Mask{"keep", raw, func(_ Keys, _, v string) Value { return &v }}
}

// hidden shows nothing.
func hidden() Mask {
	return Mask{"hidden", null, func(Keys, string, string) Value { return nil }}
}

// fixed shows the same value everywhere.
func fixed(v string) Mask {
	return Mask{fmt.Sprintf("constant(%q)", v), constant, func(Keys, string, string) Value { return &v }}
}

// domain is what follows the last @.
func domain(v string) string { return v[strings.LastIndexByte(v, '@')+1:] }

// textMasks are those that fit a text of some room.
func textMasks(r *rand.Rand) []Mask {
	p, s, n := r.IntN(4), 1+r.IntN(3), 1+r.IntN(4)
	return []Mask{
		keep(), hidden(), fixed("x"),
		{fmt.Sprintf("partial(%d, %d)", p, s), partial, func(_ Keys, _, v string) Value {
			if u := []rune(v); len(u) > p+s {
				return text(string(u[:p]) + stars + string(u[len(u)-s:]))
			}
			return text(stars)
		}},
		{fmt.Sprintf("keep_last(%d)", n), partial, func(_ Keys, _, v string) Value {
			if u := []rune(v); len(u) > n {
				return text(stars + string(u[len(u)-n:]))
			}
			return text(stars)
		}},
		{"partial_email", partial, func(_ Keys, _, v string) Value {
			at := strings.IndexByte(v, '@')
			if at < 0 {
				return text(stars)
			}
			first := []rune(v[:at])
			return text(string(first[:min(1, len(first))]) + stars + "@" + domain(v))
		}},
		{"email_domain_only", partial, func(_ Keys, _, v string) Value {
			if !strings.Contains(v, "@") {
				return text(stars)
			}
			return text(domain(v))
		}},
		digest("hash"), digest("pseudonym"),
	}
}

// digest is hash or pseudonym: hexadecimal digits for a text, cut to its room; the first 16 bytes for a uuid; the bytes themselves for bytea.
func digest(name string) Mask {
	return Mask{name, pseudonym, func(k Keys, typ, v string) Value {
		input := []byte(v)
		if typ == "uuid" || typ == "bytea" {
			var err error
			if input, err = hex.DecodeString(strings.TrimPrefix(strings.ReplaceAll(v, "-", ""), `\x`)); err != nil {
				return text("not hexadecimal: " + v)
			}
		}
		sum := sha256.Sum256(input)
		if name == "pseudonym" {
			inner := sha256.Sum256(append(slices.Clone(k.Inner), input...))
			sum = sha256.Sum256(append(slices.Clone(k.Outer), inner[:]...))
		}
		out := hex.EncodeToString(sum[:])
		switch typ {
		case "uuid":
			out = out[:32]
		case "bytea":
			out = `\x` + out
		case "varchar(20)":
			out = out[:20]
		}
		return &out
	}}
}

// cut is year or month: the first day of it.
func cut(name string, keepBytes int, rest string) Mask {
	return Mask{name, generalised, func(_ Keys, typ, v string) Value {
		out := v[:keepBytes] + rest
		switch typ {
		case "timestamp":
			out += " 00:00:00"
		case "timestamptz":
			out += " 00:00:00+00"
		}
		return &out
	}}
}

// masksFor are the masks that fit a type.
func masksFor(r *rand.Rand, c Column) []Mask {
	switch c.Type {
	case "text", "varchar(20)":
		return textMasks(r)
	case "date", "timestamp", "timestamptz":
		return []Mask{keep(), hidden(), cut("year", 4, "-01-01"), cut("month", 7, "-01"), fixed("2001-02-03")}
	case "uuid":
		return []Mask{keep(), hidden(), digest("hash"), digest("pseudonym"), fixed("00000000-0000-0000-0000-000000000009")}
	case "bytea":
		return []Mask{keep(), hidden(), digest("hash"), digest("pseudonym"), fixed(`\x00`)}
	case "int", "numeric(12,2)", "bigint":
		return []Mask{keep(), hidden(), fixed("7")}
	case "boolean":
		return []Mask{keep(), hidden(), fixed("true")}
	case "jsonb":
		return []Mask{keep(), hidden(), fixed("{}")}
	case "int[]":
		return []Mask{keep(), hidden(), fixed("{1,2}")}
	}
	return []Mask{keep(), hidden()}
}
