package portal_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Two policies that were in force are compared on a page, fact by fact, for every role and for nobody without one.
func TestPoliciesAreCompared(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for digest, outline := range map[string][]string{
		"before": {"rule all: all of it = 1", "rule all: to = ana", "store shop: engine = postgres"},
		"after":  {"rule all: all of it = 2", "rule all: to = ana, <b>bob</b>", "store shop: engine = postgres"},
	} {
		if err := p.db.KeepPolicy(t.Context(), digest, time.Now(), outline); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range []string{"admin", "editor", "reader", "auditor", "ana", "dora", "sam"} {
		answer, text := p.call(who, http.MethodGet, "/policy/changes?from=before&to=after", nil, nil)
		may := who != "ana" && who != "dora" && who != "sam"
		if (answer.StatusCode == http.StatusOK) != may {
			t.Errorf("%s: %s", who, answer.Status)
		}
		shows := strings.Contains(text, "- rule all: to = ana\n+ rule all: to = ana, &lt;b&gt;bob&lt;/b&gt;\n") && !strings.Contains(text, "all of it") && !strings.Contains(text, "engine")
		if shows != may {
			t.Errorf("%s reads\n%s", who, text)
		}
	}
	if _, text := p.call("auditor", http.MethodGet, "/policy/changes?from=before&to=before", nil, nil); !strings.Contains(text, "Both policies mean the same") {
		t.Errorf("one with itself:\n%s", text)
	}
	if _, text := p.call("auditor", http.MethodGet, "/policy", nil, nil); strings.Contains(text, "Change a rule") {
		t.Error("an auditor is offered to change a rule")
	}
	if _, text := p.call("editor", http.MethodGet, "/policy", nil, nil); !strings.Contains(text, "Change a rule") {
		t.Error("an editor is not")
	}
}
