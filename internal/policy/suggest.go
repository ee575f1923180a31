package policy

import (
	"slices"
	"strings"
)

// Nearest returns the candidate that a mistyped word was probably meant to be, or "". Case, one letter too many, too few,
// wrong or swapped are mistakes; so are two of them in a word of six letters or more.
func Nearest(word string, candidates []string) string {
	if len(word) > 2*maxName {
		return ""
	}
	allowed := 1
	if len(word) >= 6 {
		allowed = 2
	}
	best, found := allowed+1, ""
	sorted := slices.Clone(candidates)
	slices.Sort(sorted)
	for _, c := range sorted {
		if len(c) > 2*maxName || len(c) < 2 {
			continue
		}
		if d := editDistance(strings.ToLower(word), strings.ToLower(c)); d < best {
			best, found = d, c
		}
	}
	if found == word {
		return ""
	}
	return found
}

// editDistance is the optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, prev, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(y)]
}
