package discover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/postern-sec/postern/internal/classify"
)

// shelf is a feed over memory.
type shelf struct {
	cat     Catalog
	values  map[string][]string // schema.table.column
	refuse  map[string]*NotExamined
	unseen  map[string]bool // columns that statistics do not show
	mu      sync.Mutex
	sampled []string
	stop    func(table string)
}

func (s *shelf) Catalog(context.Context) (*Catalog, error) { return &s.cat, nil }

func (s *shelf) Stats(_ context.Context, tables []*Table, each func(*Table, int, classify.Values)) error {
	for _, t := range tables {
		for k := range t.Columns {
			if v := s.values[t.Schema+"."+t.Name+"."+t.Columns[k].Name]; v != nil && t.Rows >= 0 && !s.unseen[t.Schema+"."+t.Name+"."+t.Columns[k].Name] {
				each(t, k, classify.Values{Texts: v, Stats: true, Distinct: -1})
			}
		}
	}
	return nil
}

func (s *shelf) Sample(ctx context.Context, ask Ask) ([]classify.Values, error) {
	name := ask.Table.Schema + "." + ask.Table.Name
	s.mu.Lock()
	s.sampled = append(s.sampled, name)
	s.mu.Unlock()
	if s.stop != nil {
		s.stop(name)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e := s.refuse[name]; e != nil {
		return nil, e
	}
	out := make([]classify.Values, len(ask.Columns))
	for i, k := range ask.Columns {
		v := s.values[name+"."+ask.Table.Columns[k].Name]
		out[i] = classify.Values{Texts: v, Rows: len(v), Distinct: float64(len(v))}
	}
	return out, nil
}

func (s *shelf) Readers(_ context.Context, places []Place) (map[Place][]string, error) {
	out := map[Place][]string{}
	for _, p := range places {
		out[p] = []string{"ana", "app"}
	}
	return out, nil
}

func table(oid uint32, name string, cols ...string) Table {
	t := Table{OID: oid, Schema: "public", Name: name, Kind: 'r', Rows: 50, Pages: 1, Usage: true}
	for i, c := range cols {
		n, typ, _ := strings.Cut(c, " ")
		t.Columns = append(t.Columns, Column{Column: classify.Column{Name: n, Type: typ}, Num: i + 1, CanSelect: true})
	}
	return t
}

func mails(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("person%d@haus.de", i))
	}
	return out
}

func someShelf() *shelf {
	return &shelf{
		cat: Catalog{Database: "shop", User: "scan", Tables: []Table{
			table(1, "customers", "email text", "ssn text", "opaque text", "flag boolean"), table(2, "orders", "contact_email text", "total numeric"), table(3, "Odd\tname", "e\nmail text"),
		}},
		values: map[string][]string{
			"public.customers.email": mails(20), "public.customers.ssn": {"212-44-1234", "313-55-4567", "414-66-7890", "215-77-1111"}, "public.customers.opaque": mails(9),
			"public.orders.contact_email": mails(7), "public.orders.total": {"1.5", "2.5"}, "public.Odd\tname.e\nmail": mails(8),
		},
		refuse: map[string]*NotExamined{},
	}
}

