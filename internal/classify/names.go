package classify

import (
	"sort"
	"strings"
)

// nameReading is what the words of an identifier say: the strength per class, and which negative word was met.
type nameReading struct {
	classes map[Class]nameHit
	negated map[Class]wordKind // class whose stem stands next to a negative word
	strong  Class              // the class the name says most clearly, if any
	weak    bool               // some class is named by a weak word
	opaque  bool               // no token was understood
	note    bool               // a free-text word (comment, remarks)
	none    bool               // a phrase that only looks like a class
	tokens  []string
}

type nameHit struct {
	reason Reason
	weight float64
	lang   string
}

// match is a phrase found in a name.
type match struct {
	from, to int
	entries  []entry
}

const (
	noteClass Class = "text.note"
	noneClass Class = "none" // phrases that look like a class and are not
)

// readName reads a column's name. tableTokens are words of the table that the column may repeat.
func (l *lexicon) readName(name string, tableTokens []string) nameReading {
	best := l.readTokens(l.tokens(name, false))
	if fold(name, true) != fold(name, false) {
		best.merge(l.readTokens(l.tokens(name, true)))
	}
	if rest := dropRepeats(best.tokens, tableTokens); rest != nil {
		r := l.readTokens(rest)
		if best.negated["person.name"] == wordSubject {
			delete(r.classes, "person.name") // vessels.vessel_name: what is dropped says whose name it is
		}
		for c, h := range r.classes {
			h.weight = min(h.weight, model.nameStrong)
			r.classes[c] = h
		}
		best.merge(r)
	}
	for c := range best.negated {
		if best.classes[c].weight >= model.nameWhole {
			delete(best.negated, c)
		}
	}
	best.pickStrong()
	return best
}

// dropRepeats leaves out leading tokens that repeat the table's name; nil when nothing was dropped or nothing is left.
func dropRepeats(tokens, table []string) []string {
	n := 0
	for n < len(tokens)-1 {
		found := false
		for _, t := range table {
			if t == tokens[n] || singular(t) == tokens[n] {
				found = true
			}
		}
		if !found {
			break
		}
		n++
	}
	if n == 0 {
		return nil
	}
	return tokens[n:]
}

func (r *nameReading) merge(o nameReading) {
	for c, h := range o.classes {
		if h.weight > r.classes[c].weight {
			r.classes[c] = h
			delete(r.negated, c)
		}
	}
	r.note = r.note || o.note
	r.opaque = r.opaque && o.opaque
}

func (r *nameReading) pickStrong() {
	top := model.nameSaysOther
	for c, h := range r.classes {
		r.weak = r.weak || h.weight > 0
		if _, neg := r.negated[c]; neg {
			continue
		}
		if h.weight > top || h.weight == top && r.strong != "" && c < r.strong {
			r.strong, top = c, h.weight
		}
	}
}

func (l *lexicon) readTokens(tokens []string) nameReading {
	r := nameReading{classes: map[Class]nameHit{}, negated: map[Class]wordKind{}, tokens: tokens, opaque: true}
	matches := l.matches(tokens)
	covered := make([]bool, len(tokens))
	for _, m := range matches {
		for i := m.from; i < m.to; i++ {
			covered[i] = true
		}
		r.opaque = false
	}
	for i, t := range tokens {
		if k := l.words[t]; !covered[i] && k != wordUnknown && k != wordNeutral {
			r.opaque = false
		}
	}
	if len(matches) == 0 {
		for _, t := range tokens {
			k := l.words[t]
			r.none = r.none || k == wordSubject || k == wordKindOf || l.tables["thing"][t]
		}
	}
	for _, m := range matches {
		l.weigh(&r, tokens, covered, m, matches)
	}
	l.readActor(&r)
	given, family := r.classes["person.first_name"], r.classes["person.last_name"]
	if len(matches) == 2 && given.weight > 1 && (family.weight > 1 || r.classes["person.name"].weight > 0) {
		r.classes["person.name"] = nameHit{reason: NameStrong, weight: model.nameStrong, lang: given.lang}
		delete(r.negated, "person.name")
		given.weight, family.weight = given.weight/2, family.weight/2
		r.classes["person.first_name"], r.classes["person.last_name"] = given, family
	}
	return r
}

