package pgsql

import (
	"strings"
	"testing"
)

func groupWorld() *World {
	w := shopWorld()
	w.Relations[Name{"public", "customers"}].MinGroup = 5
	w.Relations[Name{"public", "events"}].MinGroup = 7 // without a key
	w.Relations[Name{"public", "customers"}].Columns = append(w.Relations[Name{"public", "customers"}].Columns, Column{Name: "since", Type: "date"})
	return w
}

// TestMinGroup: what asks for groups is sent with the condition on their size; what could tell of fewer rows is refused.
func TestMinGroup(t *testing.T) {
	t.Parallel()
	g, w := NewGuard(-1), groupWorld()
	const enough = "having pg_catalog.count(*) >= 5"
	for sql, want := range map[string]string{
		"select count(*) from customers": enough,
		"select region, avg(balance) from customers c where balance > 3 and region in ('EU', 'US') group by region order by 2 desc limit 3": "having pg_catalog.count(*) >= 5 and pg_catalog.count(c.balance) >= 5",
		"select region from customers group by region having sum(balance) > 10":                                                             "having case when pg_catalog.count(*) >= 5 and pg_catalog.count(customers.balance) >= 5 then pg_catalog.sum(balance) > 10 else false end",
		"select date_trunc('month', since) m, round(stddev(balance), 2) from customers group by 1":                                          enough,
		"select date_trunc('year', since) as y, count(*) from customers group by y order by y":                                              enough,
		"select c.region, count(*) from customers c join orders o on o.customer_id = c.id where o.total > 5 group by c.region":              "having pg_catalog.count(distinct c.id) >= 5",
		"select sum(o.total), count(*) from customers c, orders o where o.customer_id = c.id":                                               "having pg_catalog.count(distinct c.id) >= 5",
		"select sum(c.balance), avg(o.total) from customers c join orders o on o.id = c.id group by o.total":                                "case when c.balance is not null then c.id end) >= 5",
		"select x.n * 2 from (select count(*) n from customers) x":                                                                          enough,
		"with x as (select region, count(*) n from customers group by region) select max(n), upper(min(region)) from x":                     enough,
		"declare c cursor for select count(*) from customers":                                                                               enough,
		"select count(*) from events where region = 'EU'":                                                                                   "having pg_catalog.count(*) >= 7",
		"select id, total from orders where total > 1":                                                                                      "", // another table, not limited
	} {
		d := g.Decide(w, sql, Simple)
		if d.Refusal != nil {
			t.Errorf("%s\nrefused: %s %s", sql, d.Refusal.Message, d.Refusal.Detail)
		} else if !strings.Contains(strings.ToLower(d.Text), want) {
			t.Errorf("%s\n got %s\nwant %s", sql, d.Text, want)
		}
	}
	for name, sql := range map[string]string{
		"rows":                         "select id, balance from customers",
		"star":                         "table customers",
		"constant per row":             "select 1 from customers where id = 7",
		"exists":                       "select exists (select 1 from customers where id = 7 and balance > 100)",
		"distinct rows":                "select distinct balance from customers",
		"distinct aggregate":           "select sum(distinct balance) from customers",
		"count distinct":               "select count(distinct balance) from customers",
		"filter":                       "select sum(balance) filter (where id = 7) from customers",
		"case":                         "select sum(case when id = 7 then balance else 0 end) from customers",
		"nullif":                       "select sum(nullif(balance, 3)) from customers",
		"product":                      "select sum(balance * id) from customers",
		"min":                          "select min(balance) from customers",
		"max":                          "select max(name) from customers",
		"array_agg":                    "select array_agg(balance) from customers",
		"string_agg":                   "select string_agg(name, ',') from customers",
		"json_agg":                     "select json_agg(customers) from customers",
		"percentile":                   "select percentile_disc(0.5) within group (order by balance) from customers",
		"window":                       "select sum(balance) over (partition by id) from customers",
		"window of groups":             "select region, sum(count(*)) over () from customers group by region",
		"rollup":                       "select region, count(*) from customers group by rollup (region, id)",
		"grouped expression":           "select count(*) from customers group by 1/(balance - 100)",
		"grouped target":               "select 1/(balance - 100), count(*) from customers group by 1",
		"grouped alias":                "select (id = 7) as who, sum(balance) from customers group by who",
		"bad unit":                     "select date_trunc('nonsense', since), count(*) from customers group by 1",
		"error in where":               "select count(*) from customers where id = 7 and 1/(balance - 100) > 0",
		"cast in where":                "select count(*) from customers where id = 7 and notes::int > 0",
		"like in where":                `select count(*) from customers where id = 7 and name like 'x\'`,
		"subquery in where":            "select count(*) from customers where id in (select id from customers)",
		"scalar subquery":              "select count(*), (select 1) from customers",
		"subquery for rows":            "select region, sum(b) from (select region, balance b from customers where id = 7) x group by region",
		"union inflates":               "select sum(b) from (select balance b from customers where id = 7 union all select 0 union all select 0) x",
		"union compares":               "select sum(balance) from customers union all select sum(balance) from customers where id <> 7",
		"two texts in one":             "select sum(balance) from customers; select sum(balance) from customers where id <> 7",
		"cte rows":                     "with x as (select * from customers) select count(*) from x",
		"correlated":                   "select o.id, (select sum(balance) from customers c where c.id <> o.id) from orders o",
		"lateral":                      "select * from orders o, lateral (select sum(balance) from customers c where c.id <> o.id) x",
		"inflated by a series":         "select sum(balance) from customers, generate_series(1, 5) where id = 7",
		"outer join":                   "select count(*) from orders o left join customers c on c.id = o.customer_id",
		"using":                        "select count(*) from customers join orders using (id)",
		"join without a key":           "select count(*) from events e join orders o on o.id = e.id",
		"weights by a condition":       "select avg(c.balance) from customers c join orders o on c.id = 7 or o.id = 1",
		"weights in where":             "select avg(c.balance) from customers c, orders o where c.id = o.customer_id or c.id = 7",
		"weights by partners":          "select avg(c.balance) from customers c join orders o on o.customer_id = c.id",
		"groups that grow":             "select o.id, count(*) from customers c join orders o on c.id <= o.id group by o.id",
		"groups that overlap":          "select o.total, count(*) from customers c join orders o on o.customer_id = c.id group by o.total",
		"groups by number":             "select o.total, count(*) from customers c join orders o on o.customer_id = c.id group by 1",
		"every row with every":         "select sum(c.balance) from customers c, orders o",
		"self join":                    "select count(*) from customers a join customers b on a.id = b.id",
		"column aliases":               "select count(*) from customers c(a, b) where a = 7",
		"copy":                         "copy customers (id) to stdout",
		"lock":                         "select count(*) from customers for update",
		"update":                       "update customers set name = 'x' where id = 7 and balance > 100",
		"insert from rows":             "insert into orders (id, total) select id, balance from customers",
		"prepared rows":                "prepare p as select balance from customers where id = $1",
		"unqualified outer column":     "select (select count(*) from customers where region = sku) from products",
		"table sample":                 "select count(*) from customers tablesample system (1)",
		"having with an error is kept": "select count(*) from customers having exists (select 1)",
	} {
		d := g.Decide(w, sql, Simple)
		if d.Refusal == nil {
			t.Errorf("%s: sent as %s", name, d.Text)
		} else if r := d.Refusal.Reason; r != ReasonMinGroup && name != "lock" && name != "update" && name != "table sample" && name != "json_agg" {
			t.Errorf("%s: %s: %s", name, r, d.Refusal.Message)
		}
	}
}

