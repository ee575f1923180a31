package classify

import (
	"math"
	"strings"
)

// valueTerms turns the tallies of a class's probes into evidence: the best probe counts.
func (j *judge) valueTerms(s *scored, k *kind) ([]Evidence, Source) {
	src := SourceSample
	if s.p.stats {
		src = SourceStats
	}
	if s.p.tested == 0 {
		return nil, src
	}
	named := s.name.classes[k.class].weight > 0
	if _, neg := s.name.negated[k.class]; neg {
		named = false
	}
	if named && k.class.group() != "secret" && saysEncrypted(s.name.tokens) && s.p.random*10 >= s.p.tested*8 && s.p.tested >= 3 {
		return []Evidence{{What: ValueEncrypted, Weight: 1, Tested: s.p.tested, Matched: s.p.random}}, src
	}
	var best Evidence
	have, usable := false, false
	for _, i := range j.c.byKind[k.class] {
		pr := &j.c.all[i]
		if !j.c.runsOn(pr, s.p.family) || pr.named && !named && !spoken(s.terms[k.class]) || pr.fams == "g" && s.col.box() {
			continue
		}
		usable = true
		e, veto, ok := j.weighProbe(s, k, pr, s.p.tallies[i], named)
		if veto {
			s.veto[k.class] = true
		}
		if ok && (!have || e.Weight > best.Weight) {
			best, have = e, true
		}
	}
	if !usable || !have {
		return nil, src
	}
	if best.Weight > 0 {
		delete(s.veto, k.class) // another form of the same class fits
	}
	best = j.special(s, k, best)
	if best.Weight == 0 {
		return nil, src
	}
	best.Shape = s.p.shape
	if best.Matched < s.p.shapes {
		best.Shape = Shape{}
	}
	if s.p.encoded {
		return []Evidence{best, {What: ValueEncoded, Source: src}}, src
	}
	return []Evidence{best}, src
}

// box reports PostgreSQL's rectangles: they are of screens and drawings at least as often as of places, and look the same.
func (c *Column) box() bool {
	typ := c.Type
	if c.Base != "" {
		typ = c.Base
	}
	return strings.TrimRight(strings.TrimPrefix(typ, "pg_catalog."), "[]") == "box"
}

func (c *Classifier) runsOn(pr *probe, f family) bool {
	if f == famOther {
		f = famText
	}
	fams := pr.fams
	if fams == "" {
		fams = "t"
	}
	for i := range len(fams) {
		if family(fams[i]) == f {
			return true
		}
	}
	return false
}

// weighProbe gives the evidence of one probe. ok is false when the probe has nothing to say.
func (j *judge) weighProbe(s *scored, k *kind, pr *probe, t tally, named bool) (e Evidence, veto, ok bool) {
	n := s.p.tested - t.examples
	if n <= 0 {
		return Evidence{}, false, false
	}
	if s.state == StateMasked {
		if named {
			return Evidence{What: ValueMasked, Weight: model.maskedKeep, Tested: n, Matched: s.p.masked}, false, true
		}
		return Evidence{}, false, false
	}
	confident := min(1, float64(n)/3)
	switch pr.how {
	case byChecksum:
		return j.weighChecksum(s, pr, t, n, named)
	case byShape:
		share := float64(t.pass) / float64(n)
		if share < 0.5 {
			if t.pass+t.fit == 0 {
				return Evidence{What: ValueMisfit, Weight: model.strongMiss * confident, Tested: n}, false, true
			}
			return Evidence{What: ValueMisfit, Weight: model.strongMiss * (1 - share) * confident, Tested: n, Matched: t.pass}, false, true
		}
		limit := pr.limit
		if limit == 0 {
			limit = model.strongLimit
		}
		w := min(limit, float64(t.pass)*math.Log(model.strongP1/pr.p0)) * share
		return Evidence{What: ValueStrongShape, Weight: w, Tested: n, Matched: t.pass}, false, true
	case byWeak:
		share := (float64(t.pass) + 0.7*float64(t.fit)) / float64(n)
		limit := pr.limit
		if limit == 0 {
			limit = model.weakLimit
		}
		switch {
		case share >= 0.5:
			return Evidence{What: ValueWeakShape, Weight: limit * (share - 0.5) * 2 * confident, Tested: n, Matched: t.pass}, false, true
		default:
			return Evidence{What: ValueMisfit, Weight: model.weakMiss * (1 - 2*share) * confident, Tested: n, Matched: t.pass}, false, true
		}
	case byList:
		return j.weighList(pr, t, n, named), false, true
	case bySet:
		e := weighSet(pr, t, n, s.p)
		if e.Weight < 0 && s.name.classes[k.class].weight >= model.nameStrong && byNameBoolean(k.class) {
			e.Weight = max(e.Weight, model.unlistedNamed) // no list has every party, faith and people
		}
		return e, false, true
	}
	return Evidence{}, false, false
}

