package rules_test

import (
	"strings"
	"testing"
)

// formRules are those of masks and of several rules of one person (sections 4.4 and 5).
var formRules = []rule{
	{id: "ENF-28", tries: []try{
		{"ana", "SELECT count(DISTINCT b) FROM (SELECT string_agg(buyer, ',' ORDER BY id) AS b FROM orders UNION ALL SELECT string_agg(buyer, ',' ORDER BY id) FROM orders) s", "1"},
		{"server", "SELECT count(*) FROM " + views + ` WHERE pg_get_viewdef(v.oid) ~ 'random\(|clock_timestamp'`, "0"},
	}},
	{id: "ENF-29", tries: []try{
		{"ana", "SELECT pg_typeof(email), pg_typeof(ssn), pg_typeof(tier), pg_typeof(pin), pg_typeof(code) FROM customers WHERE id = 1", "text|text|tier|pin4|character varying"},
		{"ana", "SELECT ssn IS NULL, tier IS NULL, pin, code FROM customers WHERE id = 1", "t|t|0000|a"},
		{"ana", "SELECT id, buyer IS NULL FROM orders WHERE id > 2 ORDER BY id", "3|f\n4|t"},
	}},
	{id: "ENF-30", elsewhere: "TestLeaves"},
	{id: "ENF-31", tries: []try{
		{"ana", "SELECT a.buyer = b.buyer, a.buyer = c.buyer, a.buyer ~ '@', length(a.buyer) > 20 FROM orders a, orders b, orders c WHERE a.id = 1 AND b.id = 2 AND c.id = 3", "t|f|f|t"},
		{"ana", "SELECT count(*) FROM orders WHERE buyer = encode(sha256('ann@x.test'), 'hex')", "0"},
		{"wall ana", "TABLE postern.key", "error 42501"},
		{"ana", "TABLE postern.key", "error 42P01"},
		{"server", "SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE e.extname = 'pgcrypto'", "0"},
	}},
	{id: "ENF-32", tries: []try{
		{"server", `SELECT count(*) FROM ` + views + ` JOIN pg_class t ON t.relname = v.relname AND t.relnamespace = 'app'::regnamespace JOIN pg_attribute b ON b.attrelid = t.oid AND b.attnum > 0 AND NOT b.attisdropped
			LEFT JOIN pg_attribute a ON a.attrelid = v.oid AND a.attname = b.attname WHERE (a.atttypid, a.atttypmod, a.attcollation) IS DISTINCT FROM (b.atttypid, b.atttypmod, b.attcollation)`, "0"},
	}},
	{id: "ENF-33", tries: []try{
		{"ana", "SELECT id FROM customers ORDER BY id", "1\n2"},
		{"sam", "SELECT id FROM customers ORDER BY id", "2\n3"},
		{"uma", "SELECT id FROM customers ORDER BY id", "1\n2\n3"},
		{"server", "SELECT count(*) FROM pg_policies WHERE schemaname = 'app' AND policyname LIKE 'postern%' AND permissive <> 'PERMISSIVE'", "0"},
	}},
	{id: "ENF-34", tries: []try{
		{"uma", "SELECT id, email, ssn, balance, tier, pin, code, email_domain FROM customers ORDER BY id", "1|a***||10.00||0000|a|\n2|bob@y.test|***2|20.00|basic|2222|def|y.test\n3|cyd@z.test|***3||gold|3333|ghi|z.test"},
		{"wall uma", "SELECT id, email, ssn, balance FROM customers ORDER BY id", "1|a***||10.00\n2|bob@y.test|***2|20.00\n3|cyd@z.test|***3|"},
	}},
	{id: "ENF-35", do: nil, tries: []try{
		{"server", "SELECT count(*) FROM " + views + " WHERE v.relname = 'customers' AND has_table_privilege('uma', v.oid, 'SELECT') AND pg_get_viewdef(v.oid) ~ 'CASE' AND pg_get_viewdef(v.oid) ~ E'\\n +(customers\\\\.)?phone,'", "1"},
		{"server", "SELECT count(*) FROM " + views + " WHERE v.relname = 'customers' AND has_table_privilege('ana', v.oid, 'SELECT') AND pg_get_viewdef(v.oid) ~ 'CASE WHEN [^;]*region = '", "0"},
		{"uma", "SELECT count(*) FROM customers WHERE email IS NULL OR pin IS NULL", "0"},
	}},
	{id: "ENF-36", tries: []try{
		{"uma", "SELECT email, ssn, tier FROM customers WHERE id = 2", "bob@y.test|***2|basic"},
		{"uma", "SELECT DISTINCT length(buyer) > 20 FROM orders WHERE buyer IS NOT NULL", "t"},
	}},
	{id: "ENF-37", tries: []try{
		{"uma", "UPDATE customers SET phone = '+9' WHERE id = 2", "tag UPDATE 1"},
		{"uma", "UPDATE customers SET phone = '+9' WHERE id = 1", "tag UPDATE 0"},
		{"uma", "UPDATE customers SET phone = '+9' WHERE id = 4", "tag UPDATE 0"},
		{"uma", "UPDATE customers SET email = 'x' WHERE id = 2", "error 42501"},
		{"wall uma", "UPDATE customers SET email = 'x' WHERE id = 2", "error 0A000 cannot update column"},
		{"uma", "UPDATE customers SET name = 'x' WHERE id = 2", "error 42501"},
		{"uma", "UPDATE customers SET phone = '+2' WHERE id = 2", "tag UPDATE 1"},
	}},
	{id: "ENF-38", tries: []try{
		{"server", "SELECT count(*) FROM " + profiles, "6"}, // a; b and notes; a, b and notes; a, more and past; scratch; both of lent
	}},
}