func mustRun(t *testing.T, s *shelf, opt Options) *Report {
	t.Helper()
	opt.Sleep = func(context.Context, time.Duration) {}
	rep, err := Run(t.Context(), s, opt)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func record(t *testing.T, rep *Report, place string) *Record {
	t.Helper()
	for i := range rep.Columns {
		if rep.Columns[i].Place() == place {
			return &rep.Columns[i]
		}
	}
	t.Fatalf("no record of %s", place)
	return nil
}

func TestAutoSamplesOnlyWhatIsUndecided(t *testing.T) {
	s := someShelf()
	s.cat.Tables[1].Rows = -1 // never analysed
	rep := mustRun(t, s, Options{})
	if got := strings.Join(s.sampled, " "); got != "public.orders" {
		t.Errorf("sampled %q", got)
	}
	if c := record(t, rep, "public.orders.contact_email").Class; c != "contact.email" {
		t.Errorf("contact_email is %q", c)
	}
	s = someShelf()
	mustRun(t, s, Options{From: FromStats})
	if len(s.sampled) != 0 {
		t.Errorf("stats sampled %v", s.sampled)
	}
}

func TestStatsNameWhatWasNeverAnalysed(t *testing.T) {
	s := someShelf()
	s.cat.Tables[1].Rows = -1
	rep := mustRun(t, s, Options{From: FromStats})
	if rep.ExitCode(false) != 3 || len(rep.NotExamined) != 1 || rep.NotExamined[0].Grant != "ANALYZE public.orders;" {
		t.Errorf("gaps %+v", rep.NotExamined)
	}
}

func TestTSVIsTheContract(t *testing.T) {
	rep := mustRun(t, someShelf(), Options{From: FromSample})
	var out bytes.Buffer
	if err := rep.WriteTSV(&out, false); err != nil {
		t.Fatal(err)
	}
	want := "public\tcustomers\temail\tcontact.email\t1.000\npublic\tcustomers\tssn\tid.us_ssn\t"
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("TSV:\n%s", out.String())
	}
	if !strings.Contains(out.String(), `public	Odd\tname	e\nmail	contact.email	`) {
		t.Errorf("escapes are missing:\n%s", out.String())
	}
	if strings.Contains(out.String(), "total") {
		t.Error("a column without a class is listed")
	}
	out.Reset()
	if err := rep.WriteTSV(&out, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "public\torders\ttotal\tnone\t0.000\n") {
		t.Errorf("--all lacks total:\n%s", out.String())
	}
}

func TestJSONHasNullForNoClass(t *testing.T) {
	rep := mustRun(t, someShelf(), Options{From: FromSample, Readers: true})
	var out bytes.Buffer
	if err := rep.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Version int `json:"version"`
		Columns []struct {
			Column  string   `json:"column"`
			Class   *string  `json:"class"`
			Readers []string `json:"readers"`
		} `json:"columns"`
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Version != 1 || doc.Columns[1].Class != nil == false {
		t.Errorf("document %+v", doc)
	}
	for _, c := range doc.Columns {
		if c.Column == "total" && c.Class != nil {
			t.Errorf("total has class %s", *c.Class)
		}
		if c.Column == "email" && len(c.Readers) != 2 {
			t.Errorf("readers %v", c.Readers)
		}
	}
}

