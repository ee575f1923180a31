package scan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// patchChecks are the checks of area PAT.
func patchChecks() []Check {
	return []Check{
		{ID: "PAT-001", Why: "What is found in this version is no longer put right, and no longer written down.", Eval: endOfLife},
		{ID: "PAT-002", Why: "An upgrade wants to be planned.", Eval: endSoon},
		{ID: "PAT-003", Why: "Each minor release is nothing but corrections.", Eval: behind},
		{ID: "PAT-004", Why: "These faults are known to everybody.", Eval: openCVEs},
		{ID: "PAT-007", Why: "The corrected code runs, and the old view still shows what it should not.", Reads: []catalog.Fact{catalog.FactStatsExt}, Eval: statsExt},
		{ID: "PAT-011", Why: "A scan with old tables is silent about new faults.", Eval: oldTables},
		{ID: "PAT-012", Why: "It is not meant to hold anybody's data.", Eval: development},
	}
}

func majorObject(e *catalog.Evidence) string { return fmt.Sprintf("PostgreSQL %d", e.Server.Major()) }

// unknownMajor is the verdict when the tables do not know a major.
func unknownMajor(e *catalog.Evidence) Verdict {
	return notEvaluated(fmt.Sprintf("the tables of this version do not know PostgreSQL %d", e.Server.Major()))
}

func endOfLife(e *catalog.Evidence, env *Env) Verdict {
	m := env.Advisories.Major(e.Server.Major())
	if m == nil || m.EOL.IsZero() {
		return unknownMajor(e)
	}
	return failWhen(!env.Now.Before(m.EOL), Finding{
		Object: majorObject(e), Evidence: "had its last release on " + m.EOL.Format(time.DateOnly) + "; what came after is no longer assessed for it", Fix: "upgrade to " + newest(env),
	})
}

// soon is how long before the end of a major's life the scan speaks of it.
const soon = 180 * 24 * time.Hour

func endSoon(e *catalog.Evidence, env *Env) Verdict {
	m := env.Advisories.Major(e.Server.Major())
	if m == nil || m.EOL.IsZero() {
		return unknownMajor(e)
	}
	if !env.Now.Before(m.EOL) {
		return notApplicable("the major is past its end, which is PAT-001")
	}
	return failWhen(m.EOL.Sub(env.Now) <= soon, Finding{
		Object: majorObject(e), Evidence: "has its last release on " + m.EOL.Format(time.DateOnly), Fix: "plan the upgrade to " + newest(env),
	})
}

// newest is the newest supported major that the tables know a minor of.
func newest(env *Env) string {
	best := Major{}
	for _, m := range env.Advisories.Majors {
		if m.Number > best.Number && m.Latest > 0 && env.Now.Before(m.EOL) {
			best = m
		}
	}
	return fmt.Sprintf("%d.%d", best.Number, best.Latest)
}

// latest is the newest known minor of the server's major as text; "at least" where it was not confirmed to be the newest.
func latest(e *catalog.Evidence, env *Env) string {
	m := env.Advisories.Major(e.Server.Major())
	if m == nil || m.Latest == 0 {
		return ""
	}
	v := fmt.Sprintf("%d.%d", m.Number, m.Latest)
	if !m.Verified {
		v = "at least " + v
	}
	return v
}

// updateTo is the one version to go to.
func updateTo(e *catalog.Evidence, env *Env) string {
	if m := env.Advisories.Major(e.Server.Major()); m != nil && !m.EOL.IsZero() && !env.Now.Before(m.EOL) {
		return "upgrade to " + newest(env)
	}
	return "update to " + latest(e, env) + " and restart"
}

func running(e *catalog.Evidence) string {
	return fmt.Sprintf("%d.%d", e.Server.Major(), e.Server.Minor())
}

func behind(e *catalog.Evidence, env *Env) Verdict {
	m := env.Advisories.Major(e.Server.Major())
	if m == nil || m.Latest == 0 {
		return unknownMajor(e)
	}
	return failWhen(e.Server.Minor() < m.Latest, Finding{
		Object: majorObject(e), Evidence: "runs " + running(e) + ", the newest is " + latest(e, env), Fix: updateTo(e, env),
	})
}

