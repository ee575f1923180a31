package catalog

import (
	"regexp"
	"slices"
	"strings"
)

const stringKind = "password in a connection string"

// secretPatterns find credentials in text. The second group, where there is one, is the secret.
var secretPatterns = []struct {
	kind string
	re   *regexp.Regexp
}{
	{"password in a connection URI", regexp.MustCompile(`(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@'"]*:)([^\s@'"]+)(@)`)},
	{stringKind, regexp.MustCompile(`(?i)(\b\w*(?:password|passwd|pwd|secret|token|api_?key|access_?key)\s*=\s*)('(?:[^'\\]|\\.|'')*'|"[^"]*"|[^\s'",;)]+)()`)},
	{"password in a statement", regexp.MustCompile(`(?i)(\bPASSWORD\s+)(E?'(?:[^'\\]|\\.|'')+')()`)},
	{"AWS access key", regexp.MustCompile(`()\b((?:AKIA|ASIA)[A-Z0-9]{16})\b()`)},
	{"private key", regexp.MustCompile(`()(-----BEGIN [A-Z ]*PRIVATE KEY-----)()`)},
	{"token in a header", regexp.MustCompile(`(?i)(\b(?:authorization|bearer|x-api-key)['":\s]+(?:bearer\s+)?)([A-Za-z0-9._~+/=-]{16,})()`)},
}

// notSecret are what stands for a password without being one.
var notSecret = regexp.MustCompile(`(?i)^('?"?)(\[hidden\]|\*+|<[^>]*>|%[a-z]|\$\d+|\$\{[^}]*\}|null|new\.\w+|old\.\w+|p_\w+|_\w+|v_\w+|\w+\(.*|)('?"?)$`)

// FindSecrets says where credentials stand in a text, and of what kind they are.
func FindSecrets(object, text string) []SecretHit {
	var out []SecretHit
	for _, p := range secretPatterns {
		for _, m := range p.re.FindAllStringSubmatchIndex(text, 20) {
			if value := text[m[4]:m[5]]; notSecret.MatchString(value) || p.kind == stringKind && word.MatchString(value) && !quotedThere(text, m[4]) {
				continue
			}
			out = append(out, SecretHit{Object: object, Kind: p.kind, Line: 1 + strings.Count(text[:m[4]], "\n")})
		}
	}
	return out
}

var (
	word     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
	conninfo = regexp.MustCompile(`(?i)\b(?:host|hostaddr|user|dbname|sslmode)\s*=`)
)

// quotedThere tells a word inside a literal or a connection string from a name of a column or variable.
func quotedThere(text string, at int) bool {
	start := strings.LastIndexByte(text[:at], '\n') + 1
	end := len(text)
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		end = at + i
	}
	return strings.Count(text[start:at], "'")%2 == 1 || conninfo.MatchString(text[start:end])
}

// Redact replaces credentials in a text by Hidden.
func Redact(text string) string {
	for _, p := range secretPatterns {
		text = p.re.ReplaceAllString(text, "${1}"+Hidden+"${3}")
	}
	return text
}

var (
	execute       = regexp.MustCompile(`(?i)\bEXECUTE\b`)
	dynamicSQL    = regexp.MustCompile(`(?is)\bEXECUTE\b[^;]*\|\|[^;]*`)
	safeQuote     = regexp.MustCompile(`(?i)\bquote_(?:ident|literal|nullable)\s*\([^()]*\)`)
	cipherFailure = regexp.MustCompile(`(?i)ignore-cipher-failure`)
	keyLiteral    = regexp.MustCompile(`(?is)\b(?:pgp_sym_(?:en|de)crypt(?:_bytea)?|(?:en|de)crypt(?:_iv)?|hmac)\s*\([^;]*,\s*E?'[^']+'`)
	sqlComment    = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/`)
)

// LookAtBody keeps of a function's body what the checks need, and nothing that could be a secret.
func LookAtBody(object, source string) BodyFacts {
	plain := sqlComment.ReplaceAllString(source, " ")
	f := BodyFacts{
		CipherFailure: cipherFailure.MatchString(plain),
		Keys:          keyLiteral.MatchString(plain),
		Executes:      execute.MatchString(plain),
		Secrets:       FindSecrets(object, source),
	}
	for _, m := range dynamicSQL.FindAllString(plain, -1) {
		// What is left after the quoting functions are taken out: a concatenation with anything but literals is unsafe.
		if unsafeConcatenation(safeQuote.ReplaceAllString(m, "''")) {
			f.DynamicSQL = true
		}
	}
	return f
}

// NamesIn lists the relations whose names stand as words in a function's body. A name that two schemas have counts for both.
func NamesIn(source string, byName map[string][]Name) []Name {
	var out []Name
	for _, w := range bodyWord.FindAllString(sqlComment.ReplaceAllString(source, " "), -1) {
		if quoted, ok := strings.CutPrefix(w, `"`); ok {
			w = strings.ReplaceAll(strings.TrimSuffix(quoted, `"`), `""`, `"`)
		} else {
			w = strings.ToLower(w)
		}
		for _, n := range byName[w] {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	slices.SortFunc(out, Name.Compare)
	return out
}

// bodyWord is an identifier, quoted or not.
var bodyWord = regexp.MustCompile(`"(?:[^"]|"")+"|[\pL_][\pL\pN_$]*`)

var literal = regexp.MustCompile(`E?'(?:[^']|'')*'`)

func unsafeConcatenation(expr string) bool {
	for _, part := range strings.Split(expr, "||")[1:] {
		part = strings.TrimSpace(literal.ReplaceAllString(part, ""))
		for _, end := range []string{"USING", "using", "INTO", "into"} {
			part, _, _ = strings.Cut(part, end)
		}
		if strings.TrimSpace(part) != "" {
			return true
		}
	}
	return false
}

// secretOptions are the options whose value is a secret wherever they stand.
var secretOptions = regexp.MustCompile(`(?i)^(?:password|passwd|sslpassword|ldapbindpasswd|radiussecrets|secret|token|passcode|.*_key|.*_secret)=`)

// RedactOption takes the secret out of name=value.
func RedactOption(option string) string {
	if m := secretOptions.FindString(option); m != "" {
		return m + Hidden
	}
	return Redact(option)
}

// Signature is schema.name(arguments), for people.
func (f *Function) Signature() string { return f.Name.String() + "(" + f.Arguments + ")" }