func TestTwoRunsGiveTheSameBytes(t *testing.T) {
	var a, b bytes.Buffer
	for _, out := range []*bytes.Buffer{&a, &b} {
		rep := mustRun(t, someShelf(), Options{From: FromSample, Jobs: 3})
		for _, err := range []error{rep.WriteJSON(out), rep.WriteHTML(out), rep.WriteMarkdown(out), rep.WriteTable(out)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two runs differ")
	}
}

func TestRefusalsAreListedAndDoNotEndTheRun(t *testing.T) {
	s := someShelf()
	s.refuse["public.customers"] = &NotExamined{Why: WhyTimeout, Code: "57014"}
	rep := mustRun(t, s, Options{From: FromSample})
	if rep.ExitCode(false) != 3 || rep.NotExamined[0].Why != WhyTimeout {
		t.Errorf("gaps %+v", rep.NotExamined)
	}
	if r := record(t, rep, "public.customers.opaque"); r.State != classify.StateNotExamined || r.Reason != WhyTimeout {
		t.Errorf("opaque is %s, %s", r.State, r.Reason)
	}
	if c := record(t, rep, "public.orders.contact_email").Class; c != "contact.email" {
		t.Errorf("the next table is %q", c)
	}
}

func TestIncludeAndExclude(t *testing.T) {
	rep := mustRun(t, someShelf(), Options{Include: []string{"public.customers"}, Exclude: []string{"public.customers.s*"}})
	var names []string
	for i := range rep.Columns {
		names = append(names, rep.Columns[i].Column)
	}
	if diff := cmp.Diff([]string{"email", "opaque", "flag"}, names); diff != "" {
		t.Error(diff)
	}
	if _, err := Run(t.Context(), someShelf(), Options{Include: []string{"["}}); err == nil {
		t.Error("a broken pattern is accepted")
	}
	if _, err := Run(t.Context(), someShelf(), Options{From: "luck"}); err == nil {
		t.Error("an unknown feed is accepted")
	}
}

// What a run leaves out speaks for nobody: a partition without its parent is read, a view without its table is listed.
func TestWhatCoversMustBeLookedAt(t *testing.T) {
	shelf := func() *shelf {
		s := someShelf()
		parent, leaf, view := table(11, "log", "who text"), table(12, "log_1", "who text"), table(13, "people", "who text")
		parent.Kind, view.Kind = 'p', 'v'
		leaf.Parent = classify.Target{Schema: "public", Table: "log"}
		view.ViewColumns = []classify.Target{{Schema: "public", Table: "log", Column: "who"}}
		s.cat.Tables = []Table{parent, leaf, view}
		s.values = map[string][]string{"public.log.who": mails(20), "public.log_1.who": mails(20)}
		return s
	}
	for name, c := range map[string]struct {
		opt     Options
		denied  bool
		sampled string
		gaps    int
	}{
		"all":                {Options{}, false, "public.log", 0},
		"partition included": {Options{Include: []string{"public.log_1"}}, false, "public.log_1", 0},
		"parent excluded":    {Options{Exclude: []string{"public.log"}}, false, "public.log_1", 1},
		"parent denied":      {Options{Exclude: []string{"people"}}, true, "public.log_1", 1},
		"view included":      {Options{Include: []string{"people"}}, false, "", 1},
	} {
		s := shelf()
		s.cat.Tables[0].Columns[0].CanSelect = !c.denied
		c.opt.From = FromSample
		rep := mustRun(t, s, c.opt)
		if got := strings.Join(s.sampled, " "); got != c.sampled {
			t.Errorf("%s: sampled %q, want %q", name, got, c.sampled)
		}
		if len(rep.NotExamined) != c.gaps {
			t.Errorf("%s: gaps %+v, want %d", name, rep.NotExamined, c.gaps)
		}
		for i := range rep.Columns {
			if r := &rep.Columns[i]; r.Class == "" && r.State != classify.StateNotExamined {
				t.Errorf("%s: %s is shown as clean", name, r.Place())
			}
		}
	}
}

func TestVerdictsAreSticky(t *testing.T) {
	rep := mustRun(t, someShelf(), Options{Store: "s", From: FromSample, Verdicts: []Verdict{
		{Column: "s.public.customers.email", Class: "", By: "ana", Reason: "shared mailboxes"}, {Column: "s.public.customers.flag", Class: "special.trade_union"}, {Column: "s.public.orders.*", Class: "contact.email", Type: "varchar"},
	}})
	e := record(t, rep, "public.customers.email")
	if e.Class != "" || e.Verdict == nil || !e.Verdict.Disputed || e.Verdict.Evidence != "contact.email" {
		t.Errorf("email: %q %+v", e.Class, e.Verdict)
	}
	if f := record(t, rep, "public.customers.flag"); f.Class != "special.trade_union" || f.Confidence != 1 {
		t.Errorf("flag: %q", f.Class)
	}
	if o := record(t, rep, "public.orders.contact_email"); o.Class != "contact.email" || !o.Verdict.Review {
		t.Errorf("contact_email: %q %+v", o.Class, o.Verdict)
	}
	if rep.Summary.Disputed != 1 {
		t.Errorf("%d disputed", rep.Summary.Disputed)
	}
	want := []objection{
		{"public.customers.email", "the evidence says contact.email, the verdict not sensitive by ana"},
		{"public.orders.contact_email", "the type changed since the verdict contact.email"},
		{"public.orders.total", "the type changed since the verdict contact.email"},
	}
	if got := rep.objections(); !slices.Equal(got, want) {
		t.Errorf("to look at again: %q, want %q", got, want)
	}
	for name, write := range map[string]func(io.Writer) error{"table": rep.WriteTable, "markdown": rep.WriteMarkdown, "html": rep.WriteHTML} {
		var b strings.Builder
		if err := write(&b); err != nil || !strings.Contains(b.String(), want[0].What) {
			t.Errorf("%s does not say which verdict is disputed: %v", name, err)
		}
	}
}

func TestASecretOnAHarmlessColumnIsRaisedAgain(t *testing.T) {
	s := someShelf()
	var keys []string
	for i := range 10 {
		keys = append(keys, fmt.Sprintf("sk_live_%024d", i))
	}
	s.values["public.customers.opaque"] = keys
	rep := mustRun(t, s, Options{From: FromSample, Verdicts: []Verdict{{Column: "public.customers.opaque"}}})
	if r := record(t, rep, "public.customers.opaque"); r.Class != "secret.api_key" || !r.Verdict.Disputed {
		t.Errorf("%q %+v", r.Class, r.Verdict)
	}
}

func TestCompareSaysWhatIsNew(t *testing.T) {
	s := someShelf()
	old := mustRun(t, s, Options{From: FromSample, Exclude: []string{"public.orders"}})
	var stored bytes.Buffer
	if err := old.WriteJSON(&stored); err != nil {
		t.Fatal(err)
	}
	old = &Report{}
	if err := json.Unmarshal(stored.Bytes(), old); err != nil {
		t.Fatal(err)
	}
	rep := mustRun(t, s, Options{From: FromSample, Last: old})
	if diff := cmp.Diff([]Change{{Place: "public.orders.contact_email", Schema: "public", Table: "orders", Column: "contact_email", Class: "contact.email"}}, rep.New); diff != "" {
		t.Error(diff)
	}
	if rep.ExitCode(true) != 1 || rep.ExitCode(false) != 0 {
		t.Errorf("exit codes %d %d", rep.ExitCode(true), rep.ExitCode(false))
	}
}

type memory map[string][]byte

func (m memory) Load(k string) ([]byte, bool) { b, ok := m[k]; return b, ok }
func (m memory) Save(k string, b []byte)      { m[k] = b }

func TestABrokenRunGoesOn(t *testing.T) {
	s, mem := someShelf(), memory{}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = func(name string) {
		if name == "public.orders" {
			cancel()
		}
	}
	rep, err := Run(ctx, s, Options{From: FromSample, Checkpoint: mem})
	if !errors.Is(err, context.Canceled) || rep == nil {
		t.Fatalf("interrupted run: %v", err)
	}
	if record(t, rep, "public.customers.email").Class != "contact.email" || rep.ExitCode(false) != 3 {
		t.Errorf("the part that was done is missing: %+v", rep.NotExamined)
	}
	s.stop, s.sampled = nil, nil
	again := mustRun(t, s, Options{From: FromSample, Checkpoint: mem})
	if strings.Contains(strings.Join(s.sampled, " "), "customers") {
		t.Errorf("sampled again: %v", s.sampled)
	}
	fresh := mustRun(t, someShelf(), Options{From: FromSample})
	var a, b bytes.Buffer
	if again.WriteJSON(&a) != nil || fresh.WriteJSON(&b) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the resumed run says something else than a whole one")
	}
}

