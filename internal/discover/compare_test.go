package discover

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-sec/postern/internal/classify"
)

// aShape is what is not read back.
var aShape = regexp.MustCompile(`,\s*"shape": "(\\.|[^"\\])*"`)

// kept is a report as the next run reads it.
func kept(t *testing.T, rep *Report) *Report {
	t.Helper()
	var text bytes.Buffer
	if err := rep.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	out := &Report{}
	if err := json.Unmarshal(text.Bytes(), out); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := out.WriteJSON(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(aShape.ReplaceAllString(text.String(), ""), again.String()); diff != "" {
		t.Errorf("a kept report says something else: %s", diff)
	}
	return out
}

// What statistics do not show: opaque is only seen in a sample.
func deepShelf() *shelf {
	s := someShelf()
	s.cat.Tables[0].Columns[2].Column = classify.Column{Name: "opaque", Type: "json"}
	s.values["public.customers.opaque"] = []string{`{"mail": "a@haus.de"}`, `{"mail": "b@haus.de"}`, `{"mail": "c@haus.de"}`, `{"mail": "d@haus.de"}`, `{"mail": "e@haus.de"}`}
	s.unseen = map[string]bool{"public.customers.opaque": true}
	return s
}

func changes(rep *Report) []string {
	out := []string{}
	for _, c := range rep.New {
		out = append(out, c.Place+" "+string(c.Was)+" "+string(c.Before))
	}
	return out
}

// A run from statistics between two whole ones changes nothing about what is new.
func TestAWeakerRunIsNoMeasure(t *testing.T) {
	t.Parallel()
	whole := mustRun(t, deepShelf(), Options{From: FromAuto})
	if c := record(t, whole, "public.customers.opaque").Class; c != "json.pii" {
		t.Fatalf("opaque is %q", c)
	}
	weak := mustRun(t, deepShelf(), Options{From: FromStats, Last: kept(t, whole)})
	if len(weak.New) != 0 || record(t, weak, "public.customers.opaque").Class != "" {
		t.Fatalf("statistics: %q", changes(weak))
	}
	measure := kept(t, weak.Measure(kept(t, whole)))
	if r := record(t, measure, "public.customers.opaque"); r.Class != "json.pii" || r.Means == nil || r.Means.From != FromAuto || measure.Summary.Classified != whole.Summary.Classified {
		t.Errorf("the measure: %+v, %+v", r, measure.Summary)
	}
	for from, last := range map[From]*Report{FromAuto: measure, FromStats: kept(t, mustRun(t, deepShelf(), Options{From: FromStats, Last: measure}).Measure(measure))} {
		again := mustRun(t, deepShelf(), Options{From: FromAuto, Last: last})
		if len(again.New) != 0 || again.ExitCode(true) != 0 {
			t.Errorf("after %s: %q", from, changes(again))
		}
	}
	// A column that came, or was made anew, is new whatever ran before.
	s := deepShelf()
	s.cat.Tables = append(s.cat.Tables, table(9, "guests", "email text"))
	s.values["public.guests.email"] = mails(20)
	if again := mustRun(t, s, Options{From: FromAuto, Last: measure}); !slices.Equal(changes(again), []string{"public.guests.email  "}) || again.ExitCode(true) != 1 {
		t.Errorf("a table that came: %q", changes(again))
	}
	s = deepShelf()
	s.cat.Tables[0].OID = 77
	if m := mustRun(t, s, Options{From: FromStats}).Measure(measure); record(t, m, "public.customers.opaque").Class != "" {
		t.Error("what was known of a table stands for another of its name")
	}
}

// What was read in part and has no class is listed with what to do, and is no reason for exit code 3.
func TestReadInPart(t *testing.T) {
	t.Parallel()
	s := someShelf()
	s.values["public.customers.opaque"] = []string{strings.Repeat("so it goes ", 1000)}
	rep := mustRun(t, s, Options{From: FromSample})
	want := Gap{Schema: "public", Table: "customers", Columns: []string{"opaque"}, Why: WhyPartial, Next: nextSteps[WhyPartial], Minor: true}
	if diff := cmp.Diff([]Gap{want}, rep.NotExamined); diff != "" || rep.ExitCode(false) != 0 {
		t.Errorf("exit code %d: %s", rep.ExitCode(false), diff)
	}
	if rep := mustRun(t, someShelf(), Options{From: FromSample}); len(rep.NotExamined) != 0 {
		t.Errorf("short values: %+v", rep.NotExamined)
	}
}

// What nobody had examined is not said to be new, and not passed over either.
func TestWhatIsSeenForTheFirstTimeIsSaidSo(t *testing.T) {
	t.Parallel()
	first := kept(t, mustRun(t, deepShelf(), Options{From: FromStats}))
	rep := mustRun(t, deepShelf(), Options{From: FromAuto, Last: first})
	if !slices.Equal(changes(rep), []string{"public.customers.opaque  not examined"}) && !slices.Equal(changes(rep), []string{"public.customers.opaque  statistics only"}) || rep.ExitCode(true) != 1 {
		t.Errorf("%q", changes(rep))
	}
	var out bytes.Buffer
	if err := rep.WriteTable(&out); err != nil || !bytes.Contains(out.Bytes(), []byte("public.customers.opaque json.pii (before: ")) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// A table that was locked in between keeps its classes in the measure, and its columns are not new afterwards.
func TestARefusedTableIsNotForgotten(t *testing.T) {
	t.Parallel()
	whole := kept(t, mustRun(t, someShelf(), Options{From: FromSample}))
	s := someShelf()
	s.refuse["public.customers"] = &NotExamined{Why: WhyLocked}
	locked := mustRun(t, s, Options{From: FromSample, Last: whole})
	if len(locked.New) != 0 {
		t.Errorf("while it was locked: %q", changes(locked))
	}
	measure := kept(t, locked.Measure(whole))
	if len(measure.NotExamined) != 1 || record(t, measure, "public.customers.opaque").Class != "contact.email" {
		t.Errorf("the measure: %+v", measure.NotExamined)
	}
	if again := mustRun(t, someShelf(), Options{From: FromSample, Last: measure}); len(again.New) != 0 {
		t.Errorf("afterwards: %q", changes(again))
	}
	never := kept(t, locked.Measure(&Report{}))
	again := mustRun(t, someShelf(), Options{From: FromSample, Last: never})
	if !slices.Contains(changes(again), "public.customers.opaque  not examined") {
		t.Errorf("never examined before: %q", changes(again))
	}
	// A smaller sample is a weaker one.
	small := mustRun(t, someShelf(), Options{From: FromSample, Rows: 10, Last: whole}).Measure(whole)
	if m := record(t, small, "public.customers.opaque").Means; m == nil || m.Rows != DefaultRows {
		t.Errorf("a sample of ten rows replaces one of 2000: %+v", m)
	}
}
