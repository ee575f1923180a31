package scan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// rowSecurityChecks are the checks of area RLS.
func rowSecurityChecks() []Check {
	facts := func(f ...catalog.Fact) []catalog.Fact {
		return append(f, catalog.FactRelations, catalog.FactRoles, catalog.FactMemberships)
	}
	return []Check{
		{ID: "RLS-001", Why: "The policies look like protection, and nothing applies them.", Reads: facts(catalog.FactPolicies), Eval: eachTable(func(_ *tableCase, r *catalog.Relation) string {
			if len(r.Policies) > 0 && !r.RowSecurity {
				return fmt.Sprintf("%d policies, and row level security is off", len(r.Policies))
			}
			return ""
		}, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY;")},
		{ID: "RLS-002", Why: "Nobody but the owner sees a row, which is seldom what was meant.", Reads: facts(catalog.FactPolicies), Eval: eachTable(func(_ *tableCase, r *catalog.Relation) string {
			if r.RowSecurity && len(r.Policies) == 0 {
				return "row level security is on, and there is no policy"
			}
			return ""
		}, "CREATE POLICY … ON %s …;")},
		{ID: "RLS-003", Why: "The role that the application uses passes every policy, since it owns the table.", Reads: facts(), Eval: eachTable(func(c *tableCase, r *catalog.Relation) string {
			if r.RowSecurity && !r.ForceRowSecurity && c.people[r.Owner] {
				return "owner " + r.Owner + " can log in, and policies do not apply to owners without FORCE"
			}
			return ""
		}, "ALTER TABLE %s FORCE ROW LEVEL SECURITY;")},
		{ID: "RLS-004", Why: "The policy lets every row be written.", Reads: facts(catalog.FactPolicies), Eval: eachPolicy(policyTrue)},
		{ID: "RLS-005", Why: "A row can be written that its writer could not see.", Reads: facts(catalog.FactPolicies), Eval: eachPolicy(checkWeaker)},
		{ID: "RLS-006", Why: "Whoever can run SQL sets the value that the policy trusts.", Reads: facts(catalog.FactPolicies), Eval: eachPolicy(policySetting)},
		{ID: "RLS-007", Why: "The function may leak rows, change its answer, or run with rights that the reader has not.", Reads: facts(catalog.FactPolicies, catalog.FactFunctions, catalog.FactRoutines), Eval: eachPolicy(policyFunctions)},
		{ID: "RLS-009", Why: "The table names its tenant in each row, and nothing keeps tenants apart.", Reads: facts(catalog.FactColumns), Eval: eachTable(func(_ *tableCase, r *catalog.Relation) string {
			for _, c := range r.Columns {
				if tenantColumn.MatchString(c.Name) && !r.RowSecurity {
					return "column " + c.Name + ", and no row level security"
				}
			}
			return ""
		}, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY; -- with a policy by tenant")},
		{ID: "RLS-010", Why: "The view reads with its owner's rights, and its owner passes the policies.", Reads: facts(catalog.FactViews), Eval: invokerMissing},
		{ID: "RLS-013", Why: "Whoever reads the partition itself does not meet the parent's policies.", Reads: facts(), Eval: partitionsOpen},
		{ID: "RLS-014", Why: "The subscriber gets every row, whatever the policies say.", Reads: facts(catalog.FactPublications), Eval: publishedUnfiltered},
		{ID: "RLS-015", Why: "Sessions with this setting fail where a policy would filter, and a dump role with BYPASSRLS reads everything.", Reads: []catalog.Fact{catalog.FactOverrides}, Eval: func(e *catalog.Evidence, _ *Env) Verdict {
			return found(badOverrides(e, "row_security", isOff))
		}},
		{ID: "RLS-016", Why: "Policies and views are walked round by a fault of the server itself.", Eval: rowSecurityCVEs},
	}
}

// tableCase is what a check of tables may need besides the table.
type tableCase struct {
	e      *catalog.Evidence
	d      *catalog.DatabaseEvidence
	people map[string]bool
	rights *catalog.Rights
}

func cases(e *catalog.Evidence) []*tableCase {
	var out []*tableCase
	people := ordinaryNames(e)
	for _, d := range e.Databases {
		out = append(out, &tableCase{e, d, people, catalog.NewRights(e.Server.Major(), e.Server.Roles, e.Server.Memberships, &d.Database)})
	}
	return out
}

// eachTable makes a check of tables; bad says what is wrong with one, fix has a place for its name.
func eachTable(bad func(*tableCase, *catalog.Relation) string, fix string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, c := range cases(e) {
			for i := range c.d.Relations {
				r := &c.d.Relations[i]
				if r.Kind != 'r' && r.Kind != 'p' || r.Extension != "" {
					continue
				}
				if what := bad(c, r); what != "" {
					fs = append(fs, Finding{Object: inDB(c.d, "table", r.Name.String()), Evidence: what, Fix: onDB(c.d, fmt.Sprintf(fix, qualified(r.Name)))})
				}
			}
		}
		return found(fs)
	}
}

// eachPolicy makes a check of policies.
func eachPolicy(bad func(*tableCase, *catalog.RowPolicy) (what, fix string)) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, c := range cases(e) {
			for i := range c.d.Relations {
				r := &c.d.Relations[i]
				for j := range r.Policies {
					p := &r.Policies[j]
					if what, fix := bad(c, p); what != "" {
						fs = append(fs, Finding{
							Object: inDB(c.d, "policy "+p.Name+" on", r.Name.String()), Evidence: what,
							Fix: onDB(c.d, fmt.Sprintf("ALTER POLICY %s ON %s %s;", quoteIdent(p.Name), qualified(r.Name), fix)),
						})
					}
				}
			}
		}
		return found(fs)
	}
}

// bare takes parentheses off that enclose a whole expression.
func bare(expr string) string {
	for {
		expr = strings.TrimSpace(expr)
		if !strings.HasPrefix(expr, "(") || closing(expr) != len(expr)-1 {
			return expr
		}
		expr = expr[1 : len(expr)-1]
	}
}

// closing finds the parenthesis that closes the first one; strings and quoted names are stepped over.
func closing(expr string) int {
	depth := 0
	for i := 0; i < len(expr); i++ {
		switch expr[i] {
		case '\'', '"':
			end := strings.IndexByte(expr[i+1:], expr[i])
			if end < 0 {
				return -1
			}
			i += end + 1
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// terms splits an expression at an operator that stands outside parentheses.
func terms(expr, operator string) []string {
	expr = bare(expr)
	var out []string
	start := 0
	for i := 0; i < len(expr); i++ {
		switch {
		case expr[i] == '\'' || expr[i] == '"':
			if end := strings.IndexByte(expr[i+1:], expr[i]); end >= 0 {
				i += end + 1
			}
		case expr[i] == '(':
			end := closing(expr[i:])
			if end < 0 {
				return []string{expr}
			}
			i += end
		case strings.HasPrefix(expr[i:], " "+operator+" "):
			out = append(out, bare(expr[start:i]))
			start = i + len(operator) + 2
			i = start - 1
		}
	}
	return append(out, bare(expr[start:]))
}

func policyTrue(c *tableCase, p *catalog.RowPolicy) (what, fix string) {
	if !p.Permissive || p.Command == "SELECT" || passPolicy(c.d, p) {
		return "", "" // a restrictive policy that is always true takes nothing away and gives nothing
	}
	switch {
	case bare(p.Check) == "true":
		return p.Command + " WITH CHECK (true)", "WITH CHECK (…)"
	case bare(p.Using) == "true" && (p.Command != "INSERT" && p.Check == "" || p.Command == "DELETE" || p.Command == "UPDATE" || p.Command == "ALL"):
		return p.Command + " USING (true)", "USING (…)"
	}
	return "", ""
}

func checkWeaker(_ *tableCase, p *catalog.RowPolicy) (what, fix string) {
	if p.Command != "ALL" && p.Command != "UPDATE" || p.Using == "" || p.Check == "" {
		return "", "" // a missing WITH CHECK falls back to USING
	}
	check := terms(p.Check, "AND")
	for _, need := range terms(p.Using, "AND") {
		if need == "true" || slices.Contains(check, need) {
			continue
		}
		// One side of an OR is stricter than the whole.
		if slices.ContainsFunc(terms(need, "OR"), func(t string) bool { return slices.Contains(check, t) }) {
			continue
		}
		return "WITH CHECK does not ask for what USING asks for: " + need, "WITH CHECK (" + p.Using + ")"
	}
	return "", ""
}

var customSetting = regexp.MustCompile(`current_setting\('([^']*\.[^']*)'`)

func policySetting(_ *tableCase, p *catalog.RowPolicy) (what, fix string) {
	if m := customSetting.FindStringSubmatch(p.Using + " " + p.Check); m != nil {
		return "trusts the setting " + m[1] + ", which every session may set", "USING (…)"
	}
	return "", ""
}

var calls = regexp.MustCompile(`((?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)\.(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*))\(`)

func policyFunctions(c *tableCase, p *catalog.RowPolicy) (what, fix string) {
	for _, m := range calls.FindAllStringSubmatch(p.Using+" "+p.Check, -1) {
		for i := range c.d.Functions {
			f := &c.d.Functions[i]
			if m[1] != plainIdent(f.Name.Schema)+"."+plainIdent(f.Name.Name) {
				continue
			}
			j := slices.IndexFunc(c.d.Routines, func(r catalog.Routine) bool { return r.OID == f.OID })
			switch {
			case f.SecurityDefiner:
				return "calls " + f.Signature() + ", which is SECURITY DEFINER", "USING (…)"
			case j >= 0 && c.d.Routines[j].Volatility == 'v':
				return "calls " + f.Signature() + ", which is VOLATILE", "USING (…)"
			case j >= 0 && !c.d.Routines[j].Leakproof && f.Extension == "":
				return "calls " + f.Signature() + ", which is not LEAKPROOF", "USING (…)"
			}
		}
	}
	return "", ""
}

var plainWord = regexp.MustCompile(`^[a-z_][a-z0-9_$]*$`)

// plainIdent writes a name as the server does: quoted only when it must be.
func plainIdent(name string) string {
	if plainWord.MatchString(name) {
		return name
	}
	return quoteIdent(name)
}

// tenantColumn are names by which a row says whose it is.
var tenantColumn = regexp.MustCompile(`(?i)^(tenant|tenant_?(id|uuid|key|code)|org_id|organi[sz]ation_id|workspace_id|account_tenant_id)$`)

// passesPolicies reports whether a role is not subject to a table's policies.
func passesPolicies(c *tableCase, role string, r *catalog.Relation) bool {
	found := c.e.Server.Role(role)
	if found == nil || found.Superuser || found.BypassRLS {
		return true
	}
	return !r.ForceRowSecurity && c.rights.Uses(role, r.Owner)
}

func invokerMissing(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, c := range cases(e) {
		for i := range c.d.Relations {
			v := &c.d.Relations[i]
			invoker, _ := option(v.Options, "security_invoker")
			if v.Kind != 'v' || on(invoker) || v.Extension != "" {
				continue
			}
			for _, t := range guarded(c.d, v, map[catalog.Name]bool{}) {
				if passesPolicies(c, v.Owner, t) {
					fs = append(fs, Finding{
						Object: inDB(c.d, "view", v.Name.String()), Evidence: "reads " + t.Name.String() + " as " + v.Owner + ", who passes its policies",
						Fix: onDB(c.d, "ALTER VIEW "+qualified(v.Name)+" SET (security_invoker = true);"),
					})
					break
				}
			}
		}
	}
	return found(fs)
}

func partitionsOpen(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, c := range cases(e) {
		for i := range c.d.Relations {
			r := &c.d.Relations[i]
			if r.RowSecurity || !sharedWithOthers(r) {
				continue
			}
			for _, p := range ancestors(c.d, r) {
				if p.RowSecurity {
					fs = append(fs, Finding{
						Object: inDB(c.d, "table", r.Name.String()), Evidence: "is part of " + p.Name.String() + ", which has row level security, and is granted by itself",
						Fix: onDB(c.d, "REVOKE ALL ON "+qualified(r.Name)+" FROM "+othersOf(r)+";"),
					})
					break
				}
			}
		}
	}
	return found(fs)
}

// ancestors lists what a table inherits from, near ones first.
func ancestors(d *catalog.DatabaseEvidence, r *catalog.Relation) []*catalog.Relation {
	var out []*catalog.Relation
	for _, n := range r.Parents {
		if p := d.Relation(n); p != nil {
			out = append(append(out, p), ancestors(d, p)...)
		}
	}
	return out
}

func publishedUnfiltered(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, p := range d.Publications {
			for _, t := range p.Tables {
				r := d.Relation(t.Name)
				if r == nil || !r.RowSecurity || t.Filter {
					continue
				}
				fs = append(fs, Finding{
					Object: inDB(d, "publication", p.Name) + ", table " + t.Name.String(), Evidence: "the table has row level security, and every row is published",
					Fix: onDB(d, fmt.Sprintf("ALTER PUBLICATION %s SET TABLE %s WHERE (…);", quoteIdent(p.Name), qualified(t.Name))),
				})
			}
		}
	}
	return found(fs)
}

func rowSecurityCVEs(e *catalog.Evidence, env *Env) Verdict {
	about := *env.Advisories
	about.CVEs = slices.DeleteFunc(slices.Clone(about.CVEs), func(c CVE) bool {
		return !slices.Contains(c.Tags, "row_security") && !slices.Contains(c.Tags, "view_rows")
	})
	open, unknown := about.Open(e.Server.Major(), e.Server.Minor(), "server", "contrib", "pl")
	var fs []Finding
	for _, c := range open {
		fs = append(fs, cveFinding(e, env, c))
	}
	m := env.Advisories.Major(e.Server.Major())
	switch {
	case len(fs) > 0:
		return found(fs)
	case m == nil:
		return unknownMajor(e)
	case !m.EOL.IsZero() && !env.Now.Before(m.EOL):
		return notEvaluated("no longer assessed: the major is past its end")
	case unknown > 0:
		return notEvaluated(fmt.Sprintf("unknown for this branch: %d vulnerabilities of other branches are not yet confirmed or denied for it", unknown))
	}
	return found(nil)
}
