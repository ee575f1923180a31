package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// searchTrail writes a trail of several files with known events.
func searchTrail(t *testing.T) (Config, *clock) {
	t.Helper()
	clk := newClock()
	cfg := config(t, t.TempDir())
	cfg.Now, cfg.RotateSize, cfg.CheckpointEvery = clk.now, 3000, 6
	trail := open(t, cfg)
	for i := range 10 {
		clk.move(time.Minute)
		who := []string{"ana", "bob"}[i%2]
		id := record(t, trail, Event{
			Kind: Decision, ID: fmt.Sprintf("d%d", i), Session: "s" + who, Subject: who, Store: []string{"shop", "crm"}[i/5],
			Verdict: []string{"allow", "rewrite", "refuse"}[i%3], Reason: []string{"", "masked", "no_rule"}[i%3],
			Address: "10.0.0." + fmt.Sprint(i%2) + ":4000", Statement: fmt.Sprintf("SELECT \"Größe\" FROM t%d", i),
			Touches: []Touch{
				{Relation: "shop.public.customers", Action: "read", Labels: []string{"contact.email"}},
				{Relation: fmt.Sprintf("shop.public.t%d", i), Action: "read", Labels: []string{"id.us_ssn"}},
			},
		})
		record(t, trail, Event{Kind: Completion, ID: fmt.Sprintf("c%d", i), Ref: id, Session: "s" + who, Subject: who, Rows: int64(i)})
	}
	closeTrail(t, trail)
	return cfg, clk
}

