package classify

import (
	"embed"
	"fmt"
	"strings"
	"unicode/utf8"
)

//go:embed lexicon/*.tsv
var lexiconFiles embed.FS

// entry is one class that a phrase speaks for.
type entry struct {
	class Class
	weak  bool // alone ambiguous
	short bool // read from a short form
	lang  string
}

// headFirst lists the languages whose compounds put the thing before what specifies it (numero de telefono del padre).
const headFirst = " fr es pt it ro "

// wordKind says what a token that belongs to no phrase does to its neighbours.
type wordKind byte

const (
	wordUnknown wordKind = iota
	wordNeutral
	wordTime
	wordCount
	wordSwitch
	wordKindOf
	wordFile
	wordSubject
)

// lexicon holds every phrase and word. It is built once by newLexicon and read-only afterwards.
type lexicon struct {
	phrases  map[string][]entry // normalised tokens joined by one blank
	squashed map[string]string  // the same without blanks -> phrase
	words    map[string]wordKind
	tables   map[string]map[string]bool // place, thing, person_table, …
	prefixes map[string]bool
	stems    map[string]bool // what compounds may be made of
	longest  int             // tokens of the longest phrase
	short    shortForms
}

var abbreviations = map[string]string{
	"no": "number", "nr": "number", "num": "number", "nbr": "number", "numb": "number", "nmbr": "number", "nummer": "number",
	"numero": "number", "nro": "number", "numer": "number", "nomer": "number", "numara": "number", "numarasi": "number",
	"dt": "date", "dat": "date", "dte": "date", "nm": "name", "nme": "name", "cd": "code", "cde": "code", "addr": "address", "adr": "address", "adrs": "address",
	"tel": "phone", "tlf": "phone", "telf": "phone", "phn": "phone", "phne": "phone", "fone": "phone", "amt": "amount", "acct": "account", "acc": "account", "acnt": "account",
	"cust": "customer", "emp": "employee", "empl": "employee", "pwd": "password", "pw": "password", "pswd": "password", "psw": "password", "passwrd": "password",
	"desc": "description", "descr": "description", "mob": "mobile", "mbl": "mobile", "lic": "license", "licence": "license", "pat": "patient", "ptnt": "patient",
	"usr": "user", "txn": "transaction", "trx": "transaction", "trans": "transaction", "tran": "transaction", "natl": "national", "diag": "diagnosis", "ctry": "country",
	"cntry": "country", "brth": "birth", "bth": "birth", "crd": "card", "eml": "email", "stu": "student", "ident": "identification",
	"lst": "last", "frst": "first", "fst": "first", "prov": "province", "dept": "department", "mgr": "manager", "tkn": "token", "scrt": "secret",
	"ssnum": "ssn", "bnk": "bank", "rtg": "routing", "salry": "salary", "slry": "salary", "gndr": "gender", "cty": "city", "pstl": "postal", "strt": "street",
	"bdate": "birthdate", "lng": "longitude", "ver": "version", "tmp": "temp", "cel": "celular", "correo": "correo", "stmt": "statement",
	"ins": "insurance", "rec": "record", "med": "med", "pol": "policy", "prescr": "prescription", "allerg": "allergy", "allrg": "allergy", "nat": "nat", "occ": "occupation", "occup": "occupation",
	"relig": "religion", "ethn": "ethnicity", "ethnic": "ethnic", "lang": "language", "natl_id": "national id", "mrtl": "marital", "mar": "marital", "sts": "status", "stat": "status",
	"ttl": "title", "vec": "vector", "seq": "sequence", "orient": "orientation", "natlty": "nationality", "natnlty": "nationality", "hh": "household", "yrs": "years", "yr": "year", "img": "image", "priv": "private", "pt": "patient", "pnt": "patient",
	"bnf": "beneficiary", "dbtr": "debtor", "cdtr": "creditor", "ultmt": "ultimate", "agt": "agent", "benef": "beneficiary", "recip": "recipient", "insur": "insurance", "presc": "prescription", "symp": "symptom", "hosp": "hospital", "xfer": "transfer", "sgnt": "signature", "sig": "signature", "pic": "picture", "cc": "cc",
	"pgm": "program", "tok": "token", "mbr": "member", "memb": "member", "grp": "group", "svc": "service", "n": "number", "fp": "fingerprint", "surn": "surname", "crypt": "encrypted", "qty": "quantity", "cmt": "comment", "cmnt": "comment", "rmk": "remark", "rmks": "remarks", "nts": "notes", "msg": "message", "txt": "text",
}

