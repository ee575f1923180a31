package differ

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// subjects are those of every world.
func subjects() []string { return []string{"u1", "u2", "u3", "u4"} }

// NewWorld makes data and a policy. The same seed makes the same.
func NewWorld(seed uint64) *World {
	r := rand.New(rand.NewPCG(seed, 0))
	w := &World{Attrs: map[string]string{}}
	for _, s := range subjects() {
		w.Attrs[s] = teams()[r.IntN(3)]
	}
	w.Tables = []*Table{people(r), orders(r), places(r)}
	for i := range 4 {
		w.Rules = append(w.Rules, w.rule(r, fmt.Sprintf("r%d", i+1)))
	}
	for i, s := range subjects() {
		// Each subject holds one to three rules; the first holds one, so that a plain profile is always there.
		for _, n := range r.Perm(len(w.Rules))[:1+i%3] {
			w.Rules[n].To = append(w.Rules[n].To, s)
		}
	}
	for _, rule := range w.Rules {
		if len(rule.To) == 0 {
			rule.To = []string{subjects()[r.IntN(4)]}
		}
	}
	return w
}

func teams() []string { return []string{"red", "blue", "Grün"} }

func maybe(r *rand.Rand, v string) Value {
	if r.IntN(8) == 0 {
		return nil
	}
	return &v
}

