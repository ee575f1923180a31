package pgsql

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pgquery "github.com/pganalyze/pg_query_go/v6"
)

func filterWorld() (FilterTable, FilterOptions) {
	customers := FilterTable{Name: Name{"public", "customers"}, Columns: []FilterColumn{
		{"id", "integer"},
		{"region", "character varying(3)"},
		{"email", "public.citext"},
		{"balance", "numeric(12,2)"},
		{"tier", "app.tier"},
		{"since", "timestamp(3) without time zone"},
		{"tags", "text[]"},
		{"owner", "text"},
		{"code", "character(3)"},
		{"dob", "date"},
		{"Odd Name", "text"},
	}}
	assignments := FilterTable{Name: Name{"public", "assignments"}, Columns: []FilterColumn{{"agent", "text"}, {"customer_id", "integer"}, {"active", "boolean"}}}
	sales := FilterTable{Name: Name{"sales", "orders"}, Columns: []FilterColumn{{"id", "integer"}, {"customer_id", "integer"}, {"region", "text"}}}
	otherCustomers := FilterTable{Name: Name{"sales", "customers"}, Columns: []FilterColumn{{"id", "integer"}, {"vip", "boolean"}}}
	tables := map[Name]FilterTable{}
	for _, t := range []FilterTable{customers, assignments, sales, otherCustomers} {
		tables[t.Name] = t
	}
	return customers, FilterOptions{Schemas: []string{"public", "sales"}, Tables: tables, Types: map[Name]bool{{"app", "tier"}: true}}
}

const (
	attrRegion = "(SELECT attribute.value::pg_catalog.text FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'region')"
	attrName   = "(SELECT attribute.value::pg_catalog.text FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'name')"
)