// cveList names some CVEs, worst first.
func cveList(cves []CVE) string {
	const most = 6
	var out []string
	for i, c := range cves {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(cves)-most))
			break
		}
		out = append(out, c.ID+" ("+c.score()+")")
	}
	return strings.Join(out, ", ")
}

func (c *CVE) score() string {
	if c.Score == 0 {
		return "no score yet"
	}
	return fmt.Sprintf("%.1f", c.Score)
}

// needs says what a vulnerability needs here before it can be used, as far as the tables and the server tell; "" when they do not.
func (c *CVE) needs(e *catalog.Evidence) string {
	guarded, views := false, false
	for _, d := range e.Databases {
		for i := range d.Relations {
			guarded = guarded || len(d.Relations[i].Policies) > 0
			views = views || d.Relations[i].Kind == 'v' && d.Relations[i].Extension == ""
		}
	}
	here := func(what string, there bool) string {
		if there || len(e.Databases) == 0 {
			return "needs a login and " + what
		}
		return "needs a login and " + what + ", of which no database that was seen has one"
	}
	switch {
	case slices.Contains(c.Tags, "row_security"):
		return here("a table with row policies", guarded)
	case slices.Contains(c.Tags, "view_rows"):
		return here("a view that hides rows", views)
	case slices.Contains(c.Tags, "column_privilege"):
		return "needs a login and a table that it may see in part"
	case slices.Contains(c.Tags, "auth"), slices.Contains(c.Tags, "transport"):
		return "needs a way to the port, and no login"
	}
	return ""
}

func cveFinding(e *catalog.Evidence, env *Env, c CVE) Finding {
	return Finding{
		Object: c.ID, Evidence: fmt.Sprintf("%s (%s); fixed in %d.%d, this server runs %s, by upstream version number%s", c.Title, c.score(), e.Server.Major(),
			c.Fixed[e.Server.Major()], running(e), prefixed("; ", c.needs(e))),
		Severity: severityOf([]CVE{c}), Moved: "by its score", Fix: updateTo(e, env),
	}
}

func openCVEs(e *catalog.Evidence, env *Env) Verdict {
	m := env.Advisories.Major(e.Server.Major())
	if m == nil {
		return unknownMajor(e)
	}
	open, unknown := env.Advisories.Open(e.Server.Major(), e.Server.Minor(), "server")
	var fs []Finding
	for _, c := range open {
		fs = append(fs, cveFinding(e, env, c))
	}
	switch {
	case len(fs) > 0:
		return found(fs)
	case !m.EOL.IsZero() && !env.Now.Before(m.EOL):
		return notEvaluated("no longer assessed: the major is past its end")
	case unknown > 0:
		return notEvaluated(fmt.Sprintf("unknown for this branch: %d vulnerabilities of other branches are not yet confirmed or denied for it", unknown))
	}
	return found(nil)
}

func statsExt(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		if d.OldStatsExt {
			fs = append(fs, Finding{
				Object: "database " + d.Database.Name + ", view pg_stats_ext", Evidence: "is as it was before the fix of CVE-2024-4317", Fix: onDB(d, `\i fix-CVE-2024-4317.sql`),
			})
		}
	}
	return found(fs)
}

// tooOld is when the tables are.
const tooOld = 90 * 24 * time.Hour

func oldTables(_ *catalog.Evidence, env *Env) Verdict {
	asOf := env.Advisories.AsOf()
	return failWhen(env.Now.Sub(asOf) > tooOld, Finding{
		Object: "advisory tables", Evidence: "are of " + asOf.Format(time.DateOnly), Fix: "update postern",
	})
}

func development(e *catalog.Evidence, _ *Env) Verdict {
	v := strings.ToLower(e.Server.ServerVersion)
	word, _, _ := strings.Cut(v, " ")
	bad := strings.Contains(word, "devel") || strings.Contains(word, "beta") || strings.Contains(word, "rc") || strings.Contains(word, "alpha")
	return failWhen(bad, Finding{Object: "server", Evidence: "version " + e.Server.ServerVersion, Fix: "install a released version"})
}
