package discover

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/classify"
)

// report puts everything together.
func (r *run) report(ctx context.Context) *Report {
	found := r.judge()
	rep := &Report{Version: Version, Store: r.opt.Store, Database: r.cat.Database, From: r.opt.From, Seed: r.opt.Seed, Rows: r.opt.Rows, Columns: []Record{}, NotExamined: []Gap{}, Unmatched: r.idle}
	for i, w := range r.tabs {
		r.tableGaps(w, ctx.Err() != nil)
		rows := 0
		part := Gap{Schema: w.t.Schema, Table: w.t.Name, Why: WhyPartial, Minor: true}
		for k := range w.t.Columns {
			if !w.wanted[k] {
				continue
			}
			rec := r.record(w, k, found[i][k])
			rows = max(rows, rec.Rows)
			rep.Columns = append(rep.Columns, rec)
			if rec.Class == "" && rec.Verdict == nil && rec.State != classify.StateNotExamined && w.profiles[k] != nil && w.profiles[k].Partial() {
				part.Columns = append(part.Columns, rec.Column)
			}
		}
		if len(part.Columns) > 0 {
			r.gaps = append(r.gaps, part)
		}
		rep.Summary.Rows += rows
	}
	sortGaps(r.gaps)
	for i := range r.gaps {
		if g := &r.gaps[i]; g.Grant == "" && g.Next == "" {
			g.Next = nextSteps[g.Why]
		}
	}
	rep.NotExamined = append(rep.NotExamined, r.gaps...)
	if rep.readers = r.opt.Readers; rep.readers && ctx.Err() == nil {
		r.readers(ctx, rep)
	}
	if r.opt.Last != nil {
		rep.Compare(r.opt.Last)
	}
	rep.Summary.Tables = len(r.tabs)
	rep.count()
	return rep
}

// record is one column's answer, with a person's verdict on top of the evidence.
func (r *run) record(w *work, k int, f classify.Finding) Record {
	t, c := w.t, &w.t.Columns[k]
	rec := Record{
		Schema: t.Schema, Table: t.Name, Column: c.Name, Type: c.Type, OID: t.OID, Num: c.Num, Kind: string(t.Kind),
		Finding: f, RowsEstimated: t.Rows,
	}
	if why := w.why[k]; why != "" && (why != WhyStale || f.Class == "") { // what old statistics show is better known than not
		rec.State, rec.Reason = classify.StateNotExamined, why
	}
	r.judgePaths(&rec)
	r.judgeVerdict(&rec, r.shows(t, c))
	if rec.Class == "" {
		return rec
	}
	rec.Label = string(rec.Class)
	rec.Likelihood = "likely"
	if rec.Confidence >= 0.8 {
		rec.Likelihood = "confident"
	}
	return rec
}

// judgeVerdict lets a verdict fix class and tags; evidence may only dispute it.
// A verdict about a column is one about the partitions and views that show it, unless they have their own.
func (r *run) judgeVerdict(rec *Record, shows classify.Target) {
	v, via := r.verdict(rec), ""
	if v == nil && shows.Table != "" {
		of := Record{Schema: shows.Schema, Table: shows.Table, Column: shows.Column}
		v, via = r.verdict(&of), of.Place()
	}
	if v == nil {
		return
	}
	s := &VerdictState{Class: v.Class, By: v.By, Reason: v.Reason, Via: via}
	if !v.At.IsZero() {
		s.At = v.At.UTC().Format(time.DateOnly)
	}
	rec.Verdict = s
	evidence, sure := rec.Class, rec.Confidence >= 0.9
	grave := isGrave(&rec.Finding)
	if evidence != v.Class && (sure && evidence != "" || grave) {
		s.Disputed, s.Evidence = true, evidence
	}
	if v.Type != "" && v.Type != rec.Type {
		s.Review = true
		if v.Class == "" && evidence != "" {
			return // the stricter of old verdict and new evidence
		}
	}
	if s.Disputed && grave {
		rec.Finding.Evidence = append(rec.Finding.Evidence, classify.Evidence{Source: classify.SourceVerdict, What: classify.Verdict})
		if v.Class == "" {
			return // a secret that turns up on a column declared harmless is raised again
		}
	}
	r.c.Decide(&rec.Finding, v.Class, rec.Type)
}

// isGrave says whether evidence is raised again where a person said that there is nothing.
func isGrave(f *classify.Finding) bool {
	return f.Severity >= classify.SeverityHigh || f.Class.Group() == "secret" || f.Class == "fin.card_cvv" || f.Class == "fin.card_track"
}