func TestCompileFilterTexts(t *testing.T) {
	t.Parallel()
	table, opts := filterWorld()
	hasRegion := "EXISTS (SELECT 1 FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'region')"
	for _, tc := range []struct{ name, in, want string }{
		{"constant", "region = 'EU'", "customers.region = 'EU'"},
		{"quoted", `"Odd Name" = 'x' -- done`, `customers."Odd Name" = 'x'`},
		{"ENF-90 array", "region = subject.region", "customers.region = ANY(ARRAY" + attrRegion + ")"},
		{"ENF-90 swapped", "subject.region = region", "customers.region = ANY(ARRAY" + attrRegion + ")"},
		{"ENF-90 numeric without typmod", "balance < subject.limit", "customers.balance < ANY(ARRAY(SELECT attribute.value::numeric FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'limit'))"},
		{"ENF-90 swapped less", "subject.limit < balance", "customers.balance > ANY(ARRAY(SELECT attribute.value::numeric FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'limit'))"},
		{"ENF-90 enum", "tier = subject.tier", "customers.tier = ANY(ARRAY(SELECT attribute.value::app.tier FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'tier'))"},
		{"ENF-90 citext", "email = subject.email", "customers.email = ANY(ARRAY(SELECT attribute.value::public.citext FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'email'))"},
		{"ENF-90 char(n) as text", "code = subject.region", "customers.code = ANY(ARRAY" + attrRegion + ")"},
		{"ENF-90 explicit cast", "id = subject.id::bigint", "customers.id = ANY(ARRAY(SELECT attribute.value::bigint FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'id'))"},
		{"ENF-90 timestamp", "since >= subject.since", "customers.since >= ANY(ARRAY(SELECT attribute.value::timestamp FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'since'))"},
		{"ENF-90 unequal is guarded", "region <> subject.region", "customers.region <> ALL(ARRAY" + attrRegion + ") AND " + hasRegion},
		{"ENF-90 negation is guarded", "NOT region = subject.region", "NOT customers.region = ANY(ARRAY" + attrRegion + ") AND " + hasRegion},
		{"ENF-90 or is guarded", "id = 1 OR region = subject.region", "(customers.id = 1 OR customers.region = ANY(ARRAY" + attrRegion + ")) AND " + hasRegion},
		{"ENF-90 function of an attribute", "region = upper(subject.region)", "customers.region = pg_catalog.upper((SELECT attribute.value FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'region')) AND " + hasRegion},
		{"ENF-90 in one", "region IN (subject.region)", "customers.region = ANY(ARRAY" + attrRegion + ")"},
		{"ENF-90 in several", "region IN ('EU', subject.region)", "customers.region IN ('EU', (SELECT attribute.value FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'region')) AND " + hasRegion},
		{"ENF-08 in", "id IN (SELECT customer_id FROM assignments WHERE agent = subject.name)", "customers.id = ANY(ARRAY(SELECT assignments.customer_id FROM public.assignments WHERE assignments.agent = ANY(ARRAY" + attrName + ")))"},
		{"ENF-08 not in", "id NOT IN (SELECT customer_id FROM assignments)", "NOT customers.id = ANY(ARRAY(SELECT assignments.customer_id FROM public.assignments))"},
		{"ENF-08 correlated in stays", "id IN (SELECT customer_id FROM assignments WHERE agent = owner)", "customers.id IN (SELECT assignments.customer_id FROM public.assignments WHERE assignments.agent = customers.owner)"},
		{"ENF-08 exists", "EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = customers.id AND a.agent = subject.name)", "customers.id = ANY(ARRAY(SELECT a.customer_id FROM public.assignments a WHERE a.agent = ANY(ARRAY" + attrName + ")))"},
		{"ENF-08 exists star", "EXISTS (SELECT * FROM assignments WHERE public.customers.id = customer_id)", "customers.id = ANY(ARRAY(SELECT assignments.customer_id FROM public.assignments))"},
		{"ENF-08 exists with a join", "EXISTS (SELECT 1 FROM orders o JOIN assignments a ON a.customer_id = o.customer_id WHERE o.id = customers.id AND a.active)", "customers.id = ANY(ARRAY(SELECT o.id FROM sales.orders o JOIN public.assignments a ON a.customer_id = o.customer_id WHERE a.active))"},
		{"exists with two ties stays", "EXISTS (SELECT FROM assignments a WHERE a.customer_id = id AND a.agent = owner)", "EXISTS (SELECT 1 FROM public.assignments a WHERE a.customer_id = customers.id AND a.agent = customers.owner)"},
		{"not exists stays", "NOT EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = customers.id)", "NOT EXISTS (SELECT 1 FROM public.assignments a WHERE a.customer_id = customers.id)"},
		{"exists of an aggregate stays", "EXISTS (SELECT count(*) FROM assignments a WHERE a.customer_id = customers.id)", "EXISTS (SELECT pg_catalog.count(*) FROM public.assignments a WHERE a.customer_id = customers.id)"},
		{"array column stays", "tags IN (SELECT array_agg(agent) FROM assignments GROUP BY customer_id)", "customers.tags IN (SELECT pg_catalog.array_agg(assignments.agent) FROM public.assignments GROUP BY assignments.customer_id)"},
		{"second schema", "id IN (SELECT customer_id FROM orders)", "customers.id = ANY(ARRAY(SELECT orders.customer_id FROM sales.orders))"},
		{"time", "since > now() - interval '1 day' AND dob < CURRENT_DATE", "customers.since > (pg_catalog.now() - '1 day'::interval) AND customers.dob < current_date"},
		{"syntax functions", "extract(year FROM dob) > 2000 AND position('a' IN region) > 0", "extract ('year' FROM customers.dob) > 2000 AND POSITION('a' IN customers.region) > 0"},
		{"case", "CASE WHEN region = 'EU' THEN id > 1 ELSE false END", "CASE WHEN customers.region = 'EU' THEN customers.id > 1 ELSE false END"},
		{"union", "id IN (SELECT customer_id FROM assignments UNION SELECT customer_id FROM orders)", "customers.id IN (SELECT assignments.customer_id FROM public.assignments UNION SELECT orders.customer_id FROM sales.orders)"},
		{"other table of the same name, aliased", "id IN (SELECT c.id FROM sales.customers c WHERE c.vip)", "customers.id = ANY(ARRAY(SELECT c.id FROM sales.customers c WHERE c.vip))"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, err := CompileFilter(tc.in, table, opts)
			if err != nil {
				t.Fatalf("%s: %v", tc.in, err)
			}
			if f.SQL != tc.want {
				t.Errorf("got  %s\nwant %s", f.SQL, tc.want)
			}
		})
	}
}

