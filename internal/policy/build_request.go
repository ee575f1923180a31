package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// How long things last where the file does not say.
const (
	defaultHold = 8 * time.Hour
	defaultMax  = 30 * 24 * time.Hour
	defaultWait = 7 * 24 * time.Hour
	defaultHelp = time.Hour // break-glass
	maxUnused   = 180       // days
)

// purposes reads the list of purposes.
func (b *builder) purposes() {
	for _, t := range b.doc.Purposes {
		switch {
		case t.Value == "":
		case checkText(t.Value) != nil || len(t.Value) > 200:
			b.report(KindValue, t.Pos, "", "a purpose is one line of at most 200 bytes")
		case slices.Contains(b.p.Purposes, t.Value):
			b.report(KindDuplicate, t.Pos, "", "purpose %q stands twice", t.Value)
		default:
			b.p.Purposes = append(b.p.Purposes, t.Value)
		}
	}
}

// breakGlass reads the emergency access.
func (b *builder) breakGlass() {
	e := b.doc.BreakGlass
	if e.Pos.IsZero() {
		return
	}
	g := &BreakGlass{Max: b.span(e.Max, "max", Span{Time: defaultHelp}), Pos: e.Pos}
	for _, t := range e.Groups {
		if t.Value == "" {
			continue
		}
		name := strings.TrimPrefix(t.Value, GroupPrefix)
		b.groupExists(name, Text{Value: name, Pos: t.Pos})
		g.Groups = append(g.Groups, name)
	}
	if len(e.Groups) == 0 {
		b.report(KindMissing, e.Pos, "", "break_glass names no group")
	}
	if !g.Max.Within(Span{Time: 7 * 24 * time.Hour}, time.Time{}) {
		b.report(KindValue, e.Max.Pos, "", "break_glass: max is a week at most")
	}
	b.p.BreakGlass = g
}

// span reads a duration, or takes what its absence means.
func (b *builder) span(t Text, key string, absent Span) Span {
	if t.Value == "" {
		return absent
	}
	s, err := ParseSpan(t.Value)
	if err != nil {
		b.report(KindValue, t.Pos, "", "%s: %v", key, err)
		return absent
	}
	return s
}

// request reads how a rule is asked for. A direct rule has none.
func (b *builder) request(r *Rule, e *RuleEntry) *Request {
	q := e.Request
	if q.Pos.IsZero() {
		return nil
	}
	switch {
	case b.missing(q.Kind, q.Pos, "kind"): // what else is wrong is told all the same
		for key, t := range map[string]Text{"max": q.Max, "default": q.Default, "expires": q.Expires} {
			b.span(t, key, Span{})
		}
		b.unused(q.Unused)
		return nil
	case q.Kind.Value == "direct":
		b.directOnly(q)
		return nil
	}
	out := &Request{
		Kind: RequestKind(q.Kind.Value), Note: Demand(q.Note.Value), Factor: Demand(q.Factor.Value), Pos: q.Pos,
		Max:     b.span(q.Max, "max", Span{Time: defaultMax}),
		Expires: b.span(q.Expires, "expires", Span{Time: defaultWait}),
	}
	out.Default = b.span(q.Default, "default", Span{Time: defaultHold})
	if q.Default.Value == "" && !out.Default.Within(out.Max, time.Time{}) {
		out.Default = out.Max
	}
	if !out.Default.Within(out.Max, time.Time{}) {
		b.report(KindConflict, q.Default.Pos, "", "rule %s: default %s is longer than max %s", r.Name, out.Default, out.Max)
	}
	if out.Expires.Never {
		b.report(KindValue, q.Expires.Pos, "", "rule %s: a request cannot wait for ever", r.Name)
	}
	if out.Note == "" {
		out.Note = NoteNone
	}
	if out.Factor == "" {
		out.Factor = NoteNone
	}
	out.Unused = b.unused(q.Unused)
	b.requestApprovers(r, out, q)
	b.requestPurpose(r, out)
	if r.Level == Own {
		b.report(KindConflict, q.Pos, "give level write", "rule %s: level own cannot be asked for: an owner is not bound by the wall, so the server could not end it by itself", r.Name)
	}
	return out
}

// directOnly refuses keys that a direct rule has no use for.
func (b *builder) directOnly(q RequestEntry) {
	for key, pos := range map[string]Pos{
		"max": q.Max.Pos, "default": q.Default.Pos, "approvers": q.Approvers.Pos, "note": q.Note.Pos, "factor": q.Factor.Pos, "unused": q.Unused.Pos, "expires": q.Expires.Pos,
	} {
		if !pos.IsZero() {
			b.report(KindConflict, pos, "write kind: on_request or kind: self_service", "request: a direct rule has no use for %s", key)
		}
	}
}

