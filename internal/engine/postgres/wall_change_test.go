package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// change edits the shop's policy and loads it.
func (w *wallSite) change(t *testing.T, edits ...string) {
	t.Helper()
	text := shopPolicy
	for i := 0; i+1 < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the policy has no %q", edits[i])
		}
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	w.policy(t, "public, sales", text)
}

// TestWidening wants consent by name for whatever lets an existing profile show more, and for nothing else.
func TestWidening(t *testing.T) {
	c := pgtest.Start(t, pgtest.DefaultMajor)
	w := newShop(t, c)
	first := w.plan(t)
	if open := first.Plan.Unaccepted(nil); len(open) > 0 {
		t.Errorf("a first installation needs consent by name: %v", open[0].ID)
	}
	if len(first.Plan.Widening()) == 0 {
		t.Error("a first installation does not say that somebody sees something")
	}
	var leaves []string
	for _, c := range first.Plan.Changes {
		leaves = append(leaves, c.Leaves...)
	}
	if want := "public.customers.email as partial_email: The first letter and the domain are left; a private domain names its owner."; !slices.Contains(leaves, want) {
		t.Errorf("the plan does not say what a mask leaves: %q", leaves)
	}
	w.apply(t)
	for _, x := range []struct {
		name  string
		edits []string
		named string // "" : narrowing, no consent
	}{
		{"stronger mask", []string{"contact.email: partial_email", "contact.email: hidden"}, ""},
		{"weaker mask", []string{"contact.email: partial_email", "contact.email: keep"}, "column public.customers.email is shown as keep, was hidden"},
		{"narrower mask", nil, ""},
		{"other filter", []string{`shop.public.customers: "id > 1"`, `shop.public.customers: "id > 0"`}, "rule desk chooses the rows of public.customers by another filter"},
		{"no filter", []string{`rows: {shop.public.customers: "id > 1"}`, `rows: {}`}, "rule desk shows all rows of public.customers"},
		{"filter", nil, ""},
		{"more columns to write", []string{"update: [notes]", "update: [notes, name]"}, "column public.customers.name can be updated"},
		{"fewer", nil, ""},
		{"another table", []string{"shop.public.products,", "shop.public.products, shop.public.secrets,"}, "public.secrets becomes visible"},
		{"not that table", nil, ""},
		{"another rule", []string{"to: [ana]", "to: [ana, sam]"}, "sam gets rule eu"},
		{"not that rule", nil, ""},
		{"another attribute", []string{"attributes: {region: EU}", "attributes: {region: US}"}, "attribute region of ana is another"},
		{"the first attribute again", nil, "attribute region of ana is another"},
		{"a function", []string{"level: read", "level: read\n    allow: {functions: [shop.public.email_of]}"}, "calling public.email_of(integer) is allowed"},
		{"more beside it", []string{"level: read", "level: read\n    allow: {functions: [shop.public.email_of], create_in: [shop.workbench], explain: plain}"}, "EXPLAIN is allowed; CREATE TABLE AS in schema workbench is allowed"},
		{"less of it", []string{"level: read", "level: read\n    allow: {explain: plain}"}, ""},
		{"nothing of it", nil, ""},
		{"limits", []string{"level: read", "level: read\n    limits: {rows_per_query: 100, min_group: 5}"}, ""},
		{"looser ones", []string{"level: read", "level: read\n    limits: {rows_per_query: 200, rows_per_hour: 900, min_group: 4}"}, "limits:eu: rule eu has other limits; rule eu: rows_per_query is 200, was 100; rule eu: min_group is 4, was 5"},
		{"stricter ones", []string{"level: read", "level: read\n    limits: {rows_per_query: 50, rows_per_hour: 800, min_group: 9}"}, ""},
		{"none of them", nil, "rule eu: rows_per_query is no longer limited, was 50; rule eu: rows_per_hour is no longer limited, was 800; rule eu: min_group is no longer limited, was 9"},
		{"limits once more", []string{"level: read", "level: read\n    limits: {queries_per_minute: 7}"}, ""},
		{"none again", nil, "rule eu: queries_per_minute is no longer limited, was 7"},
		{"an end", []string{"level: read", "level: read\n    until: 2030-01-01"}, ""},
		{"a later end", []string{"level: read", "level: read\n    until: 2031-01-01"}, "ana holds rule eu until 2031-01-02T00:00:00Z"},
		{"an earlier end", []string{"level: read", "level: read\n    until: 2029-01-01"}, ""},
		{"no end", nil, "rule eu no longer ends"},
	} {
		w.change(t, x.edits...)
		p := w.plan(t).Plan
		open := p.Unaccepted(nil)
		var reasons []string
		for _, c := range open {
			reasons = append(reasons, c.ID+": "+c.Reason)
		}
		all := strings.Join(reasons, "\n")
		if x.named == "" && len(open) > 0 || x.named != "" && !strings.Contains(all, x.named) {
			t.Errorf("%s: want consent for %q, have\n%s", x.name, x.named, all)
		}
		_, err := w.server.Apply(context.Background(), w.req, Consent{Digest: p.Digest})
		var consent *ConsentError
		if (len(open) > 0) != errors.As(err, &consent) {
			t.Errorf("%s: apply without names: %v", x.name, err)
		}
		if len(open) > 0 {
			w.apply(t)
		}
	}
}

