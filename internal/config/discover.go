package config

import (
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/policy"
)

// This file is what the policy file says about finding sensitive data: the schedule, classifiers of the site's own, and what
// people decided.

type discoverDoc struct {
	Every     policy.Text   `key:"every" default:"never" doc:"how often serve looks for sensitive data: a time such as 24h, at least 10m. It reads statistics and bounded samples as the provisioner, and compares with the last time."`
	NewTables policy.Flag   `key:"new_tables" default:"true when every is set" doc:"look at tables as soon as they appear, too."`
	Countries []policy.Text `key:"countries" default:"learned from the data" doc:"two-letter codes of the countries whose numbers to expect."`
	Pos       policy.Pos
}

type classifierDoc struct {
	Class      policy.Text               `key:"class" doc:"the label that it gives, group.name. Either this or extend."`
	Extend     policy.Text               `key:"extend" doc:"a class of postern's own that gets further names or another pattern."`
	Off        policy.Flag               `key:"off" default:"false" doc:"switches a class of postern's own off; nothing else is set with it."`
	Tags       []policy.Text             `key:"tags" enum:"pii|quasi|phi|pci|art9|art10|secret" doc:"what the class is about."`
	Mask       policy.Text               `key:"mask" default:"hidden" doc:"the mask to suggest."`
	Names      policy.Map[[]policy.Text] `key:"names" name:"language" doc:"words of column names, by language."`
	NotNames   []policy.Text             `key:"not_names" doc:"words that look like it and are not."`
	Types      []policy.Text             `key:"types" default:"text and whole or decimal numbers" doc:"types that can hold it."`
	Pattern    policy.Text               `key:"pattern" doc:"regular expression (RE2) of a whole value."`
	Check      checkDoc                  `key:"check" doc:"check digits."`
	Dictionary policy.Text               `key:"dictionary" doc:"file with one value a line: the site's own list."`
	Needs      policy.Text               `key:"needs" default:"either" enum:"name|value|both|either" doc:"what must speak for it."`
	Siblings   []policy.Text             `key:"siblings" doc:"classes that make it likelier when they stand in the same table."`
	Scope      []policy.Text             `key:"scope" default:"everywhere" doc:"patterns of schema.table.column where it applies."`
	Examples   examplesDoc               `key:"examples" doc:"values made up for the purpose, which are tested whenever the file is read."`
	Pos        policy.Pos
}

type checkDoc struct {
	Algorithm policy.Text   `key:"algorithm" doc:"a rule by name, such as luhn, verhoeff, mod11_10, ean13, aba."`
	Weights   []policy.Text `key:"weights" scalar:"any" doc:"weights of the digits from the left; the check digit has one too."`
	Modulus   policy.Text   `key:"modulus" scalar:"any" doc:"what divides the weighted sum."`
	Chance    policy.Text   `key:"chance" scalar:"any" default:"from the modulus" doc:"how likely a random value passes, between 0 and 1."`
	Pos       policy.Pos
}

type examplesDoc struct {
	Match  []policy.Text `key:"match" scalar:"any" doc:"values to accept."`
	Reject []policy.Text `key:"reject" scalar:"any" doc:"values to refuse."`
	Pos    policy.Pos
}

type verdictDoc struct {
	Class  policy.Text `key:"class" required:"true" doc:"what the column holds, or none."`
	By     policy.Text `key:"by" required:"true" doc:"who says so."`
	At     policy.Text `key:"at" scalar:"any" doc:"the day, as 2027-06-30."`
	Reason policy.Text `key:"reason" doc:"why."`
	Type   policy.Text `key:"type" doc:"the column's type at that time: when it changes, the verdict is up for review."`
	Pos    policy.Pos
}

// Discover is what the file says about finding sensitive data.
type Discover struct {
	Every       time.Duration // 0: never
	NewTables   bool
	Countries   []string
	Classifiers []classify.Custom
	Verdicts    []Verdict
}

// Verdict is what a person decided about a column, or about a pattern of columns.
type Verdict struct {
	Column string         // store.schema.table.column; * stands for any one name
	Class  classify.Class // empty: not sensitive
	By     string
	At     time.Time
	Reason string
	Type   string
	Pos    policy.Pos
}

const (
	leastEvery    = 10 * time.Minute
	maxDictionary = 16 << 20
)

