package classify

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sort"
	"strings"
)

// Tested is how many distinct values were looked at.
func (p *Profile) Tested() int { return p.tested }

// Unseen reports statistics that know of values and show none of them: values wider than 1 kB, json, xml, a single value.
func (p *Profile) Unseen() bool { return p.stats && p.tested == 0 && p.nullShare < 0.99999 }

// Partial reports values of which only the beginning was read, or that are nested deeper than is looked (classification.md §2.2).
func (p *Profile) Partial() bool { return p.partial }

// Wide reports text so long, or so structured, that statistics show too little of it.
func (p *Profile) Wide() bool {
	return p.stats && (p.lenMean > model.freeTextChars || p.family == famJSON || p.family == famXML || p.family == famHstore || p.family == famRecord)
}

// Opaque reports types that hold nothing a classifier could read: booleans, dates, intervals and their like need a name.
func Opaque(typ string) bool {
	f, _ := familyOf(typ)
	switch f {
	case famBool, famDate, famTime:
		return true
	case famOther:
		return typ == "interval" || strings.HasPrefix(typ, "time") || strings.HasPrefix(typ, "bit") || typ == "tsvector" || typ == "pg_lsn" || typ == "xid"
	}
	return false
}

// Doubt is the likelihood of everything sensitive together, for columns without a class.
func (f *Finding) Doubt() float64 {
	t := 0.0
	for _, s := range f.Sums {
		t += s.Confidence
	}
	return t
}

// Decide puts a person's class in place of what the evidence says; an empty class means not sensitive.
func (c *Classifier) Decide(f *Finding, class Class, typ string) {
	if class == f.Class {
		f.Confidence = 1
		f.Evidence = append(f.Evidence, Evidence{Source: SourceVerdict, What: Verdict})
		return
	}
	f.Class, f.Confidence, f.Tags, f.Mask = class, 1, nil, ""
	f.Severity, f.Note, f.Storage, f.Alternatives = SeverityNone, NoteNone, nil, nil
	f.Evidence = []Evidence{{Source: SourceVerdict, What: Verdict}}
	if class == "" {
		f.Confidence = 0
		return
	}
	if k := c.byClass[class]; k != nil {
		f.Tags = append([]Tag(nil), k.tags...)
		sort.Slice(f.Tags, func(a, b int) bool { return f.Tags[a] < f.Tags[b] })
		f.Mask = SuggestMask(Mask(k.mask), typ, "")
	}
}

