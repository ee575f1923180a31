package classify

import (
	"strconv"
	"strings"
)

func personProbes(d *dictionaries) []probe {
	return []probe{
		{class: "person.name", how: byList, p0: 0.03, limit: 8, test: d.fullName},
		{class: "person.first_name", how: byList, p0: 0.03, test: d.givenName},
		{class: "person.first_name", how: byWeak, limit: 3, named: true, test: initials},
		{class: "person.name", how: byWeak, limit: 3, named: true, test: initials},
		{class: "person.last_name", how: byList, p0: 0.03, test: d.lastName},
		{class: "person.username", how: byWeak, test: username},
		{class: "person.birth_date", how: byWeak, fams: "tds", test: func(v *value) verdict { return shapeOnly(yearOf(v) >= 1900) }},
		{class: "person.birth_date", how: byWeak, fams: "i", named: true, test: func(v *value) verdict {
			n, err := strconv.Atoi(v.raw)
			return shapeOnly(err == nil && (inRange(n, 1900, 2026) || inRange(n, 19000101, 20261231)))
		}},
		{class: "person.age", how: byWeak, fams: "tin", test: func(v *value) verdict {
			n, err := strconv.ParseFloat(v.raw, 64)
			return shapeOnly(err == nil && n >= 0 && n <= 115)
		}},
		{class: "person.age", how: byWeak, named: true, test: ageBand},
		{class: "person.gender", how: bySet, limit: 5.5, test: func(v *value) verdict { return shapeOnly(d.has("gender", v.low)) }},
		{class: "person.gender", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict {
			return shapeOnly(v.raw == "0" || v.raw == "1" || v.raw == "2" || v.raw == "9")
		}},
		{class: "person.marital_status", how: bySet, test: func(v *value) verdict { return shapeOnly(d.has("marital", underscored(v.low))) }},
		{class: "person.photo", how: byWeak, limit: 3, test: func(v *value) verdict {
			l := v.low
			return shapeOnly(strings.HasPrefix(l, "data:image/") || (strings.HasPrefix(l, "http") || strings.Contains(l, "/")) &&
				(strings.Contains(l, ".jpg") || strings.Contains(l, ".jpeg") || strings.Contains(l, ".png") || strings.Contains(l, ".webp") || strings.Contains(l, ".heic") ||
					strings.Contains(l, ".gif") || strings.Contains(l, "avatar") || strings.Contains(l, "photo") || strings.Contains(l, "image") || strings.Contains(l, "picsum")))
		}},
		{class: "person.photo", how: byWeak, limit: 3, fams: "y", test: func(v *value) verdict { return shapeOnly(imageMagic(v.raw)) }},
		{class: "person.signature", how: byWeak, fams: "y", test: func(v *value) verdict { return shapeOnly(imageMagic(v.raw)) }},
		{class: "person.signature", how: byWeak, test: func(v *value) verdict {
			return shapeOnly(strings.HasPrefix(v.low, "data:image/") || strings.Contains(v.low, ".png") || strings.Contains(v.low, ".svg") || strings.HasPrefix(v.low, "<svg"))
		}},
		{class: "person.student_id", how: byWeak, fams: "ti", test: codeLike},
		{class: "hr.employee_id", how: byWeak, fams: "ti", test: codeLike},
		{class: "person.job_title", how: byList, p0: 0.03, test: d.jobTitle},
	}
}

func underscored(s string) string { return strings.ReplaceAll(s, "_", " ") }

// codeLike is a short code with digits and no blanks: what numbers of people look like everywhere.
func codeLike(v *value) verdict {
	return shapeOnly(v.runes >= 3 && v.runes <= 24 && v.nDigit >= 2 && v.nSpace <= 2 && v.nOther == 0 && v.nLower <= 8)
}

func username(v *value) verdict {
	if v.runes < 3 || v.runes > 32 || v.nSpace > 0 || v.nOther > 0 || v.nLower+v.nUpper == 0 {
		return misfit
	}
	for i := 0; i < len(v.raw); i++ {
		c := v.raw[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return misfit
		}
	}
	if v.runes >= 16 && isHex(v.raw) {
		return misfit
	}
	return passed
}

var particles = map[string]bool{
	"van": true, "de": true, "der": true, "den": true, "von": true, "zu": true, "la": true, "le": true, "du": true, "da": true, "dos": true, "das": true, "do": true,
	"di": true, "del": true, "della": true, "al": true, "el": true, "bin": true, "ben": true, "ter": true, "ten": true, "y": true, "e": true, "'t": true, "st": true, "mc": true, "des": true, "los": true, "las": true,
}

var honorifics = map[string]bool{
	"mr": true, "mrs": true, "ms": true, "miss": true, "dr": true, "prof": true, "herr": true, "frau": true, "mme": true, "m": true, "sr": true, "sra": true, "jr": true, "ii": true, "iii": true, "iv": true,
	"phd": true, "md": true, "dds": true, "dvm": true, "sig": true, "dott": true, "ing": true, "dipl": true, "mlle": true, "mgr": true, "bc": true, "dhr": true, "mevr": true, "sir": true, "univ": true,
}

