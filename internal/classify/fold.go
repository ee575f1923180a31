package classify

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// foldRune gives the plain Latin letters of a rune: accents stripped, Cyrillic and Greek transliterated, lower case. wide asks
// for the two-letter spelling of ä ö ü ø å. ok is false for runes that stay as they are.
func foldRune(r rune, wide bool) (string, bool) {
	if r < utf8.RuneSelf {
		return "", false
	}
	if wide {
		switch r {
		case 'ä', 'æ':
			return "ae", true
		case 'ö', 'ø', 'œ':
			return "oe", true
		case 'ü':
			return "ue", true
		case 'å':
			return "aa", true
		}
	}
	s, ok := folds[r]
	return s, ok
}

// folds is read-only: letters beyond ASCII and their plain spelling.
var folds = foldTable()

func foldTable() map[rune]string {
	m := map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'þ': "th", 'ð': "d", 'ĳ': "ij"}
	for plain, letters := range map[string]string{
		"a": "àáâãäåāăąǎạảấầẩẫậắằẳẵặ", "c": "çćĉċč", "d": "ďđ", "e": "èéêëēĕėęěẹẻẽếềểễệ", "g": "ĝğġģ", "h": "ĥħ",
		"i": "ìíîïĩīĭįıỉịǐ", "j": "ĵ", "k": "ķ", "l": "ĺļľŀł", "n": "ñńņňŉ", "o": "òóôõöøōŏőọỏốồổỗộớờởỡợơǒ",
		"r": "ŕŗř", "s": "śŝşšș", "t": "ţťŧț", "u": "ùúûüũūŭůűųụủứừửữựưǔ", "w": "ŵ", "y": "ýÿŷỳỵỷỹ", "z": "źżž",
	} {
		for _, r := range letters {
			m[r] = plain
		}
	}
	cyr := "а:a б:b в:v г:g д:d е:e ё:e ж:zh з:z и:i й:y к:k л:l м:m н:n о:o п:p р:r с:s т:t у:u ф:f х:kh ц:ts ч:ch ш:sh щ:shch " +
		"ъ: ы:y ь: э:e ю:yu я:ya і:i ї:i є:ye ґ:g ђ:dj ј:j љ:lj њ:nj ћ:c џ:dz " +
		"α:a β:v γ:g δ:d ε:e ζ:z η:i θ:th ι:i κ:k λ:l μ:m ν:n ξ:x ο:o π:p ρ:r σ:s ς:s τ:t υ:y φ:f χ:ch ψ:ps ω:o " +
		"ά:a έ:e ή:i ί:i ό:o ύ:y ώ:o ϊ:i ϋ:y"
	for _, pair := range strings.Fields(cyr) {
		from, to, _ := strings.Cut(pair, ":")
		r, _ := utf8.DecodeRuneInString(from)
		m[r] = to
	}
	return m
}

// fold lowers s and strips it to plain letters; wide chooses ae over a for ä and its kin.
func fold(s string, wide bool) string {
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf || s[i] >= 'A' && s[i] <= 'Z' {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		r = unicode.ToLower(r)
		if r < utf8.RuneSelf {
			b.WriteByte(byte(r))
			continue
		}
		if t, ok := foldRune(r, wide); ok {
			b.WriteString(t)
			continue
		}
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
