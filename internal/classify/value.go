package classify

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// valueLimit is how much of one value is looked at (classification.md §2.2), which also bounds the time per value.
const valueLimit = 4096

// value is one prepared text. It lives only while a column is measured.
type value struct {
	raw     string // trimmed, cut at valueLimit
	low     string // folded to plain lower-case letters
	compact string // upper case, without blanks, dots, dashes, slashes
	digits  string // compact, when it consists of digits only
	runes   int
	nDigit  int
	nUpper  int
	nLower  int
	nSpace  int
	nPunct  int
	nOther  int // letters beyond ASCII
	words   []string
}

func prepare(s string) *value {
	if len(s) > valueLimit {
		s = s[:valueLimit]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	s = strings.TrimSpace(s)
	v := &value{raw: s}
	for _, r := range s {
		v.runes++
		switch {
		case r >= '0' && r <= '9':
			v.nDigit++
		case r >= 'A' && r <= 'Z':
			v.nUpper++
		case r >= 'a' && r <= 'z':
			v.nLower++
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			v.nSpace++
		case r < utf8.RuneSelf:
			v.nPunct++
		case unicode.IsLetter(r) || unicode.Is(unicode.Mn, r):
			v.nOther++
		default:
			v.nPunct++
		}
	}
	v.low = fold(strings.ToLower(s), false)
	if len(s) <= 96 {
		v.compact = compact(s)
		if isDigits(v.compact) {
			v.digits = v.compact
		}
	}
	if v.runes <= 160 {
		v.words = wordsOf(v.low)
	}
	return v
}

func compact(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c == '-' || c == '.' || c == '/':
		case c >= 'a' && c <= 'z':
			b.WriteByte(c - 32)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// wordsOf cuts folded text at everything that is neither letter, digit nor apostrophe.
func wordsOf(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool {
		return r != '\'' && !unicode.IsLetter(r) && (r < '0' || r > '9')
	})
}

func isDigits(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return s != ""
}

func only(s, set string) bool {
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(set, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlnum(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// entropy is the Shannon entropy of the bytes of s, in bits per character.
func entropy(s string) float64 {
	if len(s) == 0 {
		return 0
	}
	var n [256]int
	for i := 0; i < len(s); i++ {
		n[s[i]]++
	}
	e := 0.0
	for _, c := range n {
		if c > 0 {
			p := float64(c) / float64(len(s))
			e -= p * math.Log2(p)
		}
	}
	return e
}

// outline checks s against a pattern of d (digit), A (upper), a (letter of any case), X (upper or digit) and literals.
func outline(s, pattern string) bool {
	if len(s) != len(pattern) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch pattern[i] {
		case 'd':
			if c < '0' || c > '9' {
				return false
			}
		case 'A':
			if c < 'A' || c > 'Z' {
				return false
			}
		case 'a':
			if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return false
			}
		case 'X':
			if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
				return false
			}
		default:
			if c != pattern[i] {
				return false
			}
		}
	}
	return true
}

func outlineAny(s string, patterns ...string) bool {
	for _, p := range patterns {
		if outline(s, p) {
			return true
		}
	}
	return false
}

func atoi2(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

func inRange(n, lo, hi int) bool { return n >= lo && n <= hi }

// monthDay reports a plausible month and day.
func monthDay(m, d int) bool { return m >= 1 && m <= 12 && d >= 1 && d <= 31 }

// placeholder reports values that stand for "nothing here" or for a masked datum.
func placeholder(s string) bool {
	switch strings.ToLower(s) {
	case "x", "xx", "xxx", "xxxx", "n/a", "na", "none", "null", "-", "--", "unknown", "redacted", "[redacted]", "<redacted>", "hidden", "masked", "locked", "!", "*":
		return true
	}
	return false
}

// masked reports a run of mask characters.
func masked(s string) bool {
	run := 0
	for _, r := range s {
		if r == '*' || r == '•' || r == '#' || r == 'X' || r == 'x' && run > 0 || r == '●' {
			if run++; run >= 3 {
				return true
			}
			continue
		}
		run = 0
	}
	return false
}
