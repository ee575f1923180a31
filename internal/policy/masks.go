package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The names of masks, as the policy file writes them.
const (
	Keep            = "keep"
	Hidden          = "hidden"
	Constant        = "constant"
	Partial         = "partial"
	KeepLast        = "keep_last"
	PartialEmail    = "partial_email"
	EmailDomainOnly = "email_domain_only"
	Hash            = "hash"
	Pseudonym       = "pseudonym"
	Year            = "year"
	Month           = "month"
	NullIf          = "null_if"
	Bucket          = "bucket"
	Round           = "round"
	IPPrefix        = "ip_prefix"
	Noise           = "noise"
	Expression      = "expression"
)

// The two patterns of a mask profile that are not labels.
const (
	PatternAny        = "*"          // labelled columns without an entry of their own
	PatternUnlabelled = "unlabelled" // columns without a label
)

// Strength orders masks by how much they take away (ENF-36).
type Strength int

// The order of forms, least masked first.
const (
	Raw Strength = iota
	Partially
	Pseudonymous
	Generalised
	Constantly
	Null
)

// argument is the kind of one argument of a mask.
type argument int

const (
	argText   argument = iota // "quoted", a number, true or false
	argCount                  // a whole number, 0 to maxCount
	argSQL                    // "quoted", never empty
	argWidth                  // a number above 0, with up to maxDigits digits
	argDigits                 // a whole number, -maxDigits to maxDigits
	argBits                   // a whole number, 1 to 32
	argSpread                 // as argWidth, or with % behind it
)

// maxDigits bounds the digits of a number in a mask.
const maxDigits = 15

// maxCount bounds the characters that partial and keep_last leave: more than this is not a mask.
const maxCount = 64

type maskSpec struct {
	args     []argument
	usage    string
	strength Strength
	doc      string
}

// maskSpecs is the closed set of masks. A function, so that nobody can change it.
func maskSpecs() map[string]maskSpec {
	return map[string]maskSpec{
		Keep:            {nil, "keep", Raw, "the value itself"},
		Partial:         {[]argument{argCount, argCount}, "partial(prefix, suffix)", Partially, "so many characters from the start and the end, *** between"},
		KeepLast:        {[]argument{argCount}, "keep_last(n)", Partially, "*** and the last n characters"},
		PartialEmail:    {nil, "partial_email", Partially, "the first letter, ***@ and the domain"},
		EmailDomainOnly: {nil, "email_domain_only", Partially, "the domain of an e-mail address"},
		// What an expression leaves is unknown, so it counts among the weakest forms that are not raw.
		Expression: {[]argument{argSQL}, `expression("… value …")`, Partially, "what the SQL makes of value"},
		NullIf:     {[]argument{argSQL}, `null_if("… value …")`, Partially, "NULL where the condition holds or is unknown, else the value itself"},
		Hash:       {nil, "hash", Pseudonymous, "a SHA-256 of the value; falls to a dictionary where there are few values"},
		Pseudonym:  {nil, "pseudonym", Pseudonymous, "a keyed HMAC-SHA-256 of the value; equal values stay equal"},
		Bucket:     {[]argument{argWidth}, "bucket(width)", Generalised, "the largest multiple of width that is not above the number"},
		Round:      {[]argument{argDigits}, "round(digits)", Generalised, "the number with so many digits behind the point; -3 leaves thousands"},
		IPPrefix:   {[]argument{argBits}, "ip_prefix(bits)", Generalised, "the network of the first bits of an IPv4 address, or twice as many of an IPv6 one"},
		Noise:      {[]argument{argSpread}, "noise(amount), noise(percent%)", Generalised, "the number or date moved by up to so much, by a keyed hash of table, column and value: equal values move alike, and no repetition averages it out"},
		Month:      {nil, "month", Generalised, "the first day of the month"},
		Year:       {nil, "year", Generalised, "the first day of the year"},
		Constant:   {[]argument{argText}, `constant("value")`, Constantly, "the same value in every row"},
		Hidden:     {nil, "hidden", Null, "NULL, or a constant of the type where NULL cannot be"},
	}
}

// MaskDoc describes a mask for the reference.
type MaskDoc struct {
	Name, Usage, Doc string
	Strength         Strength
}

