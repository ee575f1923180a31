package discover

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// What a person decides stands in the file as a verdict, and what is sensitive as a label too; nothing else is added.
func TestPatchChosen(t *testing.T) {
	t.Parallel()
	rep := mustRun(t, someShelf(), Options{Store: "s", From: FromSample})
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	out, err := rep.PatchChosen([]byte("version: 1 # ours\n"), nil, []Choice{
		{"public", "customers", "email", "contact.email"}, {"public", "customers", "flag", "special.trade_union"}, {"public", "orders", "contact_email", NotSensitive},
	}, "root", at)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Labels   map[string]string
		Masks    map[string]map[string]string
		Verdicts map[string]struct{ Class, By, At string }
	}
	if err := yaml.Unmarshal(out, &doc); err != nil || !strings.HasPrefix(string(out), "version: 1 # ours\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(doc.Labels) != 2 || doc.Labels["s.public.customers.email"] != "contact.email" || doc.Labels["s.public.customers.flag"] != "special.trade_union" {
		t.Errorf("labels: %v", doc.Labels)
	}
	if len(doc.Verdicts) != 3 || doc.Verdicts["s.public.orders.contact_email"].Class != "none" || doc.Verdicts["s.public.customers.email"].By != "root" {
		t.Errorf("verdicts: %v", doc.Verdicts)
	}
	if m := doc.Masks["discovered"]; m["special.trade_union"] != "hidden" || m["*"] != "hidden" {
		t.Errorf("masks: %v", m)
	}
	if _, err := rep.PatchChosen(nil, nil, []Choice{{"public", "customers", "nothing", NotSensitive}}, "root", at); err == nil {
		t.Error("a column that the report does not have is decided about")
	}
}
