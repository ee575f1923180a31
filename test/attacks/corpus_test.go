package attacks

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

func given(t *testing.T) *Corpus {
	t.Helper()
	c, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoad(t *testing.T) {
	c := given(t)
	if len(c.Attacks) != 115 || len(c.Benign) != 20 {
		t.Fatalf("%d attacks and %d ordinary queries, want 115 and 20", len(c.Attacks), len(c.Benign))
	}
	residual := 0
	for _, e := range c.Attacks {
		if e.Residual {
			residual++
		}
	}
	if residual != 5 {
		t.Errorf("%d residual entries, want 5", residual)
	}
}

// TestLoadFound: every entry of the later files says what it is about, once, and nothing of them is one of the given ones again.
func TestLoadFound(t *testing.T) {
	first, more := given(t), found(t, 99)
	if len(more.Attacks) != 821 || len(more.Benign) != 215 {
		t.Errorf("%d attacks and %d ordinary queries, want 821 and 215", len(more.Attacks), len(more.Benign))
	}
	known := map[string]string{}
	classes := map[string]bool{}
	for _, e := range append(first.Attacks, first.Benign...) {
		known[e.Role+e.SQL+fmt.Sprint(e.Startup, e.Script)], classes[e.Class] = e.ID, true
	}
	for _, e := range append(more.Attacks, more.Benign...) {
		key := e.Role + e.SQL + fmt.Sprint(e.Startup, e.Script)
		if other := known[key]; other != "" && !strings.HasPrefix(e.ID, "C") {
			t.Errorf("%s is %s again", e.ID, other)
		}
		known[key] = e.ID
		if strings.HasPrefix(e.ID, "B") && e.Note == "" || !classes[e.Class] {
			t.Errorf("%s: class %q, note %q", e.ID, e.Class, e.Note)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"SELECT 1", []string{"SELECT 1"}},
		{"BEGIN; SELECT 1 ;COMMIT", []string{"BEGIN", "SELECT 1", "COMMIT"}},
		{"SELECT ssn FROM customers;;; -- ;\n/* ; */ SELECT 2", []string{"SELECT ssn FROM customers", "-- ;\n/* ; */ SELECT 2"}},
		{`select E'\'', 'a;''b', "x;y" -- '`, []string{`select E'\'', 'a;''b', "x;y" -- '`}},
		{"DO $$ BEGIN; END $$; SELECT 1", []string{"DO $$ BEGIN; END $$", "SELECT 1"}},
		{" ; -- nothing", nil},
	} {
		if got := split(c.sql); !reflect.DeepEqual(got, c.want) {
			t.Errorf("split(%q) = %q, want %q", c.sql, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	c := given(t)
	byID := map[string]*Entry{}
	for _, e := range c.Attacks {
		byID[e.ID] = e
	}
	for _, c := range []struct {
		id    string
		reply Reply
		want  Outcome
	}{
		{"A001", Reply{Lines: []string{"ssn", "", "SELECT 1"}}, NoRaw},
		{"A001", Reply{Lines: []string{"ssn", "CANARY-SSN-1"}}, Leaked},
		{"A001", Reply{Lines: []string{"22P02", "invalid input: canary-ssn-1"}, Refused: []string{"22P02"}}, Leaked},
		{"A001", Reply{Lines: []string{"42501"}, Refused: []string{"42501"}}, Denied},
		{"A030", Reply{Lines: []string{"1", "6"}}, Leaked},
		{"A030", Reply{Lines: []string{"1", "16"}}, NoRaw},
		{"A048", Reply{Lines: []string{"UPDATE 0"}}, NoRaw},
		{"A048", Reply{Lines: []string{"UPDATE 3"}}, Leaked},
		{"A103", Reply{Lines: []string{"CANARY-NOTE-3"}}, NoRaw}, // forbid: none
		{"A103", Reply{Lines: []string{"Seq Scan (cost=0 rows=1)"}}, Leaked},
		{"A112", Reply{Lines: []string{"4|CANARY-NAME-4"}}, NoRaw}, // support's own row
		{"A112", Reply{Lines: []string{"3|CANARY-NAME-3"}}, Leaked},
		{"A112", Reply{Lines: []string{"20|CANARY-MEMO-20"}}, Leaked},
	} {
		if got := byID[c.id].judge(&c.reply); got != c.want {
			t.Errorf("%s judged %q as %s, want %s", c.id, c.reply.Lines, got, c.want)
		}
	}
}

// TestWorst: a leak in one way of sending is never outweighed by a refusal in another.
func TestWorst(t *testing.T) {
	for _, c := range []struct {
		expect   Outcome
		outcomes []Outcome
		want     Outcome
	}{
		{Denied, []Outcome{Denied, NoRaw, Denied}, NoRaw},
		{Denied, []Outcome{Leaked, Denied}, Leaked},
		{NoRaw, []Outcome{NoRaw, Denied}, Denied},
		{NoRaw, []Outcome{Denied, Leaked, NoRaw}, Leaked},
		{NoRaw, []Outcome{NoRaw, NoRaw}, NoRaw},
	} {
		r := Result{Entry: &Entry{Expect: c.expect}}
		for _, o := range c.outcomes {
			r.worsen("", o, "", nil)
		}
		if r.Outcome != c.want {
			t.Errorf("expecting %s, %v makes %s, want %s", c.expect, c.outcomes, r.Outcome, c.want)
		}
	}
}

// TestDeadEndpoint: an endpoint that cannot be reached is a failed run, not 115 denials.
func TestDeadEndpoint(t *testing.T) {
	at := Endpoint{
		Config: func(role string) (*pgconn.Config, error) {
			return pgconn.ParseConfig("host=127.0.0.1 port=1 connect_timeout=5 sslmode=disable user=" + role)
		},
		Restore: func(context.Context) error { return nil },
	}
	if r, err := Run(context.Background(), at, given(t).Attacks[:1]); err == nil {
		t.Errorf("a dead endpoint gave a report: %v", r.Results)
	}
}