// MaskReference describes the masks of this version, weakest first.
func MaskReference() []MaskDoc {
	var out []MaskDoc
	for name, spec := range maskSpecs() {
		out = append(out, MaskDoc{Name: name, Usage: spec.usage, Doc: spec.doc, Strength: spec.strength})
	}
	slices.SortFunc(out, func(a, b MaskDoc) int {
		return cmp.Or(cmp.Compare(a.Strength, b.Strength), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// String names the strength.
func (s Strength) String() string {
	names := [...]string{"raw", "partial", "pseudonym", "generalised", "constant", "null"}
	if s < 0 || int(s) >= len(names) {
		return "unknown"
	}
	return names[s]
}

// MaskNames lists the masks of this version, sorted.
func MaskNames() []string { return slices.Sorted(maps.Keys(maskSpecs())) }

// MaskError is what is wrong with the text of a mask.
type MaskError struct {
	Offset  int // bytes into the text
	Message string
	Hint    string
}

// Error implements error.
func (e *MaskError) Error() string { return e.Message }

// Strength says how much the mask takes away. A mask of unknown name counts as hidden.
func (m Mask) Strength() Strength {
	if spec, ok := maskSpecs()[m.Name]; ok {
		return spec.strength
	}
	return Null
}

// Equal says whether two masks show the same thing; where they were written does not matter.
func (m Mask) Equal(o Mask) bool { return m.Name == o.Name && slices.Equal(m.Args, o.Args) }

// IsRaw says whether the mask shows the column as it is.
func (m Mask) IsRaw() bool { return m.Name == Keep }

// String prints the mask so that ParseMask reads the same one.
func (m Mask) String() string {
	if len(m.Args) == 0 {
		return m.Name
	}
	spec := maskSpecs()[m.Name]
	args := make([]string, len(m.Args))
	for i, a := range m.Args {
		if i < len(spec.args) && spec.args[i] != argText && spec.args[i] != argSQL {
			args[i] = a
		} else {
			args[i] = quoteArg(a)
		}
	}
	return m.Name + "(" + strings.Join(args, ", ") + ")"
}

func quoteArg(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// ParseMask reads "name" or "name(arguments)". Errors are *MaskError. The SQL of an expression is not looked into.
func ParseMask(text string) (Mask, error) {
	p := maskParser{text: text}
	return p.mask()
}

type maskParser struct {
	text string
	pos  int
}

func (p *maskParser) fail(at int, hint, format string, args ...any) error {
	return &MaskError{Offset: at, Message: fmt.Sprintf(format, args...), Hint: hint}
}

func (p *maskParser) space() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t') {
		p.pos++
	}
}

// take eats one byte if it is next.
func (p *maskParser) take(c byte) bool {
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *maskParser) word() string {
	start := p.pos
	for p.pos < len(p.text) {
		if c := p.text[p.pos]; c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			break
		}
		p.pos++
	}
	return p.text[start:p.pos]
}

func (p *maskParser) mask() (Mask, error) {
	p.space()
	start := p.pos
	name := p.word()
	if name == "" {
		return Mask{}, p.fail(start, "masks are "+strings.Join(MaskNames(), ", "), "a mask's name is missing")
	}
	spec, ok := maskSpecs()[name]
	if !ok {
		return Mask{}, unknownMask(start, name)
	}
	p.space()
	if p.pos == len(p.text) {
		if len(spec.args) > 0 {
			return Mask{}, p.fail(start, "write "+spec.usage, "mask %s needs %s", name, countOf(len(spec.args), "argument"))
		}
		return Mask{Name: name}, nil
	}
	open := p.pos
	if !p.take('(') {
		return Mask{}, p.fail(p.pos, "write "+spec.usage, "unexpected %q after mask %s", clip(p.text[p.pos:]), name)
	}
	args, err := p.arguments(name, spec)
	if err != nil {
		return Mask{}, err
	}
	if p.space(); p.pos != len(p.text) {
		return Mask{}, p.fail(p.pos, "write "+spec.usage, "unexpected %q after mask %s", clip(p.text[p.pos:]), name)
	}
	if len(args) != len(spec.args) {
		return Mask{}, p.fail(open, "write "+spec.usage, "mask %s takes %s, not %d", name, countOf(len(spec.args), "argument"), len(args))
	}
	return checkMask(Mask{Name: name, Args: args}, start)
}

// checkMask refuses masks that are well formed and make no sense.
func checkMask(m Mask, at int) (Mask, error) {
	nothing := m.Name == KeepLast || m.Name == Partial
	for _, a := range m.Args {
		nothing = nothing && a == "0"
	}
	if nothing {
		return Mask{}, &MaskError{Offset: at, Message: "mask " + m.String() + " keeps nothing of the value", Hint: `write hidden or constant("***")`}
	}
	return m, nil
}

func unknownMask(at int, name string) error {
	e := &MaskError{Offset: at, Message: fmt.Sprintf("unknown mask %q", name)}
	if near := Nearest(name, MaskNames()); near != "" {
		e.Hint = "did you mean " + maskSpecs()[near].usage + "?"
	} else {
		e.Hint = "masks are " + strings.Join(MaskNames(), ", ")
	}
	return e
}

func countOf(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// arguments reads what stands between the parentheses, closing one included.
func (p *maskParser) arguments(name string, spec maskSpec) ([]string, error) {
	var args []string
	if p.space(); p.take(')') {
		return nil, nil
	}
	for {
		p.space()
		kind := argText
		if len(args) < len(spec.args) {
			kind = spec.args[len(args)]
		}
		arg, err := p.argument(name, kind, spec.usage)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
		p.space()
		switch {
		case p.take(')'):
			return args, nil
		case p.take(','):
		case p.pos == len(p.text):
			return nil, p.fail(p.pos, "write "+spec.usage, "mask %s: a closing parenthesis is missing", name)
		default:
			return nil, p.fail(p.pos, "write "+spec.usage, "mask %s: expected a comma or a closing parenthesis, found %q", name, clip(p.text[p.pos:]))
		}
	}
}

func (p *maskParser) argument(name string, kind argument, usage string) (string, error) {
	start := p.pos
	if p.take('"') {
		if kind != argText && kind != argSQL {
			return "", p.fail(start, "write "+usage, "mask %s takes a number here, not text", name)
		}
		s, err := p.quoted(name)
		if err == nil && kind == argSQL && strings.TrimSpace(s) == "" {
			err = p.fail(start, "write "+usage, "mask %s needs SQL in its quotes", name)
		}
		return s, err
	}
	bare := p.bare()
	if kind == argText && (bare == "true" || bare == "false" || isNumber(bare)) {
		return bare, nil
	}
	if kind != argText && kind != argSQL {
		if want := kind.refuses(bare); want != "" {
			return "", p.fail(start, "write "+usage, "mask %s takes %s, not %q", name, want, clip(bare))
		}
		return bare, nil
	}
	if bare == "null" {
		return "", p.fail(start, "write hidden for NULL", "mask %s cannot be NULL", name)
	}
	hint := "write " + usage
	if bare != "" && kind == argText && len(bare) < maxCount {
		hint = "write " + name + "(" + quoteArg(bare) + ")"
	}
	return "", p.fail(start, hint, "mask %s: text must stand in double quotes", name)
}

// refuses says what an unquoted argument of this kind should be, or "" when it is. A number has one spelling only.
func (k argument) refuses(text string) string {
	whole := func(low, high int) bool {
		n, err := strconv.Atoi(text)
		return err == nil && n >= low && n <= high && strconv.Itoa(n) == text
	}
	switch k {
	case argCount:
		if !whole(0, maxCount) {
			return fmt.Sprintf("a whole number from 0 to %d", maxCount)
		}
	case argDigits:
		if !whole(-maxDigits, maxDigits) {
			return fmt.Sprintf("a whole number from -%d to %d", maxDigits, maxDigits)
		}
	case argBits:
		if !whole(1, 32) {
			return "a whole number from 1 to 32"
		}
	case argSpread:
		if amount, percent := strings.CutSuffix(text, "%"); percent {
			text = amount
		}
		fallthrough
	case argWidth:
		if !isNumber(text) || strings.HasPrefix(text, "-") || len(text) > maxDigits+1 || strings.Trim(text, "0.") == "" {
			return fmt.Sprintf("a number above 0 of up to %d digits", maxDigits)
		}
	case argText, argSQL:
	}
	return ""
}

// bare reads up to what ends an unquoted argument.
func (p *maskParser) bare() string {
	start := p.pos
	for p.pos < len(p.text) && p.text[p.pos] != ',' && p.text[p.pos] != ')' {
		p.pos++
	}
	s := strings.TrimRight(p.text[start:p.pos], " \t")
	p.pos = start + len(s)
	return s
}

// quoted reads the rest of a quoted argument. A backslash before a quote or a backslash stands for that character; before
// anything else it is itself, so that regular expressions stay readable.
func (p *maskParser) quoted(name string) (string, error) {
	start := p.pos - 1
	var b strings.Builder
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		p.pos++
		switch {
		case c == '"':
			s := b.String()
			if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
				return "", p.fail(start, "", "mask %s: text must be UTF-8 without NUL characters", name)
			}
			return s, nil
		case c == '\\' && p.pos < len(p.text) && (p.text[p.pos] == '"' || p.text[p.pos] == '\\'):
			b.WriteByte(p.text[p.pos])
			p.pos++
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail(start, "", "mask %s: a closing double quote is missing", name)
}

// isNumber accepts -?digits[.digits].
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, frac, point := strings.Cut(s, ".")
	return isDigits(whole) && (!point || isDigits(frac))
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func clip(s string) string {
	if utf8.RuneCountInString(s) <= 20 {
		return s
	}
	return string([]rune(s)[:20]) + "…"
}

// asMaskError unwraps the error of ParseMask.
func asMaskError(err error) *MaskError {
	var e *MaskError
	if errors.As(err, &e) {
		return e
	}
	return &MaskError{Message: err.Error()}
}
