package classify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOverlap prints how many of the sets' names and places stand in the classifier's dictionaries: the sets must not be made of
// what the classifier knows.
func TestOverlap(t *testing.T) {
	known := map[string]map[string]bool{}
	for kind, file := range map[string]string{"given names": "given.txt", "surnames": "surnames.txt", "cities": "cities.txt"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "internal", "classify", "dict", file))
		if err != nil {
			t.Fatal(err)
		}
		words := map[string]bool{}
		for _, line := range strings.Split(string(raw), "\n") {
			_, rest, _ := strings.Cut(line, "\t")
			sep := func(r rune) bool { return r == ',' || r == ' ' }
			if kind == "cities" {
				sep = func(r rune) bool { return r == ',' }
			}
			for _, w := range strings.FieldsFunc(rest, sep) {
				words[strings.TrimSpace(w)] = true
			}
		}
		known[kind] = words
	}
	plain := strings.NewReplacer("ä", "a", "ö", "o", "ü", "u", "é", "e", "è", "e", "á", "a", "í", "i", "ó", "o", "ú", "u", "ñ", "n", "ç", "c", "ł", "l", "ę", "e", "ą", "a", "ś", "s", "ż", "z", "ğ", "g", "ı", "i", "ş", "s", "å", "a", "ã", "a", "ê", "e", "ë", "e", "ï", "i", "ń", "n", "ź", "z", "ć", "c")
	for set, locs := range map[string]map[string]locale{"development": locales, "blind": blindLocales, "fresh": freshLocales} {
		for kind, words := range known {
			total, shared := 0, 0
			for _, loc := range locs {
				list := map[string][]string{"given names": loc.given, "surnames": loc.sur, "cities": loc.cities}[kind]
				for _, w := range list {
					total++
					if words[plain.Replace(strings.ToLower(w))] {
						shared++
					}
				}
			}
			t.Logf("%s set, %s: %d of %d stand in the dictionary (%.0f %%)", set, kind, shared, total, 100*ratio(shared, total))
			if shared*10 > total*6 {
				t.Errorf("the %s set's %s are mostly known to the classifier", set, kind)
			}
		}
	}
}