// wallRemoval takes rules, users and masks away and wants nothing of them left on the server.
func wallRemoval(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	before := w.db.Query(t, "SELECT count(*) FROM pg_roles")
	w.apply(t)
	w.policy(t, "public, sales", `
users: {ana: {scram: `+testVerifier+`}}
datasets: {d: {include: [shop.public.products]}}
rules: {all: {to: [ana], on: d, level: read}}
`)
	w.apply(t)
	w.want(t, "ana", "SELECT count(*) FROM products", "2")
	w.want(t, "ana", "SELECT count(*) FROM public.customers", "error: permission denied")
	w.policy(t, "public, sales", "users: {ana: {scram: "+testVerifier+"}}\n")
	w.apply(t)
	if left := w.db.Query(t, "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname ~ '^postern_shop' OR rolname IN ('ana', 'sam')"); left != "" {
		t.Errorf("roles are left: %s", left)
	}
	if left := w.db.Query(t, "SELECT string_agg(nspname, ' ') FROM pg_namespace WHERE nspname ~ '^postern_shop'"); left != "" {
		t.Errorf("schemas are left: %s", left)
	}
	if left := w.db.Query(t, "SELECT count(*) FROM pg_policy"); left != "0" {
		t.Errorf("%s policies are left", left)
	}
	if left := w.db.Query(t, "SELECT string_agg(relname, ' ') FROM pg_class WHERE relrowsecurity"); left != "" {
		t.Errorf("row security is still on: %s", left)
	}
	if left := w.db.Query(t, "SELECT count(*) FROM postern.attribute"); left != "0" {
		t.Errorf("%s attributes are left", left)
	}
	after := w.db.Query(t, "SELECT count(*) - 1 FROM pg_roles") // postern_public stays: it holds what PUBLIC lost
	if before != after {
		t.Errorf("there were %s roles and are %s", before, after)
	}
}

// wallEnds wants an end in the past to show nothing at the server itself (ENF-91).
func wallEnds(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	w.policy(t, "public, sales", `
users:
  ana: {scram: `+testVerifier+`}
  sam: {scram: `+testVerifier+`}
masks: {m: {shop.public.customers.email: hidden, unlabelled: keep}}
datasets: {d: {include: [shop.public.customers, shop.public.products]}}
rules:
  past: {to: [ana, sam], on: d, level: read, until: 2020-01-01}
  now: {to: [sam], on: d, level: read, masks: m}
`)
	w.apply(t)
	// VALID UNTIL ends ana's login; sam's goes on, with the rule that has not ended.
	if _, err := w.as(t, "ana", "SELECT 1"); err == nil {
		t.Error("ana can still log in")
	}
	w.want(t, "sam", "SELECT id, email FROM customers ORDER BY id", "1|\n2|\n3|")
	w.want(t, "sam", "SELECT count(*) FROM products", "2")
	w.db.ExecAs(t, "postern_admin", "UPDATE postern.holds SET until = 'infinity' WHERE role = 'sam'")
	w.want(t, "sam", "SELECT id, email FROM customers WHERE id = 1", "1|ann@x.test")
	w.db.ExecAs(t, "postern_admin", "ALTER ROLE ana VALID UNTIL 'infinity'")
	w.want(t, "ana", "SELECT count(*) FROM customers", "0")
	w.want(t, "ana", "SELECT count(*) FROM products", "0")
}

