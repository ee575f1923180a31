package discover

import (
	"slices"
	"strings"
	"testing"

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
