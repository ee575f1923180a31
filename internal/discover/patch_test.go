package discover

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/postern-sec/postern/internal/classify"
)

// patchOf is what a patched file says.
type patchOf struct {
	Labels   map[string]string                     `yaml:"labels"`
	Masks    map[string]map[string]string          `yaml:"masks"`
	Datasets map[string]struct{ Include []string } `yaml:"datasets"`
}

func readPatch(t *testing.T, text []byte, err error) patchOf {
	t.Helper()
	var out patchOf
	if err == nil {
		err = yaml.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// found is a report with columns of one class, each schema.table.column and a type.
func found(store string, class classify.Class, columns ...string) *Report {
	r := &Report{Store: store}
	for _, c := range columns {
		place, typ, _ := strings.Cut(c, " ")
		parts := strings.Split(place, ".")
		rec := Record{Schema: parts[0], Table: parts[1], Column: parts[2], Type: typ, Kind: "r", Label: string(class)}
		rec.Class, rec.Confidence, rec.Mask = class, 1, classify.SuggestMask("partial_email", typ, "")
		r.Columns = append(r.Columns, rec)
	}
	return r
}

// Stores share the profile and the dataset: what one of them needs counts for all.
func TestPatchOfSeveralStores(t *testing.T) {
	a := found("a", "contact.email", "public.people.mail text")
	b := found("b", "contact.email", "public.people.mail jsonb", "public.people.also jsonb")
	text, err := Reports{a, b}.Patch(nil, nil)
	got := readPatch(t, text, err)
	if len(got.Labels) != 3 || !slices.Equal(got.Datasets["discovered"].Include, []string{"a.public.people", "b.public.people"}) {
		t.Errorf("a store is left out:\n%s", text)
	}
	if m := got.Masks["discovered"]; m["contact.email"] != "hidden" || m["a.public.people.mail"] != "partial_email" || m["unlabelled"] != "keep" {
		t.Errorf("masks are not those of both stores:\n%s", text)
	}
	b.NotExamined = []Gap{{Schema: "public", Table: "closed"}}
	text, err = Reports{a, b}.Patch(nil, nil)
	if m := readPatch(t, text, err).Masks["discovered"]; m["unlabelled"] != "hidden" {
		t.Errorf("what was not examined in the second store is shown:\n%s", text)
	}
}

// A later run goes by the profile and the dataset that stand in the file, and says what it cannot put right.
func TestPatchAgain(t *testing.T) {
	for name, list := range map[string]string{
		"brackets": "[s.public.people]  # ours",
		"comma":    "[s.public.people,]",
		"lines":    "[\n      s.public.people, # first\n    ]",
		"no comma": "[\n      s.public.people # first\n    ]",
		"block":    "\n    - s.public.people # first\n    # more to come\n    owners: [eve]",
		"flush":    "\n      - s.public.people\n\n# the end",
		"empty":    "[]",
	} {
		file := "masks:\n  discovered: {contact.email: partial_email, \"*\": hidden, unlabelled: keep}\ndatasets:\n  discovered: # ours\n    include: " + list + "\n"
		file = strings.ReplaceAll(file, "include: \n", "include:\n")
		again := found("s", "contact.email", "public.people.mail text", "public.extra.mail jsonb", "public.extra.also jsonb", "public.extra.text text")
		text, err := again.Patch([]byte(file), nil)
		got := readPatch(t, text, err)
		if include := got.Datasets["discovered"].Include; !slices.Contains(include, "s.public.extra") || !slices.Contains(include, "s.public.people") || len(include) != 2 {
			t.Errorf("%s: a new table joins no dataset:\n%s", name, text)
		}
		if m := got.Masks["discovered"]; m["contact.email"] != "partial_email" || m["s.public.extra.mail"] != "hidden" || m["s.public.extra.also"] != "hidden" || m["s.public.extra.text"] != "" || len(m) != 5 {
			t.Errorf("%s: columns are not measured by the mask that stands:\n%s", name, text)
		}
		for _, line := range strings.Split(file, "\n") {
			if i := strings.IndexByte(line, '#'); i >= 0 && !strings.Contains(string(text), line[i:]) {
				t.Errorf("%s: the comment %q is gone:\n%s", name, line[i:], text)
			}
		}
		third, err := again.Patch(text, nil)
		if err != nil || string(third) != string(text) {
			t.Errorf("%s: a third run changes the file (%v):\n%s", name, err, third)
		}
		if notes := (Reports{again}).Notes(text, nil); len(notes) > 0 {
			t.Errorf("%s: %q", name, notes)
		}
		again.NotExamined = []Gap{{Schema: "public", Table: "closed"}}
		if notes := (Reports{again}).Notes(text, nil); len(notes) != 1 || !strings.Contains(notes[0], "unlabelled: hidden") {
			t.Errorf("%s: what was not examined is shown, and nobody is told: %q", name, notes)
		}
	}
}

// What a person made of the profile stands: a stronger mask is not taken back, and a list that cannot be extended is told about.
func TestPatchKeepsAPersonsProfile(t *testing.T) {
	file := "masks:\n  discovered: {contact.*: hash, \"*\": hidden}\ndatasets:\n  discovered: {include: &all [s.public.people]}\n"
	again := found("s", "contact.email", "public.people.mail text", "public.extra.mail text", "public.extra.num integer")
	text, err := again.Patch([]byte(file), nil)
	got := readPatch(t, text, err)
	if m := got.Masks["discovered"]; m["contact.*"] != "hash" || m["contact.email"] != "" || m["s.public.extra.num"] != "hidden" || len(m) != 3 {
		t.Errorf("masks:\n%s", text)
	}
	notes := Reports{again}.Notes([]byte(file), nil)
	if len(got.Datasets["discovered"].Include) != 1 || len(notes) != 1 || !strings.Contains(notes[0], "table s.public.extra joins no dataset") {
		t.Errorf("%q\n%s", notes, text)
	}
}

// A file that ends its document is refused, and lines end as they did.
func TestPatchKeepsTheEnds(t *testing.T) {
	r := found("s", "contact.email", "public.people.mail text")
	for _, file := range []string{"version: 1\n...\n", "version: 1\r\n... # over\r\n", "version: 1\n..."} {
		if out, err := r.Patch([]byte(file), nil); err == nil || !strings.Contains(err.Error(), "line 2 ends the YAML document") {
			t.Errorf("%q: %v\n%s", file, err, out)
		}
	}
	for _, file := range []string{"version: 1\r\nlabels:\r\n  s.public.a.b: person.name\r\n# the end\r\n", "version: 1 # ...\r\nlabels: {\r\n  s.public.a.b: person.name\r\n}\r\n", "version: 1\nlabels: {s.public.a.b: person.name}\n"} {
		text, err := r.Patch([]byte(file), nil)
		if got := readPatch(t, text, err); len(got.Labels) != 2 || len(got.Masks) != 1 {
			t.Errorf("%q: %+v", file, got)
		}
		crlf := strings.Count(string(text), "\r\n")
		if all := strings.Count(string(text), "\n"); strings.Contains(file, "\r") && crlf != all || !strings.Contains(file, "\r") && crlf != 0 {
			t.Errorf("lines end as they did not: %q", text)
		}
	}
	text, err := r.PatchChosen([]byte("version: 1\r\n"), nil, []Choice{{"public", "people", "mail", "contact.email"}}, "eve", time.Now())
	if err != nil || strings.Count(string(text), "\n") != strings.Count(string(text), "\r\n") {
		t.Errorf("%v: %q", err, text)
	}
}
