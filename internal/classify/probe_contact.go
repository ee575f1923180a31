package classify

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

func contactProbes(d *dictionaries) []probe {
	return []probe{
		{class: "contact.email", how: byShape, p0: 0.0005, test: func(v *value) verdict { return email(v.raw) }},
		{class: "contact.phone", how: byShape, p0: 0.003, test: internationalPhone},
		{class: "contact.phone", how: byShape, p0: 0.05, limit: 6.2, test: nationalPhone},
		{class: "contact.phone", how: byWeak, fams: "tin", named: true, test: barePhone},
		{class: "contact.street_address", how: byList, p0: 0.01, limit: 8, test: d.streetAddress},
		{class: "contact.street_address", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict {
			return shapeOnly(v.runes <= 12 && v.nDigit > 0 && v.nDigit <= 6 && v.nPunct <= 2 || v.runes >= 3 && v.nSpace > 0 || v.runes > 3 && v.nDigit == 0 && v.nPunct == 0)
		}},
		{class: "contact.city", how: byList, p0: 0.03, test: d.cityName},
		{class: "contact.region", how: byList, p0: 0.03, test: d.regionName},
		{class: "contact.region", how: bySet, limit: 4, test: d.regionCode},
		{class: "contact.country", how: bySet, test: func(v *value) verdict { return shapeOnly(d.countryName[v.low] != "" && v.runes > 3) }},
		{class: "contact.country", how: bySet, limit: 4, test: func(v *value) verdict {
			return shapeOnly(v.runes == 2 && (d.alpha2[v.raw] || d.alpha2[strings.ToUpper(v.raw)] && v.nLower == 2) || v.runes == 3 && (d.alpha3[v.raw] || d.numeric[v.raw]))
		}},
		{class: "contact.postal_code", how: byShape, p0: 0.08, limit: 5, test: distinctPostal},
		{class: "contact.postal_code", how: byWeak, fams: "tin", test: digitPostal},
		{class: "contact.social_handle", how: byShape, p0: 0.002, test: profileURL},
		{class: "contact.social_handle", how: byWeak, test: func(v *value) verdict {
			return shapeOnly(v.runes >= 3 && v.runes <= 40 && v.nSpace == 0 && v.nOther == 0 && v.nLower+v.nUpper > 0 && !strings.Contains(v.raw[1:], "@"))
		}},
		{class: "contact.social_handle", how: byShape, p0: 0.05, limit: 5, test: func(v *value) verdict {
			return shapeOnly(len(v.raw) >= 3 && len(v.raw) <= 32 && v.raw[0] == '@' && only(strings.ToLower(v.raw[1:]), "abcdefghijklmnopqrstuvwxyz0123456789._"))
		}},
	}
}

// email checks one address: local part up to 64, a dotted domain with a letter TLD, 254 in all.
func email(s string) verdict {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 || strings.ContainsAny(s, " \t\n<>,;\"()/") {
		return misfit
	}
	host := s[at+1:]
	if strings.IndexByte(s[:at], '@') >= 0 {
		return misfit
	}
	dot := strings.LastIndexByte(host, '.')
	if dot < 1 || len(host)-dot-1 < 2 || strings.Contains(host, "..") || host[0] == '-' || host[0] == '.' {
		return misfit
	}
	for i := 0; i < len(host); i++ {
		c := host[i]
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 || c == '-' || c == '.' || c >= '0' && c <= '9' && i < dot
		if !ok {
			return misfit
		}
	}
	if strings.HasPrefix(host, "example.") && (s[:at] == "user" || s[:at] == "test" || s[:at] == "john.doe") {
		return example
	}
	return passed
}

// internationalPhone is + or 00, a calling code in use and a possible length.
func internationalPhone(v *value) verdict {
	if v.runes < 8 || v.runes > 32 || v.nDigit < 8 || v.nDigit > 20 {
		return misfit
	}
	s := v.raw
	if strings.HasPrefix(s, "00") && v.nDigit >= 11 && !strings.ContainsAny(s, ".") {
		s = "+" + s[2:]
	}
	if s[0] != '+' && !strings.HasPrefix(s, "(+") {
		return misfit
	}
	if p := strings.IndexAny(strings.ToLower(s), "xe"); p > 0 {
		s = s[:p]
	}
	if !only(s, "+0123456789 ()-./") {
		return misfit
	}
	n, err := phonenumbers.Parse(s, "ZZ")
	if err != nil {
		return failed
	}
	return check(phonenumbers.IsPossibleNumber(n) || v.nDigit >= 9 && v.nDigit <= 16)
}

