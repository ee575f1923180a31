package discover

import (
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/classify"
)

// PathVerdict says what became of a verdict about a path inside a structured column.
type PathVerdict struct {
	Path string `json:"path"` // as the verdict has it
	VerdictState
}

// CutPath divides what a verdict is about into the column and the path inside it, which begins with $: schema.table.column$.a.b.
// False: it is about the column as a whole.
func CutPath(name string) (column, path string, ok bool) {
	quoted := false
	for i := range name {
		switch {
		case name[i] == '"':
			quoted = !quoted
		case i > 0 && !quoted && (strings.HasPrefix(name[i:], "$.") || strings.HasPrefix(name[i:], "$[")):
			return name[:i], name[i:], true
		}
	}
	return name, "", false
}

// PathText is a path as people write it: $.contacts[*].email.
func PathText(path []classify.Ident) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, p := range path {
		if p != "[*]" {
			b.WriteByte('.')
		}
		b.WriteString(string(p))
	}
	return b.String()
}

// steps divides the text of a path; a step * in a pattern stands for any one key.
func steps(path string) []string {
	return strings.Split(strings.ReplaceAll(strings.TrimPrefix(path, "$"), "[*]", ".[*]"), ".")[1:]
}

func pathMatches(pattern, path string) bool {
	want, have := steps(pattern), steps(path)
	if len(want) != len(have) {
		return false
	}
	for i, w := range want {
		if w != have[i] && (w != "*" || have[i] == "[*]") {
			return false
		}
	}
	return true
}

// pathVerdicts lists the verdicts about paths of a column; an exact path stands before a pattern.
func (r *run) pathVerdicts(rec *Record) []*Verdict {
	var exact, patterns []*Verdict
	for i := range r.opt.Verdicts {
		v := &r.opt.Verdicts[i]
		name, ours := r.named(v)
		column, path, ok := CutPath(name)
		if !ours || !ok || rec.is(name) {
			continue
		}
		whole := rec.is(column)
		if !whole && (!strings.ContainsAny(column, "*?") || !Matches(column, rec.Schema, rec.Table, rec.Column)) {
			continue
		}
		if !whole || hasStar(path) {
			patterns = append(patterns, v)
		} else {
			exact = append(exact, v)
		}
	}
	return append(exact, patterns...)
}

func hasStar(path string) bool {
	for _, s := range steps(path) {
		if s == "*" {
			return true
		}
	}
	return false
}

// judgePaths lets verdicts about paths fix their classes. A column of which nothing but decided paths was sensitive follows them.
func (r *run) judgePaths(rec *Record) {
	verdicts := r.pathVerdicts(rec)
	if len(verdicts) == 0 {
		return
	}
	before := len(rec.Paths)
	decided := map[string]bool{}
	var kept []classify.PathFinding
	for i := range rec.Paths {
		p, text := rec.Paths[i], PathText(rec.Paths[i].Path)
		for _, v := range verdicts {
			if _, pattern, _ := CutPath(v.Column); pathMatches(pattern, text) {
				r.judgePath(rec, &p.Finding, v, text)
				decided[text] = true
				break
			}
		}
		if p.Class != "" {
			kept = append(kept, p)
		}
	}
	for _, v := range verdicts { // a class that no sample shows, or shows today, is still what a person says
		if _, path, _ := CutPath(v.Column); v.Class != "" && !decided[path] && !hasStar(path) && structured(rec) {
			p := classify.PathFinding{}
			for _, s := range steps(path) {
				p.Path = append(p.Path, classify.Ident(s))
			}
			r.judgePath(rec, &p.Finding, v, path)
			decided[path] = true
			kept = append(kept, p)
		}
	}
	rec.Paths = kept
	switch {
	case len(kept) == 0 && before > 0 && rec.Class == "json.pii":
		r.c.Decide(&rec.Finding, "", rec.Type)
	case len(kept) > 0 && rec.Class == "":
		r.c.Decide(&rec.Finding, "json.pii", rec.Type)
	}
	r.c.TagsOfPaths(&rec.Finding)
}

// structured reports whether a column can have paths.
func structured(rec *Record) bool {
	return rec.Type == "json" || rec.Type == "jsonb" || rec.Class == "json.pii" || len(rec.Paths) > 0
}

// judgePath applies one verdict to one path, as judgeVerdict does to a column.
func (r *run) judgePath(rec *Record, f *classify.Finding, v *Verdict, path string) {
	s := PathVerdict{Path: path, VerdictState: VerdictState{Class: v.Class, By: v.By, Reason: v.Reason}}
	if !v.At.IsZero() {
		s.At = v.At.UTC().Format(time.DateOnly)
	}
	grave := isGrave(f)
	if f.Class != "" && f.Class != v.Class && (f.Confidence >= 0.9 || grave) {
		s.Disputed, s.Evidence = true, f.Class
	}
	s.Review = v.Type != "" && v.Type != rec.Type
	rec.PathVerdicts = append(rec.PathVerdicts, s)
	if v.Class == "" && f.Class != "" && (grave || s.Review) {
		return // a secret is raised again; after a change of type the stricter of old verdict and new evidence counts
	}
	r.c.Decide(f, v.Class, "text")
}