// TestCompileFilterRows: subqueries see the rule's own rows of other tables (ENF-33).
func TestCompileFilterRows(t *testing.T) {
	t.Parallel()
	_, opts := filterWorld()
	orders := opts.Tables[Name{"sales", "orders"}]
	customers := Name{"public", "customers"}
	opts.Rows = map[Name]string{customers: "region = subject.region OR id = 0"}
	f, err := CompileFilter("customer_id IN (SELECT c.id FROM customers c WHERE c.balance > 1)", orders, opts)
	want := "orders.customer_id = ANY(ARRAY(SELECT c.id FROM (SELECT customers.balance, customers.id FROM public.customers WHERE customers.region = ANY(ARRAY" + attrRegion + ") OR customers.id = 0) c WHERE c.balance > 1))" +
		" AND EXISTS (SELECT 1 FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'region')"
	if err != nil || f.SQL != want {
		t.Fatalf("%v\ngot  %s\nwant %s", err, f.SQL, want)
	}
	if d := cmp.Diff(map[Name][]string{customers: {"balance", "id", "region"}}, f.ReadColumns); d != "" || !slices.Equal(f.Attributes, []string{"region"}) {
		t.Errorf("%s %v", d, f.Attributes)
	}
	opts.Rows[customers] = "EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = customers.id AND a.agent = subject.name)"
	f, err = CompileFilter("EXISTS (SELECT 1 FROM customers a WHERE a.id = orders.customer_id)", orders, opts)
	want = "orders.customer_id = ANY(ARRAY(SELECT a.id FROM (SELECT customers.id FROM public.customers WHERE customers.id = ANY(ARRAY(SELECT a.customer_id FROM public.assignments a WHERE a.agent = ANY(ARRAY" +
		attrName + ")))) a)) AND EXISTS (SELECT 1 FROM postern.attribute WHERE attribute.role = current_user AND attribute.key = 'name')"
	if err != nil || f.SQL != want {
		t.Fatalf("%v\ngot  %s\nwant %s", err, f.SQL, want)
	}
	opts.Rows[customers] = "false"
	if f, err = CompileFilter("1 < (SELECT count(*) FROM customers)", orders, opts); err != nil || f.SQL != "1 < (SELECT pg_catalog.count(*) FROM (SELECT FROM public.customers WHERE false) customers)" {
		t.Fatalf("%v: %s", err, f.SQL)
	}
	opts.Rows[customers] = "id IN (SELECT customer_id FROM orders)"
	opts.Rows[Name{"sales", "orders"}] = "customer_id IN (SELECT id FROM customers)"
	if f, err = CompileFilter("customer_id IN (SELECT id FROM customers)", orders, opts); err == nil {
		t.Errorf("a circle was accepted as %s", f.SQL)
	}
}

func TestCompileFilterFacts(t *testing.T) {
	t.Parallel()
	table, opts := filterWorld()
	f, err := CompileFilter("region = subject.region AND EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = id AND a.agent = subject.name)"+
		" AND 1 < (SELECT count(*) FROM sales.customers x)", table, opts)
	if err != nil {
		t.Fatal(err)
	}
	f.SQL = ""
	want := Filter{
		Reads:       []Name{{"public", "assignments"}, {"sales", "customers"}},
		ReadColumns: map[Name][]string{{"public", "assignments"}: {"agent", "customer_id"}, {"sales", "customers"}: nil},
		Attributes:  []string{"name", "region"}, Columns: []string{"id", "region"},
	}
	if d := cmp.Diff(want, f); d != "" {
		t.Error(d)
	}
	opts.CurrentUser = true
	if f, err = CompileFilter("owner = USER", table, opts); err != nil || !f.CurrentUser || f.SQL != "customers.owner = current_user" {
		t.Errorf("current_user, allowed: %+v, %v", f, err)
	}
}

