package classify

import (
	"maps"
	"strings"
)

// surroundings is what a table's name and its first scores say about all of its columns.
type surroundings struct {
	person  float64 // strong classes about people
	names   bool    // given and family names, or full names, stand in it
	place   bool
	thing   bool
	health  bool // by the table's name
	proofs  int  // columns about health
	units   bool // a column of units of measurement
	tests   bool // a column that says what was measured
	money   bool // a column of amounts, or a table of payments
	card    bool
	log     bool
	linked  bool // references a table of people
	lookup  bool // a reference list
	session bool
	study   bool
	staff   bool
	lang    string // of its columns' names
}

// context is computed from the first pass's scores and applied once.
func (j *judge) context() {
	env := make([]surroundings, len(j.tables))
	people := map[Target]bool{}
	for i := range j.tables {
		env[i] = j.survey(i)
		if env[i].person >= float64(model.personStrong)-0.5 {
			people[Target{j.tables[i].Schema, j.tables[i].Name, ""}] = true
		}
	}
	for i := range j.tables {
		for k := range j.tables[i].Columns {
			ref := j.tables[i].Columns[k].References
			if ref.Table != "" && people[Target{ref.Schema, ref.Table, ""}] {
				env[i].linked = true
			}
		}
		for _, s := range j.cols[i] {
			for _, k := range j.c.kinds {
				if len(s.terms[k.class]) > 0 {
					j.apply(s, k, env[i], j.cols[i])
				}
			}
		}
	}
}

// survey reads one table.
func (j *judge) survey(i int) surroundings {
	t := &j.tables[i]
	tokens := j.c.lex.tokens(t.Name, false)
	lex := j.c.lex
	e := surroundings{
		health: lex.hasWord("health_table", tokens), card: lex.hasWord("card_table", tokens), log: lex.hasWord("log_table", tokens),
		study: lex.hasWord("study", tokens), staff: lex.hasWord("staff", tokens),
		session: contains(tokens, "session") || contains(tokens, "sessions"),
		money:   lex.hasWord("money", tokens),
		place:   lex.hasWord("place", tokens), thing: lex.hasWord("thing", tokens),
	}
	if lex.hasWord("person_table", tokens) || lex.hasWord("person_table", lex.tokens(t.Comment, false)) {
		e.person += 1.2
	}
	given, family, full, reached := false, false, false, false
	for _, s := range j.cols[i] {
		best, w := j.top(s)
		e.witness(s, lex, best, w)
		if w < 0.3 {
			if looksLinked(s, lex) {
				e.linked = true
			}
			continue
		}
		switch best {
		case "contact.email", "contact.phone", "contact.street_address", "person.username":
			e.person++
			reached = true
		case "person.birth_date":
			e.person += 1.3
		case "person.first_name":
			e.person++
			given = true
		case "person.last_name":
			e.person++
			family = true
		case "person.name":
			e.person++
			full = true
		case "fin.card_number", "fin.card_last4", "fin.card_cvv":
			e.card = true
		case "person.gender", "person.marital_status", "hr.employee_id", "person.student_id":
			e.person += 0.7
		}
		if best.group() == "id" && best != "id.vin" && best != "id.vehicle_plate" && best != "id.br_cnpj" && best != "id.us_ein" {
			e.person++
		}
		if looksLinked(s, lex) {
			e.linked = true
		}
	}
	e.lang = languageOf(j.cols[i])
	e.names = given && family || full && e.person >= 3.3
	if e.names || given && family {
		e.place = e.place && !e.names
		e.thing = false
	}
	if lex.hasWord("person_table", tokens) && e.person >= 2.2 {
		e.place, e.thing = false, false
	}
	if e.thing && !reached && !given && !family && !lex.hasWord("person_table", tokens) {
		e.person = min(e.person, 0.9) // things and animals have birth dates and sexes too
	}
	e.lookup = t.Rows > 0 && t.Rows <= 300 && len(t.Columns) <= 5 && e.person < 1
	return e
}

