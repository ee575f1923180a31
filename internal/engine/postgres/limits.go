package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// Limits are the gateway's to enforce. The server remembers what was agreed to, so that a plan can say when they become looser and ask
// for consent by name, and until then the gateway goes by the stricter of the file's and the remembered ones: making limits
// stricter takes effect at once, making them looser with apply.

// limitsRecord is the kind of record that remembers the limits of a rule, by its name, or of the store, by "".
const limitsRecord = "limits"

// limits compares the limits with those that were agreed to. What is recorded for the first time, or becomes stricter, needs no consent.
func (d *differ) limits() {
	known := recordedLimits(d.snap)
	for _, name := range limitNames(d.w, known) {
		is := d.w.Limits[name]
		was, recorded := known[name]
		if recorded && was.err == nil && was.limits == is {
			continue
		}
		what, id, pos := "store "+d.w.Store, limitsRecord, policy.Pos{}
		if name != "" {
			what, id, pos = "rule "+name, limitsRecord+":"+name, d.w.Rule(name).Pos
		}
		e := d.change(id, phaseRules, "change what "+what+" limits", pos)
		switch {
		case !recorded:
			e.because("the limits of %s are new: %s", what, is)
		case was.err != nil:
			e.widens("what %s limited before cannot be read", what)
		default:
			e.because("%s has other limits", what)
			for _, looser := range is.Loosened(was.limits) {
				e.widens("%s: %s", what, looser)
			}
		}
		d.noteLimits(e, name, is, was.text)
	}
}

// noteLimits writes limits down. The comment on Postern's schema changes with them, which tells a running gateway to look again.
func (d *differ) noteLimits(e *entry, name string, is policy.Limits, was string) {
	text, _ := json.Marshal(is) // numbers only
	reverse := forget(limitsRecord, name)
	if was != "" {
		reverse = note(limitsRecord, name, was)
	}
	if is.IsZero() {
		e.add(forget(limitsRecord, name), reverse)
	} else {
		e.add(note(limitsRecord, name, string(text)), reverse)
	}
	digest := shortHash(limitsRecord, name, string(text))[:16]
	e.add("COMMENT ON SCHEMA postern IS "+quoteLiteral(d.marker(kindSchema, digest)), "")
}

// HoldLimits puts the stricter of the wanted and the agreed limits in force, and says where the file waits for apply.
func HoldLimits(w *plan.Wanted, snap *catalog.Snapshot) (waiting []string) {
	known := recordedLimits(snap)
	for _, name := range limitNames(w, known) {
		was, recorded := known[name]
		if !recorded || was.err != nil {
			continue // what cannot be read asks for consent, and limits nothing
		}
		looser := w.Limits[name].Loosened(was.limits)
		if len(looser) == 0 {
			continue
		}
		w.Limits[name] = w.Limits[name].Stricter(was.limits)
		what := "rule " + name
		if name == "" {
			what = "store " + w.Store
		}
		waiting = append(waiting, fmt.Sprintf("%s: %s: not in force before postern apply", what, strings.Join(looser, ", ")))
	}
	if len(waiting) > 0 {
		w.SpreadLimits()
	}
	return waiting
}

// agreedLimits is what was recorded of limits.
type agreedLimits struct {
	text   string
	limits policy.Limits
	err    error
}

func recordedLimits(snap *catalog.Snapshot) map[string]agreedLimits {
	out := map[string]agreedLimits{}
	if snap == nil || snap.Wall == nil {
		return out
	}
	for _, o := range snap.Wall.Objects {
		if o.Kind == limitsRecord {
			a := agreedLimits{text: o.Then}
			a.err = json.Unmarshal([]byte(o.Then), &a.limits)
			out[o.Identity] = a
		}
	}
	return out
}

// limitNames lists whose limits there are, or were: rules of the policy, and "" for the store.
func limitNames(w *plan.Wanted, known map[string]agreedLimits) []string {
	here := map[string]bool{"": true}
	for _, r := range w.Rules {
		here[r.Name] = true
	}
	var names []string
	for name := range here {
		_, is := w.Limits[name]
		_, was := known[name]
		if is || was {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
