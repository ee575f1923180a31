package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// signature checks a signed record's signature and what it says. Records of the trail's own kinds must have one.
func (c *checker) signature(f *frame, m mark, l line) (proved bool, seal *Seal) {
	own := f.kind == Header || f.kind == Checkpoint || f.kind == Recovery
	if !own && f.sig == nil {
		return false, nil
	}
	bad := func(why string) {
		c.problem(Problem{
			Kind: BadSignature, File: m.file, Line: m.line, Seq: m.seq,
			Message: fmt.Sprintf("record %d (%s) %s", m.seq, f.kind, why),
		})
	}
	var r Record
	if err := json.Unmarshal(l.text, &r); err != nil || r.Seal == nil || f.sig == nil || !own {
		bad("should be signed, or should not")
		return false, nil
	}
	switch {
	case c.opts.PublicKey.IsZero():
	case r.Seal.Key != c.opts.PublicKey.ID():
		bad(fmt.Sprintf("is signed with key %s, not with %s", r.Seal.Key, c.opts.PublicKey.ID()))
		return false, r.Seal
	case !c.opts.PublicKey.verify(f.signed, f.sig):
		bad("has a signature that the trail's key did not make")
		return false, r.Seal
	}
	c.readSeal(&r, m)
	return !c.opts.PublicKey.IsZero(), r.Seal
}

// readSeal takes what a signed record says about the trail.
func (c *checker) readSeal(r *Record, m mark) {
	switch {
	case r.Kind == Header:
		c.every = r.Seal.Every
		if r.Seal.Format > formatVersion {
			c.report.Unproven = append(c.report.Unproven,
				fmt.Sprintf("%s was written by a newer version of Postern: use that to verify it", m.file))
		}
	case r.Kind != Recovery:
	case r.Reason == ReasonTorn || r.Reason == ReasonWriteFailed || r.Reason == ReasonMissing:
		// Missing records show as a gap as long as they are missing.
		c.note("%s:%d: recovery: %s", m.file, m.line, r.Message)
	default:
		c.problem(Problem{
			Kind: Recorded, File: m.file, Line: m.line, Seq: cmp.Or(r.Seal.From, r.Seq),
			Message: "found when the trail was opened: " + r.Message,
		})
	}
}

// count watches that signed records come as often as the header promises.
func (c *checker) count(m mark) {
	if m.proved {
		c.report.Signed, c.unsigned = m.seq, 0
		return
	}
	c.unsigned++
	if c.trail && c.every > 0 && c.unsigned == uint64(c.every)+1 && !c.opts.PublicKey.IsZero() {
		c.problem(Problem{
			Kind: Unsigned, File: m.file, Line: m.line, Seq: m.seq,
			Message: fmt.Sprintf("more than %d records without a valid signature: Postern signs at least that often", c.every),
		})
	}
}

func (c *checker) meetAnchors(m mark) {
	for _, a := range c.anchors {
		if a.met || a.head.Seq != m.seq {
			continue
		}
		a.met = true
		if a.head.Hash != string(m.hash[:]) {
			c.problem(Problem{
				Kind: WrongHead, File: m.file, Line: m.line, Seq: m.seq,
				Message: fmt.Sprintf("record %d is not the one that %s knows", m.seq, a.where),
			})
		}
	}
}

// finish draws the sum.
func (c *checker) finish() *Report {
	c.endBad()
	c.settleDoubt()
	for _, g := range c.gaps {
		p := Problem{Kind: g.kind, File: g.file, Line: g.at.line, Seq: g.from, Message: g.message}
		if g.to > g.from {
			p.To = g.to
		}
		c.problem(p)
	}
	c.endAnchors()
	r := &c.report
	if c.tip.line > 0 {
		r.Head = Head{Instance: r.Instance, Seq: c.tip.seq, Hash: string(c.tip.hash[:]), Time: c.tip.time, Checkpoint: r.Signed}
	}
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	c.unproven()
	switch {
	case len(r.Problems) > 0:
		r.Status = Tampered
	case len(r.Unproven) > 0:
		r.Status = Incomplete
	default:
		r.Status = Intact
	}
	return r
}

// endBad says what the lines behind the last record are.
func (c *checker) endBad() {
	next := c.tip.seq + 1
	for _, b := range c.bad {
		p := Problem{
			Kind: Inserted, File: b.file, Line: b.line, Seq: c.tip.seq,
			Message: fmt.Sprintf("the line is no record of this trail; the last one is record %d", c.tip.seq),
		}
		if b.seq == next {
			p.Kind, p.Seq = Edited, b.seq
			p.Message = fmt.Sprintf("record %d was changed: the line does not match its hash", b.seq)
			next++
		}
		c.problem(p)
	}
	c.report.More += c.badMore
}

// endAnchors says which heads lie behind the end.
func (c *checker) endAnchors() {
	for _, a := range c.anchors {
		switch {
		case a.met:
		case a.head.Seq > c.tip.seq:
			p := Problem{Kind: CutOff, File: c.tip.file, Line: c.tip.line, Seq: c.tip.seq + 1}
			if a.head.Seq > p.Seq {
				p.To = a.head.Seq
			}
			p.Message = fmt.Sprintf("%s missing at the end: %s knows record %d, the files end at record %d",
				recordsText(p.Seq, a.head.Seq), a.where, a.head.Seq, c.tip.seq)
			c.problem(p)
		case c.trail || a.head.Seq >= c.report.First:
			if len(c.report.Problems) == 0 {
				c.problem(Problem{
					Kind: Removed, Seq: a.head.Seq,
					Message: fmt.Sprintf("record %d, which %s knows, is not there", a.head.Seq, a.where),
				})
			}
		default:
			c.note("%s is of record %d, before the first one here", a.where, a.head.Seq)
		}
	}
}

// unproven says what the proofs at hand do not reach.
func (c *checker) unproven() {
	r := &c.report
	add := func(format string, args ...any) { r.Unproven = append(r.Unproven, fmt.Sprintf(format, args...)) }
	if c.opts.PublicKey.IsZero() {
		add("no public key was given: signatures were not checked, so the whole trail could have been written anew")
	}
	known := uint64(0)
	for _, a := range c.anchors {
		if a.met {
			known = max(known, a.head.Seq)
		}
	}
	last := c.tip.seq
	switch {
	case r.Records == 0:
		add("there are no records")
	case !c.trail && last <= max(known, r.Signed):
		c.note("records %d to %d are proved; what an export leaves out in front and behind it cannot tell", r.First, last)
	case known == 0 && c.trail:
		add("the tail after checkpoint %d is unproven: whether records were cut off behind it can only be told with state or with a head kept elsewhere (--head)", r.Signed)
	case last > max(known, r.Signed) && !c.live:
		add("records %d to %d are unproven: no signature and no known head reaches them", max(known, r.Signed)+1, last)
	case last > max(known, r.Signed):
		c.note("the trail is being written: records %d to %d are newer than the last known head; verify again to cover them", max(known, r.Signed)+1, last)
	case last > known:
		c.note("the newest known head is of record %d: records up to %d are proved by signature, a cut behind that would not show", known, r.Signed)
	}
	if c.tail != "" {
		if c.live {
			c.note("%s: it is being written", c.tail)
		} else {
			add("%s: a crash or a cut; the next start of Postern closes it with a recovery record", c.tail)
		}
	}
}