// witness notes what a column says of the things beside it: amounts, units of measurement, health.
func (e *surroundings) witness(s *scored, lex *lexicon, best Class, w float64) {
	e.money = e.money || lex.hasWord("money", s.name.tokens)
	e.units = e.units || lex.hasWord("unit", s.name.tokens)
	if w <= 1 {
		return
	}
	switch best {
	case "health.loinc", "health.lab":
		e.tests = true
	case "health.mrn", "health.icd10", "health.condition", "health.medication", "health.blood_type", "health.mbi", "health.vitals", "health.ndc", "health.rx_number":
	default:
		return
	}
	s.proof = true
	e.proofs++
}

// languageOf is the language that most of the clear names of a table are in: another before English, whose words stand everywhere.
func languageOf(cols []*scored) string {
	seen := map[string]int{}
	for _, s := range cols {
		if h := s.name.classes[s.name.strong]; s.name.strong != "" && len(h.lang) == 2 && h.lang != "xx" && h.lang != "me" {
			seen[h.lang]++
		}
	}
	best := ""
	if seen["en"] >= 2 {
		best = "en"
	}
	for l, n := range seen {
		if l != "en" && n >= 2 && n >= seen["en"] && (best == "" || best == "en" || n > seen[best] || n == seen[best] && l < best) {
			best = l
		}
	}
	return best
}

// foreign reports a reading by a language that the table's names are not in, beside another by theirs that is as clear: personal_nr.
func (s *scored) foreign(k Class, lang string) bool {
	h := s.name.classes[k]
	if lang == "" || h.weight < model.nameStrong || h.lang == lang {
		return false
	}
	for c, o := range s.name.classes {
		if c != k && o.lang == lang && o.weight >= h.weight {
			return true
		}
	}
	return false
}

// looksLinked reports a column that is named like a key to a person.
func looksLinked(s *scored, lex *lexicon) bool {
	n := s.name.tokens
	return len(n) >= 2 && (n[len(n)-1] == "id" || n[len(n)-1] == "uuid" || n[0] == "id") && lex.hasWord("person_table", n)
}

// top is a column's best class so far.
func (j *judge) top(s *scored) (Class, float64) {
	var best Class
	w := 0.0
	for _, k := range j.c.kinds {
		if len(s.terms[k.class]) > 0 && !s.veto[k.class] {
			if t := s.sum(k.class); t > w {
				best, w = k.class, t
			}
		}
	}
	return best, w
}

// apply enters the context terms of one class.
func (j *judge) apply(s *scored, k *kind, e surroundings, siblings []*scored) {
	switch {
	case !k.person && k.class != "loc.geo" && k.class != "contact.phone" && k.class != "special.language" && k.class != "special.nationality":
	case e.place && !e.names && !(k.class == "person.name" && byRole(s)):
		switch {
		case k.class == "contact.phone" && j.c.lex.hasWord("carried", s.name.tokens), !ofPlaces(k.class):
			s.add(k.class, SourceSibling, PlaceTable, model.thingContext) // no house carries a mobile, or has a birthday
		default:
			s.add(k.class, SourceSibling, PlaceTable, model.placeContext)
		}
	case k.class == "contact.phone" || k.class == "loc.geo" && s.name.classes[k.class].weight <= 0:
	case e.person >= float64(model.personStrong)-0.5:
		s.add(k.class, SourceSibling, PersonTable, model.personContext)
	case e.person >= 1 || e.linked:
		s.add(k.class, SourceSibling, PersonTable, model.personContext*0.5)
	case e.thing && (quasiPlace(k.class) || k.class == "person.birth_date" || k.class == "person.gender" || k.class == "person.age"):
		s.add(k.class, SourceSibling, ThingTable, model.placeContext/2)
	case e.thing && (k.class == "person.name" || k.class == "person.username") && s.name.classes[k.class].weight >= model.nameStrongHead:
		// who made, signed or flew a thing is a person
	case e.thing:
		s.add(k.class, SourceSibling, ThingTable, model.thingContext)
	case k.class != "loc.geo":
		s.add(k.class, SourceSibling, NoPerson, model.noPerson)
	}
	if s.foreign(k.class, e.lang) {
		s.add(k.class, SourceName, NameOther, model.nameOtherSoft)
	}
	if e.lookup && (k.health || uniqueLabel(s)) && (k.person || k.class == "special.language" || k.class.group() == "special" || k.class == "health.condition" || k.class == "health.medication" || k.class == "health.icd10") {
		s.add(k.class, SourceSibling, ReferenceTable, model.referenceTable)
	}
	j.groups(s, k, e, siblings)
}

