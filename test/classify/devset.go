// Package classify is the development set of `postern discover`: tables of many domains and countries with known labels,
// generated from fixed seeds, and the scores of the classifier on them. Tables and labels were written from the taxonomy, values
// come from lists of their own; how far those overlap with the classifier's dictionaries is printed with the scores.
package classify

import (
	"bufio"
	_ "embed"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
)

//go:embed devset.txt
var devset string

//go:embed heldout.txt
var heldout string

//go:embed blind.txt
var blind string

//go:embed fresh.txt
var fresh string

// Table is one labelled table.
type Table struct {
	Domain, Schema, Name, Locale string
	Rows                         int
	Columns                      []Column
}

// Column is one labelled column with its generated values; a nil value is NULL.
type Column struct {
	Name, Type, Class, Difficulty string // Class is empty for columns that hold nothing sensitive
	Values                        []*string
}

// Load parses the development set and generates its values. The same seed gives the same values.
func Load(seed uint64) ([]Table, error) { return load("devset", devset, locales, seed, 1) }

// Sized is the beginning of the development set, with at least so many columns and about so many rows: what a run costs is stated for a size.
func Sized(seed uint64, columns, rows int) ([]Table, error) {
	all, err := Load(seed)
	if err != nil {
		return nil, err
	}
	n, have, cols := 0, 0, 0
	for ; n < len(all) && cols < columns; n++ {
		cols += len(all[n].Columns)
		have += all[n].Rows
	}
	all, err = load("devset", devset, locales, seed, float64(rows)/float64(have))
	return all[:n], err
}

// Heldout is the second set: other schemas, other habits of naming and storing, other values. It measures; the classifier is
// not fitted to it.
func Heldout(seed uint64) ([]Table, error) {
	return load("heldout", heldout, heldoutLocales, seed, 1)
}

// Blind is the third set, in two halves: tables at odd places of its file, which may be read to see what goes wrong, and those at
// even places, which are only ever scored. The second half tells whether a change of the model is true in general.
func Blind(seed uint64) (open, shut []Table, err error) {
	return halves(load("blind", blind, blindLocales, seed, 1))
}

// Fresh is the fourth set, in two halves as the blind one: schemas that people have, written from the taxonomy by somebody who had
// seen neither the model nor its word lists.
func Fresh(seed uint64) (open, shut []Table, err error) {
	return halves(load("fresh", fresh, freshLocales, seed, 1))
}

func halves(all []Table, err error) (open, shut []Table, _ error) {
	for i, t := range all {
		if i%2 == 0 {
			open = append(open, t)
		} else {
			shut = append(shut, t)
		}
	}
	return open, shut, err
}

func load(set, text string, locs map[string]locale, seed uint64, factor float64) ([]Table, error) {
	var out []Table
	sc := bufio.NewScanner(strings.NewReader(text))
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "@ "); ok {
			f := strings.Fields(rest)
			schema, name, ok := strings.Cut(f[1], ".")
			if len(f) != 4 || !ok {
				return nil, fmt.Errorf("%s line %d: malformed table", set, n)
			}
			rows, _ := strconv.Atoi(f[2])
			out = append(out, Table{Domain: f[0], Schema: schema, Name: name, Rows: int(float64(rows)*factor + 0.5), Locale: f[3]})
			continue
		}
		f := fields(line)
		if len(f) != 5 || len(out) == 0 {
			return nil, fmt.Errorf("%s line %d: want 5 fields", set, n)
		}
		t := &out[len(out)-1]
		c := Column{Name: f[0], Type: f[1], Class: strings.TrimPrefix(f[2], "-"), Difficulty: f[4]}
		h := fnv.New64a()
		h.Write([]byte(t.Schema + t.Name + c.Name))
		g := &generator{r: rand.New(rand.NewPCG(seed, h.Sum64())), loc: locs[t.Locale], rows: t.Rows} //nolint:gosec // reproducible test data
		spec, missing := sparse(f[3])
		for i := range t.Rows {
			if missing > 0 && g.r.Float64() < missing {
				c.Values = append(c.Values, nil)
				continue
			}
			v, err := g.value(spec, i)
			if err != nil {
				return nil, fmt.Errorf("%s line %d: %w", set, n, err)
			}
			if i > 2 && c.Class != "" && g.r.IntN(20) == 0 {
				c.Values = append(c.Values, nil)
				continue
			}
			c.Values = append(c.Values, &v)
		}
		t.Columns = append(t.Columns, c)
	}
	return out, sc.Err()
}

// fields cuts a line into name, type, class, generator and difficulty; the generator may hold bars itself.
func fields(line string) []string {
	f := strings.SplitN(line, "|", 4)
	if i := strings.LastIndexByte(f[len(f)-1], '|'); len(f) == 4 && i >= 0 {
		f = append(f[:3], f[3][:i], f[3][i+1:])
	}
	return f
}

