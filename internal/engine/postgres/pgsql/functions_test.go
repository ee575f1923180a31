package pgsql

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

var update = flag.Bool("update", false, "write the golden files and the lists of functions anew")

func TestMain(m *testing.M) { pgtest.Main(m) }

type scannedFunction struct {
	automatic, exists   uint8
	aggregate, anything bool
	outs                map[string]bool
}

// TestFunctionLists makes functions.txt and types.txt from the servers of every major and the reviewed additions, and
// compares them with what is built in (ENF-52, ENF-53). With -update it writes them.
func TestFunctionLists(t *testing.T) {
	reviewed := readReview(t)
	found := map[string]*scannedFunction{}
	types := map[string]*scannedType{}
	majors := pgtest.Majors(t)
	if len(majors) != lastMajor-firstMajor+1 {
		t.Skipf("the lists are made from all majors; POSTERN_TEST_MAJORS narrows them to %v", majors)
	}
	for _, major := range majors {
		scanServer(t, pgtest.Shared(t, major), uint8(1)<<(major-firstMajor), found, types)
	}
	compareOrWrite(t, "functions.txt", functionLines(found, reviewed))
	compareOrWrite(t, "types.txt", typeLines(types))
	for name := range reviewed {
		if found[name] == nil {
			t.Errorf("functions.review: %s is a function of no major", name)
		}
	}
}

func scanServer(t *testing.T, c *pgtest.Cluster, bit uint8, found map[string]*scannedFunction, types map[string]*scannedType) {
	t.Helper()
	conn := c.NewDatabase(t).Connect(t, pgtest.SuperUser)
	query, err := os.ReadFile("testdata/functions.sql")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(context.Background(), string(query))
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name, outs string
		var automatic, aggregate, anything, mixed bool
		if err := rows.Scan(&name, &automatic, &aggregate, &anything, &outs, &mixed); err != nil {
			t.Fatal(err)
		}
		f := found[name]
		if f == nil {
			f = &scannedFunction{outs: map[string]bool{}, aggregate: true}
			found[name] = f
		}
		f.exists |= bit
		if automatic {
			f.automatic |= bit
		}
		f.aggregate = f.aggregate && aggregate
		f.anything = f.anything || anything || mixed
		f.outs[outs] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	query, err = os.ReadFile("testdata/types.sql")
	if err != nil {
		t.Fatal(err)
	}
	rows, err = conn.Query(context.Background(), string(query))
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		var now scannedType
		if err := rows.Scan(&name, &now.oid, &now.array); err != nil {
			t.Fatal(err)
		}
		was := types[name]
		if was == nil {
			was = &now
			types[name] = was
		}
		if was.oid != now.oid || was.array != now.array {
			t.Errorf("type %s is %d and its array %d on one major, and %d and %d on another: a list by OID cannot hold it", name, was.oid, was.array, now.oid, now.array)
		}
		was.majors |= bit
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func readReview(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/functions.review")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		group, list, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for _, name := range strings.Fields(list) {
			out[name] = group
		}
	}
	return out
}

func functionLines(found map[string]*scannedFunction, reviewed map[string]string) string {
	var b strings.Builder
	b.WriteString("# Every function name of pg_catalog on PostgreSQL 13 to 18: name, class, majors, then agg for aggregates,\n" +
		"# any when the result may be any row, out= for OUT columns. Class automatic is ENF-53's rule, refused may not be called,\n" +
		"# anything else is the group of testdata/functions.review that admits it. Made by TestFunctionLists -update.\n")
	for _, name := range slices.Sorted(keys(found)) {
		f := found[name]
		class, majors := "refused", f.exists
		if group := reviewed[name]; group != "" {
			class = group
		} else if f.automatic != 0 {
			class, majors = "automatic", f.automatic
		}
		fmt.Fprintf(&b, "%s %s %s", name, class, majorRange(majors))
		if f.aggregate {
			b.WriteString(" agg")
		}
		var outs string
		for o := range f.outs {
			outs = max(outs, o)
		}
		if f.anything || len(f.outs) > 1 {
			b.WriteString(" any")
		} else if outs != "" {
			b.WriteString(" out=" + outs)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// scannedType is a type of pg_catalog, with its OIDs, which are the same on every major.
type scannedType struct {
	majors     uint8
	oid, array uint32
}

func typeLines(types map[string]*scannedType) string {
	var b strings.Builder
	b.WriteString("# The types of pg_catalog that a statement may name: name, the majors that have it, its OID and its array's. Made by\n" +
		"# TestFunctionLists -update.\n")
	for _, name := range slices.Sorted(keys(types)) {
		fmt.Fprintf(&b, "%s %s %d %d\n", name, majorRange(types[name].majors), types[name].oid, types[name].array)
	}
	return b.String()
}

// majorRange writes a set as 13-18. A set with a gap is cut to its last run: newer releases matter more.
func majorRange(set uint8) string {
	last := lastMajor
	for set&(1<<(last-firstMajor)) == 0 {
		last--
	}
	first := last
	for first > firstMajor && set&(1<<(first-1-firstMajor)) != 0 {
		first--
	}
	if first == last {
		return fmt.Sprint(last)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func compareOrWrite(t *testing.T, file, got string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) == got {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is not what the servers say; run go test -run %s -update and review the difference\n%s", file, t.Name(), firstDifference(string(want), got))
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := 0; i < min(len(w), len(g)); i++ {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d:\n  have %s\n  want %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(w), len(g))
}