// uniqueLabel reports a column whose values are about all different, as those of a reference list are.
func uniqueLabel(s *scored) bool {
	d := s.p.distinct
	if d < 0 {
		return d <= -0.9
	}
	return d == 0 || d >= 0.9*s.table.Rows*(1-s.p.nullShare)
}

// byRole reports a name that says who somebody is: the manager of a store is a person, the name of a store is none.
func byRole(s *scored) bool {
	if s.name.classes["person.name"].weight <= 0 {
		return false
	}
	for _, t := range s.name.tokens {
		if t == "name" || t == "names" || t == "title" {
			return false
		}
	}
	return true
}

// groups enters card, health and pair evidence.
func (j *judge) groups(s *scored, k *kind, e surroundings, siblings []*scored) {
	if e.card && (k.class == "fin.card_cvv" || k.class == "fin.card_expiry" || k.class == "fin.card_last4" || k.class == "fin.card_number") && s.name.classes[k.class].weight > 0 {
		s.add(k.class, SourceSibling, CardGroup, model.cardContext)
	}
	if k.class == "fin.card_expiry" && !e.card && !j.c.lex.hasWord("card_table", s.name.tokens) && s.name.classes[k.class].weight > 0 {
		s.add(k.class, SourceSibling, CardGroup, -model.cardContext) // licences, passports and offers expire as well
	}
	j.healthGroup(s, k, e)
	if k.class == "fin.transaction" && s.p.family == famInt && !e.money {
		s.add(k.class, SourceSibling, LogTable, model.moneyless)
	}
	if k.custom != nil {
		for _, want := range k.custom.spec.Siblings {
			for _, o := range siblings {
				if best, _ := j.top(o); o != s && best == want {
					s.add(k.class, SourceSibling, PairSibling, model.pairContext/2)
				}
			}
		}
	}
	switch k.class {
	case "loc.cell":
		for _, o := range siblings {
			if o != s && o.name.classes[k.class].weight >= model.nameStrong && s.name.classes[k.class].weight > 0 {
				s.add(k.class, SourceSibling, PairSibling, model.pairContext)
				return
			}
		}
	case "contact.postal_code", "contact.city", "contact.region", "contact.street_address":
		if s.name.classes[k.class].weight > 0 || k.class == "contact.city" {
			for _, o := range siblings {
				if best, w := j.top(o); o != s && w > 0 && best != k.class && (best == "contact.street_address" || best == "contact.city" || best == "contact.postal_code") {
					s.add(k.class, SourceSibling, PairSibling, model.pairContext/2)
					return
				}
			}
		}
	case "fin.salary":
		if e.staff && s.name.classes[k.class].weight > 0 {
			s.add(k.class, SourceSibling, PersonTable, 2.5)
		}
	case "person.student_id", "hr.employee_id":
		if e.study != e.staff && s.name.classes[k.class].weight > 0 {
			w := 2.5
			if e.study != (k.class == "person.student_id") {
				w = -2.5
				if s.name.classes["person.student_id"].weight <= 0 || s.name.classes["hr.employee_id"].weight <= 0 {
					w = 0 // nothing to choose between
				}
			}
			s.add(k.class, SourceSibling, PersonTable, w)
		}
	case "loc.geo":
		if j.paired(s, siblings) {
			s.add(k.class, SourceSibling, PairSibling, model.pairContext)
		}
	case "person.first_name", "person.last_name":
		other := Class("person.last_name")
		if k.class == other {
			other = "person.first_name"
		}
		for _, o := range siblings {
			if o != s && o.sum(other) > 0 && len(o.terms[other]) > 0 && o.name.strong == other {
				s.add(k.class, SourceSibling, PairSibling, 1)
				return
			}
		}
	case "fin.sort_code", "fin.bank_account":
		other := Class("fin.bank_account")
		if k.class == other {
			other = "fin.sort_code"
		}
		for _, o := range siblings {
			if o != s && len(o.terms[other]) > 0 && o.name.classes[other].weight > 3 {
				s.add(k.class, SourceSibling, PairSibling, 1.5)
				return
			}
		}
	case "secret.session":
		if e.session && s.name.classes[k.class].weight > 0 {
			s.add(k.class, SourceSibling, LogTable, model.pairContext)
		}
	case "secret.security_answer":
		for _, o := range siblings {
			if o != s && strings.Contains(strings.ToLower(o.col.Name), "question") && strings.Contains(strings.ToLower(s.col.Name), "answer") {
				s.add(k.class, SourceSibling, PairSibling, model.pairContext)
				return
			}
		}
	}
}