// refusedFilters are texts that no filter may be, with a part of the message.
var refusedFilters = []struct{ in, message string }{
	{"", "empty"},
	{"   ", "empty"},
	{"true; DROP TABLE x", "semicolon"},
	{"true;", "semicolon"},
	{"true GROUP BY 1", "clauses"},
	{"true ORDER BY 1", "clauses"},
	{"true LIMIT 1", "clauses"},
	{"true FOR UPDATE", "clauses"},
	{"true UNION SELECT 1", "one boolean expression"},
	{"true WINDOW w AS ()", "clauses"},
	{"true) OR (true", "syntax error"},
	{"true /*", "unterminated"},
	{"nothere = 1", "does not exist in public.customers"},
	{"orders.id = 1", "there is no table orders here"},
	{"owner = current_user", "write subject.name"},
	{"owner = session_user", "write subject.name"},
	{"owner = current_setting('x')", "current_setting is not allowed"},
	{"pg_sleep(1) IS NULL", "pg_sleep is not allowed"},
	{"random() < 0.5", "random is not allowed"},
	{"app.f(id)", "app.f is not allowed"},
	{"count(*) > 1", "inside a subquery"},
	{"sum(id) OVER () > 1", "inside a subquery"},
	{"id = $1", "not allowed"},
	{"customers IS NOT NULL", "whole rows"},
	{"customers.* IS NOT NULL", "whole rows"},
	{"id IN (SELECT id FROM public.customers)", "infinite recursion"},
	{"id IN (SELECT a FROM nothere)", "does not exist in the store's schemas"},
	{"id IN (SELECT oid::int FROM pg_catalog.pg_class)", "only the application's tables"},
	{"id IN (SELECT 1 FROM postern.attribute)", "only the application's tables"},
	{"id IN (SELECT 1 FROM postern_shop_x_12345678.customers)", "only the application's tables"},
	{"id IN (WITH x AS (SELECT 1) SELECT 1 FROM x)", "may not use WITH"},
	{"id IN (SELECT 1 FROM orders FOR UPDATE)", "may not use"},
	{"id IN (VALUES (1))", "may not use WITH, VALUES"},
	{"id IN (SELECT generate_series FROM generate_series(1,3))", "not allowed in a filter's FROM"},
	{"id IN (SELECT vip FROM sales.customers WHERE region = 'x')", "own name"},
	{"'16384'::regclass IS NOT NULL", "type"},
	{"id OPERATOR(app.=) 1", "operator app.="},
	{"(tier).x = 1", "composite"},
	{"id = a.b.c.d.e", "too many parts"},
	{"region = subject.*", "whole rows"},
	{"id IN (SELECT customer_id FROM assignments subject)", "another alias"},
	{"XMLEXISTS('//a' PASSING owner)", "xmlexists is not allowed"},
	{"owner COLLATE app.c = 'x'", "collation"},
	{"id = 1 \x00", "UTF-8"},
}

func TestCompileFilterRefuses(t *testing.T) {
	t.Parallel()
	table, opts := filterWorld()
	for _, tc := range refusedFilters {
		f, err := CompileFilter(tc.in, table, opts)
		var se *SyntaxError
		if !errors.As(err, &se) {
			t.Errorf("%q was accepted as %s (%v)", tc.in, f.SQL, err)
			continue
		}
		if !strings.Contains(se.Message, tc.message) {
			t.Errorf("%q: %q, want something about %q", tc.in, se.Message, tc.message)
		}
		if se.Offset < -1 || se.Offset > len(tc.in) {
			t.Errorf("%q: offset %d is outside of the text", tc.in, se.Offset)
		}
	}
}