// sparse reads sparse:share:generator, of a column that is mostly NULL.
func sparse(spec string) (string, float64) {
	rest, ok := strings.CutPrefix(spec, "sparse:")
	if !ok {
		return spec, 0
	}
	share, rest, _ := strings.Cut(rest, ":")
	p, _ := strconv.ParseFloat(share, 64)
	return rest, p
}

type generator struct {
	r    *rand.Rand
	loc  locale
	rows int
}

func w(s string) []string { return strings.Fields(s) }

func l(s string) []string { return strings.Split(s, "|") }

func (g *generator) pick(list []string) string { return list[g.r.IntN(len(list))] }

// code fills a pattern: d digit, N digit 2-9, A letter; everything else stays.
func (g *generator) code(p string) string {
	b := []byte(p)
	for i, c := range b {
		switch c {
		case 'd':
			b[i] = byte('0' + g.r.IntN(10))
		case 'N':
			b[i] = byte('2' + g.r.IntN(8))
		case 'A':
			b[i] = "ABCDEFGHJKLMNPRSTUVWXYZ"[g.r.IntN(23)]
		}
	}
	return string(b)
}

// patterned is code that leaves the letters of a literal prefix alone: capitals directly before digits of the pattern count
// as literal when the pattern starts with two or more of them that spell no run of A.
func (g *generator) patterned(p string) string {
	i := 0
	for i < len(p) && p[i] >= 'A' && p[i] <= 'Z' && (p[i] != 'A' || i > 0 && p[0] != 'A') && p[i] != 'd' {
		i++
	}
	return p[:i] + g.code(p[i:])
}

func (g *generator) digits(n int) string { return g.code(strings.Repeat("d", n)) }

func (g *generator) between(a, b int) int { return a + g.r.IntN(b-a+1) }

func (g *generator) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdef"[g.r.IntN(16)]
	}
	return string(b)
}

func (g *generator) from(set string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = set[g.r.IntN(len(set))]
	}
	return string(b)
}

func (g *generator) date(from, to int) string {
	return fmt.Sprintf("%04d-%02d-%02d", g.between(from, to), g.between(1, 12), g.between(1, 28))
}

// value makes one value for a generator written as name:arguments.
func (g *generator) value(spec string, row int) (string, error) {
	name, arg, _ := strings.Cut(spec, ":")
	if v, ok, err := g.combined(name, arg, row); ok {
		return v, err
	}
	if v, ok := g.stored(name, arg); ok {
		return v, nil
	}
	if v, ok := g.basic(name, arg, row); ok {
		return v, nil
	}
	if v, ok := g.personal(name); ok {
		return v, nil
	}
	if v, ok := g.number(name, arg); ok {
		return v, nil
	}
	if v, ok := g.technical(name, arg); ok {
		return v, nil
	}
	if v, ok := g.unseen(name, arg); ok {
		return v, nil
	}
	if v, ok := g.prose(name, arg); ok {
		return v, nil
	}
	if v, ok := g.fresh(name, arg, row); ok {
		return v, nil
	}
	return "", fmt.Errorf("unknown generator %q", spec)
}

func (g *generator) basic(name, arg string, row int) (string, bool) {
	switch name {
	case "serial":
		return strconv.Itoa(row + 1), true
	case "ref":
		return strconv.Itoa(g.between(1, g.rows)), true
	case "uuid":
		h := g.hex(32)
		return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:], true
	case "bool":
		return []string{"t", "f"}[g.r.IntN(2)], true
	case "enum":
		return g.pick(strings.Split(arg, ",")), true
	case "code":
		return g.patterned(arg), true
	case "lit":
		return strings.Map(func(r rune) rune {
			if r == 'd' {
				return rune('0' + g.r.IntN(10))
			}
			return r
		}, arg), true
	case "int", "num":
		f := strings.Split(arg, ":")
		a, _ := strconv.Atoi(f[0])
		b, _ := strconv.Atoi(f[1])
		if name == "int" {
			return strconv.Itoa(g.between(a, b)), true
		}
		dec, _ := strconv.Atoi(f[2])
		return strconv.FormatFloat(float64(a)+g.r.Float64()*float64(b-a), 'f', dec, 64), true
	case "dob":
		return g.date(1938, 2006), true
	case "date":
		f := strings.Split(arg, ":")
		a, _ := strconv.Atoi(f[0])
		b, _ := strconv.Atoi(f[1])
		return g.date(a, b), true
	case "ts":
		return g.date(2022, 2025) + fmt.Sprintf(" %02d:%02d:%02d", g.between(0, 23), g.between(0, 59), g.between(0, 59)), true
	case "epochms":
		return strconv.FormatInt(1.6e12+g.r.Int64N(1.4e11), 10), true
	case "epochs":
		return strconv.FormatInt(1.6e9+g.r.Int64N(1.4e8), 10), true
	case "interval":
		return fmt.Sprintf("00:%02d:%02d", g.between(1, 59), g.between(0, 59)), true
	case "hex":
		n, _ := strconv.Atoi(arg)
		return g.hex(n), true
	}
	return "", false
}