// readActor reads created_by and its kin: who did something, by login or by name.
func (l *lexicon) readActor(r *nameReading) {
	n := len(r.tokens)
	if n < 2 || r.tokens[n-1] != "by" || r.classes["person.username"].weight > 0 || r.classes["person.name"].weight > 0 {
		return
	}
	r.classes = map[Class]nameHit{
		"person.username": {reason: NameStrongHead, weight: model.nameActor, lang: "en"},
		"person.name":     {reason: NameStrongHead, weight: model.nameActor, lang: "en"},
	}
	r.negated, r.opaque = map[Class]wordKind{}, false
}

// matches finds phrases, longest first and from the end, without overlap, in the order of the name.
func (l *lexicon) matches(tokens []string) []match {
	var out []match
	taken := make([]bool, len(tokens))
	for n := min(l.longest, len(tokens)); n > 0; n-- {
	place:
		for i := len(tokens) - n; i >= 0; i-- {
			for k := i; k < i+n; k++ {
				if taken[k] {
					continue place
				}
			}
			if e := l.phrases[strings.Join(tokens[i:i+n], " ")]; e != nil {
				out = append(out, match{i, i + n, e})
				for k := i; k < i+n; k++ {
					taken[k] = true
				}
			}
		}
	}
	out = l.shortMatches(tokens, taken, out)
	sort.Slice(out, func(a, b int) bool { return out[a].from < out[b].from })
	return out
}

// shortMatches adds what the words say that no phrase has taken, when they are read as short forms.
func (l *lexicon) shortMatches(tokens []string, taken []bool, out []match) []match {
	for n := min(shortLongest, len(tokens)); n > 0; n-- {
	place:
		for i := len(tokens) - n; i >= 0; i-- {
			for k := i; k < i+n; k++ {
				if taken[k] {
					continue place
				}
			}
			var e []entry
			if n == 1 {
				e = l.cutWord(tokens[i])
			} else {
				e = l.shortPhrase(tokens[i : i+n])
			}
			if e == nil {
				continue
			}
			out = append(out, match{i, i + n, e})
			for k := i; k < i+n; k++ {
				taken[k] = true
			}
		}
	}
	return out
}

// weigh enters what one phrase says, given what stands around it.
func (l *lexicon) weigh(r *nameReading, tokens []string, covered []bool, m match, all []match) {
	unknown, neutral, switches := 0, 0, 0
	for i, t := range tokens {
		if i >= m.from && i < m.to {
			continue
		}
		switch k, isDigit := l.words[t], t[0] >= '0' && t[0] <= '9'; {
		case isDigit || k == wordNeutral && !covered[i]:
			neutral++
		case covered[i]:
			if k == wordNeutral || !l.strongAnywhere(t) || t == "description" || t == "text" {
				neutral++
			} else {
				unknown++
			}
		default:
			unknown++
			if k == wordSwitch {
				switches++
			}
		}
	}
	for _, e := range m.entries {
		unknown := unknown
		if byNameBoolean(e.class) {
			unknown -= switches
		}
		unknown = max(0, unknown-agreeing(all, m, e.class, l, tokens))
		if e.class == noneClass {
			r.none = true
			continue
		}
		if e.class == noteClass {
			r.note = r.note || m.to == len(tokens) || strings.Contains(headFirst, e.lang)
			continue
		}
		romance := strings.Contains(headFirst, " "+e.lang+" ")
		head := m.to == len(tokens) || romance && m.from == 0
		h := nameHit{lang: e.lang}
		switch {
		case e.weak && unknown == 0:
			h.reason, h.weight = NameWeak, model.nameWeak
		case e.weak:
			h.reason, h.weight = NameWeak, model.nameWeakMixed
		case unknown == 0 && neutral == 0:
			h.reason, h.weight = NameWhole, model.nameWhole
		case unknown == 0:
			h.reason, h.weight = NameStrong, model.nameStrong
		case head:
			h.reason, h.weight = NameStrongHead, model.nameStrongHead
		default:
			h.reason, h.weight = NameStrongMixed, model.nameStrongMixed
		}
		if e.short {
			h.weight = min(h.weight, model.nameShort)
		}
		if !head && len(all) > 1 && unknown > 0 {
			h.weight *= model.nameNotHead
		}
		if k := l.negation(tokens, covered, m, e, romance); k != wordUnknown {
			r.negated[e.class] = k
			h.weight = 0
		}
		if old, ok := r.classes[e.class]; !ok || h.weight > old.weight {
			r.classes[e.class] = h
			if h.weight > 0 {
				delete(r.negated, e.class)
			}
		}
	}
}

