package pgsql

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestStayOut is ENF-54's list: none of these may become callable on any release, by whatever change of the lists.
func TestStayOut(t *testing.T) {
	patterns := strings.Fields(`query_to_xml* table_to_xml* schema_to_xml* database_to_xml* cursor_to_xml* ts_stat ts_rewrite dblink* crosstab*
		connectby xpath_table lo_* loread lowrite pg_read_* pg_ls_* pg_stat_file pg_logical_* pg_export_snapshot pg_sleep* pg_terminate_backend
		pg_cancel_backend pg_stat_get_* pg_*_size pg_advisory_* pg_try_advisory_* pg_notify set_config setseed txid_* pg_current_xact_id*
		pg_get_viewdef pg_get_functiondef pgrowlocks pageinspect pgstattuple pg_reload_conf pg_rotate_logfile pg_switch_wal pg_create_*
		pg_drop_replication_slot pg_replication_* pg_promote pg_log_backend_memory_contexts binary_upgrade_* pg_import_system_collations
		pg_stat_reset* pg_hba_file_rules pg_show_all_settings pg_get_ruledef pg_get_triggerdef pg_lock_status pg_prepared_* pg_cursor
		pg_listening_channels pg_extension_config_dump pg_nextoid pg_describe_object pg_identify_object* nextval setval lastval currval
		current_setting pg_file_* pg_restore_* pg_clear_* pg_column_size pg_safe_snapshot_blocking_pids pg_blocking_pids inet_client_addr
		pg_notification_queue_usage suppress_redundant_updates_trigger row_security_active to_regclass pg_get_partkeydef pg_relation_filenode`)
	table := builtinFunctions()
	for name := range table.functions {
		for _, p := range patterns {
			if !matches(p, name) || name == "pg_size_pretty" {
				continue
			}
			for major := firstMajor; major <= lastMajor+1; major++ {
				if table.allowed(name, major) {
					t.Errorf("%s is on the list of PostgreSQL %d", name, major)
				}
			}
		}
	}
}

// matches compares with a pattern of one star.
func matches(pattern, name string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	return strings.HasPrefix(name, before) && strings.HasSuffix(name, after) && len(name) >= len(before)+len(after)
}

// TestReasonsAreClosed sees every golden refusal carry a reason of the list, and nearly all of the list used.
func TestReasonsAreClosed(t *testing.T) {
	g, used := NewGuard(-1), map[string]bool{}
	for _, text := range goldenInputs(t) {
		for _, mode := range []Mode{Simple, Extended} {
			for _, w := range []*World{shopWorld(), groupWorld()} {
				if d := g.Decide(w, text, mode); d.Refusal != nil {
					used[d.Refusal.Reason] = true
				}
			}
		}
	}
	for reason := range used {
		if !slices.Contains(Reasons(), reason) {
			t.Errorf("%s is not on the list", reason)
		}
	}
	elsewhere := []string{ReasonInternal, ReasonRoundTrip, ReasonParser, ReasonInline} // TestWorkerDies and TestENF41_InlineRefuses see the last two
	for _, reason := range Reasons() {
		if !used[reason] && !slices.Contains(elsewhere, reason) {
			t.Errorf("no golden case is refused with %s", reason)
		}
	}
}

func TestListsAreRead(t *testing.T) {
	table := builtinFunctions()
	if n := len(table.functions); n < 2700 {
		t.Errorf("%d functions", n)
	}
	for _, major := range []int{13, 14, 15, 16, 17, 18, 19, 12} {
		for _, name := range []string{"upper", "count", "now", "json_agg", "generate_series", "row_number", "date_part"} {
			if !table.allowed(name, major) {
				t.Errorf("%s is not on the list of %d", name, major)
			}
		}
		if !table.hasType("_int4", major) || table.hasType("cstring", major) || table.hasType("pg_class", major) {
			t.Errorf("types of %d", major)
		}
	}
	for name, want := range map[string]string{"json_each": "key value", "generate_series": "generate_series", "md5": "md5"} {
		if s := table.result(name); !s.known || strings.Join(s.columns, " ") != want {
			t.Errorf("result of %s is %+v", name, s)
		}
	}
	if table.result("json_populate_record").known || table.result("unnest").known {
		t.Error("the result of a polymorphic function is known")
	}
}

