package classify

import (
	"crypto/md5"  //nolint:gosec // digests of common passwords are compared, nothing is protected with it
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf16"

	//lint:ignore SA1019 NTLM digests are MD4; they are recognised, never made
	"golang.org/x/crypto/md4"
)

// Format is how one stored password is written.
type Format uint8

// The formats of classification.md §15, in order of strength.
const (
	FormatIgnored Format = iota
	FormatPlain
	FormatReversible
	FormatUnsaltedDigest
	FormatWeakSalted
	FormatMedium
	FormatStrongLow // strong, with parameters below today's advice
	FormatStrong
)

var formatNames = [...]string{"ignored", "plain", "reversible", "unsalted digest", "weak salted hash", "ageing hash", "strong hash with low parameters", "strong hash"}

func (f Format) String() string { return formatNames[f] }

// MarshalText writes the format's name.
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a kept report.
func (f *Format) UnmarshalText(text []byte) error { return readWord(f, formatNames[:], text) }

const formats = int(FormatStrong) + 1

// passwordFormat says how s is stored. prefixed is true for formats that nothing else looks like.
func passwordFormat(s string) (f Format, prefixed bool) {
	if s == "" || placeholder(s) || strings.Trim(s, "*") == "" {
		return FormatIgnored, false
	}
	if f, ok := modularFormat(s); ok {
		return f, true
	}
	if f, ok := digestFormat(s); ok {
		return f, false
	}
	if reversible(s) {
		return FormatReversible, false
	}
	return FormatPlain, false
}

// modularFormat recognises the formats that carry their own prefix.
func modularFormat(s string) (Format, bool) {
	low := strings.ToLower(s)
	switch {
	case len(s) == 60 && strings.HasPrefix(s, "$2") && len(s) > 6 && s[3] == '$':
		cost, _ := strconv.Atoi(s[4:6])
		return bcryptStrength(s[2], cost), true
	case strings.HasPrefix(s, "$argon2"):
		if strings.HasPrefix(s, "$argon2d$") || parameter(s, "m=") > 0 && parameter(s, "m=") < 19*1024 {
			return FormatStrongLow, true
		}
		return FormatStrong, true
	case strings.HasPrefix(s, "$s0$"), strings.HasPrefix(s, "$7$"), strings.HasPrefix(s, "$scrypt$"), strings.HasPrefix(s, "scrypt:"), strings.HasPrefix(s, "scrypt$"), strings.HasPrefix(s, "$y$"), strings.HasPrefix(s, "$gy$"):
		return FormatStrong, true
	case strings.HasPrefix(low, "pbkdf2"), strings.HasPrefix(low, "$pbkdf2"), strings.HasPrefix(low, "{pbkdf2"):
		if n := firstNumber(s[strings.IndexAny(s, ":$}")+1:]); n > 0 && n < 600000 {
			return FormatStrongLow, true
		}
		return FormatStrong, true
	case strings.HasPrefix(s, "bcrypt_sha256$"), strings.HasPrefix(s, "bcrypt$"), strings.HasPrefix(s, "argon2$"):
		return FormatStrong, true
	case strings.HasPrefix(s, "SCRAM-SHA-256$"):
		if firstNumber(s[len("SCRAM-SHA-256$"):]) <= 4096 {
			return FormatStrongLow, true
		}
		return FormatStrong, true
	case strings.HasPrefix(s, "AQAAAA") && len(s) >= 60 && only(s, base64Set):
		return FormatStrong, true
	case strings.HasPrefix(s, "$5$"), strings.HasPrefix(s, "$6$"), strings.HasPrefix(s, "$S$"), strings.HasPrefix(s, "$A$005$"):
		return FormatMedium, true
	case strings.HasPrefix(s, "{SSHA"), strings.HasPrefix(s, "{SMD5}"), strings.HasPrefix(s, "$1$"), strings.HasPrefix(s, "$apr1$"), strings.HasPrefix(s, "$P$"), strings.HasPrefix(s, "$H$"), strings.HasPrefix(s, "sha1$"), strings.HasPrefix(s, "md5$"), strings.HasPrefix(s, "sha256$"):
		return FormatWeakSalted, true
	case len(s) == 35 && strings.HasPrefix(s, "md5") && isHex(s[3:]):
		return FormatWeakSalted, true
	case strings.HasPrefix(s, "{SHA}"), strings.HasPrefix(s, "{MD5}"), strings.HasPrefix(s, "{SHA256}"), len(s) == 41 && s[0] == '*' && isHex(s[1:]):
		return FormatUnsaltedDigest, true
	case strings.HasPrefix(s, "-----BEGIN PGP MESSAGE"), strings.HasPrefix(s, "gAAAAA") && len(s) >= 100, strings.HasPrefix(low, `\xc30d04`), strings.HasPrefix(low, "{aes"), strings.HasPrefix(low, "enc("), strings.HasPrefix(low, "vault:v"):
		return FormatReversible, true
	}
	return 0, false
}