// agreeing counts the words of other phrases that speak for the same class: btc wallet.
func agreeing(all []match, m match, class Class, l *lexicon, tokens []string) int {
	n := 0
	for _, o := range all {
		if o.from == m.from {
			continue
		}
		for _, e := range o.entries {
			if e.class == class {
				for i := o.from; i < o.to; i++ {
					if l.words[tokens[i]] != wordNeutral && l.strongAnywhere(tokens[i]) {
						n++
					}
				}
				break
			}
		}
	}
	return n
}

func (l *lexicon) strongAnywhere(t string) bool {
	for _, e := range l.phrases[t] {
		if !e.weak {
			return true
		}
	}
	return false
}

// negation looks at the words around a phrase for one that makes the column about the datum instead of the datum.
func (l *lexicon) negation(tokens []string, covered []bool, m match, e entry, romance bool) wordKind {
	kindAt := func(i int) wordKind {
		if i < 0 || i >= len(tokens) || covered[i] && l.strongAnywhere(tokens[i]) {
			return wordUnknown
		}
		return l.words[tokens[i]]
	}
	next := m.to
	for next < len(tokens) && kindAt(next) == wordNeutral && !covered[next] && tokens[next] != "id" {
		next++
	}
	next = l.pastForm(tokens, next, e)
	switch k := kindAt(next); k {
	case wordSubject:
		if e.class == "loc.geo" && l.ofPlace(tokens[next]) {
			return k
		}
	case wordTime, wordCount, wordKindOf, wordSwitch:
		if byNameBoolean(e.class) && (k == wordSwitch || k == wordKindOf && gradesDatum(tokens[next])) {
			break
		}
		return k
	case wordFile:
		if e.class.group() != "secret" {
			return k
		}
	case wordNeutral:
		if tokens[next] == "id" && next == len(tokens)-1 && referenced(e.class) {
			return wordKindOf
		}
	}
	if k := l.endOfName(tokens, covered, m, e, romance); k != wordUnknown {
		return k
	}
	if l.otherOwner(tokens, m, e, romance) {
		return wordSubject
	}
	if m.from > 0 && tokens[0] == "id" && romance && referenced(e.class) {
		return wordKindOf // id_cliente is a key, as cliente_id is
	}
	if m.from > 0 && (e.class == "contact.phone" || e.class == "loc.geo") && l.ofPlace(tokens[m.from-1]) {
		return wordSubject
	}
	for i := range m.from {
		switch k := kindAt(i); k {
		case wordSwitch:
			if (tokens[i] == "is" || tokens[i] == "has" || tokens[i] == "can" || tokens[i] == "needs" || tokens[i] == "allow") && !byNameBoolean(e.class) {
				return k
			}
		case wordCount:
			switch tokens[i] {
			case "count", "min", "max", "cnt", "avg", "average", "limit", "anzahl", "median", "mean", "mittelwert", "durchschnitt", "moyenne", "promedio":
				return k
			}
		case wordKindOf:
			if romance || tokens[i] == "typ" || tokens[i] == "art" || tokens[i] == "rodzaj" || tokens[i] == "type" {
				return k
			}
		case wordSubject:
			if i == m.from-1 && aboutSubject(e) {
				return k
			}
		case wordFile:
			if i == m.from-1 && aboutSubject(e) {
				return k
			}
		}
	}
	if e.class.group() == "secret" || e.class == "net.device_id" || e.class == "bio.fingerprint" {
		for i, t := range tokens {
			if !covered[i] && l.tables["file"][t] {
				return wordFile
			}
		}
	}
	return wordUnknown
}

