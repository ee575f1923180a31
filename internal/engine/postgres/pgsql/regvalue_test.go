package pgsql

import (
	"strings"
	"testing"
)

// TestENF55_NamedArguments: a bare string is the name of an object where the function's argument is one, and no more of it is found out than
// by a cast.
func TestENF55_NamedArguments(t *testing.T) {
	t.Parallel()
	g, w := NewGuard(-1), shopWorld()
	for _, sql := range []string{
		"SELECT to_tsvector('hr.english', 'x')", "SELECT pg_catalog.to_tsquery('hr.english', 'x')", "SELECT ts_lexize('hr.words', 'x')",
		"SELECT ts_headline('hr.english', 'x', 'y'::tsquery)", "SELECT to_tsvector($1, 'x')", "SELECT ts_headline($1, 'a', 'b'::tsquery, 'c')",
		"SELECT websearch_to_tsquery($1, $2)",
	} {
		if d := g.Decide(w, sql, Simple); d.Refusal == nil || d.Refusal.Reason != ReasonFunctionArgument {
			t.Errorf("%s: %+v", sql, d.Refusal)
		}
	}
	for sql, want := range map[string]string{
		"SELECT to_tsvector('english', notes) FROM customers": "pg_catalog.to_tsvector('english', notes)",
		"SELECT to_tsvector('pg_catalog.english', 'x')":       "'pg_catalog.english'",
		"SELECT to_tsvector('english'::regconfig, 'x')":       "'pg_catalog.english'::pg_catalog.regconfig, 'x')",
		"SELECT to_tsvector('a.b')":                           "to_tsvector('a.b')",
		"SELECT to_tsquery('english', $1)":                    "to_tsquery('english', $1)",
		"SELECT plainto_tsquery($1)":                          "plainto_tsquery($1)",
		"SELECT ts_headline($1, $2::tsquery)":                 "ts_headline($1, ",
		"SELECT 'english'::regconfig":                         "pg_catalog.regconfig::pg_catalog.text",
		"SELECT COALESCE('english'::regconfig, 'hr.x')":       "::pg_catalog.text, 'hr.x')",
		// A relation that is not admitted is none.
		"SELECT pg_table_size('hr.people')":                 "pg_table_size(NULL::pg_catalog.regclass::pg_catalog.oid)",
		"SELECT pg_table_size('nowhere.at_all')":            "pg_table_size(NULL::pg_catalog.regclass::pg_catalog.oid)",
		"SELECT pg_relation_is_publishable('payroll')":      "(NULL::pg_catalog.regclass::pg_catalog.oid)",
		"SELECT pg_table_size('public.customers')":          "to_regclass('public.customers')::pg_catalog.oid",
		"SELECT relid FROM pg_partition_ancestors('16400')": "pg_partition_ancestors('16400')", // psql's, which the stand-in answers
	} {
		if d := g.Decide(w, sql, Simple); d.Refusal != nil || !strings.Contains(d.Text, want) {
			t.Errorf("%s: %+v %s, want %s", sql, d.Refusal, d.Text, want)
		}
	}
}
