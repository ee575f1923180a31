package pgsql

// shopWorld is the profile that most tests use: customers masked and filtered, orders of another schema too, products open.
func shopWorld() *World {
	read := func(name Name, target Name, kind byte, columns []Column, primary ...string) *Relation {
		return &Relation{
			Name: name, Target: target, Kind: kind, Rule: "analysts-eu", Dataset: "customers", Columns: columns,
			Primary: primary, Unique: map[string][]string{}, Select: true,
		}
	}
	customers := read(Name{"public", "customers"}, Name{"postern_x", "customers"}, 'r', []Column{
		{Name: "id", Type: "integer"},
		{Name: "name", Type: "text", Update: true},
		{Name: "email", Type: "text", Label: "contact.email", Mask: "partial_email"},
		{Name: "ssn", Type: "text", Label: "id.us_ssn", Mask: "hidden"},
		{Name: "phone", Type: "text", Label: "contact.phone", Update: true},
		{Name: "region", Type: "text"},
		{Name: "balance", Type: "numeric(12,2)"},
		{Name: "notes", Type: "text"},
	}, "id")
	customers.Unique["customers_pkey"] = []string{"id"}
	customers.Unique["customers_email_key"] = []string{"email"}
	orders := read(Name{"public", "orders"}, Name{"postern_x", "orders"}, 'r', []Column{
		{Name: "id", Type: "integer", Insert: true},
		{Name: "customer_id", Type: "integer", Insert: true},
		{Name: "total", Type: "numeric(12,2)", Insert: true, Update: true},
		{Name: "memo", Type: "text", Mask: "hidden"},
	}, "id")
	orders.Insert, orders.Update, orders.Delete, orders.Lock = true, true, true, true
	orders.Unique["orders_pkey"] = []string{"id"}
	sales := read(Name{"sales", "orders"}, Name{"postern_x", "sales.orders"}, 'r', []Column{
		{Name: "id", Type: "integer"}, {Name: "amount", Type: "numeric"},
	}, "id")
	products := read(Name{"public", "products"}, Name{"public", "products"}, 'r', []Column{
		{Name: "id", Type: "integer", Insert: true, Update: true}, {Name: "sku", Type: "text", Insert: true, Update: true}, {Name: "price", Type: "numeric(12,2)", Insert: true, Update: true},
	}, "id")
	products.Open, products.Insert, products.Update, products.Delete, products.Lock = true, true, true, true, true
	products.Unique["products_pkey"] = []string{"id"}
	events := read(Name{"public", "events"}, Name{"postern_x", "events"}, 'p', []Column{
		{Name: "id", Type: "integer"}, {Name: "region", Type: "text"}, {Name: "payload", Type: "text"},
	})
	seq := &Relation{Name: Name{"public", "orders_id_seq"}, Target: Name{"public", "orders_id_seq"}, Kind: 'S', Select: true, Insert: true, Rule: "analysts-eu"}
	w := &World{
		Store: "shop", Database: "shopdb", Profile: "postern_x", Generation: 1, Major: 15, Schemas: []string{"public", "sales"},
		Relations: map[Name]*Relation{}, Masked: true,
		Known: map[Name]Hidden{
			{"public", "payroll"}: {Kind: 'r', Dataset: "hr"}, {"public", "events_us"}: {Kind: 'r', Dataset: "customers"},
			{"public", "customer_report"}: {Kind: 'v'}, {"hr", "people"}: {Kind: 'r', Dataset: "hr"},
		},
		Types:     map[Name]Name{{"public", "tier"}: {"public", "tier"}, {"ext", "citext"}: {"ext", "citext"}},
		Extension: map[string]string{"citext": "ext"},
		Routines:  map[string]bool{"customer_label": true, "get_customer_ssn": true},
		Operators: map[string]bool{"===": true}, Timeouts: map[string]int64{"statement_timeout": 60000},
	}
	for _, r := range []*Relation{customers, orders, sales, products, events, seq} {
		w.Relations[r.Name] = r
	}
	return w
}
