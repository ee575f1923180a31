package classify

import (
	"math"
	"sort"
	"strings"
)

// Table is one table with what was measured of its columns.
type Table struct {
	Schema, Name, Comment string
	Kind                  byte // pg_class.relkind
	Rows                  float64
	Columns               []MeasuredColumn
}

// MeasuredColumn pairs the facts of a column with its profile; a nil profile means that no value was seen.
type MeasuredColumn struct {
	Column
	Profile *Profile
}

// Options tune Judge for one run.
type Options struct {
	Countries []string // alpha-2 codes that an operator set; empty: learned from the data
	// Confirmed are classes that people confirmed, by column name and type: a prior for the same name and type elsewhere.
	Confirmed map[NameType]Class
}

// NameType is a column's name and type.
type NameType struct{ Name, Type string }

// Judge weighs what was measured over all tables of one database and returns findings in the order of the input.
func (c *Classifier) Judge(tables []Table, opt Options) [][]Finding {
	j := &judge{c: c, opt: opt, countries: c.countriesOf(tables, opt), tables: tables}
	j.cols = make([][]*scored, len(tables))
	for i := range tables {
		j.cols[i] = j.firstPass(&tables[i])
	}
	j.context()
	j.propagate()
	out := make([][]Finding, len(tables))
	for i := range tables {
		for k := range tables[i].Columns {
			out[i] = append(out[i], j.finish(j.cols[i][k]))
		}
	}
	return out
}

// One judges a single column by itself, for result columns that stand alone: values are measured and dropped.
func (c *Classifier) One(col *Column, vals Values) Finding {
	t := Table{Columns: []MeasuredColumn{{Column: *col, Profile: c.Measure(col, vals)}}}
	return c.Judge([]Table{t}, Options{})[0][0]
}

type judge struct {
	c         *Classifier
	opt       Options
	countries map[string]float64
	tables    []Table
	cols      [][]*scored
}

// scored is one column on its way to a finding.
type scored struct {
	table *Table
	col   *Column
	p     *Profile
	name  nameReading
	lex   *lexicon
	salts salts
	terms map[Class][]Evidence
	veto  map[Class]bool
	pass  Class // the password class that the values would make
	note  Note
	sev   Severity
	paths []PathFinding
	state State
	asPII map[Class]bool // tags found inside
	proof bool           // speaks of health by itself
}

func (s *scored) add(k Class, src Source, what Reason, w float64) {
	if w != 0 {
		s.terms[k] = append(s.terms[k], Evidence{Source: src, What: what, Weight: round2(w)})
	}
}

func (s *scored) sum(k Class) float64 {
	t := 0.0
	for _, e := range s.terms[k] {
		t += e.Weight
	}
	return t
}

func round2(f float64) float64 { return math.Round(f*100) / 100 }

// firstPass enters priors, names, types, keys and values; context comes after all tables are seen.
func (j *judge) firstPass(t *Table) []*scored {
	tableTokens := append(j.c.lex.tokens(t.Name, false), j.c.lex.sharedTokens(t)...)
	glued, salts := gluedPrefix(t), j.c.lex.salts(t)
	out := make([]*scored, len(t.Columns))
	for i := range t.Columns {
		col := &t.Columns[i]
		s := &scored{table: t, col: &col.Column, p: col.Profile, salts: salts}
		j.score(s, tableTokens, glued)
		out[i] = s
	}
	return out
}

