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
type Text struct {
	_ [0]func() // not comparable
	s string
}

// New makes a Text of s.
func New(s string) Text { return Text{s: s} }

// Reveal returns the secret itself. Call it only where the secret is used.
func (t Text) Reveal() string { return t.s }

// IsEmpty says whether there is no secret.
func (t Text) IsEmpty() bool { return t.s == "" }

// Equal compares in constant time.
func (t Text) Equal(o Text) bool { return subtle.ConstantTimeCompare([]byte(t.s), []byte(o.s)) == 1 }

// String implements fmt.Stringer without revealing.
func (Text) String() string { return hidden }

// Format implements fmt.Formatter, so that no verb reveals.
func (Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer.
func (Text) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText refuses: a secret has no place in a file, a URL or a JSON document.
func (Text) MarshalText() ([]byte, error) { return nil, errors.New("a secret cannot be marshalled") }
