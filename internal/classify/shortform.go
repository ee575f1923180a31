package classify

import (
	"maps"
	"slices"
	"strings"
)

// shortForms reads names whose words are cut short or have lost their vowels: nacim, diagn, gndr, mrtl sts. A short form
// counts only where everything it may stand for speaks for the same class.
type shortForms struct {
	words   map[string]string   // brth -> birth: the one word of the lexicons with these consonants
	phrases map[string][]string // first three letters of each word -> phrases of two and three words
	sorted  []string            // all words, to find those that begin with nacim
}

const (
	shortWord    = 4 // letters that a word cut short keeps at least
	shortPart    = 3 // the same for a word of a phrase
	longWord     = 6 // words that people cut short
	shortLongest = 3 // words of the longest phrase that is looked for
)

// shorten builds the short forms of everything that the lexicons hold.
func (l *lexicon) shorten() {
	l.short = shortForms{words: make(map[string]string, len(l.phrases)), phrases: make(map[string][]string, len(l.phrases))}
	vocabulary := make(map[string]bool, 2*len(l.phrases))
	for p := range l.phrases {
		words := strings.Fields(p)
		for _, w := range words {
			vocabulary[w] = true
		}
		if key := partsKey(words); key != "" {
			l.short.phrases[key] = append(l.short.phrases[key], p)
		}
	}
	for w := range l.words {
		vocabulary[w] = true
	}
	for _, table := range l.tables {
		for w := range table {
			vocabulary[w] = true
		}
	}
	refused := map[string]bool{}
	for w := range vocabulary {
		l.shortenWord(w, refused)
	}
	for t := range refused {
		delete(l.short.words, t)
	}
	l.short.sorted = slices.Sorted(maps.Keys(vocabulary))
}

// shortenWord enters a word without its vowels, unless another word has the same consonants.
func (l *lexicon) shortenWord(w string, refused map[string]bool) {
	t := skeleton(w)
	if len(t) < shortWord || len(t) > len(w)-2 || l.known(t) {
		return
	}
	if old, ok := l.short.words[t]; ok && old != w {
		if singular(w) == old || singular(old) == w {
			if len(w) > len(old) {
				return
			}
		} else {
			refused[t] = true
		}
	}
	l.short.words[t] = w
}

// skeleton keeps a word's first letter and its consonants, doubles once.
func skeleton(w string) string {
	b := make([]byte, 0, len(w))
	for i := range len(w) {
		c := w[i]
		if c < 'a' || c > 'z' {
			return ""
		}
		if i > 0 && (strings.IndexByte("aeiou", c) >= 0 || c == b[len(b)-1]) {
			continue
		}
		b = append(b, c)
	}
	return string(b)
}

// cutWord reads the beginning of words that are phrases by themselves, if all words that begin so agree.
func (l *lexicon) cutWord(t string) []entry {
	if len(t) < shortWord || !plainLetters(t) || l.known(t) {
		return nil
	}
	var out []entry
	at, _ := slices.BinarySearch(l.short.sorted, t)
	for _, w := range l.short.sorted[at:] {
		if !strings.HasPrefix(w, t) {
			break
		}
		if len(w) < max(longWord, len(t)+2) || !plainLetters(w) {
			continue
		}
		entries := l.phrases[w]
		if len(entries) == 0 || !agree(out, entries) {
			return nil
		}
		out = joined(out, entries)
	}
	return out
}

func plainLetters(w string) bool {
	for i := range len(w) {
		if w[i] < 'a' || w[i] > 'z' {
			return false
		}
	}
	return true
}

// agree reports that two readings are about the same single class.
func agree(a, b []entry) bool {
	for _, x := range b {
		if x.class != b[0].class || x.class == noneClass || x.class == noteClass {
			return false
		}
	}
	return len(a) == 0 || a[0].class == b[0].class
}

// joined keeps the weaker of two readings of a short form.
func joined(a, b []entry) []entry {
	e := b[0]
	e.short = true
	for _, x := range append(append([]entry(nil), a...), b...) {
		e.weak = e.weak || x.weak
	}
	if len(a) > 0 && a[0].lang < e.lang {
		e.lang = a[0].lang // whatever is read first
	}
	return []entry{e}
}

// partsKey is what the short forms of a phrase have in common.
func partsKey(words []string) string {
	if len(words) < 2 || len(words) > shortLongest {
		return ""
	}
	parts := make([]string, len(words))
	for i, w := range words {
		if len(w) < shortPart || !plainLetters(w) {
			return ""
		}
		parts[i] = w[:shortPart]
	}
	return strings.Join(parts, " ")
}

// shortPhrase finds what words cut short stand for, if all phrases that they may stand for agree.
func (l *lexicon) shortPhrase(tokens []string) []entry {
	var out []entry
	for _, p := range l.short.phrases[partsKey(tokens)] {
		words := strings.Fields(p)
		fits, vague := len(words) == len(tokens), false
		for i := 0; fits && i < len(words); i++ {
			fits = words[i] == tokens[i] || strings.HasPrefix(words[i], tokens[i]) && l.words[tokens[i]] == wordUnknown && l.phrases[tokens[i]] == nil
			vague = vague || words[i] != tokens[i] && len(tokens[i]) == shortPart
		}
		if !fits {
			continue
		}
		entries := l.phrases[p]
		if !agree(out, entries) {
			return nil
		}
		if entries = joined(out, entries); vague {
			entries[0].weak = true
		}
		out = entries
	}
	return out
}
