package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// Options choose what a run looks at.
type Options struct {
	Only, Skip []string // check IDs or areas such as HBA; empty for all and none
	Own        []Own    // checks of the site, besides
	FailOn     Severity // unset: high
	Never      bool     // --fail-on none
	Compliance string   // one of Benchmarks, "" for none
	Require    []byte   // capability letters that count as incomplete when they lack
}

// Run judges evidence. It fails only when the catalogue or an option is wrong.
func Run(e *catalog.Evidence, env *Env, o Options) (*Report, error) {
	checks, err := Checks()
	if err != nil {
		return nil, err
	}
	_, order, err := Catalogue()
	if err != nil {
		return nil, err
	}
	missing := len(order) - len(checks)
	for i := range o.Own {
		c, err := o.Own[i].check()
		if err != nil {
			return nil, err
		}
		checks = append(checks, c)
	}
	if checks, err = choose(checks, o); err != nil {
		return nil, err
	}
	r := &Report{Missing: missing, Evidence: e, Advisories: env.Advisories.AsOf(), FailOn: o.FailOn, Never: o.Never, Benchmark: o.Compliance}
	if r.FailOn == SeverityUnset {
		r.FailOn = High
	}
	for i := range checks {
		r.Results = append(r.Results, judge(&checks[i], e, env))
	}
	finishMeta(r, env)
	applyWaivers(r, env)
	r.require(o.Require)
	if e.Lost != "" {
		r.Warnings = append(r.Warnings, "the report is partial: "+e.Lost)
	}
	return r, nil
}

// choose applies --checks and --skip.
func choose(checks []Check, o Options) ([]Check, error) {
	match := func(words []string, id string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return w == id || strings.HasPrefix(id, w+"-") })
	}
	for _, w := range append(slices.Clone(o.Only), o.Skip...) {
		if !slices.ContainsFunc(checks, func(c Check) bool { return match([]string{w}, c.ID) }) {
			return nil, fmt.Errorf("there is no check or area %q", w)
		}
	}
	var out []Check
	for _, c := range checks {
		if (len(o.Only) == 0 || match(o.Only, c.ID)) && !match(o.Skip, c.ID) {
			out = append(out, c)
		}
	}
	return out, nil
}

// judge comes to one check's result: first whether it can look, then what it sees.
func judge(c *Check, e *catalog.Evidence, env *Env) Result {
	r := precondition(c, e, env)
	if r.State != "" {
		onProvider(&r, e)
		return r
	}
	v := c.Eval(e, env)
	r.State, r.Reason = v.state, v.reason
	if u := missing(e, c.Reads); u != nil && v.state == Passed {
		r.State, r.Broken = NotEvaluated, u.Broken
		r.Reason = fmt.Sprintf("nothing found elsewhere, but database %s was not seen: %s", u.Database, u.Why)
	}
	if v.state == NotEvaluated {
		u := missing(e, c.Reads)
		if v.lacks != "" {
			u = e.Missing(v.lacks, "")
		}
		if u != nil && u.Broken { // the check was stopped by a look that failed, and not by a right that lacks
			r.Broken = true
			r.Reason += ": " + u.Why
		}
	}
	if v.state == "" {
		r.State, r.Reason, r.Broken = NotEvaluated, "the check came to no verdict, which is a fault of postern", true
	}
	for _, f := range v.findings {
		switch f.Severity {
		case SeverityUnset:
			f.Severity = c.Severity
		case stepDown:
			f.Severity = c.Severity.lower()
		}
		r.Findings = append(r.Findings, Judged{Finding: f})
	}
	slices.SortStableFunc(r.Findings, func(a, b Judged) int {
		return cmp.Or(int(b.Severity-a.Severity), cmp.Compare(a.Object, b.Object))
	})
	return r
}

// onProvider puts a managed service's own setting in the place of a grant that nobody there can give.
func onProvider(r *Result, e *catalog.Evidence) {
	p := ProviderOf(e)
	if p == nil || r.State != NotEvaluated || r.Broken || !r.Check.Need.involves("MGS") {
		return
	}
	lacking := r.Check.Need.lacking(e)
	if slices.Contains(lacking, 'G') || slices.Contains(lacking, 'S') {
		r.Unlock = ""
		r.Reason += "; on " + p.Name + " nobody can be given it: " + p.Instead(r.Check)
	}
}

