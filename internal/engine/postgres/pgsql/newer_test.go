package pgsql

import (
	"strings"
	"testing"
)

// TestNewerGrammar is ENF-86: what only a later release can read is refused and called so; an ordinary syntax error stays one.
func TestNewerGrammar(t *testing.T) {
	t.Parallel()
	g, w := NewGuard(-1), shopWorld()
	for _, sql := range []string{
		"update products set price = 1 where id = 2 returning with (old as o, new as n) o.price, n.price",
		"insert into products (id) values (1) RETURNING WITH (NEW AS fresh) fresh.id",
		"create table t (a int, b int generated always as (a * 2) virtual)",
		"create table t (a int, b int generated always as (a * 2))",
		"create table t (id int, during daterange, primary key (id, during without overlaps))",
		"create table t (id int, during daterange, foreign key (id, period during) references u (id, period during))",
		"alter table t add constraint c check (a > 0) not enforced",
		"alter table t alter constraint c not enforced",
		"alter table t add constraint c not null a not valid",
		"create table t (a int, constraint c not null a)",
		"alter table t alter constraint c no inherit",
		"analyze only t",
		"vacuum (analyze) only t",
		"alter default privileges grant select on large objects to ana",
	} {
		r := g.Decide(w, sql, Simple).Refusal
		if r == nil || r.SQLState != "0A000" || r.Reason != ReasonSyntax || !strings.Contains(r.Message, "of PostgreSQL 18, and the gateway reads the grammar of PostgreSQL 17") {
			t.Errorf("%s: %+v", sql, r)
		}
	}
	for _, sql := range []string{"select from where", "update products set", "select 'returning with (' from", "create table t (a int generated", "select only from", "create table t (a int not null", "analyze t,"} {
		r := g.Decide(w, sql, Simple).Refusal
		if r == nil || r.Reason != ReasonSyntax {
			t.Errorf("%s: %+v", sql, r)
		} else if !strings.HasPrefix(sql, "select '") && r.SQLState != "42601" {
			t.Errorf("%s: %+v", sql, r)
		}
	}
	if d := g.Decide(w, "select name as enforced from customers", Simple); d.Verdict != Rewrite {
		t.Errorf("a name that is a word of a later release: %+v", d.Refusal)
	}
}

// TestENF67_OldAndNew: on 18 the whole rows old and new are refused in RETURNING like old.column and new.column are, and columns and
// tables of these names stay what they are.
func TestENF67_OldAndNew(t *testing.T) {
	g, w := NewGuard(0), shopWorld()
	w.Major = 18
	for _, returned := range []string{"old", "new", "(old).id", "to_jsonb(new)", "old.id", "(SELECT old)"} {
		if d := g.Decide(w, "UPDATE orders SET total = 1 RETURNING "+returned, Simple); d.Refusal == nil || d.Refusal.Reason != ReasonColumnUnknown {
			t.Errorf("RETURNING %s: %q %v", returned, d.Text, d.Refusal)
		}
	}
	for _, sql := range []string{
		"UPDATE orders SET total = 1 RETURNING id AS old", "UPDATE orders AS old SET total = 1 RETURNING old.id, old",
		"SELECT id AS new FROM customers ORDER BY new", "UPDATE orders SET total = 1 FROM (SELECT 1 AS old) x RETURNING old",
	} {
		if d := g.Decide(w, sql, Simple); d.Refusal != nil {
			t.Errorf("%s: %v", sql, d.Refusal)
		}
	}
}
