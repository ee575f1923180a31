// Package secret holds Text, a string that cannot be printed, marshalled or logged by accident.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

const hidden = "[secret]"

// Text is a secret. Every ordinary way of turning it into output yields "[secret]"; only Reveal returns it.
// The zero Text is empty. Text values are not comparable with ==; use Equal.
//
// The secret is held by a function, not by a field: fmt looks into fields for some verbs (%p) without asking Format, and
// debugging printers follow pointers, but nothing calls a function to see what it returns.
type Text struct{ reveal func() string }

// New makes a Text of s.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{reveal: func() string { return s }}
}

// Reveal returns the secret itself. Call it only where the secret is used.
func (t Text) Reveal() string {
	if t.reveal == nil {
		return ""
	}
	return t.reveal()
}

// IsEmpty says whether there is no secret.
func (t Text) IsEmpty() bool { return t.reveal == nil }

// Equal compares in constant time.
func (t Text) Equal(o Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(o.Reveal())) == 1
}

// String implements fmt.Stringer without revealing.
func (Text) String() string { return hidden }

// Format implements fmt.Formatter, so that no verb reveals.
func (Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer.
func (Text) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText refuses: a secret has no place in a file, a URL or a JSON document.
func (Text) MarshalText() ([]byte, error) { return nil, errors.New("a secret cannot be marshalled") }