// healthGroup enters what the columns beside it say of a class about health. A column is no witness for itself.
func (j *judge) healthGroup(s *scored, k *kind, e surroundings) {
	proofs := e.proofs
	if s.proof {
		proofs--
	}
	near := e.health || proofs > 0
	if k.health && near {
		s.add(k.class, SourceSibling, HealthGroup, model.healthContext)
	}
	named := s.name.classes[k.class].weight
	switch k.class {
	case "health.service_date":
		switch {
		case !near:
			s.add(k.class, SourceSibling, HealthGroup, model.healthOther)
		case named > 0 && named <= model.nameWeak && proofs >= 2:
			s.add(k.class, SourceSibling, HealthGroup, model.healthContext)
		case named == 0 && (proofs >= 2 || e.health && proofs > 0) && s.event():
			s.add(k.class, SourceSibling, HealthGroup, model.healthMark)
		}
	case "health.vitals", "health.lab":
		switch {
		case !near && named < model.nameStrong:
			s.add(k.class, SourceSibling, HealthGroup, -2)
		case !near && (e.thing || e.place) && e.person < 1:
			s.add(k.class, SourceSibling, ThingTable, model.placeContext/2) // the beat of a song, the temperature of a machine
		case named > 0 && named <= model.nameWeak && (proofs >= 3 || e.units && e.tests && k.class == "health.lab"):
			s.add(k.class, SourceSibling, PairSibling, model.unitContext)
		}
	}
}

// event reports a date that is named as one and for no bookkeeping of a system or an office: when something was done to a patient.
func (s *scored) event() bool {
	if s.name.strong != "" {
		return false
	}
	_, negated := s.name.negated["health.service_date"]
	return !negated && s.lex.hasWord("dated", s.name.tokens) && !s.lex.hasWord("bookkeeping", s.name.tokens)
}

// paired finds the other half of latitude and longitude.
func (j *judge) paired(s *scored, siblings []*scored) bool {
	for _, o := range siblings {
		if o == s || len(o.terms["loc.geo"]) == 0 || o.p.family != s.p.family {
			continue
		}
		if o.name.classes["loc.geo"].weight > 0 && s.name.classes["loc.geo"].weight > 0 {
			return true
		}
		if o.p.number.decimals4 > 0 && s.p.number.decimals4 > 0 && o.sum("loc.geo") > model.priorSpecific+2 && o.nameless() && s.nameless() && !strings.EqualFold(o.col.Name, s.col.Name) {
			return true
		}
	}
	return false
}