// named is a verdict's column without the store; false: it is about another store.
func (r *run) named(v *Verdict) (string, bool) {
	if r.opt.Store == "" {
		return v.Column, true
	}
	store, rest, _ := strings.Cut(v.Column, ".")
	return rest, store == r.opt.Store || store == "*"
}

// verdict finds the most exact verdict about a column.
func (r *run) verdict(rec *Record) *Verdict {
	var best *Verdict
	for i := range r.opt.Verdicts {
		v := &r.opt.Verdicts[i]
		name, ours := r.named(v)
		if !ours {
			continue
		}
		if rec.is(name) {
			return v
		}
		if _, _, inside := CutPath(name); !inside && strings.ContainsAny(name, "*?") && Matches(name, rec.Schema, rec.Table, rec.Column) && (best == nil || len(v.Column) > len(best.Column)) {
			best = v
		}
	}
	return best
}

// tableGaps says what of a table was not looked at and what to run.
func (r *run) tableGaps(w *work, interrupted bool) {
	t := w.t
	gap := Gap{Schema: t.Schema, Table: t.Name}
	switch {
	case !r.direct(w) && r.covered(t):
		return // its rows are read through its parent, where neither rights on it nor its row security count
	case !t.Usage:
		gap.Why, gap.Grant = WhyPrivilege, "GRANT USAGE ON SCHEMA "+quote(t.Schema)+" TO "+quote(r.cat.User)+"; "+r.grantTable(t)
	case t.RowSecurity:
		gap.Why, gap.Grant = WhyRowSecurity, "ALTER ROLE "+quote(r.cat.User)+" BYPASSRLS;"
	case (t.Kind == 'f' || t.Mixed && len(t.Local) == 0) && !r.opt.Foreign:
		gap.Why, gap.Minor = WhyForeign, true
	case t.Kind == 'v' && !r.opt.Views:
		r.viewGap(w, WhyView, r.looked)
		return
	case t.Away && !r.opt.Foreign:
		r.viewGap(w, WhyForeign, func(at classify.Target) bool { return r.looked(at) && !r.abroad(at) })
		return
	default:
		r.columnGaps(w, interrupted)
		return
	}
	r.gaps = append(r.gaps, gap)
	for k := range t.Columns {
		w.why[k] = gap.Why
	}
}

// nextSteps are what to do about a gap that no statement closes.
var nextSteps = map[Why]string{
	WhyTimeout:     "run discover again when the server has less to do, or read fewer rows with --rows",
	WhyLocked:      "run discover again when nobody holds the table locked",
	WhyForeign:     "run discover with --foreign: the load falls on another server",
	WhyView:        "run discover with --views",
	WhyNoStats:     "run discover with --from auto",
	WhyUnseen:      "run discover with --from auto: the statistics leave out long values, json and xml",
	WhyPartial:     "nothing was found in the first 4 kB and eight levels of its values; whoever knows what follows keeps a verdict about it",
	WhyError:       "see the server's log for the error, and run discover again",
	WhyInterrupted: "run discover again: it goes on where it stood",
}

// viewGap marks the columns of a view that are computed, or show a column that this run leaves out: the others show a base column,
// which is examined where it is.
func (r *run) viewGap(w *work, why Why, examined func(classify.Target) bool) {
	var computed []string
	for k := range w.t.Columns {
		if w.wanted[k] && !examined(r.base(w.t, &w.t.Columns[k])) {
			computed = append(computed, w.t.Columns[k].Name)
			w.why[k] = why
		}
	}
	if len(computed) > 0 {
		gap := Gap{Schema: w.t.Schema, Table: w.t.Name, Columns: computed, Why: why, Minor: true}
		if w.t.Away {
			gap.Next = "run discover with --views --foreign: the load falls on another server"
		}
		r.gaps = append(r.gaps, gap)
	}
}

