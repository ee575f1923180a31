package classify

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// Limits of what is looked into inside one structured column (classification.md §9).
const (
	pathLimit  = 200
	depthLimit = 8
	nodeLimit  = 5000 // scalars per column
)

// collector gathers the scalars of structured values by path.
type collector struct {
	paths map[string]*gathered
	nodes int
}

type gathered struct {
	steps  []string
	texts  []string
	docs   int
	last   int // last document that had the path, counted from 1
	number bool
	mixed  bool
}

func (g *collector) add(steps []string, text string, number bool, doc int) {
	if g.nodes++; g.nodes > nodeLimit {
		return
	}
	key := strings.Join(steps, "\x00")
	e := g.paths[key]
	if e == nil {
		if len(g.paths) >= pathLimit {
			return
		}
		e = &gathered{steps: append([]string(nil), steps...), number: number}
		g.paths[key] = e
	}
	if e.last != doc {
		e.docs++
		e.last = doc
	}
	e.mixed = e.mixed || e.number != number
	e.texts = append(e.texts, text)
}

const anyIndex = "[*]"

func (g *collector) walk(v any, steps []string, doc int) {
	if len(steps) > depthLimit {
		return
	}
	switch x := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			g.walk(x[k], append(steps[:len(steps):len(steps)], k), doc)
		}
	case []any:
		for _, e := range x {
			g.walk(e, append(steps[:len(steps):len(steps)], anyIndex), doc)
		}
	case string:
		g.add(steps, x, false, doc)
	case json.Number:
		g.add(steps, x.String(), true, doc)
	}
}

// jsonShare is the share of texts that are documents, or the beginning of one that was cut.
func jsonShare(texts []string) float64 {
	if len(texts) == 0 {
		return 0
	}
	n := 0
	for _, s := range texts {
		t := strings.TrimSpace(s)
		if len(t) < 2 || t[0] != '{' && t[0] != '[' || t[0] == '{' && !strings.Contains(t, ":") {
			continue
		}
		if whole := t[len(t)-1] == t[0]+2; whole && json.Valid([]byte(t)) {
			n++
		} else if closed := closedJSON(t); len(s) > valueLimit-utf8.UTFMax && len(closed) > len(t)/2 && json.Valid([]byte(closed)) {
			n++
		}
	}
	return float64(n) / float64(len(texts))
}

// xmlShare is the share of texts that are whole elements.
func xmlShare(texts []string) float64 {
	n := 0
	for _, t := range texts {
		t = strings.TrimSpace(t)
		if len(t) < 7 || t[0] != '<' || t[len(t)-1] != '>' || !strings.Contains(t, "</") && !strings.Contains(t, "/>") {
			continue
		}
		var root struct{ XMLName xml.Name }
		if xml.Unmarshal([]byte(t), &root) == nil && !htmlElement(root.XMLName.Local) {
			n++
		}
	}
	return float64(n) / float64(max(1, len(texts)))
}

// htmlElement names the roots of marked-up prose, which is read as free text.
func htmlElement(name string) bool {
	switch strings.ToLower(name) {
	case "html", "body", "p", "div", "span", "b", "i", "em", "strong", "a", "ul", "ol", "h1", "h2", "h3", "svg", "table":
		return true
	}
	return false
}

func (c *Classifier) measureJSON(p *Profile, texts []string) {
	g := &collector{paths: map[string]*gathered{}}
	for i, t := range texts {
		if nesting(t) > 200 {
			continue
		}
		v, err := decodeJSON(t)
		if err != nil {
			if v, err = decodeJSON(closedJSON(t)); err != nil {
				continue
			}
		}
		p.json++
		p.partial = p.partial || nesting(t) > depthLimit
		g.walk(v, nil, i+1)
	}
	p.tested = len(texts)
	c.adopt(p, g)
}

