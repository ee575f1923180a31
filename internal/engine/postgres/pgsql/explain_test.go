package pgsql

import (
	"strings"
	"testing"
)

// TestPlanFilter is ENF-65: of a plan, the nodes and the admitted relations are left; costs, conditions, indexes that are no keys, hidden
// relations and the subplans that read them are not.
func TestPlanFilter(t *testing.T) {
	for _, x := range []struct{ name, plan, want string }{
		{
			"a join",
			"Nested Loop\n  Join Filter: (o.customer_id = customers.id)\n  ->  Index Scan using customers_pkey on customers\n        Index Cond: (id = 300)\n        Filter: (region = 'CANARY'::text)\n  ->  Seq Scan on orders o\n        Filter: ((customer_id = 300) AND (1 / total > 0))",
			"Nested Loop\n  ->  Index Scan using customers_pkey on customers\n  ->  Seq Scan on orders o",
		},
		{
			"the subplans of row filters",
			"Sort\n  Sort Key: customers.name\n  InitPlan 1 (returns $0)\n    ->  Seq Scan on attribute a\n          Filter: (role = CURRENT_USER)\n  InitPlan 3 (returns $2)\n    ->  Hash Join\n          Hash Cond: (a.b = c.d)\n          ->  Seq Scan on assignments\n          ->  Hash\n                ->  Seq Scan on customers customers_1\n  ->  Bitmap Heap Scan on customers\n        Recheck Cond: (id = ANY ($2))\n        ->  Bitmap Index Scan on customers_secret_idx\n              Index Cond: (id = ANY ($2))",
			"Sort\n  ->  Bitmap Heap Scan on customers\n        ->  Bitmap Index Scan",
		},
		{
			"a subplan of the client's own",
			"Seq Scan on orders\n  SubPlan 1\n    ->  Aggregate\n          ->  Index Only Scan using customers_region_idx on customers\n                Index Cond: (id = orders.id)",
			"Seq Scan on orders\n    ->  Aggregate\n          ->  Index Only Scan on customers",
		},
		{"partitions", "Append\n  ->  Seq Scan on events_eu events_1\n        Filter: (region = 'EU'::text)\n  ->  Seq Scan on events_us events_2", "Append\n  ->  Seq Scan on events\n  ->  Seq Scan on events"},
		{"the only partition that is read", "Index Scan using events_eu_pkey on events_eu e\n  Index Cond: (id = 1)", "Index Scan on events"},
		{"partitions of another", "Append\n  ->  Seq Scan on payroll_eu payroll_1\n  ->  Seq Scan on payroll_us payroll_2", "Append"},
		{"without subplans of its own", "Seq Scan on orders\n  SubPlan 1\n    ->  Seq Scan on customers\n  ->  Sort", "Seq Scan on orders\n  ->  Sort"},
		{"CTE", "CTE Scan on x\n  CTE x\n    ->  Seq Scan on products\n", "CTE Scan on x\n    ->  Seq Scan on products"},
		{"functions by themselves", "Function Scan on in_region\n  Filter: (in_region > 5)", "Function Scan"},
		{"a hidden relation alone", "Seq Scan on payroll\n  Filter: (x = 1)", ""},
		{"below a hidden relation", "Limit\n  ->  Foreign Scan on payroll\n        ->  Seq Scan on customers", "Limit"},
		{"a write", "Update on orders\n  ->  Index Scan using orders_pkey on orders\n        Index Cond: (id = 1)", "Update on orders\n  ->  Index Scan using orders_pkey on orders"},
		{"costs, if they ever came", "Seq Scan on customers  (cost=0.00..1.00 rows=33012 width=4)\n  Rows Removed by Filter: 1", ""},
		{"the middle of a plan", "  ->  Seq Scan on customers\nSeq Scan on orders", ""},
		{"planning and JIT", "Result\nPlanning:\n  Buffers: shared hit=5\nJIT:\n  Functions: 3", "Result"},
		{"quoted names", "Seq Scan on \"Odd \"\"Name\"", ""},
	} {
		w := shopWorld()
		w.Parts = map[string]string{"events_eu": "events", "events_us": "events"}
		p := NewPlanFilter(w, x.name != "without subplans of its own")
		var got []string
		for line := range strings.SplitSeq(x.plan, "\n") {
			got = append(got, p.Line(line)...)
		}
		got = append(got, p.Flush()...)
		if text := strings.Join(got, "\n"); text != x.want {
			t.Errorf("%s:\n%s\nwant:\n%s", x.name, text, x.want)
		}
	}
}