func (b *builder) unused(t Text) int {
	if t.Value == "" || t.Value == "0" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSuffix(t.Value, "d"))
	if err != nil || n < 0 || n > maxUnused {
		b.report(KindValue, t.Pos, "write 30d, or 0 to switch it off", "unused: %q is not a number of days up to %d", clip(t.Value), maxUnused)
		return 0
	}
	return n
}

// requestApprovers takes the rule's own approvers, else the dataset's, else its owners.
func (b *builder) requestApprovers(r *Rule, out *Request, q RequestEntry) {
	if out.Kind == SelfService {
		if !q.Approvers.Pos.IsZero() {
			b.report(KindConflict, q.Approvers.Pos, "write kind: on_request", "rule %s: nobody approves a rule of self-service", r.Name)
		}
		if out.Note.Answers() {
			b.report(KindConflict, q.Note.Pos, "write note: requester", "rule %s: nobody approves a rule of self-service", r.Name)
		}
		if out.Factor.Answers() {
			b.report(KindConflict, q.Factor.Pos, "write factor: requester", "rule %s: nobody approves a rule of self-service", r.Name)
		}
		return
	}
	d := b.p.Datasets[r.On]
	switch {
	case !q.Approvers.Pos.IsZero():
		out.Approvers = b.approvers("rule "+r.Name, q.Approvers)
	case d != nil && len(d.Approvers) > 0:
		out.Approvers = d.Approvers
	default:
		out.Approvers = []Step{{Names: []string{ApproverOwners}, Min: 1}}
	}
	for _, s := range out.Approvers {
		if slices.Contains(s.Names, ApproverOwners) && d != nil && len(d.Owners) == 0 {
			b.report(KindMissing, q.Pos, "add approvers here, or owners to the dataset", "rule %s: dataset %s has no owners who could approve", r.Name, r.On)
		}
	}
}

func (b *builder) requestPurpose(r *Rule, out *Request) {
	d := b.p.Datasets[r.On]
	if d == nil || !d.Purpose {
		return
	}
	out.Purpose = true
}

// approvers reads the shapes: any (with min), all, or steps of these.
func (b *builder) approvers(what string, e ApproversEntry) []Step {
	if len(e.Steps) == 0 {
		return []Step{b.step(what, StepEntry{Any: e.Any, All: e.All, Min: e.Min, Pos: e.Pos}, true)}
	}
	if e.Any != nil || e.All != nil || !e.Min.Pos.IsZero() {
		b.report(KindConflict, e.Pos, "write any, all and min under the steps", "%s: approvers are steps or people, not both", what)
	}
	var out []Step
	for i, s := range e.Steps {
		out = append(out, b.step(what, s, i == len(e.Steps)-1))
	}
	return out
}

func (b *builder) step(what string, e StepEntry, last bool) Step {
	s := Step{Min: 1, Each: e.All != nil}
	list := e.Any
	switch {
	case e.Any != nil && e.All != nil:
		b.report(KindConflict, e.Pos, "write two steps", "%s: approvers are any or all of a list, not both", what)
	case e.All != nil:
		list = e.All
		if !e.Min.Pos.IsZero() {
			b.report(KindConflict, e.Min.Pos, "write any: […], min: N", "%s: all wants one person for each name; min has no meaning there", what)
		}
	}
	if len(list) == 0 {
		b.report(KindMissing, e.Pos, "write any: [\"group:NAME\"]", "%s: approvers name nobody", what)
	}
	var people []Text
	for _, t := range list {
		if t.Value == ApproverOwners || t.Value == ApproverManager {
			s.Names = append(s.Names, t.Value)
		} else {
			people = append(people, t)
		}
	}
	s.Names = append(s.Names, b.subjects("approvers of "+what, people)...)
	if e.Min.Value != "" {
		n, err := strconv.Atoi(e.Min.Value)
		if err != nil || n < 1 || n > 20 {
			b.report(KindValue, e.Min.Pos, "", "min: %q is not a number from 1 to 20", clip(e.Min.Value))
		} else {
			s.Min = n
		}
	}
	if e.SkipAfter.Value != "" {
		skip := b.span(e.SkipAfter, "skip_after", Span{})
		s.SkipAfter = skip.Time
		if skip.Months != 0 || skip.Never {
			b.report(KindValue, e.SkipAfter.Pos, "write hours or days", "skip_after: %s", skip)
		}
		if last {
			b.report(KindConflict, e.SkipAfter.Pos, "", "%s: the last step cannot be skipped: nobody would have approved", what)
		}
	}
	return s
}