func TestCacheIsKeyedByEverything(t *testing.T) {
	g := NewGuard(0)
	w, other := shopWorld(), shopWorld()
	text := "SELECT id FROM customers"
	first := g.Decide(w, text, Simple)
	if g.Decide(w, text, Simple) != first {
		t.Error("the same text is decided again")
	}
	if g.Decide(w, text+" ", Simple) == first || g.Decide(w, strings.ToLower(text), Simple) == first {
		t.Error("another text shares the decision (ENF-46)")
	}
	if g.Decide(w, text, Extended) == first {
		t.Error("another mode shares the decision")
	}
	if g.Decide(other, text, Simple) == first {
		t.Error("another world shares the decision")
	}
	w.Generation++
	if d := g.Decide(w, text, Simple); d == first || d.Generation != 2 {
		t.Error("another generation shares the decision")
	}
}

func TestCacheIsBounded(t *testing.T) {
	const limit = 64 << 10
	g, w := NewGuard(limit), shopWorld()
	for i := range 500 {
		g.Decide(w, fmt.Sprintf("SELECT id AS a%d FROM customers", i), Simple) // another text each, not another constant
		if g.bytes > limit {
			t.Fatalf("%d bytes kept", g.bytes)
		}
	}
	if len(g.kept) < 20 || len(g.kept) != len(g.ring) {
		t.Errorf("%d kept, %d in the ring", len(g.kept), len(g.ring))
	}
	g.Forget(w)
	if len(g.kept) != 0 || len(g.ring) != 0 || g.bytes != 0 {
		t.Errorf("%d kept, %d bytes after Forget", len(g.kept), g.bytes)
	}
	if NewGuard(-1).Decide(w, "SELECT 1", Simple).Verdict != Allow {
		t.Error("a guard without a cache does not decide")
	}
}

func TestDecideAtOnce(t *testing.T) {
	g, w := NewGuard(32<<10), shopWorld()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				text := fmt.Sprintf("SELECT id FROM customers WHERE id = %d", (i*j)%50)
				if d := g.Decide(w, text, Simple); d.Verdict != Rewrite || !strings.Contains(d.Text, "postern_x.customers") {
					t.Errorf("%s: %+v", text, d)
				}
			}
		})
	}
	wg.Wait()
}

// TestPanicRefuses gives the walk something that it was never built for.
func TestPanicRefuses(t *testing.T) {
	g, w := NewGuard(-1), shopWorld()
	w.Relations[Name{"public", "broken"}] = &Relation{Select: true}
	g.functions = nil
	d := g.Decide(w, "SELECT upper('a')", Simple)
	if d.Verdict != Refuse || d.Refusal.Reason != ReasonInternal || d.Text != "" {
		t.Errorf("%+v", d)
	}
}

var benchTexts = map[string]string{
	"point": "SELECT id, name, email FROM customers WHERE id = 1",
	"join": "SELECT c.id, c.name, o.total, p.sku, e.payload, s.amount FROM customers c JOIN orders o ON o.customer_id = c.id JOIN products p ON p.id = o.id " +
		"JOIN events e ON e.id = c.id JOIN sales.orders s ON s.id = o.id WHERE c.region = 'EU' AND o.total > 10 ORDER BY o.total DESC LIMIT 10",
	"insert": "INSERT INTO orders (id, customer_id, total) VALUES ($1, $2, $3) RETURNING id",
}

func BenchmarkDecideCached(b *testing.B) {
	for name, text := range benchTexts {
		b.Run(name, func(b *testing.B) {
			g, w := NewGuard(0), shopWorld()
			g.Decide(w, text, Simple)
			b.ReportAllocs()
			for b.Loop() {
				if g.Decide(w, text, Simple).Verdict != Rewrite {
					b.Fatal("not rewritten")
				}
			}
		})
	}
}

func BenchmarkDecideUncached(b *testing.B) {
	for name, text := range benchTexts {
		b.Run(name, func(b *testing.B) {
			g, w := NewGuard(-1), shopWorld()
			b.ReportAllocs()
			for b.Loop() {
				if g.Decide(w, text, Simple).Verdict != Rewrite {
					b.Fatal("not rewritten")
				}
			}
		})
	}
}

