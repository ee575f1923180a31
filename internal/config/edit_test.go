package config

import (
	"strings"
	"testing"
)

const edited = minimal + `users: {ana: {}, bob: {}, eve: {}}
groups: {office: [bob]}
datasets: {d: {owners: [bob], include: [shop.public.t], exclude: []}}
rules:
  flow: {to: [ana, "group:office"], on: d}   # who reads
  block: # a comment
    to:
      - ana   # the first
      - "group:office"
    on: d
  off: {enabled: false, to: [ana], on: d}
`

// What is edited is the rule and nothing else, and the file that comes of it loads and says just that.
func TestEditRule(t *testing.T) {
	yes, no := true, false
	for name, tt := range map[string]struct {
		edit       RuleEdit
		gone, come string // lines of the file
	}{
		"add in brackets":     {RuleEdit{Rule: "flow", Add: []string{"bob"}}, `  flow: {to: [ana, "group:office"], on: d}   # who reads`, `  flow: {to: [ana, "group:office", bob], on: d}   # who reads`},
		"remove in brackets":  {RuleEdit{Rule: "flow", Remove: []string{"group:office"}}, `  flow: {to: [ana, "group:office"], on: d}   # who reads`, `  flow: {to: [ana], on: d}   # who reads`},
		"add with a dash":     {RuleEdit{Rule: "block", Add: []string{"bob"}}, "", "      - bob"},
		"remove with a dash":  {RuleEdit{Rule: "block", Remove: []string{"ana"}}, "      - ana   # the first", ""},
		"off in brackets":     {RuleEdit{Rule: "flow", Enabled: &no}, `  flow: {to: [ana, "group:office"], on: d}   # who reads`, `  flow: {enabled: false, to: [ana, "group:office"], on: d}   # who reads`},
		"off with lines":      {RuleEdit{Rule: "block", Enabled: &no}, "", "    enabled: false"},
		"on again":            {RuleEdit{Rule: "off", Enabled: &yes}, "  off: {enabled: false, to: [ana], on: d}", "  off: {enabled: true, to: [ana], on: d}"},
		"both":                {RuleEdit{Rule: "off", Enabled: &yes, Add: []string{"eve"}}, "  off: {enabled: false, to: [ana], on: d}", "  off: {enabled: true, to: [ana, eve], on: d}"},
		"somebody called yes": {RuleEdit{Rule: "off", Add: []string{"group:office"}, Remove: []string{"ana"}}, "  off: {enabled: false, to: [ana], on: d}", `  off: {enabled: false, to: ["group:office"], on: d}`},
	} {
		out, err := EditRule([]byte(edited), tt.edit)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		gone, come := different(edited, string(out))
		if gone != tt.gone || come != tt.come {
			t.Errorf("%s:\n- %s\n+ %s", name, gone, come)
		}
		if _, err := Parse("p.yaml", []File{{"p.yaml", out}}, testSyntax{}); err != nil {
			t.Errorf("%s: what comes of it does not load: %v", name, err)
		}
	}
	for name, tt := range map[string]struct {
		text string
		edit RuleEdit
		says string
	}{
		"no such rule":    {edited, RuleEdit{Rule: "none", Enabled: &no}, `no rule "none"`},
		"not in the list": {edited, RuleEdit{Rule: "flow", Remove: []string{"eve"}}, "not for eve"},
		"there already":   {edited, RuleEdit{Rule: "flow", Add: []string{"ana"}}, "for ana already"},
		"an alias":        {"x: &x {to: [ana], on: d}\nrules: {flow: *x}\n", RuleEdit{Rule: "flow", Enabled: &no}, "not written out"},
		"several lines":   {"rules: {flow: {to: [ana,\n  bob], on: d}}\n", RuleEdit{Rule: "flow", Add: []string{"eve"}}, "several lines"},
		"no YAML":         {"rules: {", RuleEdit{Rule: "flow", Enabled: &no}, "read the policy file"},
	} {
		if out, err := EditRule([]byte(tt.text), tt.edit); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// different are the lines that one text has and the other has not.
func different(a, b string) (gone, come string) {
	without := func(a, b string) string {
		var out []string
		for _, l := range strings.Split(a, "\n") {
			if !strings.Contains("\n"+b+"\n", "\n"+l+"\n") {
				out = append(out, l)
			}
		}
		return strings.Join(out, "\n")
	}
	return without(a, b), without(b, a)
}
