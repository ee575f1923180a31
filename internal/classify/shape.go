package classify

import "strings"

// Shape is the outline of values: letters become a or A, digits d, other letters x, punctuation stays, runs over eight are
// compressed. Its text can only be made by shapeOf, so it never holds a value.
type Shape struct{ text string }

func (s Shape) String() string { return s.text }

// MarshalText writes the outline.
func (s Shape) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText reads nothing: what stands in a file was not made by shapeOf for certain.
func (*Shape) UnmarshalText([]byte) error { return nil }

// IsZero reports an absent shape.
func (s Shape) IsZero() bool { return s.text == "" }

const shapeLimit = 40

// shapeOf outlines a value. Only a fixed set of punctuation survives; everything beyond shapeLimit characters is cut.
func shapeOf(v string) Shape {
	var b strings.Builder
	n, run, last := 0, 0, byte(0)
	flush := func() {
		if run > 8 {
			b.WriteByte(last)
			b.WriteByte('+')
		} else {
			for range run {
				b.WriteByte(last)
			}
		}
		run = 0
	}
	for _, r := range v {
		if n++; n > 256 || b.Len() > shapeLimit {
			break
		}
		c := byte('?')
		switch {
		case r >= '0' && r <= '9':
			c = 'd'
		case r >= 'a' && r <= 'z':
			c = 'a'
		case r >= 'A' && r <= 'Z':
			c = 'A'
		case r > 127:
			c = 'x'
		case strings.ContainsRune(" -_./:@,;+()#*%$&=[]{}<>|\"'!?~^\\", r):
			c = byte(r)
		}
		if c != last && run > 0 {
			flush()
		}
		last = c
		run++
	}
	flush()
	s := b.String()
	if len(s) > shapeLimit {
		s = s[:shapeLimit]
	}
	return Shape{s}
}