func (g *generator) personal(name string) (string, bool) {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < 128 && r != ' ' && r != '\'' {
				return r
			}
			return -1
		}, strings.ToLower(s))
	}
	switch name {
	case "given":
		return g.pick(g.loc.given), true
	case "sur":
		return g.pick(g.loc.sur), true
	case "sur2":
		return g.pick(g.loc.sur) + " " + g.pick(g.loc.sur), true
	case "full":
		return g.pick(g.loc.given) + " " + g.pick(g.loc.sur), true
	case "fulljp":
		return g.pick(g.loc.sur) + " " + g.pick(g.loc.given), true
	case "surgiven":
		return g.pick(g.loc.sur) + ", " + g.pick(g.loc.given), true
	case "email":
		return plain(g.pick(g.loc.given)) + "." + plain(g.pick(g.loc.sur)) + strconv.Itoa(g.r.IntN(99)) + "@" + g.pick(w("postbox mailhaus inbox-one nordnet corp-mail webstation")) + "." + g.loc.tld, true
	case "username":
		return plain(g.pick(g.loc.given))[:2] + plain(g.pick(g.loc.sur)) + strconv.Itoa(g.r.IntN(999)), true
	case "phone":
		return g.code(g.loc.phone), true
	case "msisdn":
		return "1" + g.code("NddNdddddd"), true
	case "street":
		street, n := g.pick(g.loc.streets), strconv.Itoa(g.between(1, 240))
		switch g.loc.street {
		case "n s":
			return n + " " + street, true
		case "s, n":
			return street + ", " + n, true
		case "n, s":
			return n + ", " + street, true
		case "n-n-n s":
			return fmt.Sprintf("%d-%d-%d %s", g.between(1, 9), g.between(1, 30), g.between(1, 20), street), true
		}
		return street + " " + n, true
	case "city":
		return g.pick(g.loc.cities), true
	case "region":
		return g.pick(g.loc.regions), true
	case "zip":
		return g.code(g.loc.zip), true
	case "job":
		return g.pick(g.loc.jobs), true
	case "company":
		return g.pick(g.loc.sur) + " " + g.pick(w("Logistics Trading Bau Foods Partners Textiles Engineering")) + " " + g.pick(w("GmbH Ltd Inc SA BV Group")), true
	case "product":
		return g.pick(productsList()), true
	case "condition":
		return g.pick(conditionsList()), true
	case "drug":
		return g.pick(drugsList()), true
	}
	return "", false
}

func (g *generator) prose(name, arg string) (string, bool) {
	sentence := func(n int) string {
		out := make([]string, n)
		for i := range out {
			out[i] = g.pick(wordsList())
		}
		s := strings.Join(out, " ")
		return strings.ToUpper(s[:1]) + s[1:]
	}
	switch name {
	case "short":
		return sentence(g.between(1, 3)), true
	case "text":
		return sentence(g.between(9, 20)) + ". " + sentence(g.between(6, 12)) + ".", true
	case "note", "notede", "notees", "noteit":
		s := sentence(g.between(8, 16))
		share, _ := strconv.ParseFloat(arg, 64)
		if g.r.Float64() < share {
			full := g.pick(g.loc.given) + " " + g.pick(g.loc.sur)
			mail, _ := g.personal("email")
			switch g.r.IntN(4) {
			case 0:
				s += ". Please write to " + mail + " about it"
			case 1:
				s += ", call back under phone " + g.code(g.loc.phone)
			case 2:
				s += ". Spoke with " + full + " about it"
			default:
				s += ", contact " + mail
			}
		}
		return s + ".", true
	case "json":
		var parts []string
		for _, k := range strings.Split(arg, ",") {
			v := ""
			switch k {
			case "email":
				v, _ = g.personal("email")
			case "name":
				k = "full_name"
				v, _ = g.personal("full")
			case "user":
				k = "user_name"
				v, _ = g.personal("username")
			case "ip":
				k = "client_ip"
				v, _ = g.technical("ip", "")
			case "ssn":
				v, _ = g.number("ssn", "")
			case "apikey":
				k = "api_key"
				v, _ = g.technical("apikey", "")
			case "theme":
				v = g.pick(w("dark light auto"))
			case "size":
				v = g.pick(w("S M L"))
			}
			parts = append(parts, fmt.Sprintf("%q: %q", k, v))
		}
		return "{" + strings.Join(parts, ", ") + "}", true
	case "xml":
		mail, _ := g.personal("email")
		return "<customer><mail>" + mail + "</mail><tier>" + g.pick(w("gold basic")) + "</tier></customer>", true
	case "array":
		one := func() string {
			if arg == "email" {
				v, _ := g.personal("email")
				return v
			}
			return g.pick(wordsList())
		}
		return "{" + one() + "," + one() + "}", true
	}
	return "", false
}
