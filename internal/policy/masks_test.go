package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseMask(t *testing.T) {
	for text, want := range map[string]Mask{
		"keep":                                {Name: Keep},
		" hidden ":                            {Name: Hidden},
		"hidden()":                            {Name: Hidden},
		"keep_last(4)":                        {Name: KeepLast, Args: []string{"4"}},
		"keep_last ( 4 )":                     {Name: KeepLast, Args: []string{"4"}},
		"partial(0,2)":                        {Name: Partial, Args: []string{"0", "2"}},
		`constant("***")`:                     {Name: Constant, Args: []string{"***"}},
		`constant("")`:                        {Name: Constant, Args: []string{""}},
		"constant(0)":                         {Name: Constant, Args: []string{"0"}},
		"constant(-1.50)":                     {Name: Constant, Args: []string{"-1.50"}},
		"constant(true)":                      {Name: Constant, Args: []string{"true"}},
		`constant("a\"b\\c\d")`:               {Name: Constant, Args: []string{`a"b\c\d`}},
		`expression("left(value, 2) || ')'")`: {Name: Expression, Args: []string{"left(value, 2) || ')'"}},
	} {
		got, err := ParseMask(text)
		if err != nil || !got.Equal(want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

func TestParseMaskRefuses(t *testing.T) {
	for text, offset := range map[string]int{
		"": 0, "  ": 2, "(4)": 0, "kepe": 0, "Keep": 0, "keep x": 5, "keep(": 5, "keep)": 4, "keep(1)": 4, "keep_last": 0, "keep_last()": 9, "keep_last(": 10,
		"keep_last(4": 11, "keep_last(04)": 10, "keep_last(+4)": 10, "keep_last(4.0)": 10, "keep_last(4,)": 12, "keep_last(4, 5)": 9, "keep_last(99999999999999999999)": 10, "keep_last(0)": 0,
		"constant(": 9, "constant(a)": 9, `constant("a`: 9, `constant("a\"`: 9, "constant(null)": 9, "constant(1.)": 9, "constant('a')": 9, "constant(\"a\x00\")": 9,
		`expression(value)`: 11, `expression(1)`: 11, `expression(" ")`: 11, "keep\nkeep": 4, "keep_last(4))": 12, "bucket(5)": 0,
	} {
		got, err := ParseMask(text)
		var e *MaskError
		if !errors.As(err, &e) {
			t.Errorf("%q: accepted as %+v", text, got)
			continue
		}
		if e.Offset != offset || e.Message == "" {
			t.Errorf("%q: offset %d, %q", text, e.Offset, e.Message)
		}
	}
	for _, name := range laterMasks() {
		var e *MaskError
		if _, err := ParseMask(name + "(1)"); !errors.As(err, &e) || !e.Later {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every mask has a place in the order of ENF-36, and raw is keep alone.
func TestStrengthOrder(t *testing.T) {
	order := [][]string{{Keep}, {Partial, KeepLast, PartialEmail, EmailDomainOnly, Expression}, {Hash, Pseudonym}, {Year, Month}, {Constant}, {Hidden}}
	var all []string
	for strength, names := range order {
		for _, name := range names {
			if got := (Mask{Name: name}).Strength(); int(got) != strength {
				t.Errorf("%s has strength %s", name, got)
			}
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	if !slices.Equal(all, MaskNames()) {
		t.Errorf("masks are %q", MaskNames())
	}
	if (Mask{Name: "nonsense"}).Strength() != Null {
		t.Error("an unknown mask is not the strongest")
	}
	for i, m := range MaskReference() {
		if m.Doc == "" || i > 0 && m.Strength < MaskReference()[i-1].Strength {
			t.Errorf("%s is out of place in the reference", m.Name)
		}
	}
}

func anyMask() *rapid.Generator[Mask] {
	return rapid.Custom(func(t *rapid.T) Mask {
		name := rapid.SampledFrom(MaskNames()).Draw(t, "name")
		m := Mask{Name: name}
		for _, kind := range maskSpecs()[name].args {
			switch kind {
			case argCount:
				m.Args = append(m.Args, rapid.SampledFrom([]string{"1", "2", "17", "64"}).Draw(t, "count"))
			case argSQL:
				m.Args = append(m.Args, "value"+rapid.StringOf(rapid.RuneFrom([]rune(`a"\'(),é% `))).Draw(t, "sql"))
			default:
				m.Args = append(m.Args, rapid.StringOf(rapid.RuneFrom([]rune(`a1"\'(),é%-. `))).Draw(t, "text"))
			}
		}
		return m
	})
}

func TestPrintedMasksAreReadAsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMask().Draw(t, "mask")
		got, err := ParseMask(m.String())
		if err != nil || !got.Equal(m) {
			t.Fatalf("%s is read as %+v, %v", m, got, err)
		}
	})
}

// FuzzMask: what is accepted is printed so that it is read as the same, and what is refused is refused at a place in it.
func FuzzMask(f *testing.F) {
	for _, s := range []string{"keep", "keep_last(4)", `constant("a\"\\")`, `expression("value")`, "partial(1, 2)", "bucket(1)", "constant(-1.5)", "keep_last(", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMask(text)
		if err != nil {
			var e *MaskError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) || e.Message == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		again, err := ParseMask(m.String())
		if err != nil || !again.Equal(m) || again.String() != m.String() {
			t.Fatalf("%q is %+v, printed %s, read %+v, %v", text, m, m, again, err)
		}
		if !slices.Contains(MaskNames(), m.Name) || strings.ContainsRune(strings.Join(m.Args, ""), 0) {
			t.Fatalf("%q gives %+v", text, m)
		}
	})
}
