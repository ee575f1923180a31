package pgwire

import (
	"fmt"
	"strings"
)

// setting is one name and value of a start-up packet.
type setting struct{ name, value string }

// errOptions is an options text that PostgreSQL would not take either (42601).
type errOptions struct{ word string }

// Error implements error.
func (e *errOptions) Error() string { return fmt.Sprintf("invalid command-line argument: %s", e.word) }

// splitOptions splits the options of a start-up packet into words, as the server does (pg_split_opts): at white space that
// no backslash escapes (PRO-15).
func splitOptions(s string) []string {
	var words []string
	var word strings.Builder
	in, escaped := false, false
	for i := range len(s) {
		c := s[i]
		switch {
		case escaped:
			word.WriteByte(c)
			escaped = false
		case c == '\\':
			in, escaped = true, true
		case c == ' ' || c >= '\t' && c <= '\r':
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			in = true
			word.WriteByte(c)
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words
}

// parseOptions reads -c name=value, -cname=value and --name=value. In a name, "-" is "_". Anything else is an error: no other
// switch of a backend is for clients.
func parseOptions(s string) ([]setting, error) {
	words := splitOptions(s)
	var out []setting
	for i := 0; i < len(words); i++ {
		w := words[i]
		var body string
		switch {
		case w == "-c":
			i++
			if i == len(words) {
				return nil, &errOptions{word: w}
			}
			body = words[i]
		case strings.HasPrefix(w, "-c"):
			body = w[2:]
		case strings.HasPrefix(w, "--") && len(w) > 2:
			body = w[2:]
		default:
			return nil, &errOptions{word: w}
		}
		name, value, ok := strings.Cut(body, "=")
		if !ok || name == "" {
			return nil, &errOptions{word: w}
		}
		out = append(out, setting{name: strings.ReplaceAll(name, "-", "_"), value: value})
	}
	return out, nil
}

// errSetting is a start-up setting that is not allowed (42501).
type errSetting struct{ name string }

// Error implements error.
func (e *errSetting) Error() string {
	return fmt.Sprintf("setting %q cannot be set at connection start", e.name)
}

// passed are the settings that clients may bring (PRO-16), by their lower-case name, with what their values must satisfy.
var passed = map[string]func(value string) bool{
	"application_name":                    anyValue,
	"datestyle":                           anyValue,
	"intervalstyle":                       anyValue,
	"timezone":                            anyValue,
	"extra_float_digits":                  anyValue,
	"bytea_output":                        anyValue,
	"client_encoding":                     isUTF8Name,
	"standard_conforming_strings":         isOn,
	"row_security":                        isOn,
	"client_min_messages":                 oneOf("warning", "error", "notice"),
	"statement_timeout":                   anyValue,
	"lock_timeout":                        anyValue,
	"idle_in_transaction_session_timeout": anyValue,
	"idle_session_timeout":                anyValue,
	"default_transaction_isolation":       anyValue,
	"default_transaction_read_only":       isOn,
	"default_transaction_deferrable":      anyValue,
	"search_path":                         anyValue, // held against the store's own path as soon as that is known
}

// allowSetting checks one setting against the list and returns the name in the list's spelling.
func allowSetting(s setting) (string, error) {
	name := strings.ToLower(s.name)
	check := passed[name]
	if check == nil || !check(s.value) || strings.IndexByte(s.value, 0) >= 0 {
		return "", &errSetting{name: s.name}
	}
	return name, nil
}

func anyValue(string) bool { return true }

func oneOf(words ...string) func(string) bool {
	return func(v string) bool {
		for _, w := range words {
			if strings.EqualFold(v, w) {
				return true
			}
		}
		return false
	}
}

// isOn reads a boolean as PostgreSQL does, unique prefixes included.
func isOn(v string) bool {
	v = strings.ToLower(v)
	if v == "" {
		return false
	}
	return strings.HasPrefix("true", v) || strings.HasPrefix("yes", v) || v == "on" || v == "1"
}

// isUTF8Name compares encoding names as PostgreSQL does: letters and digits count, nothing else.
func isUTF8Name(v string) bool {
	var b strings.Builder
	for i := range len(v) {
		c := v[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z':
			b.WriteByte(c)
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c - 'A' + 'a')
		}
	}
	return b.String() == "utf8" || b.String() == "unicode"
}