// TestMinGroupJSON: since PostgreSQL 16 there are aggregates that are no function calls. They show what is in a row; what makes JSON of
// whole groups shows nothing more than these.
func TestMinGroupJSON(t *testing.T) {
	t.Parallel()
	g, w := NewGuard(-1), groupWorld()
	w.Major = 18
	for _, sql := range []string{
		"select json_object('n': count(*), 'region': region), json_array(region, avg(balance)) from customers group by region",
		"select region from customers group by region order by json_value(json_array(count(*)), '$[0]' returning int)",
		"select json_array(count(*)) is json, json_scalar(sum(balance)), json_serialize(json_object('a': count(*))) from customers",
		"select json_query(json('[1]'), '$[0]' default '2' on empty), count(*) from customers",
		"select json_exists(json_array(count(*)), '$[$i]' passing count(*) as i) from customers",
		"select xmlelement(name n, xmlattributes(region as r), count(*)), xmlserialize(content xmlforest(region) as text) from customers group by region",
		"select json_arrayagg(total), json_objectagg(id: total) from orders", // another table, not limited
	} {
		if d := g.Decide(w, sql, Simple); d.Refusal != nil {
			t.Errorf("%s\nrefused: %s %s", sql, d.Refusal.Message, d.Refusal.Detail)
		}
	}
	for _, sql := range []string{
		"select count(*), json_arrayagg(balance) from customers",
		"select region, json_arrayagg(balance) from customers group by region",
		"select count(*), json_objectagg(id: balance) from customers",
		"select count(*), json_objectagg(name: balance absent on null with unique keys) from customers",
		"select count(*), json_arrayagg(id) filter (where id = 7) from customers",
		"select id, json_arrayagg(id) over () from customers group by id",
		"select json_array(count(*), json_arrayagg(1/(balance - 100))) from customers",
		"select region from customers group by region having json_arrayagg(id) is not null",
		"select region from customers group by region order by json_arrayagg(id)::text",
		"select count(*), json_array(select balance from customers) from customers",
		"select json_array(select 1), count(*) from customers",
	} {
		if d := g.Decide(w, sql, Simple); d.Refusal == nil || d.Refusal.Reason != ReasonMinGroup {
			t.Errorf("%s: %+v, sent as %s", sql, d.Refusal, d.Text)
		}
	}
}
