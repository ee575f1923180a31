package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const value = "correct horse"

func TestNothingReveals(t *testing.T) {
	text := New(value)
	type wrapped struct {
		Name string
		Text Text
		Ptr  *Text
	}
	w := wrapped{"n", text, &text}
	var out []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		out = append(out, fmt.Sprintf(verb, text), fmt.Sprintf(verb, &text), fmt.Sprintf(verb, w), fmt.Sprintf(verb, []Text{text}), fmt.Sprintf(verb, map[string]Text{"a": text}))
	}
	out = append(out, text.String(), fmt.Sprint(text), fmt.Errorf("x: %v", text).Error())

	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("m", "secret", text, "pointer", &text, "wrapped", w, slog.Group("g", "s", text))
	}
	out = append(out, log.String())

	for _, s := range out {
		// In hexadecimal too.
		if strings.Contains(s, value) || strings.Contains(strings.ToLower(s), fmt.Sprintf("%x", value)) {
			t.Errorf("revealed: %s", s)
		}
	}
}

func TestMarshallingIsRefused(t *testing.T) {
	for _, v := range []any{New(value), &struct{ T Text }{New(value)}, map[string]Text{"a": New(value)}} {
		if b, err := json.Marshal(v); err == nil || bytes.Contains(b, []byte(value)) {
			t.Errorf("marshalled %T: %s", v, b)
		}
	}
	if b, err := New(value).MarshalText(); err == nil || b != nil {
		t.Errorf("marshalled as text: %s", b)
	}
}

func TestRevealAndEqual(t *testing.T) {
	a, b, c := New(value), New(value), New(value+"!")
	if a.Reveal() != value {
		t.Errorf("Reveal is %q", a.Reveal())
	}
	if !a.Equal(b) || a.Equal(c) || a.Equal(Text{}) {
		t.Error("Equal is wrong")
	}
	if a.IsEmpty() || !(Text{}).IsEmpty() || !New("").IsEmpty() {
		t.Error("IsEmpty is wrong")
	}
}