// TestLocked wants apply to name who holds a table, and to leave nothing behind.
func TestLocked(t *testing.T) {
	w := newShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	ctx := context.Background()
	blocker := w.db.Connect(t, "shop_app")
	if _, err := blocker.Exec(ctx, "SET application_name = 'nightly job'; BEGIN; SELECT count(*) FROM public.customers"); err != nil {
		t.Fatal(err)
	}
	p := w.plan(t).Plan
	_, err := w.server.conn.Exec(ctx, "SET lock_timeout = '100ms'")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.server.Apply(ctx, w.req, Consent{Digest: p.Digest})
	var locked *LockedError
	if !errors.As(err, &locked) || !slices.Contains(locked.Tables, "public.customers") {
		t.Fatalf("apply against a lock: %v", err)
	}
	if want := fmt.Sprintf("session %d of shop_app (nightly job)", blocker.PgConn().PID()); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not name %q", err, want)
	}
	if got := w.db.Query(t, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^postern'"); got != "0" {
		t.Errorf("%s schemas are left behind", got)
	}
	if _, err := blocker.Exec(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	w.apply(t)
	// A subject who reads in a long transaction holds up the rebuilding of the profile, and is named too.
	view := w.plan(t).Wanted.Identity("sam").Profile.Schema + ".customers"
	if _, err := w.db.Connect(t, "postgres").Exec(ctx, "SET application_name = 'long read'; BEGIN; SELECT count(*) FROM "+view); err != nil {
		t.Fatal(err)
	}
	w.change(t, "contact.email: partial_email", "contact.email: hidden")
	_, err = w.server.Apply(ctx, w.req, Consent{Digest: w.plan(t).Plan.Digest})
	if !errors.As(err, &locked) || !slices.Contains(locked.Tables, view) || !strings.Contains(err.Error(), "(long read)") {
		t.Fatalf("apply against a reader of a view: %v", err)
	}
}

// wallGrantTouchesNoBase wants a new set of rules, built while another transaction holds the tables, to wait for nothing (ENF-10).
func wallGrantTouchesNoBase(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	w.apply(t)
	ctx := context.Background()
	blocker := w.db.Connect(t, "shop_app")
	if _, err := blocker.Exec(ctx, "BEGIN; SELECT count(*) FROM public.customers, public.orders, sales.orders"); err != nil {
		t.Fatal(err)
	}
	w.change(t, "to: [ana]", "to: [ana, sam]", "sam: {scram", "eve: {scram: "+testVerifier+"}\n  sam: {scram", "to: [sam]", "to: [sam, eve]")
	p := w.plan(t).Plan
	for _, ch := range p.Changes {
		if len(ch.Locks) > 0 {
			t.Errorf("%s locks %v", ch.ID, ch.Locks)
		}
	}
	w.apply(t)
	w.want(t, "sam", "SELECT id, email FROM customers ORDER BY id", "2|b***@y.test\n3|c***@z.test")
	w.want(t, "eve", "SELECT id FROM customers ORDER BY id", "2\n3")
}