// ofPlace lists words for places of business; an office or a company is also where a person is reached.
func (l *lexicon) ofPlace(t string) bool {
	return l.tables["place"][t] && t != "office" && t != "company" && !strings.HasPrefix(t, "location")
}

// endOfName looks at the last word, which is what a Germanic compound is about whatever stands between: name plate color.
func (l *lexicon) endOfName(tokens []string, covered []bool, m match, e entry, romance bool) wordKind {
	last := len(tokens) - 1
	if romance || m.to >= last || covered[last] || gradesDatum(tokens[last]) && byNameBoolean(e.class) {
		return wordUnknown
	}
	if e.class.group() == "bio" && l.tables["biometric"][tokens[last]] {
		return wordUnknown
	}
	switch k := l.words[tokens[last]]; {
	case k == wordCount, k == wordKindOf, k == wordSwitch && !byNameBoolean(e.class), k == wordSubject && l.tables["head"][tokens[last]]:
		return k
	}
	return wordUnknown
}

// pastForm goes on past words that only say in which form the datum is kept.
func (l *lexicon) pastForm(tokens []string, next int, e entry) int {
	if next+1 < len(tokens) && tokens[next] == "source" && tokens[next+1] == "value" {
		next += 2 // race_source_value: as it was in the source
	}
	if next < len(tokens) && e.class.group() == "bio" && l.tables["biometric"][tokens[next]] {
		return len(tokens) // what is kept of a finger or a face is its template
	}
	return next
}

// otherOwner reports a person's word that a firm's follows (sender company), and a card that is none for payments (medical card exp).
func (l *lexicon) otherOwner(tokens []string, m match, e entry, romance bool) bool {
	switch e.class {
	case "person.name", "person.first_name", "person.last_name":
		last := len(tokens) - 1
		return m.to <= last && l.tables["org"][tokens[last]] || romance && m.from > 0 && m.to == len(tokens) && l.tables["org"][tokens[0]]
	case "fin.card_number", "fin.card_expiry", "fin.card_cvv", "fin.card_last4":
		return m.from > 0 && l.tables["other_card"][tokens[m.from-1]] || romance && m.to < len(tokens) && l.tables["other_card"][tokens[m.to]]
	}
	return false
}

// byNameBoolean lists the classes whose boolean columns count by name, so that is_ and has_ do not speak against them.
func byNameBoolean(c Class) bool { return c.group() == "special" || c == "health.disability" }

// gradesDatum lists words after which the values are still the datum where the datum itself is a kind: ethnic category.
func gradesDatum(t string) bool {
	switch t {
	case "category", "type", "kind", "class", "group", "kategorie", "categorie", "categoria", "art", "tipo":
		return true
	}
	return false
}

// referenced lists the classes of which a trailing "id" means a key into another table.
func referenced(c Class) bool {
	switch c.group() {
	case "contact", "special", "health", "loc", "bio":
		return true
	case "person":
		return c != "person.student_id" && c != "person.username"
	}
	return c == "fin.card_number" || c == "fin.bank_account" || c == "fin.balance" || c == "fin.salary"
}

// aboutSubject lists the classes that a company, a branch or a product has as well as a person.
func aboutSubject(e entry) bool {
	switch e.class {
	case "person.name", "contact.city", "contact.street_address", "contact.country", "contact.region", "person.job_title", "person.age", "special.language":
		return true
	case "person.first_name", "person.last_name":
		return e.weak
	}
	return false
}

// hasWord reports whether any token of a name is in the word list of the kind.
func (l *lexicon) hasWord(list string, tokens []string) bool {
	for _, t := range tokens {
		if l.tables[list][t] || l.tables[list][singular(t)] {
			return true
		}
	}
	return false
}
