package scan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// labelledChecks are the checks that need to know which columns hold what, all areas together.
func labelledChecks() []Check {
	tables := []catalog.Fact{catalog.FactRoles, catalog.FactMemberships, catalog.FactRelations, catalog.FactSchemas, catalog.FactColumns}
	return []Check{
		{ID: "RLS-017", Why: "A refused insert tells that a row exists which the policy hides.", Reads: append(slices.Clone(tables), catalog.FactKeys, catalog.FactForeignKeys), Eval: needsLabels(leakyKeys)},
		{ID: "LOG-027", Why: "Reads of these tables leave no line of their own.", Reads: tables, Eval: needsLabels(noObjectAudit)},
		{ID: "DAT-006", Why: "Whoever is let near ordinary data is let near this.", Reads: tables, Eval: needsLabels(mixedRoles)},
		{ID: "DAT-007", Why: "Nobody who works with the column sees that it is special.", Reads: append(slices.Clone(tables), catalog.FactSecLabels), Eval: needsLabels(unmarkedColumns)},
		{ID: "DAT-010", Why: "The copy is looked after less, and used by more people.", Reads: tables, Given: func(env *Env) bool { return env.Expect != nil && env.Expect.Environment != "" }, Eval: needsLabels(unmaskedCopy)},
		{ID: "REP-009", Why: "Every table that is made is sent away, the next one with personal data too.", Reads: append(slices.Clone(tables), catalog.FactPublications), Eval: needsLabels(publishesAll)},
	}
}

const noLabels = "needs labels: postern discover has not run, or its labels were not given"

func needsLabels(f func(*catalog.Evidence, *Env) Verdict) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, env *Env) Verdict {
		if len(e.Labels) == 0 {
			return notEvaluated(noLabels)
		}
		return f(e, env)
	}
}

// labelOf is the label of a column, "" for none.
func labelOf(e *catalog.Evidence, d *catalog.DatabaseEvidence, r *catalog.Relation, column string) string {
	return e.Labels[d.Database.Name+"."+r.Name.String()+"."+column]
}

// labelled reports whether a table has a labelled column.
func labelled(e *catalog.Evidence, d *catalog.DatabaseEvidence, r *catalog.Relation) bool {
	return slices.ContainsFunc(r.Columns, func(c catalog.Column) bool { return labelOf(e, d, r, c.Name) != "" })
}

func leakyKeys(e *catalog.Evidence, env *Env) Verdict {
	return eachTable(func(c *tableCase, r *catalog.Relation) string {
		if !r.RowSecurity {
			return ""
		}
		for _, k := range r.Keys {
			for _, column := range k.Columns {
				if l := labelOf(e, c.d, r, column); l != "" {
					return fmt.Sprintf("key %s over %s (%s) answers whether a hidden row has a value", k.Name, column, l)
				}
			}
		}
		for _, k := range r.ForeignKeys {
			if t := c.d.Relation(k.References); t != nil && t.RowSecurity && labelled(e, c.d, t) {
				return fmt.Sprintf("foreign key %s answers whether a hidden row of %s exists", k.Name, k.References)
			}
		}
		return ""
	}, "-- %s: a risk to know of; a surrogate key, or uniqueness per tenant, takes it away")(e, env)
}

func noObjectAudit(e *catalog.Evidence, _ *Env) Verdict {
	if !preloaded(e, "pgaudit") {
		return notApplicable("pgAudit is not loaded, which is LOG-024")
	}
	role := e.Server.Value("pgaudit.role")
	var fs []Finding
	for _, c := range cases(e) {
		for i := range c.d.Relations {
			r := &c.d.Relations[i]
			if r.Kind != 'r' && r.Kind != 'p' || !labelled(e, c.d, r) || role != "" && e.Server.Role(role) != nil && c.rights.Table(role, r, "SELECT") {
				continue
			}
			fix := "ALTER SYSTEM SET pgaudit.role = 'auditor';"
			if role != "" {
				fix = onDB(c.d, "GRANT SELECT, INSERT, UPDATE, DELETE ON "+qualified(r.Name)+" TO "+quoteIdent(role)+";")
			}
			fs = append(fs, Finding{Object: inDB(c.d, "table", r.Name.String()), Evidence: "holds labelled columns, and pgaudit.role (" + orNone(role) + ") has no right on it", Fix: fix})
		}
	}
	return found(fs)
}

