package config

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// testSyntax stands in for an engine: it knows enough of SQL to tell a broken filter from a whole one.
type testSyntax struct{}

func (testSyntax) CheckFilter(sql string) (int, error) { return checkBrackets(sql) }

func (testSyntax) CheckMaskExpression(sql string) (int, error) {
	if offset, err := checkBrackets(sql); err != nil {
		return offset, err
	}
	if !regexp.MustCompile(`\bvalue\b`).MatchString(sql) {
		return -1, errors.New("the word value does not occur")
	}
	return -1, nil
}

func (testSyntax) FilterAttributes(sql string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`\bsubject\.(\w+)`).FindAllStringSubmatch(sql, -1) {
		if !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}

func (testSyntax) CheckVerifier(v string) error {
	if !regexp.MustCompile(`^SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$`).MatchString(v) {
		return errors.New("not of the form SCRAM-SHA-256$iterations:salt$key:key")
	}
	return nil
}

func checkBrackets(sql string) (int, error) {
	var open []int
	for i, c := range sql {
		switch c {
		case '(':
			open = append(open, i)
		case ')':
			if len(open) == 0 {
				return i, errors.New(`syntax error at or near ")"`)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return open[len(open)-1], errors.New(`this parenthesis is not closed`)
	}
	if i := strings.Index(sql, "=="); i >= 0 {
		return i, errors.New(`syntax error at or near "=="`)
	}
	return -1, nil
}