// Fingerprint changes with everything that decides how values are counted: probes, their order, and custom classifiers.
func (c *Classifier) Fingerprint() string {
	h := fnv.New64a()
	for i := range c.all {
		fmt.Fprintf(h, "%s/%d/%g/%g/%s;", c.all[i].class, c.all[i].how, c.all[i].p0, c.all[i].limit, c.all[i].fams)
	}
	for _, x := range c.custom {
		fmt.Fprintf(h, "%s/%s;", x.spec.name(), x.spec.Pattern)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// stored is the form of a profile in a checkpoint: counts and shapes only.
type stored struct {
	Family    byte
	Array     bool
	Tested    int
	Rows      int
	NullShare float64
	Distinct  float64
	Stats     bool
	Tallies   map[int][4]int
	Shape     string
	Shapes    int
	LenMean   float64
	LenSD     float64
	LenMax    int
	Words     float64
	Fields    float64
	Masked    int
	JSON      int
	Date      [3]int
	Decades   []int
	Number    [7]int
	Octets    map[byte]int
	Formats   [formats]int
	Password  [3]int
	TextSeen  int
	TextAny   int
	Text      map[Class]int
	Encoded   bool
	Regions   map[string]int
	Genders   []string
	Legal     int
	Examples  int
	Random    int
	Partial   bool
	Paths     [][]Ident
	Children  []*stored
}

// EncodeProfiles writes profiles for a checkpoint.
func EncodeProfiles(list []*Profile) ([]byte, error) {
	out := make([]*stored, len(list))
	for i, p := range list {
		out[i] = p.store()
	}
	return json.Marshal(out)
}

// DecodeProfiles reads what EncodeProfiles wrote.
func DecodeProfiles(raw []byte) ([]*Profile, error) {
	var in []*stored
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	out := make([]*Profile, len(in))
	for i, s := range in {
		out[i] = s.profile()
	}
	return out, nil
}

func (p *Profile) store() *stored {
	if p == nil {
		return nil
	}
	s := &stored{
		Family: byte(p.family), Array: p.array, Tested: p.tested, Rows: p.rows, NullShare: p.nullShare, Distinct: p.distinct, Stats: p.stats,
		Tallies: map[int][4]int{}, Shape: p.shape.text, Shapes: p.shapes, LenMean: p.lenMean, LenSD: p.lenSD, LenMax: p.lenMax, Words: p.words, Fields: p.fields,
		Masked: p.masked, JSON: p.json, Date: [3]int{p.date.n, p.date.min, p.date.max},
		Number: [7]int{p.number.n, p.number.integers, p.number.negative, p.number.decimals4, p.number.epoch, p.number.small, p.number.bits},
		Octets: p.octet, Formats: p.password.by, Password: [3]int{p.password.prefixed, p.password.common, p.password.proven},
		TextSeen: p.text.tested, TextAny: p.text.any, Text: p.text.matched, Encoded: p.encoded, Regions: p.regions, Legal: p.legal, Examples: p.examples, Random: p.random,
		Partial: p.partial,
	}
	for i, t := range p.tallies {
		s.Tallies[i] = [4]int{t.fit, t.pass, t.fail, t.examples}
	}
	for d := range p.date.decades {
		s.Decades = append(s.Decades, d)
	}
	sort.Ints(s.Decades)
	for g := range p.genders {
		s.Genders = append(s.Genders, g)
	}
	sort.Strings(s.Genders)
	for _, c := range p.children {
		s.Paths = append(s.Paths, c.path)
		s.Children = append(s.Children, c.profile.store())
	}
	return s
}

func (s *stored) profile() *Profile {
	if s == nil {
		return nil
	}
	p := newProfile(family(s.Family))
	p.array, p.tested, p.rows, p.nullShare, p.distinct, p.stats = s.Array, s.Tested, s.Rows, s.NullShare, s.Distinct, s.Stats
	p.shape, p.shapes, p.lenMean, p.lenSD, p.lenMax, p.words, p.fields = Shape{s.Shape}, s.Shapes, s.LenMean, s.LenSD, s.LenMax, s.Words, s.Fields
	p.masked, p.json, p.encoded, p.legal, p.examples, p.random = s.Masked, s.JSON, s.Encoded, s.Legal, s.Examples, s.Random
	p.partial = s.Partial
	p.date.n, p.date.min, p.date.max = s.Date[0], s.Date[1], s.Date[2]
	for _, d := range s.Decades {
		p.date.decades[d] = true
	}
	n := s.Number
	p.number = numberSpread{n: n[0], integers: n[1], negative: n[2], decimals4: n[3], epoch: n[4], small: n[5], bits: n[6]}
	for o, k := range s.Octets {
		p.octet[o] = k
	}
	p.password = passwordTally{by: s.Formats, prefixed: s.Password[0], common: s.Password[1], proven: s.Password[2]}
	p.text = freeText{tested: s.TextSeen, any: s.TextAny, matched: s.Text}
	for k, v := range s.Regions {
		p.regions[k] = v
	}
	for _, g := range s.Genders {
		p.genders[g] = true
	}
	for i, t := range s.Tallies {
		p.tallies[i] = tally{fit: t[0], pass: t[1], fail: t[2], examples: t[3]}
	}
	for i := range s.Children {
		p.children = append(p.children, child{path: s.Paths[i], profile: s.Children[i].profile()})
	}
	return p
}

// TagsOfPaths gives a structured column the tags of its class and of the paths inside it, after a person has decided about paths.
func (c *Classifier) TagsOfPaths(f *Finding) {
	if f.Class != "json.pii" {
		return
	}
	all := map[Tag]bool{}
	classes := []Class{f.Class}
	for i := range f.Paths {
		classes = append(classes, f.Paths[i].Class)
	}
	for _, class := range classes {
		if k := c.byClass[class]; k != nil {
			for _, t := range k.tags {
				all[t] = true
			}
		}
	}
	f.Tags = slices.Sorted(maps.Keys(all))
}