func TestProgressEstimates(t *testing.T) {
	var stages []string
	now := time.Unix(0, 0)
	mustRun(t, someShelf(), Options{From: FromSample, Now: func() time.Time { now = now.Add(time.Second); return now }, Progress: func(p Progress) {
		stages = append(stages, p.Stage)
		if p.Stage == "sample" && p.Done < p.Total && p.Remaining <= 0 {
			t.Errorf("no estimate at %+v", p)
		}
	}})
	if got := strings.Join(stages, " "); got != "catalog sample sample sample judge" {
		t.Errorf("stages %q", got)
	}
}

func TestExplainShowsTheArithmetic(t *testing.T) {
	rep := mustRun(t, someShelf(), Options{From: FromSample})
	var out bytes.Buffer
	if err := rep.WriteExplain(&out, "public.customers.email", 3); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"contact.email", "prior of the class", "the whole name is a known phrase", "20 of 20", "against nothing sensitive"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
	if err := rep.WriteExplain(&out, "public.no.column", 3); err == nil {
		t.Error("an unknown column is explained")
	}
}

// A column whose name says what its check digits deny has to say so: it looks overlooked otherwise.
func TestExplainShowsWhatCheckDigitsExclude(t *testing.T) {
	c, err := classify.New()
	if err != nil {
		t.Fatal(err)
	}
	explained := func(iban func(i int) string) (classify.Finding, string) {
		col := classify.Column{Name: "iban", Type: "text"}
		var texts []string
		for i := range 60 {
			texts = append(texts, iban(i))
		}
		tab := classify.Table{Schema: "public", Name: "t", Rows: 60, Columns: []classify.MeasuredColumn{{Column: col, Profile: c.Measure(&col, classify.Values{Texts: texts, Rows: 60})}}}
		f := c.Judge([]classify.Table{tab}, classify.Options{})[0][0]
		var b strings.Builder
		explain(&b, "public.t.iban text", &f, 2)
		return f, b.String()
	}
	bban := func(i int) string { return fmt.Sprintf("37040044%010d", i*7919+532013000) }
	bad, text := explained(func(i int) string { return fmt.Sprintf("DE%02d%s", 10+i, bban(i)) })
	lines := strings.Split(text, "\n")
	if bad.Class != "" || !strings.Contains(lines[2], "fin.iban") || !strings.Contains(lines[2], "confidence 0.000  excluded: check digits fail as often as by chance") ||
		!strings.Contains(text, "check digits exclude it") {
		t.Errorf("class %q:\n%s", bad.Class, text)
	}
	good, text := explained(func(i int) string { // 131400 stands for DE00
		n, _ := new(big.Int).SetString(bban(i)+"131400", 10)
		return fmt.Sprintf("DE%02d%s", 98-new(big.Int).Mod(n, big.NewInt(97)).Int64(), bban(i))
	})
	if good.Class != "fin.iban" || strings.Contains(text, "excluded") {
		t.Errorf("class %q:\n%s", good.Class, text)
	}
	if bad.Doubt() > 0.5 {
		t.Errorf("what is excluded counts as doubt: %.2f", bad.Doubt())
	}
}

