package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// saslPrep normalises a password as PostgreSQL and libpq do (RFC 4013): non-ASCII spaces become spaces, characters that are
// commonly mapped to nothing go, and the rest is put in form KC. Where RFC 4013 prohibits the result, PostgreSQL uses the
// password as it was typed, and so does this.
func saslPrep(password string) string {
	if isASCII(password) || !utf8.ValidString(password) {
		return password
	}
	mapped := strings.Map(func(r rune) rune {
		switch {
		case mappedToNothing(r):
			return -1
		case r != ' ' && unicode.Is(unicode.Zs, r), r == '\u200B':
			return ' '
		}
		return r
	}, password)
	out := norm.NFKC.String(mapped)
	if out == "" || prohibited(out) || mixedDirections(out) {
		return password
	}
	return out
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// mappedToNothing is table B.1 of RFC 3454.
func mappedToNothing(r rune) bool {
	switch r {
	case 0x00AD, 0x034F, 0x1806, 0x180B, 0x180C, 0x180D, 0x200C, 0x200D, 0x2060, 0xFEFF:
		return true
	}
	return r >= 0xFE00 && r <= 0xFE0F
}

// prohibited covers tables C.1.2, C.2, C.3, C.4, C.5, C.6, C.7, C.8 and C.9 of RFC 3454.
func prohibited(s string) bool {
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Co, r), unicode.Is(unicode.Cs, r),
			unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), unicode.Is(unicode.Zs, r) && r != ' ':
			return true
		case r&0xFFFE == 0xFFFE, r >= 0xFDD0 && r <= 0xFDEF, r >= 0xFFF9 && r <= 0xFFFD, r >= 0x2FF0 && r <= 0x2FFB:
			return true
		case r == 0x06DD, r == 0x070F, r == 0x180E, r == 0x0340, r == 0x0341,
			r == 0x200E, r == 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2061 && r <= 0x2063, r >= 0x206A && r <= 0x206F,
			r >= 0x1D173 && r <= 0x1D17A, r >= 0xE0001 && r <= 0xE007F:
			return true
		}
	}
	return false
}

// mixedDirections is the bidirectional check of RFC 3454 section 6, by script.
func mixedDirections(s string) bool {
	rtl := func(r rune) bool {
		return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana)
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	var some, ltr bool
	for _, r := range s {
		some = some || rtl(r)
		ltr = ltr || (unicode.IsLetter(r) && !rtl(r))
	}
	return some && (ltr || !rtl(first) || !rtl(last))
}
