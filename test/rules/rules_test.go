// Package rules_test goes through the rules of enforcement one by one (docs/reference/rules.md), on one server and one gateway: what
// each demands is tried as the people of the worked example, through the gateway, behind its back with a subject's own rights, and by
// a look at what is on the server.
package rules_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

// patience is how long a statement may take. It is far more than it does: two cores may be busy with other tests.
const patience = time.Minute

// rule is one of enforcement, with what is tried for it. Where its proof is a test of another package, elsewhere names it.
type rule struct {
	id        string
	tries     []try
	do        func(t *testing.T, w *world)
	elsewhere string
}

// try is a statement and its answer.
type try struct {
	// as is a subject at the gateway; "wall NAME" the same person's rights on the server itself; "server" its superuser.
	as, sql string
	// want is the answer: rows in lines with | between columns; "error CODE", with what the message has to hold after it; "tag TAG" for
	// the command's own count; "~ PATTERN" for rows that match.
	want string
}

// world is the site with sessions at hand.
type world struct {
	*site.Site
	sessions map[string]*pgconn.PgConn
}

// TestENF is the table, a part for each rule.
func TestENF(t *testing.T) {
	walled, flat := newWalled(t), newInline(t)
	rules := map[string]rule{}
	for _, part := range [][]rule{wallRules, formRules, inlineRules, sessionRules, catalogRules, answerRules, statementRules, protocolRules, parserRules, serverRules} {
		for _, r := range part {
			if rules[r.id].id != "" {
				t.Errorf("%s stands twice", r.id)
			}
			rules[r.id] = r
		}
	}
	for i := 1; i <= 97; i++ {
		id := fmt.Sprintf("ENF-%02d", i)
		r, ok := rules[id]
		if !ok || len(r.tries) == 0 && r.do == nil && r.elsewhere == "" {
			t.Errorf("%s is not tried", id)
			continue
		}
		t.Run(id, func(t *testing.T) {
			w := walled
			if i >= 39 && i <= 44 {
				w = flat
			}
			defer w.leave()
			for _, x := range r.tries {
				w.try(t, x)
			}
			if r.do != nil {
				r.do(t, w)
			}
		})
	}
}

func (w *world) try(t *testing.T, x try) {
	t.Helper()
	got := w.ask(t, x.as, x.sql)
	want, pattern := strings.CutPrefix(x.want, "~ ")
	switch {
	case pattern:
		if strings.HasPrefix(got, "error") || !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %s\ngives %q\nwant what matches %q", x.as, x.sql, got, want)
		}
	case strings.HasPrefix(want, "error "):
		code, text, _ := strings.Cut(strings.TrimPrefix(want, "error "), " ")
		if !strings.HasPrefix(got, "error "+code) || !strings.Contains(got, text) {
			t.Errorf("%s: %s\ngives %q\nwant %q", x.as, x.sql, got, x.want)
		}
	case got != want:
		t.Errorf("%s: %s\ngives %q\nwant %q", x.as, x.sql, got, want)
	}
}

// ask sends a statement by the simple protocol and returns what came.
func (w *world) ask(t *testing.T, as, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	results, err := w.session(t, as).Exec(ctx, sql).ReadAll()
	if err != nil {
		var e *pgconn.PgError
		if !errors.As(err, &e) {
			t.Fatalf("%s: %s: %v", as, sql, err)
		}
		return strings.TrimSpace("error " + e.Code + " " + e.Message + " " + e.Hint)
	}
	var lines []string
	for _, r := range results {
		if r.FieldDescriptions == nil && r.CommandTag.String() != "" {
			if n := r.CommandTag.String(); strings.ContainsAny(n, "0123456789") {
				lines = append(lines, "tag "+n)
			}
		}
		for _, row := range r.Rows {
			cells := make([]string, len(row))
			for i, c := range row {
				cells[i] = string(c)
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
	}
	return strings.Join(lines, "\n")
}

// session is the open one of somebody, or a new one.
func (w *world) session(t *testing.T, as string) *pgconn.PgConn {
	t.Helper()
	if c := w.sessions[as]; c != nil && !c.IsClosed() {
		return c
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	subject, atWall := strings.CutPrefix(as, "wall ")
	dsn := w.DSN(as, "shop")
	if atWall || as == "server" {
		dsn = w.DB.DSN(pgtest.SuperUser)
	}
	c, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		t.Fatalf("%s: %v", as, err)
	}
	if atWall {
		set := "SET SESSION AUTHORIZATION " + subject
		if schema := w.schema(t, subject); schema != "" {
			set += "; SET search_path = " + schema
		}
		if _, err := c.Exec(ctx, set).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	w.sessions[as] = c
	return c
}

// leave ends all sessions, so that no rule finds what another one left in them.
func (w *world) leave() {
	for as, c := range w.sessions {
		_ = c.Close(context.Background())
		delete(w.sessions, as)
	}
}

// schema is the profile schema that a subject has.
func (w *world) schema(t *testing.T, subject string) string {
	t.Helper()
	return w.DB.Query(t, `SELECT quote_ident(n.nspname) FROM pg_namespace n WHERE n.nspname LIKE 'postern\_shop\_%' AND has_schema_privilege('`+subject+`', n.oid, 'USAGE')`)
}

// each makes a try of every statement, with one answer for all.
func each(as, want string, statements ...string) []try {
	out := make([]try, len(statements))
	for i, sql := range statements {
		out[i] = try{as, sql, want}
	}
	return out
}

// all puts tries behind each other.
func all(parts ...[]try) (out []try) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
