package scan

// finishMeta fills the results that speak about the scan itself, once all others are known.
func finishMeta(r *Report, env *Env) {
	compareBaseline(r, env.Baseline)
	res := r.Result("META-003")
	if res == nil || res.State == NotEvaluated {
		return
	}
	for i := range r.Results {
		for _, f := range r.Results[i].Findings {
			if f.Change == ChangeRegressed {
				res.Findings = append(res.Findings, Judged{Finding: Finding{
					Object: r.Results[i].Check.ID + " " + f.Object, Evidence: "the check had passed in the baseline", Severity: f.Severity,
					Moved: "the severity of the finding that came back", Fix: f.Fix,
				}})
			}
		}
	}
	if len(res.Findings) > 0 {
		res.State = Failed
	}
}