// propagate lets foreign keys, views and partitions inherit the class of the column they show.
func (j *judge) propagate() {
	at := map[Target]*scored{}
	for i := range j.tables {
		for k := range j.tables[i].Columns {
			at[Target{j.tables[i].Schema, j.tables[i].Name, j.tables[i].Columns[k].Name}] = j.cols[i][k]
		}
	}
	j.partitions(at)
	for i := range j.tables {
		for _, s := range j.cols[i] {
			for _, ref := range []Target{s.col.References, s.col.Via} {
				if ref == s.col.Via && s.partition() {
					continue // one table with its parent
				}
				base := at[ref]
				if base == nil || base == s || base.col.Surrogate {
					continue
				}
				class, w := j.top(base)
				if class == "" || w <= 0 || class == "json.pii" && s.p.family != base.p.family {
					continue
				}
				if len(s.terms[class]) == 0 {
					s.add(class, SourcePrior, PriorOf, j.c.byClass[class].prior)
				}
				weight := model.keyReference
				if ref == s.col.Via {
					weight += 4
				}
				s.terms[class] = append(s.terms[class], Evidence{
					Source: SourceKey, What: KeyReference, Weight: weight,
					Via: Ident(ref.Schema + "." + ref.Table + "." + ref.Column),
				})
				if isPassword(class) {
					s.note, s.sev = base.note, base.sev
				}
				if class == "json.pii" || class == "text.pii" {
					s.adopt(base)
				}
			}
		}
	}
	j.copies()
}

// partition says whether a column is of a partition.
func (s *scored) partition() bool {
	return s.col.Via != Target{} && s.table.Kind != 'v' && s.table.Kind != 'm'
}

// partitions are one table with their parent: what one of them holds the parent holds, and whoever asks for the parent's rows sees it.
// So each class weighs the same in all of them, as much as where it weighs most.
func (j *judge) partitions(at map[Target]*scored) {
	var leaves []*scored
	for i := range j.tables {
		for _, s := range j.cols[i] {
			if s.partition() && at[s.col.Via] != nil {
				leaves = append(leaves, s)
			}
		}
	}
	up := func(s *scored) bool { return j.raise(at[s.col.Via], s, true) }
	down := func(s *scored) bool { return j.raise(s, at[s.col.Via], false) }
	for _, way := range []func(*scored) bool{up, down} {
		raised := true
		for level := 0; raised && level < partitionLevels; level++ {
			raised = false
			for _, s := range leaves {
				raised = way(s) || raised
			}
		}
	}
}

// partitionLevels are as many levels as anybody divides a table into.
const partitionLevels = 4

// raise lets every class that has some weight in one column weigh as much in another. What check digits exclude in the other stays so,
// but up in the parent they were counted over the values of all partitions, where those of one are lost.
func (j *judge) raise(to, from *scored, up bool) bool {
	raised := false
	for class := range from.terms {
		w := from.sum(class)
		if w < model.negligible || from.veto[class] || to.veto[class] && (!up || w <= 0) {
			continue
		}
		if len(to.terms[class]) > 0 && to.sum(class) >= w-0.005 && !to.veto[class] {
			continue
		}
		if len(to.terms[class]) == 0 {
			to.add(class, SourcePrior, PriorOf, j.c.byClass[class].prior)
		}
		delete(to.veto, class)
		to.terms[class] = append(to.terms[class], Evidence{
			Source: SourceKey, What: PartitionHolds, Weight: round2(w - to.sum(class)),
			Via: Ident(from.table.Schema + "." + from.table.Name + "." + from.col.Name),
		})
		raised = true
	}
	if raised {
		to.adopt(from)
	}
	return raised
}

// adopt takes over what is known of the inside of another column, where this one knows nothing.
func (s *scored) adopt(from *scored) {
	if len(s.paths) == 0 {
		s.paths = from.paths
	}
	if len(s.asPII) == 0 {
		s.asPII = maps.Clone(from.asPII)
	}
	if s.note == NoteNone {
		s.note, s.sev = from.note, from.sev
	}
}