func (j *judge) score(s *scored, tableTokens []string, glued int) {
	t, col, p := s.table, s.col, s.p
	s.lex, s.terms, s.veto, s.asPII = j.c.lex, map[Class][]Evidence{}, map[Class]bool{}, map[Class]bool{}
	if p == nil {
		p = j.c.Measure(col, Values{})
		s.p = p
	}
	s.name = j.c.lex.readName(col.Name, tableTokens)
	if glued > 0 && len(col.Name) > glued+1 && s.name.opaque {
		s.name = j.c.lex.readName(col.Name[glued:], tableTokens)
	}
	s.state = StatePlain
	if p.tested == 0 {
		s.state = StateEmpty
	}
	if p.tested > 0 && float64(p.masked) >= model.maskedShare*float64(p.tested) && p.tested >= 3 {
		s.state = StateMasked
	}
	switch p.family {
	case famJSON, famXML, famHstore, famRecord:
		j.structured(s)
		return
	}
	for _, k := range j.c.kinds {
		if k.class == "text.pii" || k.class == "json.pii" {
			continue
		}
		if p.family != famOther && !k.allows(p.family) {
			continue
		}
		if k.custom != nil && !k.custom.inScope(t.Schema, t.Name, col.Name) {
			continue
		}
		j.scoreClass(s, k)
	}
	j.password(s)
	j.text(s)
	j.competing(s)
}

// scoreClass enters everything about one class that needs no other column.
func (j *judge) scoreClass(s *scored, k *kind) {
	value, src := j.valueTerms(s, k)
	if !j.worthWeighing(s, k, value) {
		return
	}
	nameWeight := j.nameTerms(s, k)
	if len(value) == 0 && nameWeight == 0 && len(s.terms[k.class]) == 0 && s.col.References == (Target{}) {
		return
	}
	s.add(k.class, SourcePrior, PriorOf, k.prior)
	if n, ok := j.opt.Confirmed[NameType{s.col.Name, s.col.Type}]; ok && n == k.class {
		s.add(k.class, SourceVerdict, CopyOf, model.samePrior)
	}
	for _, e := range value {
		e.Source = src
		s.terms[k.class] = append(s.terms[k.class], e)
	}
	if k.byName && nameWeight <= 0 && !spoken(s.terms[k.class]) && !s.provenStem(k.class, value) {
		s.add(k.class, src, NeedsName, model.needsName)
	}
	j.keyTerms(s, k, nameWeight)
	j.countryTerm(s, k, value)
	j.cardinality(s, k, value)
}

// worthWeighing leaves out classes that the values speak against while nothing else speaks for them: no context could lift them.
func (j *judge) worthWeighing(s *scored, k *kind, value []Evidence) bool {
	if len(value) == 0 || value[0].Weight > -1 || s.col.Comment != "" || s.col.Domain != "" || isPassword(k.class) {
		return true
	}
	_, named := s.name.classes[k.class]
	return named
}

func spoken(terms []Evidence) bool {
	for _, e := range terms {
		if e.Source == SourceComment || e.What == DomainSays {
			return true
		}
	}
	return false
}

// provenStem reports a name that has the stem of a class next to a word that speaks against it (fingerprint_format), over values that
// cannot be anything else: then the values are right.
func (s *scored) provenStem(k Class, value []Evidence) bool {
	_, negated := s.name.negated[k]
	return negated && len(value) > 0 && (value[0].What == ValueStrongShape || value[0].What == ValueChecksum) && value[0].Weight >= model.proven
}

// aboutOther reports a name that speaks about a datum of other kinds, such as its prefix or its type.
func (s *scored) aboutOther(class Class) bool {
	for c, kind := range s.name.negated {
		if kind != wordKindOf || c == class || c.group() == class.group() || sameFamily(c, class) {
			return false
		}
	}
	return len(s.name.negated) > 0 && !s.name.weak
}