func TestCompileFilterOffsets(t *testing.T) {
	t.Parallel()
	table, opts := filterWorld()
	for _, tc := range []struct{ in, at string }{
		{"region = 'é' AND nothere = 1", "nothere"},
		{"region = 'é' AND foo bar", "bar"},
		{"id IN (SELECT 1 FROM nothere)", "nothere"},
		{"id = 1 AND pg_sleep(1) IS NULL", "pg_sleep"},
	} {
		_, err := CompileFilter(tc.in, table, opts)
		var se *SyntaxError
		if !errors.As(err, &se) || se.Offset != strings.Index(tc.in, tc.at) {
			t.Errorf("%q: %+v, want offset %d", tc.in, err, strings.Index(tc.in, tc.at))
		}
	}
}

func TestCompileMaskExpression(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"left(value, 2) || '…'", `pg_catalog."left"(customers."E Mail", 2) || '…'`},
		{"CASE WHEN value IS NULL THEN NULL ELSE '***' END", `CASE WHEN customers."E Mail" IS NULL THEN NULL ELSE '***' END`},
		{"date_trunc('month', value)::date", `pg_catalog.date_trunc('month', customers."E Mail")::pg_catalog.date`},
	} {
		got, err := CompileMaskExpression(tc.in, `customers."E Mail"`)
		if err != nil || got != tc.want {
			t.Errorf("%s: %s, %v; want %s", tc.in, got, err, tc.want)
		}
	}
	for _, in := range []string{
		"'fixed'", "other", "value || subject.name", "(SELECT value)", "value || current_user", "value, 1", "f(value)", "value::regclass",
		"value) || (value", "subject.name",
	} {
		if got, err := CompileMaskExpression(in, "x"); err == nil {
			t.Errorf("%q was accepted as %s", in, got)
		}
	}
}

func TestCompileDerived(t *testing.T) {
	t.Parallel()
	forms := map[string]string{"email": `pg_catalog."left"("email", 1) || '***'`, "id": `"id"`}
	got, err := CompileDerived("split_part(email, '@'::text, 2)", forms)
	want := `pg_catalog.split_part(pg_catalog."left"(email, 1) || '***', '@'::pg_catalog.text, 2)`
	if err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	for _, in := range []string{"other || email", "app.f(email)", "email || (SELECT 1)"} {
		if got, err := CompileDerived(in, forms); err == nil {
			t.Errorf("%q was accepted as %s", in, got)
		}
	}
}

func TestSyntax(t *testing.T) {
	t.Parallel()
	var s Syntax
	for _, ok := range []string{
		"region = subject.region", "id IN (SELECT customer_id FROM assignments WHERE agent = subject.name)",
		"EXISTS (SELECT * FROM sales.orders o WHERE o.id = customers.id)", "tier = 'gold'::app.tier", "tier = 'gold'::tier",
	} {
		if offset, err := s.CheckFilter(ok); err != nil {
			t.Errorf("%q: %v at %d", ok, err, offset)
		}
	}
	if offset, err := s.CheckFilter("region = = 1"); err == nil || offset != 9 {
		t.Errorf("offset %d, %v", offset, err)
	}
	if offset, err := s.CheckFilter("a = pg_sleep(1)"); err == nil || offset != 4 {
		t.Errorf("offset %d, %v", offset, err)
	}
	if got := s.FilterAttributes("a = subject.x AND b IN (SELECT c FROM d WHERE e = subject.name OR f < subject.x::int)"); !slices.Equal(got, []string{"name", "x"}) {
		t.Errorf("attributes %v", got)
	}
	if _, err := s.CheckMaskExpression("upper(value)"); err != nil {
		t.Error(err)
	}
	if _, err := s.CheckMaskExpression("upper(other)"); err == nil {
		t.Error("an expression without value was accepted")
	}
	good := "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if err := s.CheckVerifier(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "secret", "md5abc", strings.Replace(good, "4096", "1", 1), strings.Replace(good, "W22Z", "!!!!", 1), good[:len(good)-8]} {
		if s.CheckVerifier(bad) == nil {
			t.Errorf("verifier %q was accepted", bad)
		}
	}
}