// nameTokens gives the words of a personal name without particles, honorifics and initials; nil for what cannot be one.
func nameTokens(v *value) []string {
	if v.runes < 2 || v.runes > 60 || v.nDigit > 0 || len(v.words) == 0 || len(v.words) > 8 {
		return nil
	}
	if strings.ContainsAny(v.raw, "@\\_<>{}[]:;=+*#%$&|!?") || strings.Count(v.raw, "/") > 1 {
		return nil // one stroke stands between surname and given name on tickets
	}
	out := make([]string, 0, len(v.words))
	for _, w := range v.words {
		w = strings.Trim(w, "'")
		if w == "" || honorifics[w] || len(w) == 1 {
			continue
		}
		out = append(out, w)
	}
	return out
}

func (d *dictionaries) isGiven(w string) bool {
	if d.given[w] != "" {
		return true
	}
	a, b, ok := strings.Cut(w, "-")
	return ok && d.given[a] != "" && d.given[b] != ""
}

func (d *dictionaries) isSurname(w string) bool {
	if d.surname[w] != "" {
		return true
	}
	if t := strings.ReplaceAll(w, "'", ""); t != w && d.surname[t] != "" {
		return true
	}
	a, b, ok := strings.Cut(w, "-")
	return ok && (d.surname[a] != "" || d.surname[b] != "")
}

// capitalised reports that words start with capitals (or that the script has none).
func capitalised(v *value) bool {
	for _, w := range strings.Fields(v.raw) {
		r := []rune(w)[0]
		if r >= 'a' && r <= 'z' && !particles[strings.Trim(w, ".,")] {
			return false
		}
	}
	return true
}

func (d *dictionaries) fullName(v *value) verdict {
	t := nameTokens(v)
	if len(t) == 1 && initialled(v) {
		return check(d.isSurname(t[0]) || surnameLike(t[0]))
	}
	if len(t) == 1 && len(v.words) == 2 && honorifics[v.words[0]] && len(v.words[0]) > 1 && v.nOther+v.nUpper > 1 {
		return check(d.isSurname(t[0]) || surnameLike(t[0]))
	}
	if len(t) < 2 || len(t) > 6 {
		if len(t) == 1 && v.nOther >= 2 && v.nLower+v.nUpper == 0 && v.runes <= 4 && cjkName(v.raw) {
			return passed
		}
		return misfit
	}
	if !capitalised(v) {
		return failed
	}
	for _, w := range t {
		if d.has("legalform", w) {
			return failed
		}
	}
	given, sur := 0, 0
	for _, w := range t {
		if d.isGiven(w) {
			given++
		}
		if d.isSurname(w) || surnameLike(w) {
			sur++
		}
	}
	if given > 0 && sur == 0 && len(t) == 2 {
		return fits
	}
	return check(given > 0 && given+sur >= 2)
}

// cjkName reports two to four Han or Hangul characters that start with a frequent family name.
func cjkName(s string) bool {
	r := []rune(s)
	return strings.ContainsRune("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤佐铃鈴高田伊渡山中小加吉井木林清崎森阿池橋石前藤岡村竹原김이박최정강조윤장임한오서신권황안송류홍", r[0])
}

func (d *dictionaries) givenName(v *value) verdict {
	t := nameTokens(v)
	if len(t) == 0 || len(t) > 3 || len(t) == 3 && v.runes > 26 {
		return misfit
	}
	hits := 0
	for _, w := range t {
		if d.isGiven(w) {
			hits++
		}
	}
	return check(hits == len(t))
}

func (d *dictionaries) lastName(v *value) verdict {
	t := nameTokens(v)
	if len(t) == 0 || len(t) > 4 {
		return misfit
	}
	if v.runes == 2 && v.nUpper == 2 {
		return failed // codes of states are names too
	}
	n, hits := 0, 0
	for _, w := range t {
		if particles[w] {
			continue
		}
		n++
		if d.isSurname(w) || surnameLike(w) {
			hits++
		}
	}
	return check(n > 0 && n <= 2 && hits == n)
}

func (d *dictionaries) jobTitle(v *value) verdict {
	if v.runes < 2 || v.runes > 60 || len(v.words) == 0 || len(v.words) > 6 || v.nDigit > 2 {
		return misfit
	}
	switch v.low {
	case "admin", "viewer", "editor", "owner", "member", "user", "guest", "moderator", "superuser", "root", "readonly", "read_only", "staff", "support", "superadmin":
		return misfit // roles of accounts
	}
	if d.has("occupation", v.low) {
		return passed
	}
	words := d.termWords["occupation"]
	for _, w := range v.words {
		if len(w) > 2 && words[w] || strings.HasSuffix(w, "engineer") || strings.HasSuffix(w, "ologist") || strings.HasSuffix(w, "leiter") || strings.HasSuffix(w, "leiterin") ||
			strings.HasSuffix(w, "ingenieur") || strings.HasSuffix(w, "berater") || strings.HasSuffix(w, "techniker") || strings.HasSuffix(w, "mechaniker") || strings.HasSuffix(w, "entwickler") {
			return passed
		}
	}
	return failed
}