func TestTerminalsGetNoControlCharacters(t *testing.T) {
	s := someShelf()
	s.cat.Tables[2].Columns[0].Name = "e\x1b[31mmail"
	s.values["public.Odd\tname.e\x1b[31mmail"] = mails(5)
	rep := mustRun(t, s, Options{From: FromSample})
	var out bytes.Buffer
	if err := rep.WriteTable(&out); err != nil || strings.Contains(out.String(), "\x1b") {
		t.Errorf("an escape got through (%v)", err)
	}
}

func TestHTMLStandsAlone(t *testing.T) {
	s := someShelf()
	s.cat.Tables[2].Columns[0].Name = "<script>email"
	s.values["public.Odd\tname.<script>email"] = mails(5)
	var out bytes.Buffer
	if err := mustRun(t, s, Options{From: FromSample, Readers: true}).WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "http://", "https://", "src="} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !strings.Contains(out.String(), "ana, app") {
		t.Error("readers are missing")
	}
}

func TestPatchKeepsEverything(t *testing.T) {
	rep := mustRun(t, someShelf(), Options{Store: "s", From: FromSample})
	for name, file := range map[string]string{
		"empty":        "",
		"no labels":    "version: 1 # first\n\n# stores come here\nstores:\n  s: {engine: postgres}\n",
		"block labels": "# top\nlabels:\n  # by hand\n  s.public.a.b: person.name  # why\n\n# next\nrules: {}\n",
		"flow labels":  "labels: {s.public.a.b: person.name, s.public.a.c: 'it''s'} # c\nmasks: {}\n",
		"flow lines":   "labels: {\n  s.public.a.b: person.name,\n  }\nmasks:\n  other: {\"*\": hidden}\ndatasets:\n  mine:\n    include: [s.x.y]\n",
		"null labels":  "labels:\nmasks: ~\ndatasets: # none yet\n",
		"no newline":   "version: 1\nlabels:\n  s.public.a.b: person.name",
		"own profile":  "masks:\n  discovered:\n    id.us_ssn: hash  # ours\n  b: {}\n",
		"umlaut":       "groups: {ä: [b]}\nlabels: {\"s.public.ä.b\": person.name}\n",
	} {
		out, err := rep.Patch([]byte(file), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var doc struct {
			Labels   map[string]string            `yaml:"labels"`
			Masks    map[string]map[string]string `yaml:"masks"`
			Datasets map[string]struct{ Include []string }
		}
		if err := yaml.Unmarshal(out, &doc); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
			continue
		}
		if doc.Labels["s.public.customers.email"] != "contact.email" || doc.Masks["discovered"]["id.us_ssn"] != map[bool]string{true: "hash", false: "keep_last(4)"}[name == "own profile"] || len(doc.Datasets["discovered"].Include) != 2 || len(doc.Labels) > 6 || rep.Unwritable() != 1 {
			t.Errorf("%s: %+v\n%s", name, doc, out)
		}
		for _, line := range strings.Split(file, "\n") {
			if i := strings.IndexByte(line, '#'); i >= 0 && !bytes.Contains(out, []byte(line[i:])) {
				t.Errorf("%s: the comment %q is gone\n%s", name, line[i:], out)
			}
		}
	}
	if _, err := mustRun(t, someShelf(), Options{}).Patch(nil, nil); err == nil {
		t.Error("a patch without a store is made")
	}
}