// nameTerms enters what the names of column and domain and the comment say.
func (j *judge) nameTerms(s *scored, k *kind) float64 {
	w := 0.0
	lexClass := k.class
	if isPassword(k.class) {
		lexClass = "secret.password"
	}
	if h, ok := s.name.classes[lexClass]; ok {
		if kindOf, neg := s.name.negated[lexClass]; neg {
			weight := 0.0
			if kindOf == wordSubject {
				weight = model.nameOther // the name of a ship may well be a person's
				if k.class.group() == "contact" {
					weight = model.placeContext / 2 // the street of a depot is a street
				}
			}
			s.terms[k.class] = append(s.terms[k.class], Evidence{Source: SourceName, What: NameNegated, Weight: weight})
		} else {
			w = h.weight
			s.add(k.class, SourceName, h.reason, w)
		}
	} else if kindOf := s.name.negated["person.name"]; kindOf == wordSubject && (k.class == "person.first_name" || k.class == "person.last_name") {
		s.add(k.class, SourceName, NameNegated, model.nameOther) // the name of a thing is nobody's first or last name either
	} else if s.name.strong == "" && s.aboutOther(k.class) {
		s.add(k.class, SourceName, NameOther, model.nameOtherSoft) // the prefix of a key is no country
	} else if s.name.none && s.name.strong == "" {
		s.add(k.class, SourceName, NameNegated, model.nameOther)
	} else if s.name.strong != "" && s.name.strong != lexClass && !sameFamily(s.name.strong, k.class) {
		s.add(k.class, SourceName, NameOther, model.nameOther)
	}
	if w == 0 && s.name.strong == "" && s.name.weak {
		s.add(k.class, SourceName, NameOther, model.nameOtherSoft)
	}
	if s.col.Domain != "" {
		if h, ok := j.c.lex.readName(s.col.Domain, nil).classes[lexClass]; ok && h.weight >= model.nameStrongMixed {
			s.add(k.class, SourceName, DomainSays, model.domain)
		}
	}
	if s.col.Comment != "" {
		r := j.c.lex.readTokens(j.c.lex.tokens(s.col.Comment, false))
		if h, ok := r.classes[lexClass]; ok && h.weight > 0 && (h.reason != NameWeak) {
			if _, neg := r.negated[lexClass]; !neg {
				s.add(k.class, SourceComment, CommentSays, model.comment)
			}
		}
	}
	return w
}

// sameFamily lists classes whose names are close enough not to exclude each other.
func sameFamily(a, b Class) bool {
	if a == "secret.password" && isPassword(b) {
		return true
	}
	if a == "id.national_id" && b.group() == "id" || a == "fin.company_id" && b == "fin.vat_id" || a == "fin.vat_id" && b == "fin.company_id" {
		return true
	}
	if a.group() == "secret" && b.group() == "secret" || a == "health.insurance_id" && b == "health.mbi" {
		return true
	}
	return a == "fin.bank_account" && b == "fin.iban" || a == "fin.iban" && b == "fin.bank_account" || a == "health.condition" && b == "health.icd10" || a == "health.medication" && b == "health.ndc" || a == "id.us_ssn" && b == "id.us_itin"
}

func isPassword(k Class) bool { return strings.HasPrefix(string(k), "secret.password") }

// keyTerms enters surrogate keys.
func (j *judge) keyTerms(s *scored, k *kind, nameWeight float64) {
	f, _ := familyOf(s.col.Type)
	surrogate := s.col.Surrogate || s.col.Primary && (f == famInt || f == famUUID)
	counted := j.counted(s, f)
	if counted || surrogate && !(k.keyLike && nameWeight >= model.nameStrongMixed && !strings.HasSuffix(strings.ToLower(s.col.Name), "id")) {
		w := model.keySurrogate
		if k.keyLike {
			w *= 1.7 // a generated key is nobody's number
		}
		s.add(k.class, SourceKey, KeySurrogate, w)
	}
	if s.col.References != (Target{}) && k.keyLike {
		s.add(k.class, SourceKey, KeySurrogate, model.keySurrogate/2)
	}
}