func decodeJSON(s string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// closedJSON closes a document that is too long and was cut, so that what was read of it counts: a text that is a value ends where the
// cut is, and whatever else is unfinished is left out.
func closedJSON(s string) string {
	var open []byte // the closing brackets that are due
	keep, last, inside, value := 0, byte(0), false, false
	end := len(s)
	for i := 0; i < len(s); i++ {
		ch := s[i]
		switch {
		case inside && ch == '\\':
			n := 2
			if i+1 < len(s) && s[i+1] == 'u' {
				n = 6
			}
			if i+n > len(s) {
				end = i
			}
			i += n - 1
		case ch == '"':
			if inside = !inside; inside {
				value = last == ':' || len(open) > 0 && open[len(open)-1] == ']'
			}
		case inside:
		case ch == '{' || ch == '[':
			open, keep, last = append(open, ch+2), i+1, ch // the closing bracket stands two places on
		case (ch == '}' || ch == ']') && len(open) > 0:
			open, keep, last = open[:len(open)-1], i+1, ch
		case ch == ',':
			keep, last = i, ch
		case ch == ':':
			last = ch
		}
	}
	out := s[:keep]
	if inside && value {
		out = s[:end] + `"`
	}
	slices.Reverse(open)
	return out + string(open)
}

// nesting bounds recursion before the decoder starts.
func nesting(s string) int {
	depth, deepest := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

func (c *Classifier) measureXML(p *Profile, texts []string) {
	g := &collector{paths: map[string]*gathered{}}
	for i, t := range texts {
		d := xml.NewDecoder(strings.NewReader(t))
		d.Strict = false
		var steps []string
		for {
			tok, err := d.Token()
			if err == io.EOF || err != nil || g.nodes > nodeLimit {
				break
			}
			switch x := tok.(type) {
			case xml.StartElement:
				if len(steps) < depthLimit {
					steps = append(steps, x.Name.Local)
					for _, a := range x.Attr {
						g.add(append(steps[:len(steps):len(steps)], a.Name.Local), a.Value, false, i+1)
					}
				} else {
					_ = d.Skip()
				}
			case xml.EndElement:
				if len(steps) > 0 {
					steps = steps[:len(steps)-1]
				}
			case xml.CharData:
				if s := strings.TrimSpace(string(x)); s != "" {
					g.add(steps, s, false, i+1)
				}
			}
		}
		p.json++
	}
	p.tested = len(texts)
	c.adopt(p, g)
}

// measureHstore reads the text form "key"=>"value", …
func (c *Classifier) measureHstore(p *Profile, texts []string) {
	g := &collector{paths: map[string]*gathered{}}
	for i, t := range texts {
		rest := t
		for len(rest) > 0 {
			key, after, ok := quoted(rest)
			if !ok || !strings.HasPrefix(after, "=>") {
				break
			}
			after = after[2:]
			if strings.HasPrefix(after, "NULL") {
				rest = strings.TrimLeft(after[4:], ", ")
				continue
			}
			val, tail, ok := quoted(after)
			if !ok {
				break
			}
			g.add([]string{key}, val, false, i+1)
			rest = strings.TrimLeft(tail, ", ")
		}
		p.json++
	}
	p.tested = len(texts)
	c.adopt(p, g)
}

func quoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", s, false
}

// measureRecord splits composite values "(a,b,…)" into the attributes of the type. What is inside a structured attribute becomes a
// path of the column.
func (c *Classifier) measureRecord(p *Profile, col *Column, texts []string) {
	columns := make([][]string, len(col.Fields))
	for _, t := range texts {
		for i, f := range recordFields(t) {
			if i < len(columns) && f != "" {
				columns[i] = append(columns[i], f)
			}
		}
	}
	p.tested = len(texts)
	for i := range col.Fields {
		sub := c.Measure(&col.Fields[i], Values{Texts: columns[i], Rows: len(columns[i]), Stats: p.stats})
		var path []Ident
		if p.array {
			path = append(path, anyIndex)
		}
		path = append(path, Ident(col.Fields[i].Name))
		if len(sub.children) == 0 {
			p.children = append(p.children, child{path: path, profile: sub})
		}
		for _, ch := range sub.children {
			p.children = append(p.children, child{path: append(path[:len(path):len(path)], ch.path...), profile: ch.profile})
		}
	}
}

// fieldAt finds the attribute of a composite column that a path leads to; nil when the path leaves the composite types.
func fieldAt(col *Column, path []Ident) *Column {
	for _, step := range path {
		if step == anyIndex {
			continue
		}
		i := slices.IndexFunc(col.Fields, func(c Column) bool { return c.Name == string(step) })
		if i < 0 {
			return nil
		}
		col = &col.Fields[i]
	}
	return col
}

func recordFields(s string) []string {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "("), ")")
	var out []string
	var b strings.Builder
	inside := false
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '"' && inside && i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		case ch == '"':
			inside = !inside
		case ch == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case ch == ',' && !inside:
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(ch)
		}
	}
	return append(out, b.String())
}

