package discover

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/classify"
)

// documents is a shelf with one JSON column.
func documents(form string) *shelf {
	s := someShelf()
	s.cat.Tables = append(s.cat.Tables, table(9, "events", "payload jsonb", "plain text"))
	for i := range 60 {
		s.values["public.events.payload"] = append(s.values["public.events.payload"], strings.ReplaceAll(form, "#", fmt.Sprint(100+i)))
		s.values["public.events.plain"] = append(s.values["public.events.plain"], fmt.Sprintf("thing %d", i))
	}
	return s
}

func pathsOf(rec *Record) string {
	var out []string
	for i := range rec.Paths {
		out = append(out, PathText(rec.Paths[i].Path)+"="+string(rec.Paths[i].Class))
	}
	return strings.Join(out, " ")
}

const twoPaths = `{"user": {"email": "p#@haus.de"}, "backup": [{"email": "q#@haus.de"}], "ref": "R#"}`

func TestVerdictsOnPaths(t *testing.T) {
	t.Parallel()
	const column = "s.public.events.payload"
	for name, c := range map[string]struct {
		verdicts []Verdict
		class    classify.Class
		paths    string
		disputed int
	}{
		"none":             {nil, "json.pii", "$.backup[*].email=contact.email $.user.email=contact.email", 0},
		"one harmless":     {[]Verdict{{Column: column + "$.user.email"}}, "json.pii", "$.backup[*].email=contact.email", 1},
		"elements":         {[]Verdict{{Column: column + "$.backup[*].email"}}, "json.pii", "$.user.email=contact.email", 1},
		"all harmless":     {[]Verdict{{Column: column + "$.user.email"}, {Column: column + "$.backup[*].email"}}, "", "", 2},
		"a star":           {[]Verdict{{Column: "*.public.*.payload$.*.email"}}, "json.pii", "$.backup[*].email=contact.email", 1},
		"exact over star":  {[]Verdict{{Column: column + "$.*.email"}, {Column: column + "$.user.email", Class: "person.username"}}, "json.pii", "$.backup[*].email=contact.email $.user.email=person.username", 1},
		"another class":    {[]Verdict{{Column: column + "$.ref", Class: "fin.customer_id"}}, "json.pii", "$.backup[*].email=contact.email $.user.email=contact.email $.ref=fin.customer_id", 0},
		"another store":    {[]Verdict{{Column: "t.public.events.payload$.user.email"}}, "json.pii", "$.backup[*].email=contact.email $.user.email=contact.email", 0},
		"not a json value": {[]Verdict{{Column: "s.public.events.plain$.a", Class: "contact.email"}}, "json.pii", "$.backup[*].email=contact.email $.user.email=contact.email", 0},
		"the whole column": {[]Verdict{{Column: column}}, "", "", 1},
	} {
		rep := mustRun(t, documents(twoPaths), Options{Store: "s", From: FromSample, Verdicts: c.verdicts})
		rec := record(t, rep, "public.events.payload")
		if rec.Class != c.class || name != "the whole column" && pathsOf(rec) != c.paths || rep.Summary.Disputed != c.disputed {
			t.Errorf("%s: class %q, paths %q, %d disputed", name, rec.Class, pathsOf(rec), rep.Summary.Disputed)
		}
		if r := record(t, rep, "public.events.plain"); r.Class != "" || len(r.Paths) > 0 {
			t.Errorf("%s: plain is %q", name, r.Class)
		}
		var out bytes.Buffer
		if err := rep.WriteJSON(&out); err != nil || strings.Contains(out.String(), "haus.de") {
			t.Errorf("%s: %v, or a value got out", name, err)
		}
	}
}

func TestAVerdictGivesAHarmlessDocumentItsClass(t *testing.T) {
	t.Parallel()
	s := documents(`{"theme": "dark", "ref": "R#"}`)
	if c := record(t, mustRun(t, s, Options{From: FromSample}), "public.events.payload").Class; c != "" {
		t.Fatalf("the document is %q without a verdict", c)
	}
	rec := record(t, mustRun(t, s, Options{From: FromSample, Verdicts: []Verdict{{Column: "public.events.payload$.ref", Class: "health.mrn", By: "ana"}}}), "public.events.payload")
	if rec.Class != "json.pii" || pathsOf(rec) != "$.ref=health.mrn" || len(rec.PathVerdicts) != 1 || rec.PathVerdicts[0].By != "ana" {
		t.Errorf("%q, %q, %+v", rec.Class, pathsOf(rec), rec.PathVerdicts)
	}
	if !strings.Contains(fmt.Sprint(rec.Tags), "phi") {
		t.Errorf("the tags of the path are missing: %v", rec.Tags)
	}
}

func TestASecretOnAHarmlessPathIsRaisedAgain(t *testing.T) {
	t.Parallel()
	s := documents(`{"note": "sk_live_000000000000000000000#"}`)
	rec := record(t, mustRun(t, s, Options{From: FromSample, Verdicts: []Verdict{{Column: "public.events.payload$.note"}}}), "public.events.payload")
	if rec.Class != "json.pii" || pathsOf(rec) != "$.note=secret.api_key" || !rec.PathVerdicts[0].Disputed {
		t.Errorf("%q, %q, %+v", rec.Class, pathsOf(rec), rec.PathVerdicts)
	}
}