// counted reports whole numbers that run from one to about the number of rows, each once: a counter, whatever it is called; and those
// that run on without gaps from anywhere, under the name of a key.
func (j *judge) counted(s *scored, f family) bool {
	rows := max(s.table.Rows, float64(s.p.rows))
	all := s.p.distinct >= 0.95*rows || s.p.distinct < 0 && s.p.distinct <= -0.95
	if f != famInt || rows < 50 || !all || s.p.number.n < 20 || s.p.number.negative > 0 {
		return false
	}
	if math.Ldexp(1, s.p.number.bits) <= 4*rows {
		return true
	}
	n := s.name.tokens
	key := len(n) > 1 && (n[0] == "id" || n[len(n)-1] == "id") // one that starts at a thousand is a counter where it is named as a key
	return key && s.p.number.max-s.p.number.min <= 2*rows
}

func (j *judge) countryTerm(s *scored, k *kind, value []Evidence) {
	if len(k.countries) == 0 || len(j.countries) == 0 || len(value) == 0 {
		return
	}
	best := 0.0
	for _, cc := range k.countries {
		best = max(best, j.countries[cc])
	}
	switch {
	case best >= 0.05:
		s.add(k.class, SourceCountry, CountrySeen, model.countrySeen*min(1, 0.4+best*3))
	case j.countries[""] >= 3 && s.name.classes[k.class].weight < model.nameStrong:
		s.add(k.class, SourceCountry, CountryOther, model.countryOther)
	}
}

// cardinality enters columns with too few distinct values for what they would be.
func (j *judge) cardinality(s *scored, k *kind, value []Evidence) {
	if s.p.tested == 0 || s.p.tested > 8 {
		return
	}
	rows := max(float64(s.p.rows), s.table.Rows) * (1 - s.p.nullShare)
	if rows < 100 { // of those that have a value: one address in one row is not a constant
		return
	}
	d := s.p.distinct
	if d < 0 {
		d *= -rows
	}
	if d > 8 {
		return
	}
	if len(value) > 0 && value[0].What == ValueStrongShape && value[0].Weight > 0 {
		return // an address that stands in every row is an address
	}
	switch k.class {
	case "person.name", "person.first_name", "person.last_name", "contact.email", "contact.phone", "person.username", "contact.street_address", "fin.iban", "fin.card_number":
		s.add(k.class, SourceType, FewDistinct, 2*model.fewDistinct)
	}
	if k.class == "contact.city" && s.name.strong != k.class {
		s.add(k.class, SourceType, FewDistinct, model.fewDistinct)
	}
	if k.class.group() == "id" || k.class == "secret.password_plain" {
		s.add(k.class, SourceType, FewDistinct, model.fewDistinct)
	}
}

// competing lowers weak readings where check digits or an unmistakable shape speak for another class.
func (j *judge) competing(s *scored) {
	var top Class
	best := 0.0
	for _, k := range j.c.kinds {
		for _, e := range s.terms[k.class] {
			if (e.What == ValueChecksum || e.What == ValueStrongShape) && e.Weight >= 9 && s.sum(k.class) > best && s.sum(k.class) > 2 {
				best, top = s.sum(k.class), k.class
			}
		}
	}
	if top == "" || top == s.name.strong {
		return
	}
	for _, k := range j.c.kinds {
		if k.class == top || len(s.terms[k.class]) == 0 {
			continue
		}
		exact := false
		for _, e := range s.terms[k.class] {
			exact = exact || (e.What == ValueChecksum || e.What == ValueStrongShape) && e.Weight > 4
		}
		if !exact {
			s.add(k.class, SourceSample, OtherFits, model.nameOther)
		}
	}
}

