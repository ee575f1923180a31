package classify

import (
	"sort"
	"strings"
	"unicode"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// freeText counts what is met inside prose, one count per class and value.
type freeText struct {
	tested  int
	matched map[Class]int
	any     int
}

const cueDistance = 30 // characters between a cue word and a number (classification.md §9)

// scan looks for embedded data in one text of at most valueLimit bytes.
func (f *freeText) scan(c *Classifier, v *value) {
	f.tested++
	found := map[Class]bool{}
	scanTokens(c, v.raw, found)
	scanNumbers(c, v.raw, v.low, found)
	if cuedName(c, v.raw) {
		found["person.name"] = true
	}
	if privateKey(v.raw) {
		found["secret.private_key"] = true
	}
	if f.matched == nil {
		f.matched = map[Class]int{}
	}
	for k := range found {
		f.matched[k]++
	}
	if len(found) > 0 {
		f.any++
	}
}

func (f *freeText) rates() []Rate {
	var out []Rate
	for k, n := range f.matched {
		out = append(out, Rate{Class: k, Tested: f.tested, Matched: n})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Class < out[j].Class })
	return out
}

// scanTokens tests blank-separated tokens against the shapes that need no cue.
func scanTokens(c *Classifier, s string, found map[Class]bool) {
	for _, t := range strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == ';' || r == '|' }) {
		embeddedEmail(t, found)
		t = strings.Trim(t, ".,;:!?()[]<>\"'«»")
		t = strings.TrimPrefix(t, "mailto:")
		if len(t) < 5 || len(t) > 600 {
			continue
		}
		if strings.IndexByte(t, '@') > 0 && email(t) == passed {
			found["contact.email"] = true
			continue
		}
		if i := strings.IndexAny(t, "=:"); i > 0 && i < len(t)-8 && !strings.Contains(t, "://") {
			t = t[i+1:]
		}
		switch {
		case providerToken(t):
			found["secret.api_key"] = true
		case awsKey(t):
			found["secret.aws_key"] = true
		case jwt(t):
			found["secret.jwt"] = true
		case strings.Contains(t, "://") && connection(t) == passed:
			found["secret.connection_string"] = true
		case len(t) >= 15 && len(t) <= 34 && outline(t[:4], "AAdd") && c.ibans[t[:2]] == len(t) && checkdigit.IBAN(t):
			found["fin.iban"] = true
		case outline(t, "ddd-dd-dddd") && ssn(compact(t)) != failed:
			found["id.us_ssn"] = true
		case len(t) == 16 && t[15] >= 'A' && outline(t[:6], "AAAAAA") && checkdigit.CodiceFiscale(t):
			found["id.it_codice_fiscale"] = true
		case len(t) == 9 && outlineAny(t, "ddddddddA", "AdddddddA") && (checkdigit.ESNIF(t) || checkdigit.NRIC(t)):
			found["id.es_nif"] = true
		case len(t) == 9 && outline(t, "AAddddddA") && nino(t) == passed:
			found["id.uk_nino"] = true
		case strings.Count(t, ".") == 3 && nearIP(s, t):
			found["net.ip"] = true
		}
	}
}

// embeddedEmail finds addresses in lists and records that are written without blanks: a@x.de,b@y.de or {"email":"a@x.de"}.
func embeddedEmail(t string, found map[Class]bool) {
	const between = `"',=()[]{}<>`
	if found["contact.email"] || strings.IndexByte(t, '@') < 0 || !strings.ContainsAny(t, between) || strings.Contains(t, "://") {
		return
	}
	for part := range strings.FieldsFuncSeq(t, func(r rune) bool { return strings.ContainsRune(between, r) }) {
		if strings.IndexByte(part, '@') > 0 && email(strings.TrimPrefix(part, "mailto:")) == passed {
			found["contact.email"] = true
			return
		}
	}
}

// nearIP accepts an IPv4 address in prose unless it reads like a version.
func nearIP(s, t string) bool {
	if ipText(prepare(t)) != passed {
		return false
	}
	i := strings.Index(s, t)
	before := strings.ToLower(s[max(0, i-12):i])
	return !strings.HasSuffix(strings.TrimSpace(before), "v") && !strings.Contains(before, "version") && !strings.Contains(before, "build") && !strings.Contains(before, "release")
}