// inlineRules are those of the inline tier (section 6).
var inlineRules = []rule{
	{id: "ENF-39", tries: []try{
		{"ana", "SELECT * FROM orders WHERE id = 1", "1||5.00"},
		{"ana", "SELECT count(*) FROM orders WHERE buyer = 'ann@x.test'", "0"},
		{"ana", "SELECT q, w, e FROM orders AS o (q, w, e) WHERE q = 4", "4||8.00"},
		{"server", "SELECT has_column_privilege('postern_reader', 'app.orders', 'buyer', 'SELECT'), has_column_privilege('postern_reader', 'app.orders', 'amount', 'SELECT')", "f|t"},
	}},
	{id: "ENF-40", tries: []try{
		{"ana", "SELECT id FROM customers ORDER BY id", "1\n2"},
		{"ana", "SELECT count(*) FROM customers WHERE phone::int > 0", "2"},
		{"ana", "SELECT id FROM customers WHERE 1/(id - 4) > 5", "tag SELECT 0"},
		{"server", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'postern_reader' AND query ~ 'OFFSET 0' AND query !~ 'MATERIALIZED'", "1"},
	}},
	{id: "ENF-41", tries: all(each("sam", "error 0A000", "MERGE INTO notes USING customers c ON true WHEN MATCHED THEN DELETE", "COPY notes FROM STDIN"), each("sam", "error 42501", "UPDATE customers SET phone = 'x'", "DELETE FROM customers", "INSERT INTO notes VALUES (9, 'sam', 'x', 1)", "SELECT * FROM customers FOR UPDATE",
		"SELECT * FROM customers FOR SHARE", "CREATE TEMP TABLE t (i int)", "INSERT INTO notes (id) VALUES (1) RETURNING body"))},
	{id: "ENF-42", tries: all(
		each("ana", "error 42501", "SELECT app.twice(1)", "SELECT app.in_region('EU')", "SELECT app.label(c) FROM customers c", "SELECT public.upper('a'::varchar)"),
		[]try{{"ana", "SELECT upper('a'::varchar), length(name) FROM customers WHERE id = 1", "A|3"}},
	)},
	{id: "ENF-43", do: tellsInline},
	{id: "ENF-44", tries: []try{
		{"sam", "SELECT id, author FROM notes", "1|sam"},
		{"uma", "SELECT id, author FROM notes", "2|uma"},
		{"uma", "SELECT id FROM customers ORDER BY id", "1\n2\n3"},
		{"sam", "SET application_name = 'uma'; SELECT id FROM notes", "1"},
	}},
}

// tellsInline: the tier's limits are said by plan and by policy check, for every table.
func tellsInline(t *testing.T, w *world) {
	var said strings.Builder
	for _, x := range w.Plan(t).Warnings {
		said.WriteString(x.Text)
	}
	check := w.Must(t, "policy", "check")
	for _, table := range []string{"customers", "events", "orders", "products", "notes"} {
		if !strings.Contains(said.String(), "app."+table+" is masked and filtered by the gateway only") {
			t.Errorf("plan does not say it of %s: %s", table, said.String())
		}
		if !strings.Contains(check, "app."+table) {
			t.Errorf("policy check does not name %s:\n%s", table, check)
		}
	}
	if !strings.Contains(check, "inline") {
		t.Errorf("policy check does not name the tier:\n%s", check)
	}
}