func oneOf(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

func people(r *rand.Rand) *Table {
	t := &Table{Name: "people", Columns: []Column{
		{"id", "int"},
		{"owner", "text"},
		{"team", "text"},
		{"grade", "int"},
		{"email", "text"},
		{"note", "varchar(20)"},
		{"amount", "numeric(12,2)"},
		{"born", "date"},
		{"seen", "timestamp"},
		{"stamp", "timestamptz"},
		{"uid", "uuid"},
		{"raw", "bytea"},
		{"active", "boolean"},
		{"doc", "jsonb"},
		{"nums", "int[]"},
	}}
	for i := range 40 {
		day := fmt.Sprintf("%d-%02d-%02d", 1950+r.IntN(70), 1+r.IntN(12), 1+r.IntN(28))
		t.Rows = append(t.Rows, Row{
			"id": text(strconv.Itoa(i + 1)), "owner": maybe(r, oneOf(r, subjects()...)), "team": maybe(r, oneOf(r, teams()...)), "grade": maybe(r, strconv.Itoa(r.IntN(6))),
			"email": maybe(r, oneOf(r, fmt.Sprintf("ann%d@x.test", i), "@home", "no address", "a@b@c.test", "", "Ünal@ü.test", fmt.Sprintf("b%d@y.test", i%5))),
			"note":  maybe(r, oneOf(r, "short", "a", "", "exactly twenty chars", "ünïcödé", fmt.Sprintf("note %d", i))), "amount": maybe(r, fmt.Sprintf("%d.%02d", r.IntN(1000)-200, r.IntN(100))),
			"born": maybe(r, day), "seen": maybe(r, day+oneOf(r, " 00:00:00", " 23:59:59", " 12:30:00")), "stamp": maybe(r, day+" 22:10:00+00"), "uid": maybe(r, fmt.Sprintf("%08x-0000-4000-8000-%012x", r.IntN(9), r.IntN(9))),
			"raw": maybe(r, oneOf(r, `\x`, `\x00ff`, `\x41`)), "active": maybe(r, oneOf(r, "t", "f")), "doc": maybe(r, oneOf(r, "{}", `{"k": 1, "name": "n"}`, "[1, 2]", `"s"`, "null")), "nums": maybe(r, oneOf(r, "{}", "{1,2,3}", "{NULL,5}")),
		})
	}
	return t
}

func orders(r *rand.Rand) *Table {
	t := &Table{Name: "orders", Columns: []Column{{"id", "int"}, {"person_id", "int"}, {"team", "text"}, {"memo", "text"}, {"qty", "int"}, {"price", "numeric(12,2)"}, {"placed", "date"}}}
	for i := range 60 {
		t.Rows = append(t.Rows, Row{
			"id": text(strconv.Itoa(100 + i)), "person_id": maybe(r, strconv.Itoa(1+r.IntN(45))), "team": maybe(r, oneOf(r, teams()...)), "memo": maybe(r, oneOf(r, "paid", "open", "x@y", fmt.Sprintf("memo %d", i))),
			"qty": maybe(r, strconv.Itoa(r.IntN(10))), "price": maybe(r, fmt.Sprintf("%d.50", r.IntN(90))), "placed": maybe(r, fmt.Sprintf("2024-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28))),
		})
	}
	return t
}

func places(r *rand.Rand) *Table {
	t := &Table{Name: "places", Columns: []Column{{"id", "int"}, {"name", "text"}, {"size", "bigint"}}}
	for i := range 8 {
		t.Rows = append(t.Rows, Row{"id": text(strconv.Itoa(i + 1)), "name": maybe(r, oneOf(r, "Oslo", "Bonn", "Æ")), "size": maybe(r, strconv.Itoa(r.IntN(5)*1000))})
	}
	return t
}

// rule makes masks and filters. The key is always shown, so that joins have something to join.
func (w *World) rule(r *rand.Rand, name string) *Rule {
	rule := &Rule{Name: name, Rows: map[string]Filter{}, Masks: map[string]map[string]Mask{}}
	for _, t := range w.Tables {
		rule.Masks[t.Name] = map[string]Mask{}
		for _, c := range t.Columns {
			m := keep()
			if c.Name != "id" && r.IntN(3) > 0 {
				fits := masksFor(r, c)
				m = fits[r.IntN(len(fits))]
			}
			rule.Masks[t.Name][c.Name] = m
		}
	}
	rule.Rows["people"] = peopleFilter(r, 2)
	rule.Rows["orders"] = orderFilter(r)
	rule.Rows["places"] = Filter{"true", func(*World, *Rule, string, Row) truth { return yes }}
	return rule
}

// compared compares a column with a constant by a test of the order of both.
func compared(col, op, constant, quoted string, test func(order int) bool, order func(a, b string) int) Filter {
	return Filter{col + " " + op + " " + quoted, func(_ *World, _ *Rule, _ string, r Row) truth {
		if r[col] == nil {
			return unknown
		}
		return of(test(order(*r[col], constant)))
	}}
}

func of(b bool) truth {
	if b {
		return yes
	}
	return no
}

func numbers(a, b string) int {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	if errX != nil || errY != nil {
		return strings.Compare(a, b)
	}
	return x - y
}

// simpleFilter is one comparison over people.
func simpleFilter(r *rand.Rand) Filter {
	equal := func(o int) bool { return o == 0 }
	team, grade, day := oneOf(r, teams()...), strconv.Itoa(r.IntN(6)), fmt.Sprintf("%d-06-15", 1955+r.IntN(60))
	switch r.IntN(9) {
	case 0:
		return compared("team", "=", team, "'"+team+"'", equal, strings.Compare)
	case 1:
		return compared("team", "<>", team, "'"+team+"'", func(o int) bool { return o != 0 }, strings.Compare)
	case 2:
		return compared("grade", "<", grade, grade, func(o int) bool { return o < 0 }, numbers)
	case 3:
		return compared("grade", ">=", grade, grade, func(o int) bool { return o >= 0 }, numbers)
	case 4:
		return compared("born", "<", day, "date '"+day+"'", func(o int) bool { return o < 0 }, strings.Compare)
	case 5:
		return Filter{"email IS NULL", func(_ *World, _ *Rule, _ string, row Row) truth { return of(row["email"] == nil) }}
	case 6:
		return Filter{"active", func(_ *World, _ *Rule, _ string, row Row) truth {
			if row["active"] == nil {
				return unknown
			}
			return of(*row["active"] == "t")
		}}
	case 7:
		return Filter{"owner = subject.name", func(_ *World, _ *Rule, subject string, row Row) truth {
			if row["owner"] == nil {
				return unknown
			}
			return of(*row["owner"] == subject)
		}}
	}
	return Filter{"team = subject.team", func(w *World, _ *Rule, subject string, row Row) truth {
		if row["team"] == nil {
			return unknown
		}
		return of(*row["team"] == w.Attrs[subject])
	}}
}

// peopleFilter combines comparisons.
func peopleFilter(r *rand.Rand, depth int) Filter {
	if depth == 0 || r.IntN(2) == 0 {
		return simpleFilter(r)
	}
	a, b := peopleFilter(r, depth-1), peopleFilter(r, depth-1)
	switch r.IntN(5) {
	case 0:
		return Filter{"NOT (" + a.Text + ")", func(w *World, rule *Rule, s string, row Row) truth { return -a.truth(w, rule, s, row) }}
	case 1, 2:
		return Filter{"(" + a.Text + " AND " + b.Text + ")", func(w *World, rule *Rule, s string, row Row) truth {
			return min(a.truth(w, rule, s, row), b.truth(w, rule, s, row))
		}}
	}
	return Filter{"(" + a.Text + " OR " + b.Text + ")", func(w *World, rule *Rule, s string, row Row) truth {
		return max(a.truth(w, rule, s, row), b.truth(w, rule, s, row))
	}}
}

// orderFilter follows people half of the time: it sees those that its own rule admits.
func orderFilter(r *rand.Rand) Filter {
	if r.IntN(2) == 0 {
		qty := strconv.Itoa(r.IntN(8))
		return compared("qty", "<=", qty, qty, func(o int) bool { return o <= 0 }, numbers)
	}
	inner := simpleFilter(r)
	return Filter{"person_id IN (SELECT id FROM people WHERE " + inner.Text + ")", func(w *World, rule *Rule, s string, row Row) truth {
		if row["person_id"] == nil {
			return unknown
		}
		for _, p := range w.Table("people").Rows {
			if *p["id"] == *row["person_id"] && inner.truth(w, rule, s, p) == yes && rule.Rows["people"].truth(w, rule, s, p) == yes {
				return yes
			}
		}
		return no
	}}
}