func BenchmarkCheckLimits(b *testing.B) {
	text := benchTexts["join"]
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckLimits(text); err != nil {
			b.Fatal(err)
		}
	}
}

// What a subject made is told by its schema, however it is called.
func TestMade(t *testing.T) {
	t.Parallel()
	w := &World{Places: map[string]bool{"workbench": true, "Über Ort": true}}
	for relation, want := range map[string]bool{
		"shop.pg_temp.t": true, "shop.workbench.t": true, `shop."Über Ort".t`: true, "shop.public.workbench": false, "shop.public.t": false, "shop.workbench_2.t": false,
	} {
		if w.Made(relation) != want {
			t.Errorf("%s: %v", relation, !want)
		}
	}
}

// What only rules that are over admit is refused and says so; what another rule admits as well is answered as before (ENF-91).
func TestEndedRules(t *testing.T) {
	t.Parallel()
	whole := shopWorld()
	whole.Relations[Name{"public", "orders"}].Rule = "spring"
	whole.Relations[Name{"public", "events"}].Rule = "analysts-eu,spring"
	whole.Parts = map[string]string{"orders_2025": "orders", "events_2025": "events"}
	whole.Channels, whole.Callable = map[string]bool{}, map[Name]byte{}
	whole.Allow(Allowance{Rule: "spring", Temp: true, Explain: true, Channels: []string{"old"}, Callable: map[Name]byte{{"public", "forecast"}: 'f'}})
	whole.Allow(Allowance{Rule: "analysts-eu", Channels: []string{"news"}, Callable: map[Name]byte{{"public", "margin"}: 'f'}})
	whole.Allow(Allowance{Callable: map[Name]byte{{"ext", "similarity"}: 'f'}})
	part := whole.Without([]string{"spring"})
	part.Generation++
	g := NewGuard(-1)
	for text, refused := range map[string]bool{
		"SELECT id FROM orders": true, "INSERT INTO orders (id) VALUES (1)": true, "SELECT id FROM events": false, "SELECT id FROM customers": false,
	} {
		if d := g.Decide(whole, text, Simple); d.Refusal != nil {
			t.Errorf("before: %s: %v", text, d.Refusal)
		}
		d := g.Decide(part, text, Simple)
		switch {
		case !refused && d.Refusal != nil:
			t.Errorf("%s: %v", text, d.Refusal)
		case refused && (d.Refusal == nil || d.Refusal.Detail != "What you held of it has ended: spring." || !strings.Contains(d.Refusal.Hint, "postern request customers")):
			t.Errorf("%s: %+v", text, d.Refusal)
		}
	}
	// The table of an owner whose rule is over is not shown whole by another rule of theirs.
	whole.Relations[Name{"public", "products"}].Rule, whole.Relations[Name{"public", "products"}].Own = "analysts-eu,spring", true
	for _, own := range [][]string{{"spring"}, {"spring", "summer"}} {
		whole.Relations[Name{"public", "products"}].OwnRules = own
		if d := g.Decide(whole.Without([]string{"spring"}), "TABLE products", Simple); (d.Refusal != nil) != (len(own) == 1) {
			t.Errorf("owned by %v: %+v", own, d.Refusal)
		}
	}
	// What a rule allows beside reading ends with it; what another one or the store allows does not.
	for text, refused := range map[string]bool{
		"CREATE TEMP TABLE t (i int)": true, "EXPLAIN SELECT id FROM customers": true, "LISTEN old": true, "SELECT forecast(1)": true,
		"LISTEN news": false, "SELECT margin(1)": false, "SELECT similarity('a', 'b')": false,
	} {
		if d := g.Decide(whole, text, Simple); d.Refusal != nil {
			t.Errorf("before: %s: %v", text, d.Refusal)
		}
		if d := g.Decide(part, text, Simple); (d.Refusal != nil) != refused {
			t.Errorf("%s: %+v", text, d.Refusal)
		}
	}
	if part.Parts["orders_2025"] != "" || part.Parts["events_2025"] != "events" || whole.Parts["orders_2025"] != "orders" {
		t.Errorf("the parts: %v, of %v", part.Parts, whole.Parts)
	}
}