// weighChecksum is the lift of classification.md §4.1.
func (j *judge) weighChecksum(s *scored, pr *probe, t tally, n int, named bool) (Evidence, bool, bool) {
	shaped := t.pass + t.fail + t.fit
	share := float64(shaped) / float64(n)
	confident := min(1, float64(n)/3)
	if shaped == 0 || share < model.shapeShareLow {
		return Evidence{What: ValueMisfit, Weight: model.weakMiss * (1 - share) * confident, Tested: n, Matched: t.pass}, false, true
	}
	llr := float64(t.pass) * math.Log(model.checksumPass/pr.p0)
	if !pr.soft {
		llr += float64(t.fail) * math.Log((1-model.checksumPass)/(1-pr.p0))
	} else if t.pass < t.fail {
		return Evidence{What: ValueWeakShape, Weight: model.weakLimit * share, Tested: n, Matched: shaped}, false, true
	}
	limit := pr.limit
	if limit == 0 {
		limit = model.checksumLimit
	}
	if llr <= model.veto && t.pass+t.fail >= model.vetoTested {
		chance := math.Abs(float64(t.pass)-float64(t.pass+t.fail)*pr.p0) <= 2.5*math.Sqrt(float64(t.pass+t.fail)*pr.p0*(1-pr.p0))+1
		strong := s.name.classes[pr.class].weight >= model.nameStrong
		if strong && chance && share >= 0.95 && s.p.lenSD < 3 && pr.p0 < 0.2 && s.col.Unique {
			return Evidence{What: ValueTokenised, Weight: 1, Tested: n, Matched: t.pass}, false, true
		}
		return Evidence{What: ValueVeto, Weight: model.vetoWeight, Tested: n, Matched: t.pass}, true, true
	}
	w := max(-model.checksumLimit, min(limit, llr))
	if share < model.shapeShare {
		w = min(w, model.shapeShareCap)
	}
	if !named && s.codeSet() { // the handful of codes of a small set may pass by chance, and there are many checks to try
		w = min(w, map[bool]float64{true: model.weakLimit, false: model.smallSet}[t.pass < model.setProves])
	}
	return Evidence{What: ValueChecksum, Weight: w, Tested: t.pass + t.fail, Matched: t.pass}, false, true
}

// codeSet reports a column that repeats a few values over many rows.
func (s *scored) codeSet() bool {
	rows := max(float64(s.p.rows), s.table.Rows) * (1 - s.p.nullShare)
	d := s.p.distinct
	if d < 0 {
		d *= -rows
	}
	return s.p.tested < model.smallSetOf && rows >= 50 && d*8 <= rows
}

// weighList compares the share of distinct values found in a dictionary with its background rate.
func (j *judge) weighList(pr *probe, t tally, n int, named bool) Evidence {
	hits := float64(t.pass) + 0.35*float64(t.fit)
	share := hits / float64(n)
	shaped := float64(t.pass+t.fit+t.fail) / float64(n)
	limit := pr.limit
	if limit == 0 {
		limit = model.dictLimit
	}
	confident := min(1, float64(n)/4)
	e := Evidence{What: ValueDictionary, Tested: n, Matched: t.pass}
	switch {
	case shaped < 0.5:
		e.What, e.Weight = ValueMisfit, model.weakMiss*(1-shaped)*confident
	case share <= 1.5*pr.p0:
		e.What, e.Weight = ValueMisfit, model.dictMiss*confident*min(1, float64(n)/8)
		if named {
			e.Weight = -0.5 * confident
		}
	default:
		e.Weight = limit * min(1, math.Log(share/pr.p0)/math.Log(model.dictFull/pr.p0)) * confident
	}
	return e
}

// weighSet asks that nearly all distinct values belong to a small set.
func weighSet(pr *probe, t tally, n int, p *Profile) Evidence {
	share := float64(t.pass) / float64(n)
	limit := pr.limit
	if limit == 0 {
		limit = model.dictLimit
	}
	e := Evidence{What: ValueDictionary, Tested: n, Matched: t.pass}
	switch {
	case share >= 0.75:
		e.Weight = limit * (float64(t.pass+1)/float64(n+1) - 0.5) * 2 // one "other" among few is no doubt
		if t.pass == 1 {
			e.Weight *= 0.4
		}
	case share >= 0.4:
		e.Weight = limit * 0.25
	default:
		e.What, e.Weight = ValueMisfit, model.strongMiss*(1-share)*min(1, float64(n)/3)
	}
	return e
}

