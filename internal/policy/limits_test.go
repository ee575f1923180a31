package policy

import (
	"testing"

	"pgregory.net/rapid"
)

// TestStricterLimits: the stricter of two limits loosens neither, and is one of them where that is as strict.
func TestStricterLimits(t *testing.T) {
	limits := rapid.Custom(func(t *rapid.T) Limits {
		n := rapid.Int64Range(0, 3)
		return Limits{n.Draw(t, "rows"), n.Draw(t, "hour"), n.Draw(t, "minute"), n.Draw(t, "group")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := limits.Draw(t, "a"), limits.Draw(t, "b")
		s := a.Stricter(b)
		if s != b.Stricter(a) {
			t.Fatalf("%s or %s", s, b.Stricter(a))
		}
		if l := append(s.Loosened(a), s.Loosened(b)...); len(l) > 0 {
			t.Fatalf("%s of %s and %s: %q", s, a, b, l)
		}
		if len(a.Loosened(b)) == 0 && s != a {
			t.Fatalf("%s is as strict as %s, and %s is taken", a, b, s)
		}
		if (len(a.Loosened(b)) == 0) != (s == a) {
			t.Fatalf("%s against %s: %q", a, b, a.Loosened(b))
		}
	})
}