// FuzzPatch inserts into arbitrary files: what parses must keep its meaning.
func FuzzPatch(f *testing.F) {
	for _, s := range []string{"", "labels: {a: b}\n", "labels:\n  a: b\n", "a: |\n  text\nlabels: {a: 'x}', b: \"}\"}", "masks: {discovered: {}}", "- a\n", "labels: # c\n"} {
		f.Add(s)
	}
	rep, err := Run(f.Context(), someShelf(), Options{Store: "s", From: FromSample})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, err := rep.Patch([]byte(s), nil)
		if err != nil {
			return
		}
		var n yaml.Node
		if err := yaml.Unmarshal(out, &n); err != nil {
			t.Fatalf("the patched file does not parse: %v\n%s", err, out)
		}
	})
}

// refusing is a shelf whose server refuses the statistics of one table.
type refusing struct {
	*shelf
	table string
}

func (s *refusing) Stats(ctx context.Context, tables []*Table, each func(*Table, int, classify.Values)) error {
	for _, t := range tables {
		if t.Name == s.table {
			return &NotExamined{Why: WhyError, Code: "22021"}
		}
	}
	return s.shelf.Stats(ctx, tables, each)
}

func TestRefusedStatisticsAreAGapOfTheirTable(t *testing.T) {
	for from, gaps := range map[From]int{FromStats: 1, FromAuto: 0} {
		s := &refusing{shelf: someShelf(), table: "orders"}
		rep, err := Run(t.Context(), s, Options{From: from})
		if err != nil {
			t.Fatal(err)
		}
		if len(rep.NotExamined) != gaps || gaps == 1 && (rep.NotExamined[0].Table != "orders" || rep.NotExamined[0].Code != "22021" || rep.ExitCode(false) != 3) {
			t.Errorf("%s: gaps %+v", from, rep.NotExamined)
		}
		if r := record(t, rep, "public.orders.contact_email"); (r.State == classify.StateNotExamined) != (from == FromStats) {
			t.Errorf("%s: the refused column is %s", from, r.State)
		}
		if r := record(t, rep, "public.customers.email"); r.Tested == 0 || r.Class != "contact.email" {
			t.Errorf("%s: another table's column is %+v", from, r.Finding)
		}
	}
}