func (b *builder) discover(doc *document) {
	d := &b.c.Discover
	if e := doc.Discover.Every; e.Value != "" && e.Value != "never" {
		every, err := time.ParseDuration(e.Value)
		if err != nil || every < leastEvery {
			b.report(policy.KindValue, e.Pos, "write a time such as 24h", "every: %q is not a time of at least %s", e.Value, leastEvery)
		}
		d.Every, d.NewTables = every, true
		for _, e := range doc.Stores.Entries {
			if s := b.c.Stores[e.Key.Value]; s != nil && s.Scanner.User == "" && s.Provision != ProvisionAuto {
				b.report(policy.KindMissing, s.Pos, "add scanner: {user: …}, a login with pg_read_all_data", "store %s: discover.every needs a login that may read its tables, and serve does not see the provisioner", s.Name)
			}
		}
	}
	if doc.Discover.NewTables.Set {
		d.NewTables = doc.Discover.NewTables.Value
	}
	for _, c := range doc.Discover.Countries {
		if len(c.Value) != 2 || strings.ToLower(c.Value) < "aa" || strings.ToLower(c.Value) > "zz" {
			b.report(policy.KindValue, c.Pos, "write [de, fr]", "countries: %q is not a two-letter code", c.Value)
			continue
		}
		d.Countries = append(d.Countries, strings.ToUpper(c.Value))
	}
	known := b.classifiers(doc.Classifiers)
	for _, e := range doc.Verdicts.Entries {
		b.verdict(e.Key, e.Value, known)
	}
}

// classifiers compiles what the file declares and returns every class there is.
func (b *builder) classifiers(docs []classifierDoc) map[string]bool {
	known := map[string]bool{}
	for _, c := range classify.Taxonomy() {
		known[string(c.Class)] = true
	}
	for _, doc := range docs {
		b.c.Discover.Classifiers = append(b.c.Discover.Classifiers, b.classifier(doc))
		known[doc.Class.Value] = true
	}
	if len(docs) == 0 {
		return known
	}
	_, err := classify.New(b.c.Discover.Classifiers...)
	var wrong *classify.CustomError
	switch {
	case errors.As(err, &wrong):
		b.report(policy.KindValue, place(docs[wrong.Index], wrong), "", "classifier %s: %v", wrong.Class, wrong.Err)
	case err != nil:
		b.report(policy.KindValue, docs[0].Pos, "", "classifiers: %v", err)
	}
	return known
}

func (b *builder) classifier(doc classifierDoc) classify.Custom {
	texts := func(list []policy.Text) []string {
		out := make([]string, 0, len(list))
		for _, t := range list {
			out = append(out, t.Value)
		}
		return out
	}
	c := classify.Custom{
		Class: classify.Class(doc.Class.Value), Extend: classify.Class(doc.Extend.Value), Off: doc.Off.Value, Mask: classify.Mask(doc.Mask.Value),
		Names: map[string][]string{}, NotNames: texts(doc.NotNames), Types: texts(doc.Types), Pattern: doc.Pattern.Value, Needs: doc.Needs.Value,
		Scope: texts(doc.Scope), Examples: classify.CustomExamples{Match: texts(doc.Examples.Match), Reject: texts(doc.Examples.Reject)},
	}
	for _, t := range doc.Tags {
		c.Tags = append(c.Tags, classify.Tag(t.Value))
	}
	for _, t := range doc.Siblings {
		c.Siblings = append(c.Siblings, classify.Class(t.Value))
	}
	for _, e := range doc.Names.Entries {
		c.Names[e.Key.Value] = append(c.Names[e.Key.Value], texts(e.Value)...)
	}
	if doc.Class.Value != "" && doc.Extend.Value != "" {
		b.report(policy.KindConflict, doc.Extend.Pos, "", "a classifier has either class or extend")
	}
	if doc.Mask.Value != "" {
		if _, err := policy.ParseMask(doc.Mask.Value); err != nil {
			b.report(policy.KindValue, doc.Mask.Pos, "", "mask: %v", err)
		}
	}
	for _, s := range doc.Scope {
		if _, err := path.Match(s.Value, ""); err != nil || strings.Count(s.Value, ".") > 2 {
			b.report(policy.KindValue, s.Pos, "write schema.table.column", "scope: %q is not a pattern", s.Value)
		}
	}
	c.Check = b.customCheck(doc.Check)
	c.Dictionary = b.dictionary(doc.Dictionary)
	return c
}

