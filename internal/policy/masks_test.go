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
		"bucket(2.5)":                         {Name: Bucket, Args: []string{"2.5"}},
		"round(-3)":                           {Name: Round, Args: []string{"-3"}},
		"ip_prefix(24)":                       {Name: IPPrefix, Args: []string{"24"}},
		"noise(10%)":                          {Name: Noise, Args: []string{"10%"}},
		"noise(0.5)":                          {Name: Noise, Args: []string{"0.5"}},
		`null_if("value < 0")`:                {Name: NullIf, Args: []string{"value < 0"}},
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
		`expression(value)`: 11, `expression(1)`: 11, `expression(" ")`: 11, "keep\nkeep": 4, "keep_last(4))": 12,
		"bucket": 0, "bucket(0)": 7, "bucket(0.0)": 7, "bucket(-5)": 7, "bucket(1e3)": 7, "bucket(5%)": 7, `bucket("5")`: 7, "bucket(12345678901234567)": 7,
		"round(1.5)": 6, "round(16)": 6, "round(+2)": 6, "round()": 5, "ip_prefix(0)": 10, "ip_prefix(33)": 10, "ip_prefix(8.0)": 10,
		"noise(0%)": 6, "noise(%)": 6, "noise(-1)": 6, "noise(5 %)": 6, "noise(5%%)": 6, "null_if(value < 0)": 8, `null_if("")`: 8,
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
}

// Every mask has a place in the order of ENF-36, and raw is keep alone.
func TestStrengthOrder(t *testing.T) {
	order := [][]string{{Keep}, {Partial, KeepLast, PartialEmail, EmailDomainOnly, NullIf, Expression}, {Hash, Pseudonym}, {Year, Month, Bucket, Round, IPPrefix, Noise}, {Constant}, {Hidden}}
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
			case argWidth:
				m.Args = append(m.Args, rapid.SampledFrom([]string{"1", "0.05", "1000000"}).Draw(t, "width"))
			case argDigits:
				m.Args = append(m.Args, rapid.SampledFrom([]string{"-15", "0", "2"}).Draw(t, "digits"))
			case argBits:
				m.Args = append(m.Args, rapid.SampledFrom([]string{"1", "24", "32"}).Draw(t, "bits"))
			case argSpread:
				m.Args = append(m.Args, rapid.SampledFrom([]string{"1", "2.5", "7%", "0.1%"}).Draw(t, "spread"))
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

// Every mask says what it leaves, in one sentence, with its own arguments (ENF-30).
func TestLeaves(t *testing.T) {
	seen := map[string]string{}
	for _, name := range MaskNames() {
		m := Mask{Name: name}
		for range maskSpecs()[name].args {
			m.Args = append(m.Args, "7")
		}
		text := m.Leaves()
		if !strings.HasSuffix(text, ".") || strings.Count(text, ". ") > 0 || strings.Contains(text, "?") || text == (Mask{Name: "nonsense"}).Leaves() {
			t.Errorf("%s: %q", name, text)
		}
		if other := seen[text]; other != "" {
			t.Errorf("%s and %s say the same", name, other)
		}
		seen[text] = name
	}
	if text := (Mask{Name: KeepLast, Args: []string{"4"}}).Leaves(); !strings.Contains(text, "last 4 characters") {
		t.Error(text)
	}
}