// adopt turns the gathered paths into child profiles. A key is published only when it cannot be somebody's data.
func (c *Classifier) adopt(p *Profile, g *collector) {
	merged, maps := map[string]*gathered{}, c.mapsIn(g)
	for _, e := range g.paths {
		steps, often := make([]string, len(e.steps)), false
		for i, s := range e.steps {
			steps[i] = s
			if s != anyIndex && !c.publicKey(s, e.docs, maps[strings.Join(e.steps[:i], "\x00")]) {
				steps[i], often = "*", often || e.docs >= sharedDocs
			}
		}
		key := strings.Join(steps, "\x00")
		if often { // the addresses under one hidden key are not to drown among the remarks under the next
			key += "\x00" + e.kind()
		}
		if m := merged[key]; m != nil {
			m.texts = append(m.texts, e.texts...)
			m.docs = max(m.docs, e.docs)
			m.mixed = m.mixed || m.number != e.number || e.mixed
			continue
		}
		merged[key] = &gathered{steps: steps, texts: append([]string(nil), e.texts...), docs: e.docs, number: e.number, mixed: e.mixed}
	}
	keys := make([]string, 0, len(merged))
	for k := range merged {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		e := merged[k]
		f := famText
		if e.number && !e.mixed {
			f = famNumber
			if !anyContains(e.texts, ".") {
				f = famInt
			}
		}
		sub := newProfile(f)
		sub.rows, sub.stats = len(e.texts), p.stats
		sort.Strings(e.texts)
		c.measureLeaf(sub, sampleOf(e.texts, testLimit))
		path := make([]Ident, len(e.steps))
		for i, s := range e.steps {
			path[i] = Ident(s)
		}
		p.children = append(p.children, child{path: path, profile: sub})
		for r, n := range sub.regions {
			p.regions[r] += n
		}
	}
}

func anyContains(texts []string, s string) bool {
	for _, t := range texts {
		if strings.Contains(t, s) {
			return true
		}
	}
	return false
}

// measureLeaf measures the values of one path; structured text inside structured values is not opened again.
func (c *Classifier) measureLeaf(p *Profile, texts []string) {
	if plain, ok := decoded(texts); ok && p.family == famText {
		texts, p.encoded = plain, true
	}
	c.measureScalars(p, texts)
}

// unnest reads array literals {a,"b c",NULL} as PostgreSQL writes them.
func unnest(texts []string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, arrayElements(t, nodeLimit-len(out))...)
		if len(out) >= nodeLimit {
			break
		}
	}
	return out
}

func arrayElements(s string, limit int) []string {
	if i := strings.IndexByte(s, '='); i > 0 && s[0] == '[' { // explicit bounds
		s = s[i+1:]
	}
	var out []string
	var b strings.Builder
	inside, wasQuoted, started := false, false, false
	flush := func() {
		if t := b.String(); started && (wasQuoted || t != "NULL" && t != "") {
			out = append(out, t)
		}
		b.Reset()
		wasQuoted, started = false, false
	}
	for i := 0; i < len(s) && len(out) < limit; i++ {
		switch ch := s[i]; {
		case ch == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
			started = true
		case ch == '"':
			inside = !inside
			wasQuoted, started = true, true
		case inside:
			b.WriteByte(ch)
		case ch == '{' || ch == '}' || ch == ',':
			flush()
		default:
			b.WriteByte(ch)
			started = true
		}
	}
	flush()
	return out
}

// rangeBounds gives both bounds of ranges and multiranges.
func rangeBounds(texts []string) []string {
	var out []string
	for _, t := range texts {
		for _, b := range strings.FieldsFunc(t, func(r rune) bool { return strings.ContainsRune("{}[](),", r) }) {
			if b = strings.Trim(b, `"`); b != "" && b != "empty" && len(out) < nodeLimit {
				out = append(out, b)
			}
		}
	}
	return out
}

func rangeFamily(typ string) family {
	switch {
	case strings.HasPrefix(typ, "int"):
		return famInt
	case strings.HasPrefix(typ, "num"):
		return famNumber
	case strings.HasPrefix(typ, "ts"):
		return famTime
	}
	return famDate
}

// ArrayElements reads an array literal as PostgreSQL writes it, for feeds that get lists of values in that form.
func ArrayElements(s string) []string {
	if s == "" {
		return nil
	}
	return arrayElements(s, nodeLimit)
}