// columnGaps lists columns without privilege, and columns that had neither statistics nor a sample.
func (r *run) columnGaps(w *work, interrupted bool) {
	var denied, unseen, hidden []string
	stale := false
	for k := range w.t.Columns {
		c := &w.t.Columns[k]
		switch {
		case !w.wanted[k] || w.why[k] != "":
		case !c.CanSelect:
			denied = append(denied, c.Name)
			w.why[k] = WhyPrivilege
		case r.opt.From == FromStats && w.t.Stale && !classify.Opaque(c.Type):
			stale = true
			w.why[k] = WhyStale
		case w.profiles[k] == nil && (w.t.Parent.Table == "" || !r.covered(w.t)) && w.t.Rows != 0:
			unseen = append(unseen, c.Name)
		case r.opt.From == FromStats && w.profiles[k] != nil && w.profiles[k].Unseen() && !classify.Opaque(c.Type):
			hidden = append(hidden, c.Name)
			w.why[k] = WhyUnseen
		}
	}
	if stale {
		r.gaps = append(r.gaps, Gap{Schema: w.t.Schema, Table: w.t.Name, Why: WhyStale, Grant: "ANALYZE " + quote(w.t.Schema) + "." + quote(w.t.Name) + ";"})
	}
	if len(hidden) > 0 {
		r.gaps = append(r.gaps, Gap{Schema: w.t.Schema, Table: w.t.Name, Columns: hidden, Why: WhyUnseen, Minor: true})
	}
	if len(denied) > 0 {
		gap := Gap{Schema: w.t.Schema, Table: w.t.Name, Why: WhyPrivilege, Grant: r.grantTable(w.t)}
		if len(denied) < len(w.t.Columns) {
			gap.Columns = denied
			quoted := make([]string, len(denied))
			for i, n := range denied {
				quoted[i] = quote(n)
			}
			gap.Grant = "GRANT SELECT (" + strings.Join(quoted, ", ") + ") ON " + quote(w.t.Schema) + "." + quote(w.t.Name) + " TO " + quote(r.cat.User) + ";"
		}
		r.gaps = append(r.gaps, gap)
	}
	if len(unseen) == 0 {
		return
	}
	why, grant := WhyNoStats, "ANALYZE "+quote(w.t.Schema)+"."+quote(w.t.Name)+";"
	if interrupted {
		why, grant = WhyInterrupted, ""
	} else if r.opt.From == FromStats && w.t.Rows >= 0 && w.t.Kind != 'p' {
		if unseen = r.readableNames(w, unseen); len(unseen) == 0 {
			return // types of which only the name says anything
		}
		grant = ""
	} else if r.opt.From != FromStats {
		return
	}
	for k := range w.t.Columns {
		if contains(unseen, w.t.Columns[k].Name) {
			w.why[k] = why
		}
	}
	r.gaps = append(r.gaps, Gap{Schema: w.t.Schema, Table: w.t.Name, Columns: unseen, Why: why, Grant: grant})
}

// readableNames leaves out columns whose values would say nothing.
func (r *run) readableNames(w *work, names []string) []string {
	var out []string
	for k := range w.t.Columns {
		if c := &w.t.Columns[k]; contains(names, c.Name) && !classify.Opaque(c.Type) {
			out = append(out, c.Name)
		}
	}
	return out
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (r *run) grantTable(t *Table) string {
	return "GRANT SELECT ON " + quote(t.Schema) + "." + quote(t.Name) + " TO " + quote(r.cat.User) + ";"
}

// quote writes an identifier so that it can be pasted into psql.
func quote(s string) string {
	plain := s != ""
	for i, c := range s {
		if (c < 'a' || c > 'z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			plain = false
		}
	}
	if plain {
		return s
	}
	if strings.ContainsFunc(s, controls) { // seen and pasted as an escape
		var b strings.Builder
		for _, c := range strings.ReplaceAll(s, `\`, `\\`) {
			if controls(c) {
				fmt.Fprintf(&b, `\+%06x`, c)
			} else {
				b.WriteRune(c)
			}
		}
		return `U&"` + strings.ReplaceAll(b.String(), `"`, `""`) + `"`
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// readers fills in who can read what was found; a server that refuses leaves the lists empty.
func (r *run) readers(ctx context.Context, rep *Report) {
	var places []Place
	for _, rec := range rep.Sensitive() {
		places = append(places, Place{rec.OID, rec.Num})
	}
	if len(places) == 0 {
		return
	}
	var found map[Place][]string
	if err := r.pace.ask(ctx, func() (err error) { found, err = r.feed.Readers(ctx, places); return err }); err != nil {
		return
	}
	for _, rec := range rep.Sensitive() {
		rec.Readers, rec.readersKnown = found[Place{rec.OID, rec.Num}], true
	}
}

// count sums up the columns.
func (r *Report) count() {
	s := &r.Summary
	*s = Summary{Tables: s.Tables, Columns: len(r.Columns), Rows: s.Rows}
	for i := range r.Columns {
		rec := &r.Columns[i]
		if rec.Class != "" {
			s.Classified++
			if rec.Confidence >= 0.8 {
				s.Confident++
			}
		}
		if rec.Severity >= classify.SeverityMedium {
			s.Findings++
		}
		if rec.Verdict != nil && rec.Verdict.Disputed {
			s.Disputed++
		}
		for _, p := range rec.PathVerdicts {
			if p.Disputed {
				s.Disputed++
			}
		}
		if rec.State == classify.StateNotExamined {
			s.NotExamined++
		}
	}
}