// yearOf finds the year of a date in any common order; 0 when the value is no date.
func yearOf(v *value) int {
	s := v.raw
	if len(s) < 6 || len(s) > 40 || v.nDigit < 6 {
		return 0
	}
	switch {
	case len(s) > 10 && (s[10] == ' ' || s[10] == 'T' || s[10] == '-' && v.nDigit >= 14):
		s = s[:10]
	case len(s) >= 12 && isDigits(s[:8]):
		return yearOfStamp(s)
	}
	if isDigits(s) {
		switch len(s) {
		case 8:
			if y, _ := strconv.Atoi(s[:4]); inRange(y, 1900, 2100) && monthDay(atoi2(s[4:]), atoi2(s[6:])) {
				return y
			}
			if y, _ := strconv.Atoi(s[4:]); inRange(y, 1900, 2100) && (monthDay(atoi2(s[2:]), atoi2(s)) || monthDay(atoi2(s), atoi2(s[2:]))) {
				return y
			}
		}
		return 0
	}
	f := strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '.' || r == '/' || r == ' ' || r == ',' })
	if len(f) != 3 {
		return 0
	}
	n := [3]int{}
	for i, x := range f {
		k, err := strconv.Atoi(x)
		if err != nil {
			if k = monthName(strings.ToLower(x)); k == 0 {
				return 0
			}
		}
		n[i] = k
	}
	switch {
	case inRange(n[0], 1850, 2100) && monthDay(n[1], n[2]):
		return n[0]
	case inRange(n[2], 1850, 2100) && (monthDay(n[1], n[0]) || monthDay(n[0], n[1])):
		return n[2]
	case len(f[2]) == 2 && (monthDay(n[1], n[0]) || monthDay(n[0], n[1])):
		return 1900 + n[2]
	}
	return 0
}

// yearOfStamp reads a date and a time of day without separators, as HL7 and hosts write them: 202403011530, 20240301T153000Z,
// 20240301153000.000+0100.
func yearOfStamp(s string) int {
	clock := s[8:]
	if clock[0] == 'T' || clock[0] == ' ' || clock[0] == '_' {
		clock = strings.ReplaceAll(clock[1:], ":", "")
	}
	if at := strings.IndexAny(clock, ".+-Z"); at >= 0 {
		clock = clock[:at]
	}
	if len(clock) != 4 && len(clock) != 6 || !isDigits(clock) || atoi2(clock) > 23 || atoi2(clock[2:]) > 59 || len(clock) == 6 && atoi2(clock[4:]) > 60 {
		return 0
	}
	if y, _ := strconv.Atoi(s[:4]); inRange(y, 1900, 2100) && monthDay(atoi2(s[4:]), atoi2(s[6:])) {
		return y
	}
	return 0
}

func monthName(s string) int {
	if len(s) < 3 {
		return 0
	}
	return (strings.Index("jan feb mar apr may jun jul aug sep oct nov dec ", s[:3]+" ") + 4) / 4
}

func imageMagic(raw string) bool {
	h := strings.TrimPrefix(strings.ToLower(raw), `\x`)
	for _, m := range []string{"ffd8ff", "89504e47", "47494638", "52494646", "49492a00", "4d4d002a", "424d"} {
		if strings.HasPrefix(h, m) {
			return true
		}
	}
	return len(h) >= 16 && h[8:16] == "66747970" // ftyp: HEIC
}

// ageBand is 18-25, 65+ or <18.
func ageBand(v *value) verdict {
	if v.runes > 12 || v.nDigit < 1 || v.nDigit > 6 {
		return misfit
	}
	for _, f := range strings.FieldsFunc(v.raw, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(f); err != nil || n > 120 {
			return misfit
		}
	}
	return shapeOnly(strings.ContainsAny(v.raw, "-+<>–") || v.nSpace > 0)
}

// initialled is A. Name or Name, A.: one initial with a point beside one other word.
func initialled(v *value) bool {
	if len(v.words) != 2 || strings.Count(v.raw, ".") != 1 || v.nUpper < 2 {
		return false
	}
	return len(v.words[0]) == 1 || len(v.words[1]) == 1
}

// initials are up to four capitals, with points or without.
func initials(v *value) verdict {
	return shapeOnly(v.nUpper >= 1 && v.nUpper <= 4 && v.nUpper+v.nPunct+v.nSpace == v.runes && strings.Trim(v.raw, ".-ABCDEFGHIJKLMNOPQRSTUVWXYZ ") == "" && (v.nUpper <= 3 || v.nPunct > 0))
}
