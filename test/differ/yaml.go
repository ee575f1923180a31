package differ

import (
	"fmt"
	"strings"
)

// SQL creates the tables and their rows, in the schema that the search path names.
func SQL(tables []*Table) string {
	var b strings.Builder
	for _, t := range tables {
		var cols []string
		for _, c := range t.Columns {
			col := c.Name + " " + c.Type
			if c.Name == "id" {
				col += " PRIMARY KEY"
			}
			cols = append(cols, col)
		}
		fmt.Fprintf(&b, "CREATE TABLE %s (%s);\n", t.Name, strings.Join(cols, ", "))
		for _, r := range t.Rows {
			var vals []string
			for _, c := range t.Columns {
				if v := r[c.Name]; v == nil {
					vals = append(vals, "NULL")
				} else {
					vals = append(vals, "'"+strings.ReplaceAll(*v, "'", "''")+"'")
				}
			}
			fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", t.Name, strings.Join(vals, ", "))
		}
	}
	return b.String()
}

// Seen is the tables as a subject sees them.
func (w *World) Seen(subject string, k Keys) []*Table {
	var out []*Table
	for _, t := range w.Tables {
		out = append(out, &Table{Name: t.Name, Columns: t.Columns, Rows: w.View(t, subject, k)})
	}
	return out
}

// Policy is the policy file, with the placeholders of test/site in it.
func (w *World) Policy() string {
	var b strings.Builder
	b.WriteString(`version: 1
state: sqlite:postern.db
keys: {root: {file: secrets/root.key}, audit: {file: secrets/audit.key}}
stores:
  shop:
    engine: postgres
    address: "{{server}}"
    database: shop
    schemas: [public]
    tls: {mode: verify-full, ca: "{{server ca}}"}
    provisioner: {{provisioner}}
    grantor: {{grantor}}
gateway:
  listeners:
    - {engine: postgres, address: "{{listen}}", tls: {cert: server.crt, key: secrets/server.key}}
  network:
    - {from: [all], auth: scram, tls: require}
users:
  owner: {scram: "{{scram owner}}"}
`)
	for _, s := range subjects() {
		fmt.Fprintf(&b, "  %s: {scram: \"{{scram %s}}\", role: %s, attributes: {team: %q}}\n", s, s, s, w.Attrs[s])
	}
	b.WriteString("masks:\n")
	for _, r := range w.Rules {
		fmt.Fprintf(&b, "  %s:\n", r.Name)
		for _, t := range w.Tables {
			for _, c := range t.Columns {
				fmt.Fprintf(&b, "    shop.public.%s.%s: %s\n", t.Name, c.Name, quoted(r.Masks[t.Name][c.Name].Text))
			}
		}
	}
	b.WriteString("datasets:\n  all:\n    owners: [owner]\n    include: [shop.public.people, shop.public.orders, shop.public.places]\nrules:\n")
	for _, r := range w.Rules {
		fmt.Fprintf(&b, "  %s:\n    to: [%s]\n    on: all\n    level: read\n    masks: %s\n    rows:\n", r.Name, strings.Join(r.To, ", "), r.Name)
		for _, t := range w.Tables {
			if f := r.Rows[t.Name]; f.Text != "true" {
				fmt.Fprintf(&b, "      shop.public.%s: %s\n", t.Name, quoted(f.Text))
			}
		}
	}
	b.WriteString("baseline: {outside_datasets: block}\naudit: {folder: audit/, sync: 100ms}\n")
	return b.String()
}

// quoted is a text in YAML.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