// special adjusts the evidence of classes that need a look at the whole column.
func (j *judge) special(s *scored, k *kind, e Evidence) Evidence {
	p := s.p
	if g := k.class.group(); (g == "person" || g == "contact") && e.What == ValueDictionary && p.tested > 4 && float64(p.legal) >= 0.2*float64(p.tested) {
		e.What, e.Weight = ValueMisfit, model.weakMiss // names of companies
		return e
	}
	switch k.class {
	case "net.ip":
		if e.Weight > 0 && p.family == famText && j.looksLikeVersion(s) {
			e.What, e.Weight = ValueMisfit, model.vetoWeight
		}
	case "person.birth_date":
		e = j.birthDate(s, e)
	case "person.gender":
		if e.What == ValueDictionary && e.Weight > 0 && !(p.genders["f"] && p.genders["m"]) {
			e.Weight = min(e.Weight, 1)
		}
		if p.tested > 14 {
			e.What, e.Weight = ValueMisfit, model.weakMiss
		}
	case "person.age":
		if p.number.n > 5 && p.number.small == p.number.n {
			e.What, e.Weight = ValueRange, -1
		}
	case "loc.geo":
		if (p.family == famNumber || p.family == famText && p.number.n > 0) && e.Weight > 0 && float64(p.number.decimals4) < 0.7*float64(p.number.n) {
			e.Weight = min(e.Weight, 0.5)
		}
		if e.What == ValueWeakShape && s.name.classes[k.class].weight <= 0 && !s.nameless() {
			e.Weight = min(e.Weight, 0.5) // rates, scores and factors have four decimals too
		}
	case "contact.phone", "fin.customer_id", "fin.bank_account", "fin.transaction":
		if p.number.n > 5 && p.number.epoch*10 >= p.number.n*9 {
			e.What, e.Weight = ValueMisfit, model.weakMiss
		}
	case "fin.card_expiry":
		if p.date.n > 5 && p.date.max < 2010 {
			e.What, e.Weight = ValueMisfit, model.weakMiss
		}
	case "person.username", "secret.session", "secret.token", "net.device_id":
		if e.Weight > 0 && p.rows > 100 && p.distinct > 0 && p.distinct < 10 {
			e.What, e.Weight = FewDistinct, model.fewDistinct
		}
	case "bio.dna":
		if p.tested < 2 || p.lenMax < 3 {
			e.Weight = min(e.Weight, 1)
		}
	case "health.icd10":
		if e.What == ValueChecksum && p.tested > 3 && !j.dotted(s) {
			e.Weight = min(e.Weight, 4)
		}
	}
	return e
}

// nameless reports a name that says nothing in any language: c7, attr_i, x.
func (s *scored) nameless() bool {
	return s.name.opaque && !strings.ContainsFunc(s.col.Name, func(r rune) bool { return r > 127 }) && allShort(s.name.tokens, s.lex)
}

func allShort(tokens []string, lex *lexicon) bool {
	for _, t := range tokens {
		if len(t) > 2 && lex.words[t] != wordNeutral && !isDigits(t) {
			return false
		}
	}
	return true
}

func (j *judge) dotted(s *scored) bool {
	return s.p.lenMax >= 5 && s.p.lenMean > 3.6
}

// looksLikeVersion reads four numbers with dots as versions when the first octets are small, or the name says so.
func (j *judge) looksLikeVersion(s *scored) bool {
	for _, t := range s.name.tokens {
		switch t {
		case "version", "firmware", "fw", "build", "release", "rev", "revision":
			return true
		}
	}
	total, small := 0, 0
	for o, n := range s.p.octet {
		total += n
		if o <= 12 && o != 10 {
			small += n
		}
	}
	return total > 0 && float64(small) >= 0.9*float64(total)
}

// birthDate wants dates spread over decades and none in the future of the newest plausible year.
func (j *judge) birthDate(s *scored, e Evidence) Evidence {
	d := s.p.date
	if d.n == 0 {
		return e
	}
	spread := d.max - d.min
	switch {
	case d.max > 2030 || d.min < 1890:
		e.What, e.Weight = ValueRange, model.rangeMiss
	case s.p.tested >= 10 && spread < 5:
		e.What, e.Weight = ValueRange, model.rangeMiss
	case spread >= 20 && d.min < 1990:
		e.What, e.Weight = ValueRange, model.weakLimit
	default:
		e.What, e.Weight = ValueRange, 0.3
	}
	if s.name.classes["person.birth_date"].weight <= 0 && !spoken(s.terms["person.birth_date"]) {
		e.What, e.Weight = NeedsName, model.needsName
	}
	return e
}

// saysEncrypted reports a name that says that the application encrypts the column.
func saysEncrypted(tokens []string) bool {
	for _, t := range tokens {
		switch t {
		case "enc", "encrypted", "encr", "cipher", "ciphertext", "tokenized":
			return true
		}
	}
	return false
}
