package classify

import (
	"encoding/base64"
	"math"
	"math/bits"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// Classifier holds the compiled taxonomy, lexicons, dictionaries and probes. It is read-only after New and safe for
// concurrent use.
type Classifier struct {
	kinds     []*kind
	byClass   map[Class]*kind
	lex       *lexicon
	dict      *dictionaries
	mnemonics *checkdigit.Mnemonics
	digests   *digestIndex
	ibans     map[string]int
	all       []probe
	byFamily  map[family][]int
	byKind    map[Class][]int
	custom    []*custom
}

// New compiles the built-in classes and the custom classifiers of the policy file, whose examples are run as tests.
func New(customs ...Custom) (*Classifier, error) {
	kinds, err := loadTaxonomy()
	if err != nil {
		return nil, err
	}
	lex, err := newLexicon()
	if err != nil {
		return nil, err
	}
	dict, err := newDictionaries()
	if err != nil {
		return nil, err
	}
	c := &Classifier{
		kinds: kinds, byClass: map[Class]*kind{}, lex: lex, dict: dict, mnemonics: checkdigit.NewMnemonics(),
		digests: newDigestIndex(dict.passwords), ibans: ibanLengths(), byFamily: map[family][]int{}, byKind: map[Class][]int{},
	}
	for _, k := range kinds {
		c.byClass[k.class] = k
	}
	c.all = c.probes()
	if err := c.addCustoms(customs); err != nil {
		return nil, err
	}
	for i, p := range c.all {
		c.byKind[p.class] = append(c.byKind[p.class], i)
		fams := p.fams
		if fams == "" {
			fams = "t"
		}
		for j := range len(fams) {
			c.byFamily[family(fams[j])] = append(c.byFamily[family(fams[j])], i)
		}
	}
	return c, nil
}

// Classes lists every class with its tags, in the order of the taxonomy, custom classes last.
func (c *Classifier) Classes() []ClassInfo {
	var out []ClassInfo
	for _, k := range c.kinds {
		out = append(out, ClassInfo{Class: k.class, Tags: k.tags, Mask: Mask(k.mask)})
	}
	return out
}

// Taxonomy lists the built-in classes.
func Taxonomy() []ClassInfo {
	kinds, err := loadTaxonomy()
	if err != nil {
		return nil // the table is embedded and tested
	}
	return (&Classifier{kinds: kinds}).Classes()
}

// ClassInfo describes a class to those who consume labels.
type ClassInfo struct {
	Class Class
	Tags  []Tag
	Mask  Mask // for text columns; SuggestMask fits it to a type
}

// Column is what the catalog says of a column. It holds no data, except the labels of an enum, which only Measure reads.
type Column struct {
	Name       string
	Type       string   // as format_type writes it
	Base       string   // for a domain, the type below it
	Domain     string   // the domain's name
	EnumLabels []string // of an enum type
	Fields     []Column // of a composite type
	Comment    string
	NotNull    bool
	Unique     bool // alone unique, or the primary key
	Primary    bool
	Surrogate  bool // identity, serial, or a generated UUID
	References Target
	Via        Target // the base column that a view shows, or the parent of a partition
}

// Target names a column of another table.
type Target struct{ Schema, Table, Column string }

// Values are what a feed read from a column: distinct non-NULL values as PostgreSQL writes them.
type Values struct {
	Texts     []string
	Rows      int     // rows examined, 0 for statistics
	NullShare float64 // of all rows
	Distinct  float64 // estimate of distinct values in the table; negative: a share of the rows, as in pg_stats
	Stats     bool    // from planner statistics
}

// Profile is what Measure keeps of a column: counts and shapes, never a value.
type Profile struct {
	family    family
	array     bool
	tested    int // distinct values looked at
	rows      int
	nullShare float64
	distinct  float64
	stats     bool

	tallies  map[int]tally // by probe index
	shape    Shape
	shapes   int // values of the commonest shape
	lenMean  float64
	lenSD    float64
	lenMax   int
	words    float64 // mean number of words
	fields   float64 // mean number of parts between ; | or tabs
	masked   int
	json     int
	date     dateSpread
	number   numberSpread
	octet    map[byte]int // first octets of IPv4 addresses, to tell versions
	password passwordTally
	text     freeText
	encoded  bool
	regions  map[string]int // countries that values speak for
	genders  map[string]bool
	children []child
	legal    int // names of companies
	examples int
	random   int // values drawn at random, by entropy
	partial  bool
}

type child struct {
	path    []Ident
	profile *Profile
}

type dateSpread struct {
	n, min, max int
	decades     map[int]bool
}

type numberSpread struct {
	n, integers, negative, decimals4 int
	epoch                            int // seconds or milliseconds of the last decades
	small                            int // at most 12
	bits                             int // of the largest whole number that is not negative
	min, max                         float64
}

// testLimit is how many distinct values of a column are tested (classification.md §2.2).
const testLimit = 200

// statsTestLimit is the same for statistics, whose lists say nothing about rates.
const statsTestLimit = 45

// Measure reads a column's values once and keeps only counts.
func (c *Classifier) Measure(col *Column, vals Values) *Profile {
	typ := col.Type
	if col.Base != "" {
		typ = col.Base
	}
	f, array := familyOf(typ)
	if f == famOther && len(col.EnumLabels) > 0 {
		f = famText
	}
	if len(col.Fields) > 0 {
		f = famRecord
	}
	p := newProfile(f)
	p.array, p.rows, p.nullShare, p.distinct, p.stats = array, vals.Rows, vals.NullShare, vals.Distinct, vals.Stats
	texts := vals.Texts
	if len(texts) == 0 && len(col.EnumLabels) > 0 {
		texts = col.EnumLabels
	}
	if array {
		texts = unnest(texts)
		if f == famNumber && len(vals.Texts) > 0 && len(texts) >= 16*len(vals.Texts) {
			p.family, p.array, texts = famVector, false, vals.Texts
		}
	}
	limit := testLimit
	if vals.Stats {
		limit = statsTestLimit
	}
	p.partial = slices.ContainsFunc(texts, func(t string) bool { return len(t) > valueLimit-utf8.UTFMax })
	c.fill(p, col, sampleOf(texts, limit))
	return p
}

func newProfile(f family) *Profile {
	return &Profile{family: f, tallies: map[int]tally{}, octet: map[byte]int{}, regions: map[string]int{}, genders: map[string]bool{}, date: dateSpread{decades: map[int]bool{}}}
}

// sampleOf picks up to limit distinct non-empty values, evenly spread over the input, so that the choice is stable.
func sampleOf(texts []string, limit int) []string {
	seen := make(map[string]bool, len(texts))
	var distinct []string
	for _, t := range texts {
		if len(t) > valueLimit {
			t = t[:valueLimit]
		}
		if strings.TrimSpace(t) == "" || seen[t] {
			continue
		}
		seen[t] = true
		distinct = append(distinct, t)
	}
	if len(distinct) <= limit {
		return distinct
	}
	out := make([]string, 0, limit)
	for i := range limit {
		out = append(out, distinct[i*len(distinct)/limit])
	}
	return out
}

// fill measures the chosen values by the family of the column.
func (c *Classifier) fill(p *Profile, col *Column, texts []string) {
	switch p.family {
	case famJSON:
		c.measureJSON(p, texts)
		return
	case famXML:
		c.measureXML(p, texts)
		return
	case famHstore:
		c.measureHstore(p, texts)
		return
	case famRecord:
		c.measureRecord(p, col, texts)
		return
	case famRange:
		texts = rangeBounds(texts)
		p.family = rangeFamily(col.Type)
	case famText, famOther:
		if jsonShare(texts) >= 0.9 && len(texts) > 0 {
			p.family = famJSON
			c.measureJSON(p, texts)
			return
		}
		if xmlShare(texts) >= 0.9 {
			p.family = famXML
			c.measureXML(p, texts)
			return
		}
		if plain, ok := decoded(texts); ok {
			texts, p.encoded = plain, true
		}
	case famBytes:
		if plain, ok := readableBytes(texts); ok {
			texts, p.encoded, p.family = plain, true, famText
			if jsonShare(texts) >= 0.9 {
				p.family = famJSON
				c.measureJSON(p, texts)
				return
			}
		}
	}
	c.measureScalars(p, texts)
}

func (c *Classifier) measureScalars(p *Profile, texts []string) {
	fam := p.family
	if fam == famOther || fam == famUnknown {
		fam = famText
	}
	indexes := c.byFamily[fam]
	shapes := map[Shape]int{}
	var sum, squares float64
	values := make([]*value, 0, len(texts))
	for _, t := range texts {
		v := prepare(t)
		if v.raw == "" {
			continue
		}
		values = append(values, v)
		sum += float64(v.runes)
		squares += float64(v.runes) * float64(v.runes)
		p.lenMax = max(p.lenMax, v.runes)
		p.words += float64(v.nSpace + 1)
		p.fields += float64(1 + strings.Count(v.raw, ";") + strings.Count(v.raw, "|") + strings.Count(v.raw, "\t"))
		shapes[shapeOf(v.raw)]++
	}
	n := float64(len(values))
	if n == 0 {
		return
	}
	p.tested = len(values)
	p.lenMean, p.words, p.fields = sum/n, p.words/n, p.fields/n
	p.lenSD = math.Sqrt(max(0, squares/n-p.lenMean*p.lenMean))
	p.shape, p.shapes = commonest(shapes)
	free := p.isFreeText()
	counts := make([]tally, len(c.all)) // a map is read and written a hundred times for each value
	for i, v := range spread(values, firstTested) {
		if i == firstTested {
			indexes = c.promising(counts, indexes)
		}
		c.measureValue(p, v, indexes, counts)
		if free {
			p.text.scan(c, v)
		}
	}
	for i, t := range counts {
		if t != (tally{}) {
			p.tallies[i] = t
		}
	}
}

// firstTested is how many values say whether a probe that goes by shares is worth running on the rest.
const firstTested = 24

// spread puts n values from all over the list first: statistics come sorted.
func spread(values []*value, n int) []*value {
	if len(values) <= n {
		return values
	}
	step := len(values) / n
	first, rest := make([]*value, 0, len(values)), make([]*value, 0, len(values)-n)
	for i, v := range values {
		if i%step == 0 && len(first) < n {
			first = append(first, v)
		} else {
			rest = append(rest, v)
		}
	}
	return append(first, rest...)
}

// promising leaves out the probes that can no longer come to anything: those that need most of the values, or a good share of them, and
// fit none so far. What an unmistakable shape or a check digit finds counts however rare it is, so those go on.
func (c *Classifier) promising(counts []tally, indexes []int) []int {
	var out []int
	for _, i := range indexes {
		if how := c.all[i].how; counts[i] != (tally{}) || how == byShape || how == byChecksum {
			out = append(out, i)
		}
	}
	return out
}

// commonest picks the most frequent shape; it is published only if at least five values share it.
func commonest(shapes map[Shape]int) (Shape, int) {
	keys := make([]Shape, 0, len(shapes))
	for s := range shapes {
		keys = append(keys, s)
	}
	sort.Slice(keys, func(i, j int) bool {
		if shapes[keys[i]] != shapes[keys[j]] {
			return shapes[keys[i]] > shapes[keys[j]]
		}
		return keys[i].text < keys[j].text
	})
	if len(keys) == 0 || shapes[keys[0]] < 5 {
		return Shape{}, 0
	}
	return keys[0], shapes[keys[0]]
}

func (p *Profile) isFreeText() bool {
	return (p.family == famText || p.family == famOther) && p.lenMean > model.freeTextChars && (p.words >= 5 || p.fields >= 4)
}

// measureValue runs probes on one value and adds to their counts and to the general ones.
func (c *Classifier) measureValue(p *Profile, v *value, indexes []int, counts []tally) {
	if masked(v.raw) || placeholder(v.raw) {
		p.masked++
	}
	for _, i := range indexes {
		pr := &c.all[i]
		r := pr.test(v)
		if r == misfit {
			continue
		}
		t := &counts[i]
		switch r {
		case passed:
			t.pass++
			if pr.region != "" && pr.how == byChecksum {
				p.regions[pr.region]++
			}
		case fits:
			t.fit++
		case failed:
			t.fail++
		case example:
			t.examples++
			p.examples++
		}
	}
	if p.family == famText || p.family == famOther {
		p.password.add(v.raw, c.digests)
		c.vote(p, v)
		if c.companyName(v) {
			p.legal++
		}
		if v.runes <= 6 || v.nDigit == 0 && v.runes <= 20 {
			if c.dict.has("gender", v.low) && len(p.genders) < 12 {
				p.genders[genderSide(v.low)] = true
			}
		}
		if randomToken(v) == passed {
			p.random++
		}
	}
	p.measureNumber(v)
	p.measureDate(v)
}

// genderSide folds a spelling to f, m or o, so that no value is kept.
func genderSide(s string) string {
	switch s {
	case "f", "w", "v", "female", "woman", "women", "girl", "weiblich", "frau", "femme", "feminin", "madame", "mme", "mlle", "mademoiselle", "mujer", "femenino", "feminino", "hembra", "senora", "sra", "srta", "sra.", "mulher", "femmina", "donna", "femminile", "signora", "sig.ra", "vrouw", "vrouwelijk", "mevr", "mevrouw", "kobieta", "k", "pani", "kadin", "bayan", "zhenskiy", "zhenshchina", "zena", "kvinne", "kvinna", "kvinde", "nainen", "mrs", "mrs.", "ms", "ms.", "miss", "zen", "vrl", "女", "여", "she/her", "dona", "n":
		return "f"
	case "m", "h", "e", "male", "man", "men", "boy", "maennlich", "mannlich", "herr", "homme", "masculin", "monsieur", "hombre", "masculino", "varon", "senor", "sr", "sr.", "homem", "maschio", "uomo", "maschile", "signor", "sig", "sig.", "mannelijk", "dhr", "de heer", "mezczyzna", "pan", "erkek", "bay", "muzhskoy", "muzhchina", "muz", "mann", "mies", "mr", "mr.", "mnl", "man.", "男", "남", "he/him", "don":
		return "m"
	}
	return "o"
}

func (c *Classifier) companyName(v *value) bool {
	if len(v.words) < 2 || len(v.words) > 8 {
		return false
	}
	last := v.words[len(v.words)-1]
	return c.dict.has("legalform", last) || c.dict.has("legalform", v.words[len(v.words)-2])
}

// vote notes which countries a value speaks for: calling codes, mail domains, IBANs.
func (c *Classifier) vote(p *Profile, v *value) {
	if at := strings.LastIndexByte(v.raw, '@'); at > 0 && email(v.raw) == passed {
		if dot := strings.LastIndexByte(v.raw, '.'); dot > at {
			tld := strings.ToUpper(v.raw[dot+1:])
			if tld == "UK" {
				tld = "GB"
			}
			if c.dict.alpha2[tld] && tld != "CO" && tld != "IO" && tld != "ME" && tld != "AI" && tld != "TV" {
				p.regions[tld]++
			}
		}
		return
	}
	if v.raw != "" && v.raw[0] == '+' && v.nDigit >= 8 && p.regions["+"] < 40 {
		p.regions["+"]++ // bounds the costly look-up
		if r := phoneRegion(v); r != "" {
			p.regions[r]++
		}
	}
	if len(v.compact) >= 15 && len(v.compact) <= 34 && c.ibans[v.compact[:2]] == len(v.compact) {
		p.regions[v.compact[:2]]++
	}
}

func (p *Profile) measureNumber(v *value) {
	if v.nDigit == 0 || v.runes > 30 {
		return
	}
	f, err := strconv.ParseFloat(v.raw, 64)
	if err != nil {
		return
	}
	n := &p.number
	if n.n == 0 || f < n.min {
		n.min = f
	}
	if n.n == 0 || f > n.max {
		n.max = f
	}
	n.n++
	if f == math.Trunc(f) {
		n.integers++
	}
	if f < 0 {
		n.negative++
	}
	if i := strings.IndexByte(v.raw, '.'); i >= 0 && len(v.raw)-i-1 >= 4 {
		n.decimals4++
	}
	if f >= 1.3e9 && f <= 2.1e9 || f >= 1.0e12 && f <= 2.1e12 {
		n.epoch++
	}
	if f <= 12 {
		n.small++
	}
	if f >= 0 && f < 1<<53 {
		n.bits = max(n.bits, bits.Len64(uint64(f)))
	}
}

func (p *Profile) measureDate(v *value) {
	y := yearOf(v)
	if y == 0 {
		if ip := strings.IndexByte(v.raw, '.'); ip > 0 && ip <= 3 && strings.Count(v.raw, ".") == 3 && isDigits(v.raw[:ip]) {
			o, _ := strconv.Atoi(v.raw[:ip])
			if o < 256 {
				p.octet[byte(o)]++
			}
		}
		return
	}
	d := &p.date
	if d.n == 0 || y < d.min {
		d.min = y
	}
	if d.n == 0 || y > d.max {
		d.max = y
	}
	d.n++
	d.decades[y/10] = true
}

// decoded undoes one layer of base64 or percent encoding when nearly all values turn into readable text.
func decoded(texts []string) ([]string, bool) {
	if len(texts) < 3 {
		return nil, false
	}
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		switch {
		case strings.Contains(t, "%") && !strings.Contains(t, " "):
			u, err := url.QueryUnescape(t)
			if err != nil || u == t {
				return nil, false
			}
			out = append(out, u)
		case len(t) >= 8 && len(t)%4 == 0 && only(t, base64Set):
			raw, err := base64.StdEncoding.DecodeString(t)
			if err != nil || !utf8.Valid(raw) || !printable(raw) || len(raw) < 5 {
				return nil, false
			}
			out = append(out, string(raw))
		default:
			return nil, false
		}
	}
	return out, true
}

// readableBytes turns bytea in hex form into text when all of it is readable.
func readableBytes(texts []string) ([]string, bool) {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		b := bytesOf(t, valueLimit)
		if len(b) < 3 || !utf8.Valid(b) || strings.ContainsFunc(string(b), func(r rune) bool { return r < 32 && r != '\n' && r != '\t' && r != '\r' || r == 127 }) {
			return nil, false
		}
		out = append(out, string(b))
	}
	return out, len(out) > 0
}
