package classify

import (
	"embed"
	"fmt"
	"sort"
	"strings"
)

//go:embed dict/*
var dictFiles embed.FS

// country is one row of countries.tsv.
type country struct {
	alpha2, alpha3, numeric, calling string
	postal                           []string
}

// dictionaries holds the closed lists. It is built once and read-only afterwards.
type dictionaries struct {
	given, surname map[string]string // folded name -> language areas, comma separated
	city           map[string]bool
	region         map[string]bool
	regionCodes    map[string]map[string]bool // country -> codes
	countryName    map[string]string          // folded name -> alpha-2
	alpha2, alpha3 map[string]bool
	numeric        map[string]bool
	calling        map[string][]string // calling code -> countries
	countries      []country
	terms          map[string]map[string]bool // kind -> folded terms
	termWords      map[string]map[string]bool // kind -> single words of one-word terms
	stems          []string
	icd            map[byte][100]bool
	passwords      []string
}

func newDictionaries() (*dictionaries, error) {
	d := &dictionaries{
		given: map[string]string{}, surname: map[string]string{}, city: map[string]bool{}, region: map[string]bool{},
		regionCodes: map[string]map[string]bool{}, countryName: map[string]string{}, alpha2: map[string]bool{}, alpha3: map[string]bool{},
		numeric: map[string]bool{}, calling: map[string][]string{}, terms: map[string]map[string]bool{}, termWords: map[string]map[string]bool{},
		icd: map[byte][100]bool{},
	}
	steps := []struct {
		file string
		line func(key, rest string) error
	}{
		{"given.txt", d.names(d.given)},
		{"surnames.txt", d.names(d.surname)},
		{"cities.txt", d.placeLine(d.city)},
		{"regions.txt", d.regionLine},
		{"countries.tsv", d.countryLine},
		{"terms.tsv", d.termLine},
	}
	for _, s := range steps {
		if err := eachLine(s.file, "\t", s.line); err != nil {
			return nil, err
		}
	}
	return d, eachLine("icd.txt", " ", d.icdLine)
}

func eachLine(file, sep string, line func(key, rest string) error) error {
	raw, err := dictFiles.ReadFile("dict/" + file)
	if err != nil {
		return fmt.Errorf("read dictionary %s: %w", file, err)
	}
	for n, l := range strings.Split(string(raw), "\n") {
		if l == "" || l[0] == '#' {
			continue
		}
		key, rest, _ := strings.Cut(l, sep)
		if err := line(key, rest); err != nil {
			return fmt.Errorf("dictionary %s line %d: %w", file, n+1, err)
		}
	}
	return nil
}

func (d *dictionaries) names(into map[string]string) func(string, string) error {
	return func(key, rest string) error {
		for _, w := range strings.Fields(fold(rest, false)) {
			if len(w) > 1 && !strings.Contains(into[w], key) {
				into[w] += key + ","
			}
		}
		return nil
	}
}

func (d *dictionaries) placeLine(into map[string]bool) func(string, string) error {
	return func(_, rest string) error {
		for _, p := range strings.Split(fold(rest, false), ",") {
			if p = strings.TrimSpace(p); len(p) > 2 {
				into[p] = true
			}
		}
		return nil
	}
}

func (d *dictionaries) regionLine(key, rest string) error {
	if c, ok := strings.CutSuffix(key, "_code"); ok {
		set := map[string]bool{}
		for _, w := range strings.Fields(rest) {
			set[w] = true
		}
		d.regionCodes[c] = set
		return nil
	}
	return d.placeLine(d.region)(key, rest)
}

func (d *dictionaries) countryLine(key, rest string) error {
	f := strings.Split(rest, "\t")
	if len(f) != 5 {
		return fmt.Errorf("want 6 fields, have %d", len(f)+1)
	}
	c := country{alpha2: key, alpha3: f[0], numeric: f[1], calling: f[2]}
	if f[3] != "" {
		c.postal = []string{f[3]}
	}
	d.countries = append(d.countries, c)
	d.alpha2[key], d.alpha3[f[0]], d.numeric[f[1]] = true, true, true
	d.calling[f[2]] = append(d.calling[f[2]], key)
	for _, n := range strings.Split(f[4], "|") {
		d.countryName[fold(strings.ToLower(n), false)] = key
	}
	return nil
}

func (d *dictionaries) termLine(key, rest string) error {
	set, words := map[string]bool{}, map[string]bool{}
	sep := ","
	if key == "password" || key == "language_code" {
		sep = " "
	}
	for _, t := range strings.Split(rest, sep) {
		t = strings.TrimSpace(t)
		if t == "" {
			continue
		}
		if key == "password" {
			d.passwords = append(d.passwords, t)
		}
		t = fold(strings.ToLower(t), false)
		set[t] = true
		if !strings.Contains(t, " ") {
			words[t] = true
		}
		if key == "drugstem" {
			d.stems = append(d.stems, t)
		}
	}
	d.terms[key], d.termWords[key] = set, words
	sort.Strings(d.stems)
	return nil
}

func (d *dictionaries) icdLine(key, rest string) error {
	if len(key) != 1 {
		return fmt.Errorf("want one letter, have %q", key)
	}
	t := d.icd[key[0]]
	for _, r := range strings.Fields(rest) {
		lo, hi, ok := strings.Cut(r, "-")
		if !ok || len(lo) != 2 || len(hi) != 2 {
			return fmt.Errorf("malformed range %q", r)
		}
		for i := atoi2(lo); i <= atoi2(hi); i++ {
			t[i] = true
		}
	}
	d.icd[key[0]] = t
	return nil
}

// has looks a folded value up in a term list.
func (d *dictionaries) has(kind, low string) bool { return d.terms[kind][low] }

// surnameLike reports endings that mark surnames in many languages; a soft hit, so that lists stay short.
func surnameLike(w string) bool {
	if len(w) < 5 {
		return false
	}
	for _, s := range []string{
		"ski", "ska", "sky", "sson", "son", "sen", "berg", "mann", "stein", "feld", "baum", "bauer", "meyer", "meier", "ov", "ova", "ev", "eva", "enko", "chuk", "yan", "ian", "dze", "shvili",
		"opoulos", "akis", "idis", "oglu", "escu", "vic", "vich", "wicz", "czyk", "etti", "elli", "ini", "ucci", "azzi", "ez", "eiro", "eira", "es", "ssen", "stra", "sma", "huis", "dijk", "veld", "nen", "lund", "qvist",
		"strom", "gren", "dahl", "ngton", "ford", "worth", "well", "ley", "ham", "eau", "eux", "oux", "ard", "ault", "aud", "nov", "kov", "skaya", "skiy", "uk", "ko", "ek", "ik", "ák", "kova",
	} {
		if strings.HasSuffix(w, s) {
			return true
		}
	}
	return false
}
