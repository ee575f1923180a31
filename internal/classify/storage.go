package classify

import "slices"

// password scores the three password classes from the formats of the values and the password lexicon.
func (j *judge) password(s *scored) {
	p := s.p
	f := p.family
	if f != famText && f != famBytes && f != famOther {
		return
	}
	hit := s.name.classes["secret.password"]
	_, negated := s.name.negated["secret.password"]
	named := hit.weight > 0 && !negated
	total := 0
	for i := 1; i < formats; i++ {
		total += p.password.by[i]
	}
	class, note, sev := p.password.class(s.salts.beside(s.col.Name))
	if total == 0 && p.tested > 0 {
		class = "secret.password_hash"
	}
	for _, k := range []Class{"secret.password_plain", "secret.password_weak_hash", "secret.password_hash"} {
		if k != class || !named && !j.provenPassword(s, class, total) {
			if k != class || !named {
				delete(s.terms, k)
			}
		}
	}
	if !named && !j.provenPassword(s, class, total) {
		return
	}
	s.pass, s.note, s.sev = class, note, sev
	if len(s.terms[class]) == 0 {
		s.add(class, SourcePrior, PriorOf, model.priorCommon)
	}
	src := SourceSample
	if p.stats {
		src = SourceStats
	}
	switch {
	case total == 0:
	case p.password.prefixed*2 >= total && class != "secret.password_plain":
		s.terms[class] = append(s.terms[class], Evidence{Source: src, What: ValueStrongShape, Weight: model.strongLimit, Tested: total, Matched: p.password.prefixed})
	case class == "secret.password_weak_hash":
		s.terms[class] = append(s.terms[class], Evidence{Source: src, What: ValueStrongShape, Weight: 4, Tested: total, Matched: p.password.by[FormatUnsaltedDigest] + p.password.by[FormatWeakSalted]})
		if p.password.proven > 0 {
			s.terms[class] = append(s.terms[class], Evidence{Source: src, What: ValueDictionary, Weight: 8, Tested: total, Matched: p.password.proven})
		}
	case class == "secret.password_plain" && p.password.by[FormatReversible]*2 < total:
		w := 1.0
		if p.isFreeText() || p.words > 2 {
			w = model.weakMiss
		}
		s.terms[class] = append(s.terms[class], Evidence{Source: src, What: ValueWeakShape, Weight: w, Tested: total, Matched: p.password.by[FormatPlain]})
		if p.password.common*20 >= total {
			s.terms[class] = append(s.terms[class], Evidence{Source: src, What: ValueDictionary, Weight: 4, Tested: total, Matched: p.password.common})
		}
	default:
		s.terms[class] = append(s.terms[class], Evidence{Source: src, What: ValueWeakShape, Weight: 2, Tested: total, Matched: total})
	}
}

// provenPassword accepts values that need no name: prefixed hashes, and digests or texts of common passwords.
func (j *judge) provenPassword(s *scored, class Class, total int) bool {
	if total == 0 {
		return false
	}
	p := s.p.password
	if p.prefixed*10 >= total*9 && class != "secret.password_plain" {
		return true
	}
	if class == "secret.password_weak_hash" {
		return p.proven > 0 && p.by[FormatUnsaltedDigest]*10 >= total*9
	}
	return class == "secret.password_plain" && p.common*5 >= total && p.common >= 3 && s.p.tested >= 5
}

// salts are the names of a table's columns that hold salts. They are read once per table: every column of text asks for them.
type salts []string

func (l *lexicon) salts(t *Table) salts {
	var out salts
	for i := range t.Columns {
		if slices.ContainsFunc(l.tokens(t.Columns[i].Name, false), func(w string) bool { return w == "salt" || w == "salz" || w == "nonce" }) {
			out = append(out, t.Columns[i].Name)
		}
	}
	return out
}

// beside reports a salt in another column than the named one.
func (a salts) beside(column string) bool {
	return slices.ContainsFunc(a, func(name string) bool { return name != column })
}

// text scores free text by what was met inside.
func (j *judge) text(s *scored) {
	p := s.p
	if p.text.tested == 0 {
		return
	}
	const k Class = "text.pii"
	src := SourceSample
	if p.stats {
		src = SourceStats
	}
	w := model.embeddedNone
	rate := float64(p.text.any) / float64(p.text.tested)
	switch {
	case p.text.any >= 2 || p.text.any == 1 && rate >= 0.05:
		w = model.embeddedMany
	case p.text.any == 1:
		w = model.embeddedOne
	}
	s.add(k, SourcePrior, PriorOf, model.priorCommon)
	s.terms[k] = append(s.terms[k], Evidence{Source: src, What: ValueEmbedded, Weight: w, Tested: p.text.tested, Matched: p.text.any})
	for c := range p.text.matched {
		s.asPII[c] = true
	}
	if s.name.note {
		s.add(k, SourceName, NameStrong, 1)
	}
}

// structured judges every path as a column of its own, with the other paths as its siblings.
func (j *judge) structured(s *scored) {
	sub := &Table{Schema: s.table.Schema, Name: s.table.Name, Kind: s.table.Kind, Rows: s.table.Rows}
	for _, ch := range s.p.children {
		name := ""
		for i := len(ch.path) - 1; i >= 0 && name == ""; i-- {
			if ch.path[i] != anyIndex && ch.path[i] != "*" {
				name = string(ch.path[i])
			}
		}
		if len(ch.path) > 1 && j.c.lex.words[name] == wordNeutral {
			for i := len(ch.path) - 2; i >= 0; i-- { // "phone": {"number": …}
				if ch.path[i] != anyIndex && ch.path[i] != "*" && string(ch.path[i]) != name {
					name = string(ch.path[i]) + "_" + name
					break
				}
			}
		}
		typ := "text"
		switch ch.profile.family {
		case famInt:
			typ = "bigint"
		case famNumber:
			typ = "numeric"
		}
		sub.Columns = append(sub.Columns, MeasuredColumn{Column: Column{Name: name, Type: typ}, Profile: ch.profile})
	}
	inner := &judge{c: j.c, opt: j.opt, countries: j.countries, tables: []Table{*sub}}
	if s.p.family == famRecord {
		for i := range inner.tables[0].Columns {
			if field := fieldAt(s.col, s.p.children[i].path); field != nil {
				inner.tables[0].Columns[i].Column = *field
			}
		}
	}
	inner.cols = [][]*scored{inner.firstPass(&inner.tables[0])}
	inner.context()
	found := 0
	for i, col := range inner.cols[0] {
		f := inner.finish(col)
		if f.Class == "" {
			continue
		}
		found++
		s.asPII[f.Class] = true
		s.paths = append(s.paths, PathFinding{Path: s.p.children[i].path, Finding: f})
	}
	if found > 0 {
		const k Class = "json.pii"
		s.add(k, SourcePrior, PriorOf, model.priorCommon)
		src := SourceSample
		if s.p.stats {
			src = SourceStats
		}
		s.terms[k] = append(s.terms[k], Evidence{Source: src, What: ValuePaths, Weight: model.pathsFound, Tested: len(s.p.children), Matched: found})
	}
}