// newLexicon reads the embedded word lists.
func newLexicon() (*lexicon, error) {
	l := &lexicon{
		phrases: make(map[string][]entry, 15_000), squashed: make(map[string]string, 15_000), words: map[string]wordKind{},
		tables: map[string]map[string]bool{}, prefixes: map[string]bool{}, stems: make(map[string]bool, 10_000),
	}
	files, err := lexiconFiles.ReadDir("lexicon")
	if err != nil {
		return nil, fmt.Errorf("read lexicons: %w", err)
	}
	for _, f := range files {
		raw, err := lexiconFiles.ReadFile("lexicon/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read lexicon %s: %w", f.Name(), err)
		}
		name := strings.TrimSuffix(f.Name(), ".tsv")
		for n, line := range strings.Split(string(raw), "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			key, rest, ok := strings.Cut(line, "\t")
			if !ok {
				return nil, fmt.Errorf("lexicon %s line %d: no tab", f.Name(), n+1)
			}
			if name == "words" {
				l.addWords(key, rest)
				continue
			}
			for _, p := range strings.Split(rest, ",") {
				l.addPhrase(Class(key), p, name)
			}
		}
	}
	for a := range abbreviations {
		if len(a) >= 4 {
			l.addStem(a)
		}
	}
	for p := range l.phrases {
		for _, w := range strings.Fields(p) {
			l.addStem(w)
		}
		l.squashed[strings.ReplaceAll(p, " ", "")] = p
	}
	l.shorten()
	return l, nil
}

func (l *lexicon) addStem(w string) {
	if utf8.RuneCountInString(w) >= 3 {
		l.stems[w] = true
	}
}

// addPhrase enters one phrase in both spellings of its umlauts; a trailing ° marks it as weak alone.
func (l *lexicon) addPhrase(class Class, phrase, lang string) {
	phrase = strings.TrimSpace(phrase)
	weak := strings.HasSuffix(phrase, "°")
	phrase = strings.TrimSuffix(phrase, "°")
	for _, n := range []string{"nummer", "numer"} { // steuernummer is also written steuer_nr and steuernr
		if stem, ok := strings.CutSuffix(phrase, n); ok && len(stem) > 2 && !strings.HasSuffix(stem, " ") {
			mark := map[bool]string{true: "°", false: ""}[weak]
			l.addPhrase(class, stem+" nr"+mark, lang)
			l.addPhrase(class, stem+"nr"+mark, lang)
			if s := strings.TrimRight(stem, "s"); s != stem {
				l.addPhrase(class, s+" nr"+mark, lang)
			}
		}
	}
	seen := map[string]bool{}
	for _, wide := range []bool{false, true} {
		tokens := expand(split(fold(phrase, wide)))
		if len(tokens) == 0 {
			continue
		}
		key := strings.Join(tokens, " ")
		if seen[key] {
			continue
		}
		seen[key] = true
		for _, e := range l.phrases[key] {
			if e.class == class && e.weak == weak {
				key = ""
				break
			}
		}
		if key == "" {
			continue
		}
		l.phrases[key] = append(l.phrases[key], entry{class: class, weak: weak, lang: lang})
		l.longest = max(l.longest, len(tokens))
	}
}

func (l *lexicon) addWords(key, rest string) {
	kinds := map[string]wordKind{
		"neutral": wordNeutral, "neg_time": wordTime, "neg_count": wordCount, "neg_switch": wordSwitch,
		"neg_kind": wordKindOf, "neg_file": wordFile, "subject": wordSubject,
	}
	for _, w := range strings.Fields(fold(rest, false)) {
		if a, ok := abbreviations[w]; ok {
			w = a
		}
		switch k, isKind := kinds[key]; {
		case isKind:
			if old, ok := l.words[w]; !ok || old == wordNeutral {
				l.words[w] = k
			}
		case key == "prefix":
			l.prefixes[w] = true
		}
		if key != "prefix" {
			if l.tables[key] == nil {
				l.tables[key] = map[string]bool{}
			}
			l.tables[key][w] = true
			if key != "neutral" {
				l.addStem(w)
			}
		}
	}
}

// split cuts an identifier (already folded or not) at case changes, digits and everything that is no letter.
func split(s string) []string {
	var out []string
	start, prev := -1, 0 // prev: 0 none, 1 lower, 2 upper, 3 digit, 4 other letter
	flush := func(end int) {
		if start >= 0 && end > start {
			out = append(out, s[start:end])
		}
		start = -1
	}
	for i, r := range s {
		k := 0
		switch {
		case r >= 'a' && r <= 'z' || r >= 'ß' && r <= 'ÿ':
			k = 1
		case r >= 'A' && r <= 'Z' || r >= 'À' && r <= 'Þ':
			k = 2
		case r >= '0' && r <= '9':
			k = 3
		case r >= utf8.RuneSelf && r != '°':
			k = 4
		}
		switch {
		case k == 0:
			flush(i)
		case start < 0:
			start = i
		case prev == 1 && k == 2, (prev == 3) != (k == 3):
			flush(i)
			start = i
		case prev == 2 && k == 1 && i-start > 1:
			flush(i - 1)
			start = i - 1
		}
		prev = k
	}
	flush(len(s))
	return out
}

