package scan

import "slices"

// Changes of a finding against the baseline.
const (
	ChangeNew       = "new"
	ChangeKnown     = "known"
	ChangeWorse     = "worse"
	ChangeRegressed = "regressed" // the check had passed then
)

// compareBaseline tells findings that are new, known, worse or back from those that are gone. Findings are the same by check and object.
func compareBaseline(r *Report, base *Report) {
	if base == nil {
		return
	}
	type key struct{ id, object string }
	then := map[key]Severity{}
	for i := range base.Results {
		for _, f := range base.Results[i].Findings {
			then[key{base.Results[i].Check.ID, f.Object}] = f.Severity
		}
	}
	for i := range r.Results {
		res := &r.Results[i]
		before := base.Result(res.Check.ID)
		for j := range res.Findings {
			f := &res.Findings[j]
			k := key{res.Check.ID, f.Object}
			severity, known := then[k]
			switch {
			case known && f.Severity > severity:
				f.Change = ChangeWorse
			case known:
				f.Change = ChangeKnown
			case before != nil && before.State == Passed:
				f.Change = ChangeRegressed
			default:
				f.Change = ChangeNew
			}
			delete(then, k)
		}
		evaluated := res.State == Passed || res.State == Failed
		if before != nil && (before.State == Passed || before.State == Failed) && res.State == NotEvaluated {
			r.LostSight = append(r.LostSight, res.Check.ID)
		}
		for k := range then {
			if k.id == res.Check.ID && (evaluated || res.State == NotApplicable) {
				r.Gone = append(r.Gone, k.id+" "+k.object)
			}
		}
	}
	slices.Sort(r.Gone)
}
