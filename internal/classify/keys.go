package classify

import (
	"slices"
	"strings"
)

// sharedDocs is the number of documents from which on a key that no list knows may be one of the program's own.
const sharedDocs = 5

// publicKey reports whether a key may stand in a report: it is made of words this package knows, or several documents share it, it looks
// like an identifier without digits, and it is nobody's. Keys of a map (inMap) are data: a map by surname has the same keys in
// every row, and no dictionary holds every surname.
func (c *Classifier) publicKey(k string, docs int, inMap bool) bool {
	if !identifierLike(k) {
		return false
	}
	if c.knownKey(k) {
		return !inMap || !c.namesSomebody(k) || c.lex.phrases[strings.ToLower(k)] != nil
	}
	return docs >= sharedDocs && !inMap && !strings.ContainsAny(k, "0123456789") && !c.namesSomebody(k)
}

func identifierLike(k string) bool {
	for i := 0; i < len(k); i++ {
		ch := k[i]
		if (ch < 'a' || ch > 'z') && (ch < 'A' || ch > 'Z') && ch != '_' && ch != '-' && (ch < '0' || ch > '9') {
			return false
		}
	}
	return len(k) > 0 && len(k) <= 40
}

// knownKey reports that every word of a key stands in the lists. Compounds count (kundenemail), but not names that can be cut into
// words, as nearly anything can into short ones: Carroll into car and roll, Goldstein into three.
func (c *Classifier) knownKey(k string) bool {
	for _, t := range c.lex.tokens(k, false) {
		if !c.lex.known(t) && (len(t) > 2 || !isDigits(t)) {
			return false
		}
	}
	for _, t := range expand(split(k)) {
		if c.lex.known(t) || c.lex.known(singular(t)) || c.lex.squashed[t] != "" {
			continue
		}
		parts := c.lex.tokens(t, false)
		if c.namesSomebody(t) || len(parts) > 1 && slices.ContainsFunc(parts, func(w string) bool { return len(w) < 4 }) {
			return false
		}
	}
	return true
}

// namesSomebody reports that a key is or contains a name of the dictionaries, or is a place.
func (c *Classifier) namesSomebody(k string) bool {
	words := split(k)
	for i, w := range words {
		words[i] = strings.ToLower(w)
		if c.dict.isGiven(words[i]) || c.dict.isSurname(words[i]) || c.isPlace(words[i]) {
			return true
		}
	}
	return c.isPlace(strings.Join(words, " ")) || c.isPlace(strings.Join(words, "-"))
}

func (c *Classifier) isPlace(low string) bool {
	return c.dict.city[low] || c.dict.region[low] || c.dict.countryName[low] != ""
}

// mapsIn finds the objects whose keys are data: two of their keys stand in no list and have the same inside, be it the same leaves or
// values of the same kind. Keys are by parent, joined like the paths.
func (c *Classifier) mapsIn(g *collector) map[string]bool {
	inside := map[string]map[string]map[string]bool{} // parent -> unknown key -> leaves
	for _, e := range g.paths {
		for i, k := range e.steps {
			if k == anyIndex || identifierLike(k) && c.knownKey(k) {
				continue
			}
			parent, leaf := strings.Join(e.steps[:i], "\x00"), strings.Join(e.steps[i+1:], "\x00")
			if leaf == "" {
				leaf = "\x00" + e.kind()
			}
			if inside[parent] == nil {
				inside[parent] = map[string]map[string]bool{}
			}
			if inside[parent][k] == nil {
				inside[parent][k] = map[string]bool{}
			}
			inside[parent][k][leaf] = true
		}
	}
	maps := map[string]bool{}
	for parent, keys := range inside {
		for k, leaves := range keys {
			for other, wider := range keys {
				maps[parent] = maps[parent] || k != other && within(leaves, wider)
			}
		}
	}
	return maps
}

// within allows for leaves that only some have: who has no telephone has the others' leaves less one.
func within(leaves, wider map[string]bool) bool {
	for l := range leaves {
		if !wider[l] {
			return false
		}
	}
	return true
}

// kind tells values that cannot be of one sort: numbers, what has an @, other text.
func (e *gathered) kind() string {
	switch {
	case e.number && !e.mixed:
		return "number"
	case len(e.texts) > 0 && strings.Contains(e.texts[0], "@"):
		return "@"
	}
	return "text"
}