// expand lowers tokens and spells out abbreviations; fn and ln count only together with each other or alone.
func expand(tokens []string) []string {
	out := tokens[:0:0]
	for _, t := range tokens {
		t = strings.ToLower(t)
		if a, ok := abbreviations[t]; ok {
			t = a
		}
		out = append(out, t)
	}
	return out
}

// shortTail may end a run-together name: acctno, custid.
var shortTail = map[string]bool{"no": true, "nr": true, "id": true, "nm": true, "dt": true, "cd": true}

// segment covers a run-together token completely by known stems and linking letters, with the fewest parts; nil when it cannot.
func (l *lexicon) segment(token string) []string {
	n := len(token)
	if n < 6 || n > 40 {
		return nil
	}
	type cut struct {
		from  int
		parts int
		link  bool
	}
	best := make([]*cut, n+1)
	best[0] = &cut{from: -1}
	for i := range n {
		if best[i] == nil {
			continue
		}
		for j := i + 2; j <= n; j++ {
			if (l.stems[token[i:j]] || j == n && i > 0 && shortTail[token[i:j]]) && (best[j] == nil || best[j].parts > best[i].parts+1) {
				best[j] = &cut{from: i, parts: best[i].parts + 1}
			}
		}
		if i > 0 && !best[i].link {
			for _, link := range []string{"s", "es", "n", "en", "e", "er"} {
				j := i + len(link)
				if strings.HasPrefix(token[i:], link) && j < n && best[j] == nil {
					best[j] = &cut{from: i, parts: best[i].parts, link: true}
				}
			}
		}
	}
	if best[n] == nil || best[n].link || best[n].parts > 4 {
		return nil
	}
	var parts []string
	for at := n; at > 0; at = best[at].from {
		if !best[at].link {
			w := token[best[at].from:at]
			if a, ok := abbreviations[w]; ok {
				w = a
			}
			parts = append(parts, w)
		}
	}
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return parts
}

// known reports whether the token stands in any list.
func (l *lexicon) known(t string) bool {
	if l.stems[t] {
		return true
	}
	if _, ok := l.words[t]; ok {
		return true
	}
	_, ok := l.phrases[t]
	return ok
}

// tokens reads an identifier: split, folded, abbreviations spelled out, plurals and compounds resolved.
func (l *lexicon) tokens(name string, wide bool) []string {
	if len(name) > 128 {
		name = name[:128]
	}
	name = customField(name)
	if strings.ToUpper(name) == name {
		name = strings.ToLower(name)
	}
	raw := expand(split(name))
	out := make([]string, 0, len(raw)+2)
	for i, t := range raw {
		t = fold(t, wide)
		if i == 0 && len(raw) > 1 && l.prefixes[t] && l.phrases[strings.Join(raw, " ")] == nil {
			continue
		}
		if a, ok := abbreviations[t]; ok {
			t = a
		}
		if l.known(t) {
			out = append(out, t)
			continue
		}
		if s := singular(t); s != t && l.known(s) {
			out = append(out, s)
			continue
		}
		if p, ok := l.squashed[t]; ok {
			out = append(out, strings.Fields(p)...)
			continue
		}
		if parts := l.segment(t); parts != nil {
			out = append(out, parts...)
			continue
		}
		if w, ok := l.short.words[t]; ok {
			t = w
		}
		out = append(out, t)
	}
	return out
}

// customField cuts the ending by which Salesforce and what feeds on it mark fields that a site added itself: DUNS__c, Email__pc.
func customField(name string) string {
	at := strings.LastIndex(name, "__")
	if at <= 0 {
		return name
	}
	switch strings.ToLower(name[at+2:]) {
	case "c", "pc", "r", "pr", "x", "e", "b", "s", "mdt", "kav", "dlm", "dlo", "ka", "hd", "share":
		return customField(name[:at])
	}
	return name
}

func singular(t string) string {
	switch {
	case len(t) > 4 && strings.HasSuffix(t, "ies"):
		return t[:len(t)-3] + "y"
	case len(t) > 5 && strings.HasSuffix(t, "sses"):
		return t[:len(t)-2]
	case len(t) > 3 && strings.HasSuffix(t, "s"):
		return t[:len(t)-1]
	}
	return t
}
