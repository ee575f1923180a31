package pgsql

import (
	"strings"
	"testing"
	"time"
)

// inlineWorld is one filtered table on the inline tier, as ana sees it.
func inlineWorld(t *testing.T) *World {
	t.Helper()
	view := Name{"postern_x", "customers"}
	rel := &Relation{
		Name: Name{"public", "customers"}, Target: view, Kind: 'r', Rule: "eu", Select: true,
		Columns: []Column{{Name: "id", Type: "integer"}, {Name: "ssn", Type: "text", Mask: "hidden"}},
	}
	sql, err := InlineQuery(`SELECT id AS "id", NULL::text AS "ssn" FROM public.customers WHERE (customers.region = ANY (ARRAY(SELECT attribute.value::pg_catalog.text FROM postern.attribute
		WHERE attribute.role = current_user AND attribute.key = 'region'))) AND (statement_timestamp() < ANY (ARRAY(SELECT h.until FROM postern.holds h WHERE h.role = current_user AND h.rule = 'eu'))) OFFSET 0`,
		InlineIdentity{Role: "ana", Attributes: map[string]string{"name": "ana", "region": `E'U\`}, Holds: map[string]time.Time{"eu": time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}})
	if err != nil {
		t.Fatal(err)
	}
	return &World{
		Store: "shop", Database: "shop", Profile: "postern_x", Major: 15, Schemas: []string{"public"}, Masked: true, Routines: map[string]bool{},
		Relations: map[Name]*Relation{rel.Name: rel}, Inline: map[Name]string{view: sql},
	}
}

// TestENF40_InlineQuery: a table is read through its query, in which the subject's identity stands as constants and the fence is last.
func TestENF40_InlineQuery(t *testing.T) {
	w := inlineWorld(t)
	for _, sql := range []string{
		"SELECT c.ssn FROM customers c", "TABLE customers", "SELECT * FROM customers a JOIN public.customers b USING (id)", "COPY customers TO STDOUT",
		"WITH customers AS (SELECT 1 AS id) SELECT * FROM customers x, public.customers y", "SELECT (SELECT count(*) FROM customers)",
		"PREPARE p AS SELECT id FROM customers WHERE id = $1", "DECLARE c CURSOR FOR SELECT id FROM customers",
	} {
		d := NewGuard(0).Decide(w, sql, Simple)
		if d.Refusal != nil {
			t.Errorf("%s: %s", sql, d.Refusal.Message)
			continue
		}
		for _, want := range []string{"OFFSET 0", "FROM public.customers WHERE", "'ana'::name", `E'E''U\\'`, "2030-01-02 03:04:05+00"} {
			if !strings.Contains(d.Text, want) && !strings.Contains(strings.ReplaceAll(d.Text, "pg_catalog.", ""), want) {
				t.Errorf("%s: no %s in %s", sql, want, d.Text)
			}
		}
		if strings.Contains(d.Text, "postern") || strings.Contains(strings.ToLower(d.Text), "current_user") {
			t.Errorf("%s: it asks the server for what is not there, or may be changed: %s", sql, d.Text)
		}
	}
}

// TestENF41_InlineRefuses: what needs more than a query in FROM is refused, and so is every write and lock.
func TestENF41_InlineRefuses(t *testing.T) {
	w := inlineWorld(t)
	for sql, reason := range map[string]Reason{
		"SELECT id FROM customers FOR UPDATE":              ReasonLock,
		"UPDATE customers SET id = 1":                      ReasonAction,
		"DELETE FROM customers":                            ReasonAction,
		"INSERT INTO customers (id) VALUES (1)":            ReasonAction,
		"SELECT relname FROM pg_class":                     ReasonInline,
		"SELECT * FROM information_schema.tables":          ReasonInline,
		"SELECT obj_description(1, 'pg_class')":            ReasonInline,
		"SELECT NULL::public.customers":                    ReasonInline,
		"SELECT ctid FROM customers":                       ReasonSystemColumn,
		"CREATE TEMP TABLE t AS SELECT ssn FROM customers": ReasonTemporary,
		"EXPLAIN SELECT * FROM customers":                  ReasonExplain,
	} {
		d := NewGuard(0).Decide(w, sql, Simple)
		if d.Refusal == nil {
			t.Errorf("%s is sent: %s", sql, d.Text)
		} else if d.Refusal.Reason != reason {
			t.Errorf("%s: %s (%s), not %s", sql, d.Refusal.Reason, d.Refusal.Message, reason)
		}
	}
}

// TestENF42_InlineFunctions: what the server's list does not have is refused, whatever else is asked with it.
func TestENF42_InlineFunctions(t *testing.T) {
	w := inlineWorld(t)
	for sql, sent := range map[string]bool{
		"SELECT upper(ssn) FROM customers":                                   true,
		"SELECT count(*) FROM customers WHERE left(ssn, 1) = 'a'":            true,
		"SELECT public.upper(ssn) FROM customers":                            false,
		"SELECT pg_read_file('/etc/passwd')":                                 false,
		"SELECT query_to_xml('SELECT ssn FROM customers', true, true, '')":   false,
		"SELECT id FROM customers WHERE pg_sleep(1) IS NULL":                 false,
		"SELECT * FROM dblink('', 'SELECT ssn FROM customers') AS t(s text)": false,
	} {
		if d := NewGuard(0).Decide(w, sql, Simple); (d.Refusal == nil) != sent {
			t.Errorf("%s: %v", sql, d.Refusal)
		}
	}
}

// TestENF44_InlineQueryRefusesKeys: a query that needs a table of Postern's other than who somebody is cannot be written out.
func TestENF44_InlineQueryRefusesKeys(t *testing.T) {
	if sql, err := InlineQuery("SELECT (SELECT ipad FROM postern.key) FROM public.customers", InlineIdentity{Role: "ana"}); err == nil {
		t.Errorf("the key is read from the server: %s", sql)
	}
}

// TestENF41_InlineReadsOnly: the server's own bar against writing stays up, whatever a driver says of its transactions.
func TestENF41_InlineReadsOnly(t *testing.T) {
	inline, walled := inlineWorld(t), shopWorld()
	for sql, want := range map[string]string{
		"BEGIN READ WRITE": "BEGIN READ ONLY",
		"START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE": "READ ONLY",
		"SET TRANSACTION READ WRITE":                                 "READ ONLY",
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE":      "READ ONLY",
		"SET transaction_read_only TO DEFAULT":                       "SET transaction_read_only TO ON",
		"RESET transaction_read_only":                                "SET transaction_read_only TO ON",
		"SET LOCAL transaction_read_only TO DEFAULT":                 "SET LOCAL transaction_read_only TO ON",
		"BEGIN READ ONLY":                                            "BEGIN READ ONLY",
		"BEGIN":                                                      "BEGIN",
		"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED": "READ COMMITTED",
	} {
		d := NewGuard(-1).Decide(inline, sql, Simple)
		if d.Refusal != nil || !strings.Contains(d.Text, want) || strings.Contains(d.Text, "READ WRITE") {
			t.Errorf("%s: %+v %s, want %s", sql, d.Refusal, d.Text, want)
		}
		if d := NewGuard(-1).Decide(walled, sql, Simple); d.Refusal != nil || strings.Contains(sql, "READ WRITE") != strings.Contains(d.Text, "READ WRITE") {
			t.Errorf("with a wall, %s: %+v %s", sql, d.Refusal, d.Text)
		}
	}
	for _, sql := range []string{
		"SET transaction_read_only = off", "SET default_transaction_read_only = off", "SELECT set_config('transaction_read_only', 'off', true)",
		"SELECT set_config('transaction_read_only', NULL, true)",
	} {
		if d := NewGuard(-1).Decide(inline, sql, Simple); d.Refusal == nil {
			t.Errorf("%s: %s", sql, d.Text)
		}
	}
}