func bcryptStrength(variant byte, cost int) Format {
	switch {
	case variant == 'x':
		return FormatWeakSalted
	case cost < 10:
		return FormatStrongLow
	}
	return FormatStrong
}

func parameter(s, key string) int {
	_, rest, ok := strings.Cut(s, key)
	if !ok {
		return 0
	}
	return firstNumber(rest)
}

func firstNumber(s string) int {
	n := 0
	for i := 0; i < len(s) && i < 9 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// digestFormat recognises bare digests by length and alphabet.
func digestFormat(s string) (Format, bool) {
	if isHex(s) {
		switch len(s) {
		case 32, 40, 56, 64, 96, 128:
			return FormatUnsaltedDigest, true
		case 16:
			return FormatUnsaltedDigest, strings.ContainsAny(s, "abcdefABCDEF") && strings.ContainsAny(s, "0123456789")
		}
	}
	if len(s) >= 24 && only(s, base64Set) && strings.HasSuffix(s, "=") {
		if raw, err := base64.StdEncoding.DecodeString(s); err == nil && !printable(raw) {
			switch len(raw) {
			case 16, 20, 32, 48, 64:
				return FormatUnsaltedDigest, true
			}
		}
	}
	if h, salt, ok := strings.Cut(s, ":"); ok && isHex(h) && (len(h) == 32 || len(h) == 40 || len(h) == 64) && len(salt) >= 2 {
		return FormatWeakSalted, true
	}
	if len(s) == 20 && s[0] == '_' && only(s[1:], desSet) {
		return FormatWeakSalted, true
	}
	return 0, false
}

const desSet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// reversible reports encodings and two-way encryption: base64 of readable text, blocks of sixteen bytes.
func reversible(s string) bool {
	if len(s) < 8 || !only(s, base64Set) && !isHex(strings.TrimPrefix(s, `\x`)) {
		return false
	}
	if only(s, base64Set) && len(s)%4 == 0 {
		raw, err := base64.StdEncoding.DecodeString(s)
		if err == nil && (printable(raw) && entropy(s) < 4.6 && len(raw) >= 5 && hasLower(raw)) {
			return true
		}
		if err == nil && !printable(raw) && len(raw) >= 16 && len(raw)%16 == 0 {
			return true
		}
	}
	h := strings.TrimPrefix(s, `\x`)
	return isHex(h) && len(h) >= 32 && len(h)%32 == 0
}

func hasLower(b []byte) bool {
	for _, c := range b {
		if c >= 'a' && c <= 'z' {
			return true
		}
	}
	return false
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < 32 && c != '\n' && c != '\t' && c != '\r' || c > 126 {
			return false
		}
	}
	return len(b) > 0
}

// digestIndex holds the digests of the commonest passwords. A stored value in it proves an unsalted digest.
type digestIndex struct {
	plain  map[string]bool
	digest map[string]bool
}