func (b *builder) customCheck(doc checkDoc) *classify.CustomCheck {
	if doc.Pos.IsZero() {
		return nil
	}
	k := &classify.CustomCheck{Algorithm: doc.Algorithm.Value}
	number := func(t policy.Text, key string) int {
		n, err := strconv.Atoi(t.Value)
		if t.Value != "" && (err != nil || n < 0 || n > 1000) {
			b.report(policy.KindValue, t.Pos, "", "%s: %q is not a number up to 1000", key, t.Value)
		}
		return n
	}
	for _, w := range doc.Weights {
		k.Weights = append(k.Weights, number(w, "weights"))
	}
	k.Modulus = number(doc.Modulus, "modulus")
	if doc.Chance.Value != "" {
		p, err := strconv.ParseFloat(doc.Chance.Value, 64)
		if err != nil || !(p > 0 && p < 1) {
			b.report(policy.KindValue, doc.Chance.Pos, "", "chance: %q does not lie between 0 and 1", doc.Chance.Value)
		}
		k.Chance = p
	}
	return k
}

// dictionary reads the site's own list. Where only texts are checked, and nothing is opened, it stays empty.
func (b *builder) dictionary(t policy.Text) []string {
	name := b.path(t)
	if name == "" || b.read == nil {
		return nil
	}
	text, err := b.read(name)
	switch {
	case err != nil:
		b.report(policy.KindMissing, t.Pos, "", "dictionary: %v", err)
		return nil
	case len(text) > maxDictionary:
		b.report(policy.KindLimit, t.Pos, "", "dictionary: the file is larger than %d MiB", maxDictionary>>20)
		return nil
	}
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(s string) bool { return strings.TrimSpace(s) == "" })
}

func (b *builder) verdict(key policy.Text, doc verdictDoc, known map[string]bool) {
	v := Verdict{Column: key.Value, Class: classify.Class(doc.Class.Value), By: doc.By.Value, Reason: doc.Reason.Value, Type: doc.Type.Value, Pos: key.Pos}
	parts := strings.SplitN(key.Value, ".", 4)
	switch _, err := path.Match(key.Value, ""); {
	case len(parts) < 4 || err != nil:
		b.report(policy.KindValue, key.Pos, "write store.schema.table.column", "verdicts: %q is not a column", key.Value)
	case strings.Contains(key.Value, "$.") && (strings.HasSuffix(key.Value, ".") || strings.Contains(key.Value, "..")):
		b.report(policy.KindValue, key.Pos, "write store.schema.table.column$.key.key, with [*] for the elements of a list", "verdicts: %q has an empty step", key.Value)
	case parts[0] != "*" && b.c.Stores[parts[0]] == nil:
		b.report(policy.KindDangling, key.Pos, "", "verdicts: there is no store %q", parts[0])
	}
	switch {
	case v.Class == "none":
		v.Class = ""
	case v.Class != "" && !known[string(v.Class)]:
		b.report(policy.KindDangling, doc.Class.Pos, "a class of the taxonomy or of classifiers, or none", "verdicts: there is no class %q", v.Class)
	}
	if doc.At.Value != "" {
		at, err := time.Parse(time.DateOnly, doc.At.Value)
		if err != nil {
			b.report(policy.KindValue, doc.At.Pos, "write 2027-06-30", "at: %q is not a day", doc.At.Value)
		}
		v.At = at
	}
	b.c.Discover.Verdicts = append(b.c.Discover.Verdicts, v)
}

// place finds the text that a classifier's error is about.
func place(doc classifierDoc, e *classify.CustomError) policy.Pos {
	at := doc.Pos
	item := func(list []policy.Text) {
		if e.Item < len(list) {
			at = list[e.Item].Pos
		}
	}
	switch e.Key {
	case "class":
		at = doc.Class.Pos
	case "extend":
		at = doc.Extend.Pos
	case "pattern":
		at = doc.Pattern.Pos
	case "check":
		at = doc.Check.Pos
	case "match":
		item(doc.Examples.Match)
	case "reject":
		item(doc.Examples.Reject)
	}
	if at.IsZero() {
		return doc.Pos
	}
	return at
}

// readDictionary reads a file of at most maxDictionary bytes, and one more to tell.
func readDictionary(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxDictionary {
		return make([]byte, maxDictionary+1), nil
	}
	return os.ReadFile(name) //nolint:gosec // the operator names it
}
