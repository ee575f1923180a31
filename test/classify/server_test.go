package classify

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	model "github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

// TestScoresOverServer holds the aims with the real feeds, and prints what they cost.
func TestScoresOverServer(t *testing.T) {
	tables, err := Load(seed)
	if err != nil {
		t.Fatal(err)
	}
	db := pgtest.Default(t).NewDatabase(t)
	for _, sql := range SQL(tables) {
		db.Exec(t, sql)
	}
	cfg, err := postgres.ParseDSN(db.DSN(pgtest.SuperUser), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	secrets := valuesOf(t, tables)
	for _, run := range []struct {
		from   discover.From
		p, r   float64
		binary float64
	}{{discover.FromStats, 0.93, 0.82, 0.9}, {discover.FromAuto, 0.93, 0.85, 0.93}, {discover.FromSample, 0.93, 0.85, 0.93}} {
		t.Run(string(run.from), func(t *testing.T) {
			feed := postgres.NewFeed(cfg, 1)
			defer feed.Close(t.Context())
			start, cpu := time.Now(), processor(t)
			rep, err := discover.Run(t.Context(), feed, discover.Options{From: run.from, Load: 1})
			if err != nil {
				t.Fatal(err)
			}
			spent, cpu := time.Since(start), processor(t)-cpu
			noValueIn(t, secrets, rep)
			s := evaluate(tables, found(t, tables, rep))
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			t.Logf("%s: %d columns, %d rows in %s (%s of this process), %d MB from the system\n%s", run.from, len(rep.Columns), rep.Summary.Rows, spent.Round(time.Millisecond), cpu.Round(time.Millisecond), mem.Sys>>20, s)
			if os.Getenv("DEVSET_WRONG") != "" {
				for _, w := range s.wrong {
					t.Log(w)
				}
			}
			if s.class.precision() < run.p || s.class.recall() < run.r || s.binary.f1() < run.binary {
				t.Errorf("%s misses its aims", run.from)
			}
		})
	}
}

// processor is the processor time that this process has used: beside other work the clock says little.
func processor(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// found sorts a report's records by the set's tables.
func found(t *testing.T, tables []Table, rep *discover.Report) [][]model.Finding {
	t.Helper()
	at := map[string]model.Finding{}
	for i := range rep.Columns {
		at[rep.Columns[i].Place()] = rep.Columns[i].Finding
	}
	out := make([][]model.Finding, len(tables))
	for i, tab := range tables {
		for _, c := range tab.Columns {
			f, ok := at[tab.Schema+"."+tab.Name+"."+c.Name]
			if !ok {
				t.Fatalf("no record of %s.%s.%s", tab.Schema, tab.Name, c.Name)
			}
			out[i] = append(out[i], f)
		}
	}
	return out
}

// window is the length of the shortest value that is looked for.
const window = 8

// noValueIn searches everything that a report can be written as for every value of the set that has eight bytes or more and is no word of
// the classifier's own lists or of the catalog: as it is, in hex and in base64.
func noValueIn(t *testing.T, starts wanted, rep *discover.Report) {
	t.Helper()
	var out bytes.Buffer
	for _, err := range []error{rep.WriteJSON(&out), rep.WriteTSV(&out, true), rep.WriteTable(&out), rep.WriteMarkdown(&out), rep.WriteHTML(&out)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range rep.Columns {
		if err := rep.WriteExplain(&out, rep.Columns[i].Place(), 20); err != nil {
			t.Fatal(err)
		}
	}
	if text, i := out.String(), starts.in(out.String()); i >= 0 {
		t.Fatalf("a value of the set got out: …%s…", text[max(0, i-60):min(len(text), i+60)])
	}
}

// wanted are strings to look for, by their first bytes: a text is read once for all of them.
type wanted map[string][]string

func (w wanted) add(s string) { w[s[:window]] = append(w[s[:window]], s) }

// in is where the first of them stands in a text, -1 where none does.
func (w wanted) in(text string) int {
	for i := 0; i+window <= len(text); i++ {
		for _, v := range w[text[i:i+window]] {
			if strings.HasPrefix(text[i:], v) {
				return i
			}
		}
	}
	return -1
}

// corpus is a long text to look things up in, by the places of its windows: to search it for every value takes a quarter of a minute.
type corpus struct {
	text   string
	places map[string][]int32
}

func newCorpus(text string) *corpus {
	c := &corpus{text, make(map[string][]int32, len(text))}
	for i := 0; i+window <= len(text); i++ {
		c.places[text[i:i+window]] = append(c.places[text[i:i+window]], int32(i))
	}
	return c
}

// has reports a string that stands in the text.
func (c *corpus) has(s string) bool {
	if len(s) < window { // folded to lower case, a letter may take fewer bytes
		return strings.Contains(c.text, s)
	}
	for _, i := range c.places[s[:window]] {
		if strings.HasPrefix(c.text[i:], s) {
			return true
		}
	}
	return false
}

// TestNoValueIsOverlooked plants values where noValueIn looks, and looks words up in the lists that it leaves out.
func TestNoValueIsOverlooked(t *testing.T) {
	tables, err := Load(seed)
	if err != nil {
		t.Fatal(err)
	}
	secrets, own := valuesOf(t, tables), vocabulary(t, tables)
	dull := strings.Repeat("nothing of the set stands in this line. ", 20)
	if i := secrets.in(dull); i >= 0 {
		t.Errorf("found at %d where nothing is", i)
	}
	planted := 0
	for _, forms := range secrets {
		v := forms[planted%len(forms)]
		if planted++; planted > 300 {
			break
		}
		for at, text := range map[int]string{0: v, len(dull): dull + v, len(dull) + 1: dull + "\"" + v + "\"" + dull} {
			if i := secrets.in(text); i < 0 || i > at {
				t.Fatalf("a value planted at %d is found at %d", at, i)
			}
		}
	}
	values := 0
	for _, tab := range tables {
		for _, c := range tab.Columns {
			if v := c.Values[0]; v != nil && len(*v) >= window {
				values++
				if low := strings.ToLower(*v); own.has(low) != strings.Contains(own.text, low) {
					t.Errorf("%s.%s.%s: the index and the text disagree", tab.Schema, tab.Name, c.Name)
				}
			}
		}
	}
	for i := 0; i+40 < len(own.text); i += 997 {
		if !own.has(own.text[i : i+40]) {
			t.Errorf("what stands at %d is not found", i)
		}
	}
	if planted < 300 || values < 100 {
		t.Errorf("%d values planted, %d looked up", planted, values)
	}
}

// valuesOf gathers what noValueIn looks for, by its first bytes: once for all runs, as the lists to compare with are long.
func valuesOf(t *testing.T, tables []Table) wanted {
	t.Helper()
	own := vocabulary(t, tables)
	starts, seen := wanted{}, map[string]bool{}
	values := 0
	for _, tab := range tables {
		for _, c := range tab.Columns {
			for _, v := range c.Values {
				if v == nil || len(*v) < window || seen[*v] {
					continue
				}
				seen[*v] = true
				if own.has(strings.ToLower(*v)) {
					continue
				}
				values++
				for _, form := range []string{*v, hex.EncodeToString([]byte(*v)), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(*v)), "=")} {
					starts.add(form)
				}
			}
		}
	}
	if values < 10_000 {
		t.Errorf("only %d values are looked for", values)
	}
	return starts
}

// vocabulary is what may stand in a report without being data: names of the catalog, classes, reasons, and the classifier's lists.
func vocabulary(t *testing.T, tables []Table) *corpus {
	t.Helper()
	var b strings.Builder
	files, err := filepath.Glob(filepath.Join("..", "..", "internal", "classify", "*", "*.t*"))
	if err != nil || len(files) < 10 {
		t.Fatalf("lists: %d, %v", len(files), err)
	}
	for _, f := range append(files, filepath.Join("..", "..", "internal", "classify", "taxonomy.tsv"), filepath.Join("..", "..", "internal", "classify", "result.go")) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	for _, tab := range tables {
		b.WriteString(" " + tab.Schema + "." + tab.Name)
		for _, c := range tab.Columns {
			b.WriteString(" " + c.Name + " " + c.Type)
		}
	}
	return newCorpus(strings.ToLower(b.String()))
}