// copies gives undecided columns in history, audit and staging copies the class of the same name and type elsewhere.
func (j *judge) copies() {
	type key struct{ table, name, typ string }
	known := map[key]Class{}
	for i := range j.tables {
		for _, s := range j.cols[i] {
			if class, w := j.top(s); w > 2 && class != "json.pii" && class != "text.pii" {
				known[key{j.tables[i].Name, s.col.Name, s.col.Type}] = class
			}
		}
	}
	for i := range j.tables {
		base := copyBase(j.tables[i].Name)
		if base == "" {
			continue
		}
		for _, s := range j.cols[i] {
			class, ok := known[key{base, s.col.Name, s.col.Type}]
			if !ok {
				continue
			}
			if best, w := j.top(s); best == class && w > 0 || s.veto[class] {
				continue
			}
			if len(s.terms[class]) == 0 {
				s.add(class, SourcePrior, PriorOf, j.c.byClass[class].prior)
			}
			s.terms[class] = append(s.terms[class], Evidence{Source: SourceSibling, What: CopyOf, Weight: model.copyOf, Via: Ident(base + "." + s.col.Name)})
		}
	}
}

// copyBase strips the words that mark a copy.
func copyBase(name string) string {
	for _, w := range []string{"_history", "_hist", "_audit", "_staging", "_stage", "_stg", "_backup", "_bak", "_old", "_archive", "_log", "_copy", "_tmp"} {
		if b, ok := strings.CutSuffix(name, w); ok {
			return b
		}
	}
	for _, w := range []string{"stg_", "staging_", "tmp_", "old_", "bak_", "hist_", "audit_", "raw_"} {
		if b, ok := strings.CutPrefix(name, w); ok {
			return b
		}
	}
	return ""
}

// countriesOf collects votes for countries from values and from the language of column names: shares, and the total under "".
func (c *Classifier) countriesOf(tables []Table, opt Options) map[string]float64 {
	out := map[string]float64{}
	if len(opt.Countries) > 0 {
		for _, cc := range opt.Countries {
			out[strings.ToUpper(cc)] = 1
		}
		out[""] = 10
		return out
	}
	total := 0.0
	for i := range tables {
		for k := range tables[i].Columns {
			p := tables[i].Columns[k].Profile
			if p == nil || p.tested == 0 {
				continue
			}
			for cc, n := range p.regions {
				if cc != "+" && n*4 >= p.tested || cc != "+" && n >= 5 {
					w := float64(n) / float64(p.tested)
					out[cc] += w
					total += w
				}
			}
		}
	}
	c.languageVotes(tables, out, &total)
	for cc := range out {
		out[cc] /= max(total, 1)
	}
	out[""] = total
	return out
}

// languageVotes lets column names in one language speak for its countries.
func (c *Classifier) languageVotes(tables []Table, out map[string]float64, total *float64) {
	lands := map[string][]string{
		"de": {"DE", "AT", "CH"}, "fr": {"FR", "BE", "CH", "CA"}, "es": {"ES", "MX", "AR", "CO"}, "pt": {"BR", "PT"}, "it": {"IT"}, "nl": {"NL", "BE"}, "pl": {"PL"}, "tr": {"TR"}, "ru": {"RU"},
	}
	for i := range tables {
		seen := map[string]int{}
		for k := range tables[i].Columns {
			langs := map[string]bool{}
			for _, h := range c.lex.readName(tables[i].Columns[k].Name, nil).classes {
				if h.weight >= model.nameStrong {
					langs[h.lang] = true
				}
			}
			if len(langs) == 1 {
				for l := range langs {
					seen[l]++
				}
			}
		}
		for l, n := range seen {
			if n >= 2 && lands[l] != nil {
				for _, cc := range lands[l] {
					out[cc] += 0.7
					*total += 0.7
				}
			}
		}
	}
}

// ofPlaces lists the classes that a place has by itself.
func ofPlaces(k Class) bool {
	return quasiPlace(k) || k == "person.name" || k == "contact.street_address" || k == "contact.phone" || k == "loc.geo"
}

// quasiPlace lists the classes that things have as often as people.
func quasiPlace(k Class) bool {
	switch k {
	case "contact.city", "contact.region", "contact.country", "special.language", "special.nationality", "contact.postal_code":
		return true
	}
	return false
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