func mixedRoles(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, c := range cases(e) {
		for _, s := range c.d.Schemas {
			var with, without []*catalog.Relation
			for i := range c.d.Relations {
				r := &c.d.Relations[i]
				if r.Name.Schema != s.Name || r.Extension != "" || r.Kind != 'r' && r.Kind != 'p' {
					continue
				}
				if labelled(e, c.d, r) {
					with = append(with, r)
				} else {
					without = append(without, r)
				}
			}
			for name := range c.people {
				reads := func(rs []*catalog.Relation) int {
					n := 0
					for _, r := range rs {
						if c.rights.Table(name, r, "SELECT") && !c.rights.Uses(name, r.Owner) {
							n++
						}
					}
					return n
				}
				if a, b := reads(with), reads(without); a > 0 && b > 0 {
					fs = append(fs, Finding{Object: inDB(c.d, "schema", s.Name) + ", role " + name, Evidence: fmt.Sprintf("reads %d tables with labelled columns and %d without", a, b), Fix: "keep labelled tables in a database of their own, with rules and roles of their own"})
				}
			}
		}
	}
	return found(fs)
}

func unmarkedColumns(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, c := range cases(e) {
		for i := range c.d.Relations {
			r := &c.d.Relations[i]
			for j := range r.Columns {
				col := &r.Columns[j]
				l := labelOf(e, c.d, r, col.Name)
				marked := strings.Contains(col.Comment, l) || slices.ContainsFunc(c.d.SecLabels, func(s catalog.SecLabel) bool { return strings.Contains(s.Object, r.Name.Name+"."+col.Name) })
				if l != "" && !marked && (r.Kind == 'r' || r.Kind == 'p') {
					fs = append(fs, Finding{Object: inDB(c.d, "column", r.Name.String()+"."+col.Name), Evidence: "holds " + l + ", and neither a security label nor its comment says so", Fix: onDB(c.d, "COMMENT ON COLUMN "+qualified(r.Name)+"."+quoteIdent(col.Name)+" IS "+quoteLiteral(l)+";")})
				}
			}
		}
	}
	return found(fs)
}

func unmaskedCopy(e *catalog.Evidence, env *Env) Verdict {
	if env.Expect.Environment == "production" {
		return notApplicable("this is production")
	}
	var fs []Finding
	for _, c := range cases(e) {
		n := 0
		for i := range c.d.Relations {
			if r := &c.d.Relations[i]; (r.Kind == 'r' || r.Kind == 'p') && labelled(e, c.d, r) {
				n++
			}
		}
		anon := slices.ContainsFunc(c.d.Extensions, func(x catalog.Extension) bool { return x.Name == "anon" })
		walled := slices.ContainsFunc(c.d.Schemas, func(s catalog.Schema) bool { return s.Name == "postern_catalog" })
		if n > 0 && !anon && !walled {
			fs = append(fs, Finding{Object: "database " + c.d.Database.Name, Evidence: fmt.Sprintf("is %s and holds %d tables with labelled columns, with nothing that masks", env.Expect.Environment, n), Fix: "put masks on the labels in postern.yaml, then postern apply; or load the copy anonymised"})
		}
	}
	return found(fs)
}

func publishesAll(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, c := range cases(e) {
		holds := slices.ContainsFunc(c.d.Relations, func(r catalog.Relation) bool { return labelled(e, c.d, &r) })
		for _, p := range c.d.Publications {
			if p.AllTables && holds {
				fs = append(fs, Finding{Object: inDB(c.d, "publication", p.Name), Evidence: "is for all tables, and the database holds labelled columns", Fix: onDB(c.d, "DROP PUBLICATION "+quoteIdent(p.Name)+"; CREATE PUBLICATION "+quoteIdent(p.Name)+" FOR TABLE …;")})
			}
		}
	}
	return found(fs)
}
