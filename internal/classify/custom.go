package classify

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// Custom is a classifier of the policy file (classification.md §11).
type Custom struct {
	Class      Class               `yaml:"class"`
	Tags       []Tag               `yaml:"tags"`
	Mask       Mask                `yaml:"mask"`
	Names      map[string][]string `yaml:"names"` // language -> phrases
	NotNames   []string            `yaml:"not_names"`
	Types      []string            `yaml:"types"`
	Pattern    string              `yaml:"pattern"` // RE2, anchored
	Check      *CustomCheck        `yaml:"check"`
	Dictionary []string            `yaml:"-"`     // the lines of the file that the key dictionary names
	Needs      string              `yaml:"needs"` // name | value | both | either
	Siblings   []Class             `yaml:"siblings"`
	Scope      []string            `yaml:"scope"`  // patterns over schema.table.column; empty: everywhere
	Extend     Class               `yaml:"extend"` // adds names and patterns to a built-in class
	Off        bool                `yaml:"off"`    // switches a built-in class off
	Examples   CustomExamples      `yaml:"examples"`
}

// CustomCheck is a check-digit rule: a named one, or weights with a modulus. It applies to the digits of a value.
type CustomCheck struct {
	Algorithm string  `yaml:"algorithm"`
	Weights   []int   `yaml:"weights"`
	Modulus   int     `yaml:"modulus"`
	Chance    float64 `yaml:"chance"` // of a random value to pass; derived from the modulus when absent
}

// CustomExamples are run as tests at load.
type CustomExamples struct {
	Match  []string `yaml:"match"`
	Reject []string `yaml:"reject"`
}

type custom struct {
	spec    Custom
	pattern *regexp.Regexp
	words   map[string]bool
	check   func(string) bool
	chance  float64
}

// addCustoms compiles the custom classifiers into the same tables that the built-in classes use.
func (c *Classifier) addCustoms(specs []Custom) error {
	for i, spec := range specs {
		x, err := compileCustom(spec)
		if err == nil {
			err = c.enter(x)
		}
		if err != nil {
			err.Index, err.Class = i, spec.name()
			return err
		}
		c.custom = append(c.custom, x)
	}
	return nil
}

// CustomError says which classifier of the policy file is wrong, and which of its keys.
type CustomError struct {
	Index int
	Class Class
	Key   string // of the policy file; match and reject for its examples
	Item  int    // of match and reject
	Err   error
}

func (e *CustomError) Error() string {
	return fmt.Sprintf("classifier %d (%s): %v", e.Index+1, e.Class, e.Err)
}

func (e *CustomError) Unwrap() error { return e.Err }

func wrong(key, format string, args ...any) *CustomError {
	return &CustomError{Key: key, Err: fmt.Errorf(format, args...)}
}

func (s *Custom) name() Class {
	if s.Extend != "" {
		return s.Extend
	}
	return s.Class
}

func compileCustom(spec Custom) (*custom, *CustomError) {
	x := &custom{spec: spec, words: map[string]bool{}}
	if spec.name() == "" {
		return nil, wrong("class", "needs a class")
	}
	if !strings.Contains(string(spec.name()), ".") {
		return nil, wrong("class", "a class is written group.name")
	}
	switch spec.Needs {
	case "", "either", "name", "value", "both":
	default:
		return nil, wrong("needs", "needs is name, value, both or either, not %q", spec.Needs)
	}
	if spec.Pattern != "" {
		re, err := regexp.Compile(`^(?:` + strings.TrimSuffix(strings.TrimPrefix(spec.Pattern, "^"), "$") + `)$`)
		if err != nil {
			return nil, wrong("pattern", "pattern: %w", err)
		}
		x.pattern = re
	}
	for _, w := range spec.Dictionary {
		if w = fold(strings.ToLower(strings.TrimSpace(w)), false); w != "" {
			x.words[w] = true
		}
	}
	if spec.Check != nil {
		if err := x.compileCheck(spec.Check); err != nil {
			return nil, err
		}
	}
	for i, e := range spec.Examples.Match {
		if x.test(prepare(e)) != passed {
			return nil, wrongExample("match", i, "is not accepted")
		}
	}
	for i, e := range spec.Examples.Reject {
		if x.test(prepare(e)) == passed {
			return nil, wrongExample("reject", i, "is accepted")
		}
	}
	return x, nil
}