// TestSearchRefused: a statement that was refused for a relation did not touch it, and is found by it all the same.
func TestSearchRefused(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	trail := open(t, cfg)
	for id, e := range map[string]Event{
		"d1": {Verdict: "refuse", Reason: "relation_not_admitted", Detail: map[string]string{"object": "public.payroll"}},
		"d2": {Verdict: "refuse", Reason: "function_not_allowed", Detail: map[string]string{"object": "public.payroll"}},
		"d3": {Verdict: "allow", Reason: "relation_not_admitted", Detail: map[string]string{"object": "public.payroll"}},
		"d4": {Verdict: "refuse", Reason: "relation_unknown", Detail: map[string]string{"object": `public."Pay roll"`}},
	} {
		e.Kind, e.ID, e.Subject, e.Store = Decision, id, "ana", "shop"
		record(t, trail, e)
	}
	closeTrail(t, trail)
	for relation, want := range map[string]string{
		"payroll": "d1", "public.payroll": "d1", "shop.public.payroll": "d1", "crm.public.payroll": "", "roll": "", "public.Pay roll": "d4",
	} {
		var got []string
		for f, err := range Search(t.Context(), cfg.Folder, Query{Relation: relation}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f.Record.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", relation, got, want)
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	cfg, _ := searchTrail(t)
	begin := newClock().at
	tests := map[string]struct {
		q    Query
		want string
	}{
		"subject and kind":       {Query{Subject: "bob", Kind: Decision}, "d1 d3 d5 d7 d9"},
		"store":                  {Query{Store: "crm"}, "d5 d6 d7 d8 d9"},
		"verdict":                {Query{Verdict: "refuse"}, "d2 d5 d8"},
		"reason":                 {Query{Reason: "masked"}, "d1 d4 d7"},
		"session":                {Query{Session: "sana", Kind: Completion, Limit: 2}, "c0 c2"},
		"relation":               {Query{Relation: "shop.public.t4"}, "d4"},
		"relation's end":         {Query{Relation: "public.t4"}, "d4"},
		"not half a name":        {Query{Relation: "4"}, ""},
		"label":                  {Query{Label: "id.us_ssn", Limit: 1}, "d0"},
		"label's family":         {Query{Label: "contact.*", Subject: "ana", Limit: 2}, "d0 d2"},
		"label of that relation": {Query{Relation: "customers", Label: "id.us_ssn"}, ""},
		"an event and its kin":   {Query{ID: "d3"}, "d3 c3"},
		"address":                {Query{Address: "10.0.0.1", Limit: 2}, "d1 d3"},
		"text, any case":         {Query{Text: "größe\\\" from T7"}, "d7"},
		"since":                  {Query{Since: begin.Add(9 * time.Minute), Kind: Decision}, "d8 d9"},
		"until":                  {Query{Until: begin.Add(2 * time.Minute)}, "d0 c0"},
		"last":                   {Query{Limit: 3, Last: true}, "c8 d9 c9"},
		"last of few":            {Query{Limit: 30, Last: true, Verdict: "refuse"}, "d2 d5 d8"},
		"nobody":                 {Query{Subject: "an"}, ""},
		"field and value apart":  {Query{Subject: "sana"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for f, err := range Search(t.Context(), cfg.Folder, tt.q) {
				if err != nil {
					t.Fatal(err)
				}
				if rec, err := ParseRecord(f.Line); err != nil || rec.ID != f.Record.ID {
					t.Errorf("line and record differ: %v", err)
				}
				got = append(got, f.Record.ID)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestSearchGoesOnBehindABadLine(t *testing.T) {
	t.Parallel()
	cfg, _ := searchTrail(t)
	names, err := listFiles(cfg.Folder)
	if err != nil {
		t.Fatal(err)
	}
	first, last := filepath.Join(cfg.Folder, names[0]), filepath.Join(cfg.Folder, names[len(names)-1])
	b, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, first, bytes.Replace(b, []byte(`"d1"`), []byte(`"dX"`), 1))
	appendTo(t, last, `{"seq":99,"ti`)
	var bad, good int
	for f, err := range Search(t.Context(), cfg.Folder, Query{Kind: Decision}) {
		var e *LineError
		switch {
		case errors.As(err, &e):
			if e.File != names[0] || e.Line == 0 {
				t.Errorf("%v", e)
			}
			bad++
		case err != nil:
			t.Fatal(err)
		case f.Record.Kind != Decision:
			t.Errorf("%+v", f.Record)
		default:
			good++
		}
	}
	if bad != 1 || good != 9 {
		t.Errorf("%d bad, %d good", bad, good)
	}
	for _, err := range Search(t.Context(), filepath.Join(cfg.Folder, "nothing"), Query{}) {
		if err == nil {
			t.Error("a folder that is not there was searched")
		}
	}
}

func TestExportOfARangeVerifies(t *testing.T) {
	t.Parallel()
	cfg, _ := searchTrail(t)
	opts := VerifyOptions{PublicKey: cfg.Key.Public()}
	export := func(q Query) []byte {
		var b bytes.Buffer
		if n, err := Export(t.Context(), &b, cfg.Folder, q); err != nil || n != bytes.Count(b.Bytes(), []byte("\n")) {
			t.Fatalf("%d, %v", n, err)
		}
		return b.Bytes()
	}
	whole := export(Query{Signed: true})
	if string(whole) != readAll(t, cfg.Folder) {
		t.Error("an export of everything is not the trail's bytes")
	}
	check := func(b []byte, o VerifyOptions) *Report {
		r, err := VerifyExport(t.Context(), bytes.NewReader(b), "export", o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	wantIntact(t, check(whole, opts))
	part := export(Query{Signed: true, From: 5, To: 20})
	r := check(part, opts)
	if r.First != 5 || r.Head.Seq != 20 || len(r.Problems) > 0 || (r.Signed < 20) != (r.Status == Incomplete) {
		t.Errorf("%+v", r)
	}
	lines := bytes.SplitAfter(part, []byte("\n"))
	head, err := ReadHead(bytes.NewReader(lines[15]))
	if err != nil {
		t.Fatal(err)
	}
	withHead := opts
	withHead.Head = &head
	wantIntact(t, check(part, withHead))
	for i := range 15 {
		removed := bytes.Join(slices.Concat(lines[:i+1:i+1], lines[i+2:]), nil)
		if r := check(removed, withHead); r.Status != Tampered {
			t.Errorf("without line %d: %+v", i+2, r)
		}
	}
}
