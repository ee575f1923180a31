package pgwire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
)

// observedRig is a gateway whose only subject is observed.
func observedRig(t *testing.T) (*rig, *pgconn.PgConn) {
	t.Helper()
	r := newRig(t, pgtest.Default(t))
	p := *r.policy.Load()
	shop := *p.Stores["shop"]
	shop.Observe.All = true
	p.Stores["shop"] = &shop
	r.policy.Store(&p)
	profile := *r.profile.Load()
	profile.Observed = true
	r.profile.Store(&profile)
	return r, r.connect(t, "").PgConn()
}

// said are the decisions of the trail, as verdict, reason and what is touched.
func said(r *rig) []string {
	var out []string
	for _, e := range r.trail.all() {
		if e.Kind != audit.Decision {
			continue
		}
		line := strings.TrimSpace(e.Verdict + " " + e.Reason)
		for _, touch := range e.Touches {
			line += " " + touch.Action + ":" + touch.Relation
		}
		out = append(out, line)
	}
	return out
}

// TestPRO118_Names: what is recorded of a name is what would have become of what it means now, whichever of protocol and SQL gave it.
func TestPRO118_Names(t *testing.T) {
	t.Parallel()
	r, conn := observedRig(t)
	ctx := t.Context()
	for _, sql := range []string{
		"PREPARE hidden AS TABLE payroll", "EXECUTE hidden", "PREPARE open AS SELECT body FROM notes", "EXECUTE open", "DEALLOCATE open",
		"BEGIN; DECLARE c CURSOR FOR SELECT body FROM notes", "FETCH 1 FROM c", "COMMIT",
	} {
		_, _ = conn.Exec(ctx, sql).ReadAll() // the trail says what it would have come to
	}
	want := []string{
		"refuse relation_not_admitted", "refuse unknown_name", "allow", "allow select:shop.public.notes", "allow",
		"allow select:shop.public.notes", "allow select:shop.public.notes", "allow",
	}
	if got := said(r); !slices.Equal(got, want) {
		t.Errorf("the trail says\n%q, want\n%q", got, want)
	}
	if _, err := conn.Prepare(ctx, "by_protocol", "TABLE payroll", nil); err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Exec(ctx, "EXECUTE by_protocol").ReadAll()
	if got := said(r); got[len(got)-1] != "refuse unknown_name" {
		t.Errorf("EXECUTE of a statement of the protocol that would be refused: %q", got[len(got)-1])
	}
}

// TestPRO118_Full: a session that prepares more than is remembered is recorded with what it runs, and never with what a name meant before.
func TestPRO118_Full(t *testing.T) {
	t.Parallel()
	r, conn := observedRig(t)
	ctx := t.Context()
	run := func(sql string) string {
		_ = conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read().Err // by the unnamed statement
		got := said(r)
		return got[len(got)-1]
	}
	if got := run("SELECT id FROM gate"); got != "allow select:shop.public.gate" {
		t.Fatalf("at first: %q", got)
	}
	long := strings.Repeat("n", maxNameSize) // the server keeps so much of a name
	if _, err := conn.Prepare(ctx, long+"first", "SELECT 1", nil); err != nil {
		t.Fatal(err)
	}
	if err := conn.Deallocate(ctx, long+"first"); err != nil {
		t.Fatal(err)
	}
	for i := range maxObserved {
		if _, err := conn.Prepare(ctx, fmt.Sprintf("s%d", i), "SELECT 1", nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := run("TABLE payroll"); got != "refuse relation_not_admitted" {
		t.Errorf("the unnamed statement with another text: %q", got)
	}
	last := fmt.Sprintf("s%d", maxObserved-1)
	_ = conn.ExecPrepared(ctx, last, nil, nil, nil).Read().Err
	if got := said(r); got[len(got)-1] != "refuse unknown_name" {
		t.Errorf("a statement that was not remembered: %q", got[len(got)-1])
	}
	_ = conn.ExecPrepared(ctx, "s7", nil, nil, nil).Read().Err
	if got := said(r); got[len(got)-1] != "allow" {
		t.Errorf("one that was: %q", got[len(got)-1])
	}
}

// TestShadowEnds: a rule that is over is in no shadow from that moment on, nobody has to look again, and a shadow of real rules is none.
func TestShadowEnds(t *testing.T) {
	t.Parallel()
	relation := func(name, rules string) *pgsql.Relation {
		return &pgsql.Relation{Name: pgsql.Name{Schema: "public", Name: name}, Target: pgsql.Name{Schema: "public", Name: name}, Kind: 'r', Rule: rules, Select: true}
	}
	w := &pgsql.World{Relations: map[pgsql.Name]*pgsql.Relation{}, Known: map[pgsql.Name]pgsql.Hidden{}}
	for _, rel := range []*pgsql.Relation{relation("a", "real"), relation("b", "tried"), relation("c", "tried,more")} {
		w.Relations[rel.Name] = rel
	}
	start := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	var n uint64
	s := NewShadow(w, []string{"tried", "more"}, map[string]time.Time{"real": start.Add(time.Hour), "tried": start.Add(2 * time.Hour), "more": start.Add(3 * time.Hour)}, func() uint64 { n++; return n })
	for _, c := range []struct {
		after            time.Duration
		relations, rules string
	}{
		{0, "a b c", "tried more"},
		{time.Hour - 1, "a b c", "tried more"},
		{time.Hour, "b c", "tried more"},
		{2 * time.Hour, "c", "more"},
		{3 * time.Hour, "", ""},
	} {
		got, rules := s.At(start.Add(c.after))
		var names []string
		if got != nil {
			for name := range got.Relations {
				names = append(names, name.Name)
			}
		}
		slices.Sort(names)
		if strings.Join(names, " ") != c.relations || strings.Join(rules, " ") != c.rules {
			t.Errorf("after %v: %q by %q, want %q by %q", c.after, names, rules, c.relations, c.rules)
		}
		if again, _ := s.At(start.Add(c.after)); again != got {
			t.Errorf("after %v: another world each time, so that nothing is remembered", c.after)
		}
	}
	if w, rules := (*Shadow)(nil).At(start); w != nil || rules != nil {
		t.Error("no shadow has a world")
	}
}
