package scan

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// CheckWaivers says what is wrong with a list of waivers: each needs a reason, an owner and a day on which it ends.
func CheckWaivers(ws []Waiver) error {
	for i, w := range ws {
		for name, v := range map[string]string{"id": w.ID, "object": w.Object, "reason": w.Reason, "owner": w.Owner, "expires": w.Expires} {
			if strings.TrimSpace(v) == "" {
				return fmt.Errorf("waiver %d (%s): %s is missing", i+1, w.ID, name)
			}
		}
		if _, err := time.Parse(time.DateOnly, w.Expires); err != nil {
			return fmt.Errorf("waiver %d (%s): expires %q is not a day such as 2027-01-31", i+1, w.ID, w.Expires)
		}
		if pattern, ok := strings.CutPrefix(w.Object, "pattern:"); ok {
			if _, err := path.Match(pattern, ""); err != nil {
				return fmt.Errorf("waiver %d (%s): %q is not a pattern", i+1, w.ID, pattern)
			}
		}
	}
	return nil
}

// expired reports whether a waiver has ended: it holds through its day, in UTC.
func (w *Waiver) expired(now time.Time) bool {
	day, err := time.Parse(time.DateOnly, w.Expires)
	return err != nil || !now.UTC().Before(day.AddDate(0, 0, 1))
}

// covers reports whether the waiver is about a finding. "pattern:" before the object makes * and ? stand for any text.
func (w *Waiver) covers(id, object string) bool {
	if w.ID != id {
		return false
	}
	if pattern, ok := strings.CutPrefix(w.Object, "pattern:"); ok {
		return globMatch(pattern, object)
	}
	return w.Object == object
}

// globMatch is a pattern of * and ?, where * also takes slashes.
func globMatch(pattern, s string) bool {
	for i := range len(pattern) {
		switch pattern[i] {
		case '*':
			for j := 0; j <= len(s)-i; j++ {
				if globMatch(pattern[i+1:], s[i+j:]) {
					return true
				}
			}
			return false
		case '?':
			if i >= len(s) {
				return false
			}
		default:
			if i >= len(s) || s[i] != pattern[i] {
				return false
			}
		}
	}
	return len(s) == len(pattern)
}

// applyWaivers marks waived findings and warns of waivers that do nothing. The state of a result does not change.
func applyWaivers(r *Report, env *Env) {
	known := map[string]bool{}
	if meta, _, err := Catalogue(); err == nil {
		for id := range meta {
			known[id] = true
		}
	}
	for i := range r.Results {
		known[r.Results[i].Check.ID] = true // the site's own among them
	}
	for i := range env.Waivers {
		w := &env.Waivers[i]
		if !known[w.ID] {
			r.Warnings = append(r.Warnings, fmt.Sprintf("waiver for %s %q: there is no such check", w.ID, w.Object))
			continue
		}
		if w.expired(env.Now) {
			continue
		}
		used := false
		if res := r.Result(w.ID); res != nil {
			for j := range res.Findings {
				if w.covers(w.ID, res.Findings[j].Object) {
					res.Findings[j].Waiver, used = w, true
				}
			}
		}
		if !used {
			r.Warnings = append(r.Warnings, fmt.Sprintf("waiver for %s %q covers no finding", w.ID, w.Object))
		}
	}
}