// wallSuspend migrates a table while the store is suspended (ENF-96).
func wallSuspend(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	w.apply(t)
	ctx := context.Background()
	const migrate = "ALTER TABLE public.customers ALTER COLUMN notes TYPE varchar(100), ADD COLUMN phone text, DROP COLUMN email CASCADE"
	if err := w.db.Try("postgres", "ALTER TABLE public.customers ALTER COLUMN notes TYPE varchar(100)"); err == nil {
		t.Error("a column's type can be changed under a view")
	}
	if err := w.server.Suspend(ctx, w.req); err != nil {
		t.Fatal(err)
	}
	w.want(t, "ana", "SELECT count(*) FROM customers", "error: permission denied for table customers")
	if digests := ProfileDigests(w.plan(t).Snapshot, plan.InstallationID(testKey), "shop"); len(digests) > 0 {
		t.Errorf("a suspended store has profiles: %v", digests)
	}
	var suspended *SuspendedError
	if _, err := w.server.Apply(ctx, w.req, Consent{Digest: w.plan(t).Plan.Digest}); !errors.As(err, &suspended) {
		t.Errorf("apply on a suspended store: %v", err)
	}
	w.db.Exec(t, migrate)
	r, err := w.server.PlanResume(ctx, w.req)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, ch := range r.Plan.Unaccepted(nil) {
		ids = append(ids, ch.ID)
		if !strings.Contains(ch.Reason, "column public.customers.phone is shown as keep, was not there") {
			t.Errorf("%s needs consent: %s", ch.ID, ch.Reason)
		}
	}
	if _, err := w.server.Resume(ctx, w.req, Consent{Digest: r.Plan.Digest, Accepted: ids}); err != nil {
		t.Fatal(err)
	}
	if p := w.plan(t).Plan; !p.Empty() {
		t.Fatalf("after resume there is something to do:\n%s", text(p))
	}
	w.want(t, "ana", "SELECT id, phone FROM customers ORDER BY id", "1|\n3|")
}

// refused wants the policy and the server not to come together, for a reason.
func (w *wallSite) refused(t *testing.T, why string) {
	t.Helper()
	r, err := w.server.Plan(context.Background(), w.req)
	var problems policy.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), why) {
		t.Errorf("want a refusal with %q, have %v", why, err)
		if r != nil {
			t.Log(text(r.Plan))
		}
	}
}

// TestRefusals are plans that there is none of: each names what is in the way.
func TestRefusals(t *testing.T) {
	w := newShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	undo := func(do, undo, why string) {
		t.Helper()
		w.db.Exec(t, do)
		w.refused(t, why)
		w.db.Exec(t, undo)
	}
	undo("CREATE POLICY everybody ON public.customers USING (true)", "DROP POLICY everybody ON public.customers", `policy "everybody" on public.customers is for everybody`)
	undo("CREATE POLICY asleep ON public.customers AS RESTRICTIVE TO shop_app USING (false)", "DROP POLICY asleep ON public.customers", `policy "asleep" on public.customers sleeps`)
	undo("CREATE ROLE ana", "DROP ROLE ana", `role "ana" exists on the server and is not Postern's`)
	undo("CREATE SCHEMA postern", "DROP SCHEMA postern", "schema postern exists and is not marked")
	undo("CREATE ROLE postern_shop_rule_eu", "DROP ROLE postern_shop_rule_eu", `role "postern_shop_rule_eu" exists and is not marked`)
	w.change(t, "shop.public.customers, shop", "shop.public.report, shop.public.customers, shop")
	w.refused(t, "public.report is a view")
	w.change(t, "shop.public.products,", "shop.public.products, shop.public.nothing,")
	w.refused(t, "has no table public.nothing")
	w.change(t, `"id > 1"`, `"nothing > 1"`)
	w.refused(t, "row filter of public.customers in rule desk")
	w.change(t, `"id > 1"`, `"name + 1 > 1"`)
	w.refused(t, "row filter of public.customers in rule desk")
	w.change(t, "contact.email: partial_email", "contact.email: year")
	w.refused(t, "mask year does not fit column")
	w.change(t, "insert: [name, region]", "insert: [name]")
	w.refused(t, "column region is NOT NULL, has no default and may not be written")
	w.change(t, `shop.public.customers: "region = subject.region"`, `shop.public.customers: "id IN (SELECT customer_id FROM orders)"`)
	w.refused(t, "in a circle")
	w.db.Exec(t, "SET ROLE app_owner; CREATE TABLE public.old_orders (CHECK (id < 0)) INHERITS (public.orders)")
	w.change(t, "shop.public.products,", "shop.public.products, shop.public.old_orders,")
	w.refused(t, "public.old_orders is a partition or child of a protected table")
	w.change(t)
	w.apply(t)
	other := w.req
	w.req.RootKey = wrongKey()
	w.refused(t, "belongs to another installation of Postern")
	w.req = other
	// A policy of the application's that appears later opens the wall too (ENF-89).
	undo("CREATE POLICY late ON public.customers TO PUBLIC USING (true)", "DROP POLICY late ON public.customers", `policy "late" on public.customers is for everybody`)
}
