package audit

import (
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// The encoder is written by hand because it stands on the path of every statement: no reflection, no allocation. A test
// holds it equal, byte for byte, to encoding/json (without HTML escapes) for every field.

// appendEvent appends the opening brace and all fields up to the chain's.
func appendEvent(b []byte, e *Event, seal *Seal) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = append(b, `,"time":"`...)
	b = e.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","instance":`...)
	b = appendString(b, e.Instance)
	b = append(b, `,"kind":`...)
	b = appendString(b, string(e.Kind))
	b = appendWho(b, e)
	b = appendWhat(b, e)
	if seal != nil {
		b = append(b, `,"seal":`...)
		b = appendSeal(b, seal)
	}
	return b
}

func appendWho(b []byte, e *Event) []byte {
	b = appendText(b, `,"id":`, e.ID)
	if e.actor != nil {
		b = append(b, e.actor.session...)
		b = appendText(b, `,"ref":`, e.Ref)
		return append(b, e.actor.rest...)
	}
	b = appendText(b, `,"session":`, e.Session)
	b = appendText(b, `,"ref":`, e.Ref)
	return appendActor(b, e)
}

// appendActor appends the fields that an Actor keeps encoded.
func appendActor(b []byte, e *Event) []byte {
	b = appendText(b, `,"subject":`, e.Subject)
	b = appendTexts(b, `,"groups":`, e.Groups)
	b = appendText(b, `,"role":`, e.Role)
	b = appendText(b, `,"store":`, e.Store)
	b = appendText(b, `,"profile":`, e.Profile)
	b = appendTexts(b, `,"rules":`, e.Rules)
	b = appendText(b, `,"policy":`, e.Policy)
	b = appendText(b, `,"address":`, e.Address)
	b = appendText(b, `,"tls":`, e.TLS)
	b = appendText(b, `,"method":`, e.Method)
	b = appendText(b, `,"application":`, e.App)
	b = appendText(b, `,"listener":`, e.Listener)
	if e.NotEnforced {
		b = append(b, `,"not_enforced":true`...)
	}
	return b
}

func appendWhat(b []byte, e *Event) []byte {
	b = appendText(b, `,"verdict":`, e.Verdict)
	b = appendText(b, `,"reason":`, e.Reason)
	b = appendText(b, `,"message":`, e.Message)
	b = appendText(b, `,"statement":`, e.Statement)
	if e.Opaque != nil {
		b = append(b, `,"opaque":{"length":`...)
		b = strconv.AppendInt(b, int64(e.Opaque.Length), 10)
		b = append(b, `,"hmac":`...)
		b = appendString(b, e.Opaque.HMAC)
		b = append(b, '}')
	}
	b = appendText(b, `,"command":`, e.Command)
	b = appendTouches(b, e.Touches)
	b = appendShadow(b, e.Shadow)
	b = appendInt(b, `,"rows":`, e.Rows)
	b = appendInt(b, `,"bytes":`, e.Bytes)
	b = appendInt(b, `,"duration_us":`, e.DurationUS)
	b = appendText(b, `,"sqlstate":`, e.SQLState)
	return appendDetail(b, e.Detail)
}

func appendShadow(b []byte, s *Shadow) []byte {
	if s == nil {
		return b
	}
	b = append(b, `,"shadow":{"rules":[`...)
	for i, r := range s.Rules {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, r)
	}
	b = append(b, `],"verdict":`...)
	b = appendString(b, s.Verdict)
	b = appendText(b, `,"reason":`, s.Reason)
	b = appendTouches(b, s.Touches)
	return append(b, '}')
}

func appendTouches(b []byte, touches []Touch) []byte {
	if len(touches) == 0 {
		return b
	}
	b = append(b, `,"touches":[`...)
	for i := range touches {
		t := &touches[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"relation":`...)
		b = appendString(b, t.Relation)
		b = append(b, `,"action":`...)
		b = appendString(b, t.Action)
		b = appendTexts(b, `,"columns":`, t.Columns)
		b = appendTexts(b, `,"labels":`, t.Labels)
		b = appendTexts(b, `,"rules":`, t.Rules)
		if t.Masked {
			b = append(b, `,"masked":true`...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendDetail(b []byte, detail map[string]string) []byte {
	if len(detail) == 0 {
		return b
	}
	keys := make([]string, 0, len(detail))
	for k := range detail {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = append(b, `,"detail":{`...)
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, k)
		b = append(b, ':')
		b = appendString(b, detail[k])
	}
	return append(b, '}')
}

func appendSeal(b []byte, s *Seal) []byte {
	b = append(b, `{"key":`...)
	b = appendString(b, s.Key)
	b = appendText(b, `,"public":`, s.Public)
	b = appendInt(b, `,"format":`, int64(s.Format))
	b = appendText(b, `,"file":`, s.File)
	b = appendText(b, `,"previous":`, s.Previous)
	b = appendInt(b, `,"every":`, int64(s.Every))
	if len(s.Torn) > 0 {
		b = append(b, `,"torn":[`...)
		for i, t := range s.Torn {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"file":`...)
			b = appendString(b, t.File)
			b = append(b, `,"bytes":`...)
			b = strconv.AppendInt(b, t.Bytes, 10)
			b = append(b, `,"sha256":`...)
			b = appendString(b, t.SHA256)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	b = appendUint(b, `,"from":`, s.From)
	b = appendUint(b, `,"to":`, s.To)
	b = appendText(b, `,"expected":`, s.Expected)
	b = appendUint(b, `,"refused":`, s.Refused)
	return append(b, '}')
}

func appendText(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, name...), s)
}

func appendTexts(b []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, name...)
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

func appendInt(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), n, 10)
}

func appendUint(b []byte, name string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendUint(append(b, name...), n, 10)
}

// plainByte marks the bytes that stand for themselves: ASCII without control characters, quote and backslash. It is a
// constant in all but syntax.
var plainByte = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// appendString appends s as a JSON string: quotes, backslashes and control characters escaped, bytes that are not UTF-8
// replaced by U+FFFD, U+2028 and U+2029 escaped for readers that take JSON for JavaScript.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainByte[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
		case r == '\u2028':
			b = append(append(b, s[start:i]...), `\u2028`...)
		case r == '\u2029':
			b = append(append(b, s[start:i]...), `\u2029`...)
		default:
			i += size
			continue
		}
		i += size
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
