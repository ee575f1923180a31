package classify

import "strings"

// sharedTokens are first words that most columns of a table begin with and no lexicon knows: they say nothing about any of them.
func (l *lexicon) sharedTokens(t *Table) []string {
	count := map[string]int{}
	for i := range t.Columns {
		if w := l.tokens(t.Columns[i].Name, false); len(w) > 1 && !l.known(w[0]) {
			count[w[0]]++
		}
	}
	for w, n := range count {
		if n >= 3 && n*10 >= len(t.Columns)*6 {
			return []string{w}
		}
	}
	return nil
}

// gluedPrefix is the length of the letters that all columns of a table of an old system begin with (CMNAME, CMCITY, CMZIP5); 0 without.
func gluedPrefix(t *Table) int {
	if len(t.Columns) < 4 {
		return 0
	}
	first := t.Columns[0].Name
	n := min(len(first), 3)
	for i := range t.Columns {
		name := t.Columns[i].Name
		if strings.ContainsAny(name, "_ .-") || strings.ToUpper(name) != name {
			return 0
		}
		for n > 0 && (len(name) < n || name[:n] != first[:n]) {
			n--
		}
	}
	if n < 2 {
		return 0
	}
	return n
}