// phoneRegion names the country of an international number; empty when shared or unknown.
func phoneRegion(v *value) string {
	if v.raw == "" || v.raw[0] != '+' {
		return ""
	}
	n, err := phonenumbers.Parse(v.raw, "ZZ")
	if err != nil {
		return ""
	}
	r := phonenumbers.GetRegionCodeForNumber(n)
	if r == "" {
		r = phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode()))
	}
	if r == "ZZ" || r == "001" {
		return ""
	}
	return r
}

// nationalPhone is a number with separators as people write them: NANP groups, a leading zero, or short groups.
func nationalPhone(v *value) verdict {
	if v.runes < 8 || v.runes > 26 || v.nDigit < 8 || v.nDigit > 18 || v.nOther > 0 || v.nUpper > 0 || v.nLower > 3 {
		return misfit
	}
	s := v.raw
	if p := strings.IndexAny(s, "xe"); p > 8 {
		s = strings.TrimSpace(s[:p])
	}
	if s == "" || !only(s, "0123456789 ()-./+") || isDigits(s) {
		return misfit
	}
	if yearOf(v) > 0 || strings.Count(s, ".") == 1 && !strings.ContainsAny(s, " -/(") {
		return misfit
	}
	sh := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "001-"), "+1-"), "1-"), "+1 ")
	sh = strings.TrimPrefix(sh, "1 ")
	if outlineAny(sh, "(ddd) ddd-dddd", "(ddd)ddd-dddd", "ddd-ddd-dddd", "ddd.ddd.dddd", "ddd ddd dddd", "ddd ddd-dddd", "(ddd) ddd dddd") {
		d := bareDigits(compact(sh))
		return check(d[0] >= '2' && d[3] >= '2' || d[0] == '0')
	}
	digits := compact(bareDigits(s))
	if !isDigits(digits) || strings.ContainsAny(s, ".") && strings.Count(s, ".") != 4 && strings.Count(s, ".") != 1 {
		return misfit
	}
	switch {
	case digits[0] == '0' && inRange(len(digits), 9, 12):
		return passed
	case strings.HasPrefix(s, "(") && inRange(len(digits), 9, 12):
		return passed
	case outlineAny(s, "ddd ddd ddd", "ddd dd dd dd", "dd dd dd dd", "ddd-ddd-ddd", "ddddd ddddd", "ddddd-ddddd", "dddd dddd", "ddddd-dddd", "dd ddddd-dddd", "dd dddd-dddd", "ddd dddddd", "ddd ddddddd", "dd-ddddddd", "d ddd ddd dd dd", "d (ddd) ddd-dd-dd", "d ddd ddd-dd-dd", "ddd dd ddd"):
		return fits
	}
	return misfit
}

func barePhone(v *value) verdict {
	n := v.nDigit
	return shapeOnly(n >= 7 && n <= 15 && v.nLower <= 3 && v.nUpper == 0 && v.nOther == 0 && yearOf(v) == 0)
}

// streetSuffixes are glued to the name of a street in the Germanic and Finnic languages.
var streetSuffixes = []string{
	"strasse", "str", "weg", "gasse", "platz", "allee", "ring", "damm", "ufer", "straat", "laan", "plein", "gracht", "kade", "dijk", "singel", "gatan", "vagen", "veien", "vegen",
	"vej", "gade", "katu", "tie", "kuja", "polku", "alle", "steig", "steeg", "hof", "park", "gaten", "gata", "veg", "vei", "stieg", "chaussee", "promenade", "markt", "wall", "lei",
}

func (d *dictionaries) streetAddress(v *value) verdict {
	if v.nSpace == 0 || v.runes < 5 || v.runes > 160 || v.nLower+v.nUpper+v.nOther < 3 || len(v.words) < 2 || len(v.words) > 16 {
		return misfit
	}
	if len(v.words) > 4 && v.nUpper == 0 { // prose: addresses have names in them
		return misfit
	}
	if strings.ContainsAny(v.raw, "@{}<>=_|:") || strings.Contains(v.raw, "://") || yearOf(v) > 0 {
		return misfit
	}
	street, number := false, false
	words := d.termWords["street"]
	for i, w := range v.words {
		switch {
		case w[0] >= '0' && w[0] <= '9':
			number = number || len(w) <= 6
		case w == "dr" && i == 0: // a doctor
		case words[w] && (len(w) > 2 || i == 0 || i == len(v.words)-1 || i > 0 && len(v.words) > 2):
			street = true
		default:
			if len(w) >= 5 {
				for _, s := range streetSuffixes {
					if len(w) > len(s)+1 && strings.HasSuffix(w, s) {
						street = true
						break
					}
				}
			}
		}
	}
	if !number {
		if street && len(v.words) <= 5 {
			return fits
		}
		return failed
	}
	first := v.words[0][0]
	last := v.words[len(v.words)-1][0]
	numbered := first >= '0' && first <= '9' || last >= '0' && last <= '9' || strings.Contains(v.raw, ",")
	return check(street && numbered || street && v.nDigit <= 12)
}

