package house_test

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

// accessRules are the rules of access there are; accessTables the tables that come with them.
const accessRules = 62

var accessTables = []string{"states of requests and grants", "who is told what", "events", "calls of the portal"}

var (
	accessRow   = regexp.MustCompile(`^\| (ACC-\d\d) \| ([^|]+) \| ([^|]+) \|$`)
	accessTable = regexp.MustCompile(`^\| ([a-z][^|]+) \| ([^|]+) \|$`)
	accessTest  = regexp.MustCompile("`([a-z][\\w/]*)\\.(Test\\w+)(?:/([^`]+))?`")
	accessPlay  = regexp.MustCompile("`script:(\\w+)`")
	anyProof    = regexp.MustCompile("`[^`]+`")
)

// proofs are the tests and scripts that there are.
type proofs struct {
	tests map[string]string // package.Test -> the file's text
	plays map[string]bool
}

func allProofs(t *testing.T) proofs {
	t.Helper()
	out := proofs{map[string]string{}, map[string]bool{}}
	for _, name := range textFiles(t) {
		switch {
		case strings.HasSuffix(name, "_test.go"):
			text := read(t, name)
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(text, -1) {
				out.tests[path.Dir(name)+"."+m[1]] = text
			}
		case path.Dir(name) == "test/scripts/testdata" && strings.HasSuffix(name, ".txtar"):
			out.plays[strings.TrimSuffix(path.Base(name), ".txtar")] = true
		}
	}
	return out
}

// wrong lists what of a proof does not exist.
func (p proofs) wrong(proof string) (out []string) {
	n := 0
	for _, m := range accessTest.FindAllStringSubmatch(proof, -1) {
		n++
		text, ok := p.tests[m[1]+"."+m[2]]
		if !ok {
			out = append(out, fmt.Sprintf("there is no test %s in %s", m[2], m[1]))
		} else if m[3] != "" && !strings.Contains(text, `"`+m[3]+`"`) {
			out = append(out, fmt.Sprintf("%s has no part %q", m[2], m[3]))
		}
	}
	for _, m := range accessPlay.FindAllStringSubmatch(proof, -1) {
		n++
		if !p.plays[m[1]] {
			out = append(out, "there is no script "+m[1])
		}
	}
	if all := len(anyProof.FindAllString(proof, -1)); all != n {
		out = append(out, fmt.Sprintf("%d of %d proofs are neither package.Test nor script:NAME", all-n, all))
	}
	if n == 0 && !strings.HasPrefix(proof, "not built: ") {
		out = append(out, "nothing proves it, and it does not say that it is not built")
	}
	return out
}

// accessWrong lists what is wrong with a table of the rules of access.
func accessWrong(text string, p proofs) (out []string) {
	rules, tables := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, proof := "", ""
		if m := accessRow.FindStringSubmatch(line); m != nil {
			if name, proof = m[1], m[3]; rules[name] {
				out = append(out, name+" stands twice")
			}
			rules[name] = true
		} else if m := accessTable.FindStringSubmatch(line); m != nil && m[1] != "table" {
			name, proof = m[1], m[2]
			tables[name] = true
		} else if strings.Contains(line, "ACC-") && strings.HasPrefix(line, "|") {
			out = append(out, "this is no row of the table: "+line)
		}
		if name == "" {
			continue
		}
		for _, w := range p.wrong(proof) {
			out = append(out, name+": "+w)
		}
	}
	for i := 1; i <= accessRules; i++ {
		if rule := fmt.Sprintf("ACC-%02d", i); !rules[rule] {
			out = append(out, rule+" has no line")
		}
	}
	if len(rules) > accessRules {
		out = append(out, fmt.Sprintf("there are %d rules, and only ACC-01 to ACC-%d", len(rules), accessRules))
	}
	for _, want := range accessTables {
		found := false
		for name := range tables {
			found = found || strings.HasPrefix(name, want)
		}
		if !found {
			out = append(out, "the table of "+want+" has no line")
		}
	}
	return out
}

// TestAccessRulesAreProved reads docs/reference/access-rules.md: every rule of access and every table has its line, once, and every proof
// that a line names exists.
func TestAccessRulesAreProved(t *testing.T) {
	p := allProofs(t)
	text := read(t, "docs/reference/access-rules.md")
	for _, w := range accessWrong(text, p) {
		t.Error(w)
	}
	// The check is one: each of these breaks the table, and it says so.
	for what, change := range map[string][2]string{
		"ACC-31 has no line":  {"| ACC-31 |", "| ACC-xx |"},
		"ACC-30 stands twice": {"| ACC-31 |", "| ACC-30 |"},
		"there is no test TestSpansOfTime in internal/policy":    {"internal/policy.TestSpans`", "internal/policy.TestSpansOfTime`"},
		"there is no test TestSpans in internal/people":          {"internal/policy.TestSpans`", "internal/people.TestSpans`"},
		"there is no script whoever":                             {"script:whocan", "script:whoever"},
		"ACC-36: nothing proves it":                              {"not built: ", "built: "},
		"1 of 2 proofs are neither package.Test":                 {"`internal/policy.TestSpans`", "`TestSpans`"},
		"the table of states of requests and grants has no line": {"| states of requests", "| ways of requests"},
		"there is no test TestRoutesAndRoads in internal/notify": {"internal/notify.TestRoutes`", "internal/notify.TestRoutesAndRoads`"},
		"there are 63 rules, and only ACC-01 to ACC-62":          {"| ACC-01 |", "| ACC-63 | more | `internal/policy.TestSpans` |\n| ACC-01 |"},
		`TestSpans has no part "a month"`:                        {"internal/policy.TestSpans`", "internal/policy.TestSpans/a month`"},
	} {
		broken := strings.Replace(text, change[0], change[1], 1)
		if broken == text {
			t.Errorf("%q is not in the table", change[0])
		}
		if got := strings.Join(accessWrong(broken, p), "\n"); !strings.Contains(got, what) {
			t.Errorf("with %q instead of %q it does not say %q, but:\n%s", change[1], change[0], what, got)
		}
	}
}
