package house_test

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestRulesAreProved reads docs/reference/rules.md: every rule of enforcement has its line, and every proof that a line names exists.
func TestRulesAreProved(t *testing.T) {
	tests, golden := map[string]bool{}, map[string]bool{}
	var all strings.Builder
	for _, name := range textFiles(t) {
		switch {
		case strings.HasSuffix(name, "_test.go"):
			text := read(t, name)
			all.WriteString(text)
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(text, -1) {
				tests[m[1]] = true
			}
		case path.Dir(name) == "internal/engine/postgres/pgsql/testdata/guard":
			for _, m := range regexp.MustCompile(`(?m)^== (ENF-\d\d): `).FindAllStringSubmatch(read(t, name), -1) {
				golden[m[1]] = true
			}
		}
	}
	lines := map[string]string{}
	for line := range strings.Lines(read(t, "docs/reference/rules.md")) {
		if m := regexp.MustCompile(`^\| (ENF-\d\d) \| [^|]+ \| ([^|]+) \|$`).FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			if lines[m[1]] != "" {
				t.Errorf("%s stands twice", m[1])
			}
			lines[m[1]] = m[2]
		}
	}
	for i := 1; i <= 97; i++ {
		rule := fmt.Sprintf("ENF-%02d", i)
		proof := lines[rule]
		if proof == "" {
			t.Errorf("%s has no line", rule)
		}
		for _, m := range regexp.MustCompile("`(Test\\w+)(?:/(\\w+))?`").FindAllStringSubmatch(proof, -1) {
			if !tests[m[1]] {
				t.Errorf("%s: there is no test %s", rule, m[1])
			}
			if m[2] != "" && !strings.Contains(all.String(), `"`+m[2]+`"`) {
				t.Errorf("%s: %s has no part %s", rule, m[1], m[2])
			}
		}
		for _, m := range regexp.MustCompile(`golden:(ENF-\d\d)`).FindAllStringSubmatch(proof, -1) {
			if !golden[m[1]] {
				t.Errorf("%s: no golden case is about %s", rule, m[1])
			}
		}
	}
}