// precondition returns a result with a state when the check cannot or need not look.
func precondition(c *Check, e *catalog.Evidence, env *Env) Result {
	r := Result{Check: c}
	blind := func(why, unlock string) Result {
		r.State, r.Reason, r.Unlock = NotEvaluated, why, unlock
		return r
	}
	if s := e.Server; s != nil {
		if c.MinMajor > 0 && s.Major() < c.MinMajor || c.MaxMajor > 0 && s.Major() > c.MaxMajor {
			r.State, r.Reason = NotApplicable, fmt.Sprintf("does not arise on PostgreSQL %d", s.Major())
			return r
		}
	}
	if p := ProviderOf(e); p != nil && c.Need.only('F', 'O') {
		r.State, r.Reason = NotApplicable, "the host belongs to "+p.Name+": "+p.Instead(c)
		return r
	}
	if lacking := c.Need.lacking(e); lacking != nil {
		var names []string
		for _, l := range lacking {
			names = append(names, capability[l].name)
		}
		why := "needs " + strings.Join(names, " or ")
		if u := e.Missing(catalog.FactHost, ""); u != nil && e.Server != nil && strings.ContainsAny(string(lacking), "FO") {
			why += ": " + u.Why
		}
		return blind(why, unlock(e, lacking))
	}
	if c.Consent != "" && !env.Consents[c.Consent] {
		return blind("needs consent: "+string(c.Consent), "add "+string(c.Consent))
	}
	if c.Given != nil && !c.Given(env) {
		return blind("needs an input that was not given: "+strings.Join(c.Inputs, ", "), "")
	}
	if e.Server == nil || !c.Need.involves("LMGS") {
		return r
	}
	for _, f := range c.Reads {
		if u := e.Missing(f, ""); u != nil {
			r.Broken = u.Broken
			return blind(fmt.Sprintf("could not read %s: %s", f, u.Why), "")
		}
	}
	if c.Need.anyOf('P') && len(e.Outside) > 0 {
		return r // the probe stands in for what the login does not see
	}
	hidden, none := settingsSeen(e.Server, c.Settings)
	if u := e.Missing(catalog.FactSettings, ""); hidden != "" && u != nil {
		r.Broken = u.Broken
		return blind("could not read settings: "+u.Why, "")
	}
	if hidden != "" {
		return blind("setting "+hidden+" is hidden from this login", unlock(e, []byte("M")))
	}
	if none && !optionalSettings(c) {
		r.State, r.Reason = NotApplicable, "this server has no setting "+strings.Join(c.Settings, ", ")
	}
	return r
}

// optionalSettings: the check has more to look at than its settings.
func optionalSettings(c *Check) bool { return len(c.Reads) > 0 }

// missing finds a fact that was not seen in one of the databases.
func missing(e *catalog.Evidence, facts []catalog.Fact) *catalog.Unseen {
	for i := range e.Unseen {
		u := &e.Unseen[i]
		if u.Database == "" {
			continue
		}
		wholeDatabase := u.Fact == catalog.FactRelations && slices.ContainsFunc(facts, ofDatabase)
		if slices.Contains(facts, u.Fact) || wholeDatabase {
			return u
		}
	}
	return nil
}

// ofDatabase reports whether a fact is read in each database.
func ofDatabase(f catalog.Fact) bool {
	return slices.Contains([]catalog.Fact{
		catalog.FactSchemas, catalog.FactRelations, catalog.FactColumns, catalog.FactPolicies, catalog.FactTriggers, catalog.FactViews,
		catalog.FactFunctions, catalog.FactRoutines, catalog.FactTypes, catalog.FactLanguages, catalog.FactExtensions,
		catalog.FactLargeObjects, catalog.FactDefaultACLs, catalog.FactSystemGrants, catalog.FactForeignServers, catalog.FactUserMappings,
		catalog.FactPublications, catalog.FactEventTriggers, catalog.FactTexts, catalog.FactSecLabels, catalog.FactStatsExt, catalog.FactKeys, catalog.FactForeignKeys,
	}, f)
}

// only reports whether each group of the need is among the letters.
func (n Need) only(letters ...byte) bool {
	for _, group := range n {
		for _, l := range group {
			if !slices.Contains(letters, l) {
				return false
			}
		}
	}
	return true
}

// involves reports whether any of the letters stands in the need.
func (n Need) involves(letters string) bool {
	return slices.ContainsFunc(n, func(g []byte) bool { return strings.ContainsAny(string(g), letters) })
}

// anyOf reports whether a letter stands in a group beside others.
func (n Need) anyOf(letter byte) bool {
	return slices.ContainsFunc(n, func(g []byte) bool { return len(g) > 1 && slices.Contains(g, letter) })
}