// FuzzCompileFilter: what is accepted reads back as one statement with one WHERE that holds the same expression, in
// parentheses as it will be used; nothing panics.
func FuzzCompileFilter(f *testing.F) {
	for _, tc := range refusedFilters {
		f.Add(tc.in)
	}
	for _, s := range []string{
		"region = subject.region OR NOT id IN (SELECT customer_id FROM assignments a WHERE a.agent <> subject.name)",
		"EXISTS (SELECT FROM orders o WHERE o.id = customers.id) AND tags[1] = ANY(ARRAY['a']) AND balance BETWEEN 1 AND subject.x::int",
		"code::char(3) LIKE 'a%' ESCAPE '!' AND (id, region) IN ((1,'a'))", "'x'::bpchar = code", "B'101'::bit(3) IS NOT NULL",
	} {
		f.Add(s)
	}
	table, opts := filterWorld()
	opts.CurrentUser = true
	f.Fuzz(func(t *testing.T, in string) {
		got, err := CompileFilter(in, table, opts)
		if err != nil {
			var se *SyntaxError
			if !errors.As(err, &se) || se.Offset < -1 || se.Offset > len(in) {
				t.Fatalf("%q: %#v", in, err)
			}
			return
		}
		wrapped := "SELECT 1 FROM t WHERE (" + got.SQL + ")"
		if err := CheckLimits(wrapped); err != nil {
			t.Skip("deeper than one statement may be")
		}
		tree, err := pgquery.Parse(wrapped)
		if err != nil || len(tree.Stmts) != 1 || !bareSelect(tree.Stmts[0].Stmt.GetSelectStmt()) {
			t.Fatalf("%q became %q: %v", in, got.SQL, err)
		}
		back, err := deparseExpression(tree.Stmts[0].Stmt.GetSelectStmt().WhereClause)
		if err != nil || back != got.SQL {
			t.Fatalf("%q became %q, and then %q: %v", in, got.SQL, back, err)
		}
		again, err := CompileFilter(in, table, opts)
		if err != nil || again.SQL != got.SQL {
			t.Fatalf("%q: compiled twice: %v", in, err)
		}
	})
}

func TestExpectFilter(t *testing.T) {
	t.Parallel()
	e := Expectation{
		Schemas: []string{"public", "sales"}, Tables: map[Name]bool{{"public", "assignments"}: true, {"sales", "orders"}: true},
		Types: map[Name]bool{{"sales", "tier"}: true}, Attributes: map[string]string{"region": "E'U", "name": "ana"}, User: "probe",
		Restrict: func(n Name) (string, bool, error) { return "active AND id > 1", n.Name == "assignments", nil },
	}
	for _, tc := range []struct{ in, want string }{
		{"region = subject.region", "region = 'E''U'"},
		{"lower(region) <> subject.region::text AND owner = current_user", "pg_catalog.lower(region) <> 'E''U'::text AND owner = 'probe'"},
		{"id IN (SELECT customer_id FROM assignments a WHERE a.agent = subject.name)", "id IN (SELECT customer_id FROM (SELECT * FROM public.assignments WHERE active AND id > 1) a WHERE a.agent = 'ana')"},
		{"EXISTS (SELECT 1 FROM orders WHERE orders.id = public.customers.id) AND t = 'x'::tier", "EXISTS (SELECT 1 FROM sales.orders WHERE orders.id = customers.id) AND t = 'x'::sales.tier"},
	} {
		got, missing, err := ExpectFilter(tc.in, e)
		if err != nil || got != tc.want || len(missing) > 0 {
			t.Errorf("got  %s\nwant %s (%v, missing %v)", got, tc.want, err, missing)
		}
	}
	if _, missing, err := ExpectFilter("a = subject.nothere", e); err != nil || len(missing) != 1 {
		t.Errorf("missing %v, %v", missing, err)
	}
	if got, err := ExpectExpression("upper(value) || 'value'", "E Mail"); err != nil || got != `pg_catalog.upper("E Mail") || 'value'` {
		t.Errorf("%s, %v", got, err)
	}
}