func (x *custom) compileCheck(k *CustomCheck) *CustomError {
	named := map[string]func(string) bool{
		"luhn": checkdigit.Luhn, "verhoeff": checkdigit.Verhoeff, "mod11_10": checkdigit.Mod1110, "ean13": checkdigit.EAN13, "aba": checkdigit.ABA,
		"siren": checkdigit.SIREN, "siret": checkdigit.SIRET, "nip": checkdigit.NIP, "cpf": checkdigit.CPF, "cnpj": checkdigit.CNPJ, "pesel": checkdigit.PESEL,
		"bsn": checkdigit.BSN, "nhs": checkdigit.NHS, "abn": checkdigit.ABN, "tfn": checkdigit.TFN, "clabe": checkdigit.CLABE, "cuit": checkdigit.CUIT,
		"fnr": checkdigit.FNR, "cpr": checkdigit.CPR, "tckn": checkdigit.TCKN, "my_number": checkdigit.MyNumber, "rrn": checkdigit.RRN, "npi": checkdigit.NPI,
	}
	switch {
	case k.Algorithm != "":
		x.check = named[strings.ToLower(k.Algorithm)]
		if x.check == nil {
			return wrong("check", "check: unknown algorithm %q", k.Algorithm)
		}
		x.chance = 0.1
	case len(k.Weights) > 0 && k.Modulus > 1:
		w, m := k.Weights, k.Modulus
		x.check = func(s string) bool { return checkdigit.Weighted(s, w, m) }
		x.chance = 1 / float64(k.Modulus)
	default:
		return wrong("check", "check: give an algorithm, or weights and a modulus")
	}
	if k.Chance > 0 {
		x.chance = k.Chance
	}
	return nil
}

// wrongExample names an example by its number: it may have been taken from life.
func wrongExample(key string, i int, what string) *CustomError {
	e := wrong(key, "example %d of %s %s", i+1, key, what)
	e.Item = i
	return e
}

// test runs pattern, dictionary and check on one value.
func (x *custom) test(v *value) verdict {
	if len(v.raw) > 512 {
		return misfit
	}
	if x.pattern != nil && !x.pattern.MatchString(v.raw) {
		return misfit
	}
	if len(x.words) > 0 && !x.words[v.low] {
		if x.pattern == nil {
			return failed
		}
		return misfit
	}
	if x.check != nil {
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, v.raw)
		if digits == "" {
			return misfit
		}
		return check(x.check(digits))
	}
	return shapeOnly(x.pattern != nil || len(x.words) > 0)
}

// enter adds a compiled classifier to kinds, lexicon and probes.
func (c *Classifier) enter(x *custom) *CustomError {
	spec := x.spec
	class := spec.name()
	k := c.byClass[class]
	switch {
	case spec.Off:
		if k == nil {
			return wrong("class", "cannot switch off: no such class")
		}
		k.families = ""
		return nil
	case spec.Extend != "":
		if k == nil {
			return wrong("extend", "cannot extend: no such class")
		}
	case k != nil:
		return wrong("class", "the class exists: use extend")
	default:
		k = &kind{class: class, prior: model.priorCustom, tags: spec.Tags, mask: string(spec.Mask), families: "tin", byName: spec.Needs == "name" || spec.Needs == "both"}
		if k.mask == "" {
			k.mask = "hidden"
		}
		if len(spec.Types) > 0 {
			k.families = ""
			for _, t := range spec.Types {
				f, _ := familyOf(t)
				k.families += string(rune(f))
			}
		}
		c.kinds = append(c.kinds, k)
		c.byClass[class] = k
	}
	for _, p := range spec.NotNames {
		c.lex.addPhrase(noneClass, p, "")
		c.lex.squash(p)
	}
	if len(spec.Scope) > 0 || len(spec.Siblings) > 0 {
		k.custom = x
	}
	for lang, phrases := range spec.Names {
		for _, p := range phrases {
			c.lex.addPhrase(class, p, lang)
			c.lex.squash(p)
		}
	}
	if x.pattern == nil && len(x.words) == 0 && x.check == nil {
		return nil
	}
	p := probe{class: class, fams: k.families, test: x.test, how: byShape, p0: 0.01, named: spec.Needs == "both", limit: 9}
	switch {
	case x.check != nil:
		p.how, p.p0, p.limit = byChecksum, x.chance, 0
	case x.pattern == nil:
		p.how, p.p0, p.limit = byList, 0.02, 0
	}
	c.all = append(c.all, p)
	return nil
}

// squash makes the words of a later phrase known to compounds and run-together names.
func (l *lexicon) squash(phrase string) {
	tokens := expand(split(fold(phrase, false)))
	for _, t := range tokens {
		l.addStem(t)
	}
	p := strings.Join(tokens, " ")
	l.squashed[strings.ReplaceAll(p, " ", "")] = p
}

// inScope reports whether the classifier applies to a column.
func (x *custom) inScope(schema, table, column string) bool {
	if len(x.spec.Scope) == 0 {
		return true
	}
	names := []string{schema, table, column}
	for _, p := range x.spec.Scope {
		parts := strings.SplitN(p, ".", 3)
		ok := true
		for i, part := range parts {
			m, err := path.Match(part, names[i])
			ok = ok && err == nil && m
		}
		if ok {
			return true
		}
	}
	return false
}

// Try runs the value rules of one custom classifier over texts, for "discover test": how many of them are accepted.
func (c *Classifier) Try(class Class, texts []string) (tested, accepted int) {
	for _, x := range c.custom {
		if x.spec.name() != class {
			continue
		}
		for _, t := range texts {
			tested++
			if x.test(prepare(t)) == passed {
				accepted++
			}
		}
	}
	return tested, accepted
}