func newDigestIndex(passwords []string) *digestIndex {
	x := &digestIndex{plain: map[string]bool{}, digest: map[string]bool{}}
	for _, p := range passwords {
		x.plain[p] = true
		x.plain[strings.ToUpper(p[:1])+p[1:]] = true
		b := []byte(p)
		m, s1, s2, s5 := md5.Sum(b), sha1.Sum(b), sha256.Sum256(b), sha512.Sum512(b) //nolint:gosec // compared with, not used to protect
		s224, s384 := sha256.Sum224(b), sha512.Sum384(b)
		double := sha1.Sum(s1[:])                       //nolint:gosec // MySQL's format
		mm := md5.Sum([]byte(hex.EncodeToString(m[:]))) //nolint:gosec // a format met in the field
		for _, raw := range [][]byte{m[:], s1[:], s2[:], s5[:], s224[:], s384[:], double[:], mm[:], ntlm(p)} {
			x.digest[hex.EncodeToString(raw)] = true
			x.digest[base64.StdEncoding.EncodeToString(raw)] = true
		}
	}
	return x
}

func ntlm(p string) []byte {
	h := md4.New()
	for _, u := range utf16.Encode([]rune(p)) {
		h.Write([]byte{byte(u), byte(u >> 8)})
	}
	return h.Sum(nil)
}

// passwordTally counts the formats of a column's distinct values.
type passwordTally struct {
	by       [formats]int
	prefixed int
	common   int // values in the list of common passwords
	proven   int // digests of common passwords
}

func (t *passwordTally) add(s string, x *digestIndex) {
	f, prefixed := passwordFormat(s)
	t.by[f]++
	if prefixed && f != FormatReversible {
		t.prefixed++
	}
	if x.plain[s] {
		t.common++
	}
	low := s
	if isHex(s) {
		low = strings.ToLower(s)
	} else if len(s) == 41 && s[0] == '*' {
		low = strings.ToLower(s[1:])
	}
	if x.digest[low] {
		t.proven++
	}
}

// class is what the column is as a store of passwords, by the format of most of its values.
func (t *passwordTally) class(salted bool) (Class, Note, Severity) {
	total := 0
	for f := 1; f < formats; f++ {
		total += t.by[f]
	}
	if total == 0 { // no class says only "a password": the one that accuses nobody, with a note that it proves nothing
		return "secret.password_hash", NotePasswordUnknown, SeverityInfo
	}
	strong := t.by[FormatStrong] + t.by[FormatStrongLow] + t.by[FormatMedium]
	weak := t.by[FormatWeakSalted] + t.by[FormatUnsaltedDigest]
	switch {
	case strong*2 >= total && t.by[FormatMedium]*2 >= total:
		return "secret.password_hash", NotePasswordMedium, SeverityLow
	case strong*2 >= total && t.by[FormatStrongLow]*2 >= total:
		return "secret.password_hash", NotePasswordParameters, SeverityLow
	case strong*2 >= total:
		return "secret.password_hash", NotePasswordStrong, SeverityInfo
	case weak*2 >= total && (salted || t.by[FormatWeakSalted] > t.by[FormatUnsaltedDigest]):
		return "secret.password_weak_hash", NotePasswordWeak, SeverityHigh
	case weak*2 >= total:
		return "secret.password_weak_hash", NotePasswordUnsalted, SeverityHigh
	case t.by[FormatReversible]*2 >= total:
		return "secret.password_plain", NotePasswordReversible, SeverityCritical
	}
	return "secret.password_plain", NotePasswordPlain, SeverityCritical
}

// storage lists the shares of each format.
func (t *passwordTally) storage() []Storage {
	total := 0
	for f := 1; f < formats; f++ {
		total += t.by[f]
	}
	var out []Storage
	for f := 1; f < formats && total > 0; f++ {
		if t.by[f] > 0 {
			out = append(out, Storage{Format(f), float64(t.by[f]) / float64(total)})
		}
	}
	return out
}