// scanNumbers finds runs of digits with separators and tests them with the checksums; most need a cue word close by.
func scanNumbers(c *Classifier, s, low string, found map[Class]bool) {
	for i := 0; i < len(s); {
		if (s[i] < '0' || s[i] > '9') && s[i] != '+' || i > 0 && (isAlnum(s[i-1:i]) || s[i-1] == '.' && i > 1 && s[i-2] >= '0' && s[i-2] <= '9') {
			i++
			continue
		}
		j, digits := i+1, 0
		if s[i] != '+' {
			digits = 1
		}
		for j < len(s) && j-i < 30 {
			d := s[j]
			if d >= '0' && d <= '9' {
				digits++
				j++
				continue
			}
			if (d == ' ' || d == '-' || d == '.' || d == '(' || d == ')' || d == '/') && j+1 < len(s) && (s[j+1] >= '0' && s[j+1] <= '9' || s[j+1] == '(' || s[j] == ')') {
				j++
				continue
			}
			break
		}
		if digits >= 7 && (j >= len(s) || !isAlnum(s[j:j+1])) {
			number(c, s[i:j], low, i, found)
		}
		i = j + 1
	}
}

// number classifies one run of digits in prose.
func number(c *Classifier, raw, low string, at int, found map[Class]bool) {
	v := prepare(strings.Trim(raw, " -./"))
	if internationalPhone(v) == passed {
		found["contact.phone"] = true
		return
	}
	if cardNumber(v) == passed && len(v.digits) >= 15 {
		found["fin.card_number"] = true
		return
	}
	if outline(v.raw, "(ddd) ddd-dddd") && nationalPhone(v) == passed {
		found["contact.phone"] = true
		return
	}
	if !c.cueNear(low, at) {
		return
	}
	switch {
	case nationalPhone(v) != misfit && len(v.digits) >= 8:
		found["contact.phone"] = true
	case len(v.digits) == 11 && checkdigit.DETaxID(v.digits):
		found["id.de_tax_id"] = true
	case len(v.digits) == 11 && checkdigit.CPF(v.digits):
		found["id.br_cpf"] = true
	case len(v.digits) == 11 && checkdigit.PESEL(v.digits) && inRange(atoi2(v.digits[2:])%20, 1, 12):
		found["id.pl_pesel"] = true
	case len(v.digits) == 15 && checkdigit.NIR(v.digits):
		found["id.fr_nir"] = true
	case len(v.digits) == 10 && checkdigit.NHS(v.digits):
		found["id.uk_nhs"] = true
	case len(v.digits) >= 9 && len(v.digits) <= 13 && yearOf(v) == 0:
		found["contact.phone"] = true
	}
}

// cueNear reports a cue word within cueDistance characters before (or a little after) the place.
func (c *Classifier) cueNear(low string, at int) bool {
	at = min(at, len(low))
	before := low[max(0, at-cueDistance):at]
	for _, w := range wordsOf(before) {
		if c.dict.termWords["numcue"][w] {
			return true
		}
	}
	return false
}

// cuedName reports a capitalised pair with a known given name and a surname, or a title followed by a surname.
func cuedName(c *Classifier, s string) bool {
	words := strings.FieldsFunc(s, func(r rune) bool {
		return r == ' ' || r == '\n' || r == '\t' || r == ',' || r == '(' || r == ')' || r == ':' || r == '"'
	})
	prev, prevRaw := "", ""
	for _, raw := range words {
		end := strings.HasSuffix(raw, ".") && len(raw) > 4
		w := fold(strings.ToLower(strings.Trim(raw, ".;!?'")), false)
		w = strings.TrimSuffix(w, "'s")
		if w == "" {
			continue
		}
		first := raw[0]
		upper := first >= 'A' && first <= 'Z' || first >= 0xC3
		if upper && prev != "" && len(w) > 2 {
			title := prev == "mr" || prev == "mrs" || prev == "ms" || prev == "dr" || prev == "herr" || prev == "frau" || prev == "mme" || prev == "monsieur" || prev == "madame" || prev == "sra" || prev == "senor" || prev == "senora" || prev == "signor" || prev == "signora" || prev == "mevrouw" || prev == "pani" || prev == "prof" || prev == "sig"
			if title && (prev != "dr" && prev != "prof" && prev != "sig" && prev != "pani" || c.dict.isSurname(w) || surnameLike(w)) {
				return true
			}
			prevUpper := prevRaw[0] >= 'A' && prevRaw[0] <= 'Z' || prevRaw[0] >= 0xC3
			if prevUpper && c.dict.isGiven(prev) && (c.dict.isSurname(w) || surnameLike(w)) {
				return true
			}
		}
		if end {
			prev, prevRaw = "", ""
			continue
		}
		prev, prevRaw = w, raw
	}
	return false
}