func (d *dictionaries) cityName(v *value) verdict {
	if v.runes < 2 || v.runes > 50 || v.nDigit > 0 || len(v.words) > 6 || len(v.words) == 0 || strings.ContainsAny(v.raw, "@/_:;{}=+*") {
		return misfit
	}
	if d.city[v.low] || d.city[fold(strings.ToLower(v.raw), true)] {
		return passed
	}
	low := v.low
	for _, s := range []string{"ville", "ton", "burg", "bury", "borough", "berg", "stadt", "heim", "hausen", "dorf", "haven", "hafen", "mouth", "shire", "field", "furt", "bach", "kirchen", "feld", "wick", "ford", "port", "sur-mer", "chester", "land", "view", "side", "fort", "ingen", "weiler", "sund", "grad", "gorod", "polis", "abad", "pur"} {
		if len(low) > len(s)+2 && strings.HasSuffix(low, s) && len(v.words) == 1 {
			return fits
		}
	}
	if len(v.words) >= 2 {
		switch v.words[0] {
		case "san", "santa", "st", "saint", "sainte", "bad", "new", "north", "south", "east", "west", "port", "lake", "villa", "sant", "sao", "puerto", "ciudad", "los", "las", "el", "la", "le", "les", "vecchio", "borgo", "settimo", "quarto", "mount", "fort", "nueva", "nuevo", "stary", "nowy":
			return fits
		}
		if rest := v.words[len(v.words)-1]; rest == "borgo" || rest == "veneto" || rest == "terme" || rest == "laziale" || rest == "ligure" || rest == "calabro" {
			return fits
		}
	}
	return failed
}

func (d *dictionaries) regionName(v *value) verdict {
	if v.runes < 4 || v.runes > 50 || v.nDigit > 0 || len(v.words) > 6 || len(v.words) == 0 {
		return misfit
	}
	return check(d.region[v.low] || d.region[fold(strings.ToLower(v.raw), true)])
}

func (d *dictionaries) regionCode(v *value) verdict {
	s := v.low
	if len(s) > 3 && s[2] == '-' { // ISO 3166-2 with its country
		return shapeOnly(len(s) <= 6 && d.alpha2[strings.ToUpper(s[:2])])
	}
	if len(s) < 2 || len(s) > 3 || v.nUpper != v.runes {
		return misfit
	}
	for _, codes := range []string{"us", "ca", "br", "it", "au", "de", "ch"} {
		if d.regionCodes[codes][s] {
			return passed
		}
	}
	return misfit
}

// distinctPostal are the postal codes that carry letters or a separator of their own.
func distinctPostal(v *value) verdict {
	s := strings.ToUpper(v.raw)
	if len(s) < 6 || len(s) > 10 {
		return misfit
	}
	switch {
	case outlineAny(s, "Ad dAA", "Add dAA", "AAd dAA", "AAdd dAA", "AdA dAA", "AAdA dAA", "AAdAdAA", "AddAA", "AddDAA"):
		return passed
	case outlineAny(s, "AdA dAd", "AdAdAd", "AdA-dAd"):
		return check(!strings.ContainsAny(s, "DFIOQU"))
	case outlineAny(s, "dddd AA", "ddddAA"):
		return check(s[0] != '0')
	case outlineAny(s, "ddddd-ddd", "ddddd-dddd", "dddd-ddd", "dd-ddd"):
		return passed
	case outlineAny(s, "ddd-dddd", "ddd dd", "AA-dddd", "AA-ddddd", "A-dddd", "A-ddddd", "AAA dddd", "AdddddAAA", "Add XXXX"):
		return fits
	}
	return misfit
}

func digitPostal(v *value) verdict {
	if !isDigits(v.raw) {
		return distinctPostal(v)
	}
	return shapeOnly(inRange(len(v.raw), 4, 7))
}

func profileURL(v *value) verdict {
	l := v.low
	if v.nSpace > 0 || v.runes > 200 || !strings.Contains(l, ".") {
		return misfit
	}
	l = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(l, "https://"), "http://"), "www.")
	for _, h := range []string{"linkedin.com/in/", "twitter.com/", "x.com/", "instagram.com/", "facebook.com/", "fb.com/", "github.com/", "t.me/", "tiktok.com/@", "youtube.com/@", "vk.com/", "mastodon.social/@", "xing.com/profile/", "pinterest.com/", "snapchat.com/add/", "reddit.com/u", "medium.com/@", "bsky.app/profile/", "threads.net/@", "weibo.com/"} {
		if rest, ok := strings.CutPrefix(l, h); ok && rest != "" {
			return check(strings.Count(strings.Trim(rest, "/"), "/") <= 1)
		}
	}
	return misfit
}