// finish turns the sums into a finding.
func (j *judge) finish(s *scored) Finding {
	f := Finding{State: s.state, Rows: s.p.rows, Tested: s.p.tested, Paths: s.paths, TestData: s.p.examples}
	f.Sums = j.softmax(s)
	if s.p.text.tested > 0 {
		f.Inside = s.p.text.rates()
	}
	if len(f.Sums) == 0 || f.Sums[0].Vetoed {
		return f
	}
	none := 1.0
	for _, x := range f.Sums {
		none -= x.Confidence
	}
	best := f.Sums[0]
	if best.Confidence >= model.assign || none <= 0.3 && best.Confidence >= 0.3 {
		f.Class, f.Confidence, f.Evidence = best.Class, math.Round(best.Confidence*1000)/1000, best.Terms
		j.describe(s, &f)
	}
	for _, x := range f.Sums {
		if x.Class != f.Class && x.Confidence >= model.alternative {
			f.Alternatives = append(f.Alternatives, Alternative{x.Class, math.Round(x.Confidence*1000) / 1000})
		}
	}
	return f
}

// softmax sorts the classes by their sums and gives each its confidence against all others and "nothing". Classes that check digits exclude
// come last, without confidence and without a part in that of the others: they are there to be explained.
func (j *judge) softmax(s *scored) []Sum {
	var sums, vetoed []Sum
	total := 1.0
	for _, k := range j.c.kinds {
		terms := s.terms[k.class]
		if len(terms) == 0 {
			continue
		}
		t := min(40, round2(s.sum(k.class)))
		if s.veto[k.class] && s.state == StatePlain {
			vetoed = append(vetoed, Sum{Class: k.class, Total: t, Terms: terms, Vetoed: true, Named: s.name.classes[k.class].weight > 0})
			continue
		}
		sums = append(sums, Sum{Class: k.class, Total: t, Terms: terms})
		total += math.Exp(t)
	}
	for i := range sums {
		sums[i].Confidence = math.Exp(sums[i].Total) / total
	}
	for _, list := range [][]Sum{sums, vetoed} {
		sort.SliceStable(list, func(a, b int) bool { return list[a].Total > list[b].Total })
	}
	return append(sums, vetoed...)
}

// describe adds tags, mask, severity and notes to an assigned class.
func (j *judge) describe(s *scored, f *Finding) {
	k := j.c.byClass[f.Class]
	f.Tags = append([]Tag(nil), k.tags...)
	for tag := range s.insideTags(j.c) {
		if !hasTag(f.Tags, tag) {
			f.Tags = append(f.Tags, tag)
		}
	}
	sort.Slice(f.Tags, func(a, b int) bool { return f.Tags[a] < f.Tags[b] })
	f.Mask = SuggestMask(Mask(k.mask), s.col.Type, s.col.Base)
	switch f.Class {
	case "fin.card_cvv", "fin.card_track":
		f.Severity, f.Note = SeverityCritical, NoteCardVerification
	case "secret.api_key", "secret.aws_key", "secret.private_key", "secret.connection_string", "secret.crypto_seed":
		f.Severity, f.Note = SeverityCritical, NoteSecretPlain
	default:
		if isPassword(f.Class) {
			f.Severity, f.Note = s.sev, s.note
			f.Storage = s.p.password.storage()
			if s.note == NotePasswordReversible {
				f.State = StateEncrypted
			}
		} else if f.Class.group() == "secret" {
			f.Severity, f.Note = SeverityHigh, NoteSecretPlain
		}
	}
	for _, e := range f.Evidence {
		if e.What == ValueEncrypted {
			f.State = StateEncrypted
		}
		if e.What == ValueTokenised {
			f.State = StateTokenised
			f.Confidence = min(f.Confidence, model.tokenisedCap)
		}
	}
	if f.State == StateMasked {
		f.Severity, f.Note = SeverityNone, NoteNone
	}
}

func hasTag(tags []Tag, t Tag) bool {
	for _, x := range tags {
		if x == t {
			return true
		}
	}
	return false
}

// insideTags are the tags of what was found in free text or under paths.
func (s *scored) insideTags(c *Classifier) map[Tag]bool {
	out := map[Tag]bool{}
	for k := range s.asPII {
		if x := c.byClass[k]; x != nil {
			for _, t := range x.tags {
				out[t] = true
			}
		}
	}
	return out
}
