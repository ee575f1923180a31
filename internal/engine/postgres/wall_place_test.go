package postgres

import (
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

// wallPlaces is create_in: a schema of Postern's making in which each holder's tables are their own, for as long as they hold the rule;
// and what becomes of the tables afterwards.
func wallPlaces(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	users := "users:\n  ana: {scram: " + testVerifier + "}\n  sam: {scram: " + testVerifier + "}\n"
	const data = "datasets: {d: {include: [shop.public.products]}}\n"
	w.policy(t, "public, sales", users+data+"rules: {all: {to: [ana, sam], on: d, level: read, allow: {create_in: [shop.workbench]}}}\n")
	w.db.Exec(t, "CREATE SCHEMA workbench")
	w.refused(t, "schema workbench exists, and is not a place that Postern made")
	w.db.Exec(t, "DROP SCHEMA workbench")
	w.apply(t)
	w.want(t, "ana", "CREATE TABLE workbench.kept AS SELECT 7 AS n; SELECT n FROM workbench.kept", "7")
	w.want(t, "sam", "SELECT n FROM workbench.kept", "error: permission denied")
	w.want(t, "sam", "DROP TABLE workbench.kept", "error: must be owner")
	w.want(t, "sam", "CREATE TABLE workbench.mine AS SELECT 8 AS n; DROP TABLE workbench.mine; SELECT 9", "9")
	if p := w.plan(t).Plan; len(p.Changes) > 0 {
		t.Errorf("a table in a place is something to change:\n%s", text(p))
	}

	// Without the rule it is out of reach, and stays.
	w.policy(t, "public, sales", users+data+"rules: {all: {to: [ana, sam], on: d, level: read}}\n")
	w.apply(t)
	w.want(t, "ana", "SELECT n FROM workbench.kept", "error: permission denied for schema workbench")
	w.want(t, "ana", "CREATE TABLE workbench.more (i int)", "error: permission denied for schema workbench")
	p := w.plan(t).Plan
	if len(p.Changes) > 0 || !strings.Contains(strings.Join(warnings(p), "\n"), "schema workbench any longer; it stays, out of reach") {
		t.Errorf("what is left is not said: %q\n%s", warnings(p), text(p))
	}

	// Whoever leaves and made something is no login any more, and is there as its owner until somebody has decided.
	w.policy(t, "public, sales", "users: {sam: {scram: "+testVerifier+"}}\n"+data+"rules: {all: {to: [sam], on: d, level: read}}\n")
	if p := w.plan(t).Plan; !strings.Contains(strings.Join(warnings(p), "\n"), "ana holds no rule any longer and has made: workbench.kept") {
		t.Errorf("what ana has made is not said: %q", warnings(p))
	}
	w.apply(t)
	if got := w.db.Query(t, "SELECT rolcanlogin, (SELECT count(*) FROM workbench.kept) FROM pg_roles WHERE rolname = 'ana'"); got != "f|1" {
		t.Errorf("what is left of ana: %q", got)
	}
	if p := w.plan(t).Plan; len(p.Changes) > 0 {
		t.Errorf("there is something to change again:\n%s", text(p))
	}
	w.policy(t, "public, sales", users+data+"rules: {all: {to: [ana, sam], on: d, level: read, allow: {create_in: [shop.workbench]}}}\n")
	w.apply(t)
	w.want(t, "ana", "SELECT n FROM workbench.kept", "7")
	w.want(t, "ana", "DROP TABLE workbench.kept; SELECT 1", "1")
	w.policy(t, "public, sales", "users: {sam: {scram: "+testVerifier+"}}\n"+data+"rules: {all: {to: [sam], on: d, level: read}}\n")
	w.apply(t)
	if got := w.db.Query(t, "SELECT count(*) FROM pg_roles WHERE rolname = 'ana'"); got != "0" {
		t.Error("ana, who has made nothing, is still there")
	}
}
