package pgsql

import "testing"

func TestSmoke(t *testing.T) {
	g := NewGuard(0)
	w := shopWorld()
	for _, s := range []string{"SELECT * FROM customers", "SELECT public.customers.id, c.* FROM public.customers, sales.orders c WHERE upper(name) = 'X'",
		"SELECT get_customer_ssn(3)", "SELECT ssn FROM payroll", "selec 1", "SELECT c.customer_label FROM customers c", "WITH customers AS (SELECT * FROM customers) SELECT ssn::text FROM customers", ""} {
		d := g.Decide(w, s, Simple)
		t.Logf("%s\n  %v %s %+v %+v", s, d.Verdict, d.Text, d.Refusal, d.Statements)
	}
}
