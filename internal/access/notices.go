package access

import (
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// The kinds of notice. Who gets which stands in docs/guide/notices.md, and a test plays every row of it.
const (
	kindNew        = "request.new"        // to approvers: a step waits
	kindPosted     = "request.posted"     // to the dataset's channel: who asks for it
	kindReminder   = "request.reminder"   // to approvers: it still does, at half of the request's time
	kindSent       = "request.sent"       // to the requester
	kindApproved   = "request.approved"   // to the requester
	kindDenied     = "request.denied"     // to the requester and owners
	kindExpired    = "request.expired"    // to the requester, and to the approvers it waited for
	kindSuperseded = "request.superseded" // to the requester
	kindNobody     = "request.nobody"     // to owners: a rule that nobody could approve
	kindActive     = "grant.active"       // to the holder and owners
	kindEndsDay    = "grant.ends_in_24h"  // to the holder
	kindEndsHour   = "grant.ends_in_1h"   // to the holder
	kindEnded      = "grant.ended"        // to the holder
	kindRevoked    = "grant.revoked"      // to the holder; to owners too if it was for want of use
	kindLost       = "grants.lost"        // to the holder: several ended at once, with a group or an account
	kindFailed     = "grant.failed"       // to the holder, owners and admins
	kindSuspended  = "grant.suspended"    // to the holder
	kindResumed    = "grant.resumed"      // to the holder
	kindUnused     = "grant.unused"       // to the holder
	kindBreakGlass = "breakglass.started" // to owners and everybody who was skipped
	kindOverdue    = "breakglass.overdue" // to owners
	kindEmergency  = "emergency.login"    // to admins

	kindReviewOpened   = "review.opened"   // to owners: they are asked what is still needed
	kindReviewReminder = "review.reminder" // to owners: they still are, at half of the time
	kindReviewOverdue  = "review.overdue"  // to owners and admins

	kindDelegated = "approver.delegated" // to who stands in, and to whom they stand in for
	kindRecalled  = "approver.recalled"  // to the same, where it ends before its time
)

// aheads are how long before its end a holder is told of it, the longest first.
var aheads = []struct {
	kind   string
	before time.Duration
}{{kindEndsDay, 24 * time.Hour}, {kindEndsHour, time.Hour}}

// ahead finds the next notice ahead of a grant's end, of those from a number on, and when it is due; zero: none. A grant that was made,
// or given a later end, with less time than that is told of by that alone.
func (g *Grant) ahead(from int) (number int, due time.Time) {
	since := g.Start
	if g.Extended.After(since) {
		since = g.Extended
	}
	for i := from; i < len(aheads); i++ {
		if at := g.End.Add(-aheads[i].before); at.After(since) {
			return i, at
		}
	}
	return len(aheads), time.Time{}
}

func (g *Grant) near(now time.Time) bool {
	_, due := g.ahead(g.Told)
	return !due.IsZero() && !now.Before(due)
}

// nears tells a holder that the end is near, once: of what came due while nobody looked, only the last.
func (c *Change) nears(g *Grant, now time.Time) {
	at, _ := g.ahead(g.Told)
	for {
		next, due := g.ahead(at + 1)
		if due.IsZero() || now.Before(due) {
			break
		}
		at = next
	}
	g.Version++
	g.Told = at + 1
	c.say(Notice{Kind: aheads[at].kind, At: now, Grant: g.ID, Until: g.End}, g.Subject)
	c.Grants = append(c.Grants, *g)
}

// half is when whoever has to decide is told again.
func (r *Request) half() time.Time { return r.Created.Add(r.Expires.Sub(r.Created) / 2) }

// Urgent says whether a notice is told before those that were there earlier: it is an alarm, and whoever gives cause for one shall not be
// able to put others in its way.
func (n *Notice) Urgent() bool { return n.Kind == kindBreakGlass || n.Kind == kindEmergency }

// Overtaken says whether a notice is not worth telling any more, as things stand with its request and its grant: whoever reads it would
// act on what is no longer so.
func (n *Notice) Overtaken(r *Request, g *Grant, now time.Time) bool {
	switch n.Kind {
	case kindNew, kindPosted, kindSent:
		return r != nil && r.State == Withdrawn
	case kindReminder:
		return r == nil || r.State != Pending || !now.Before(r.Expires) || r.decided(n.To)
	case kindEndsDay, kindEndsHour:
		return g == nil || !g.Holds(now) || !g.End.Equal(n.Until)
	}
	return false
}

// tell adds a notice about a request and a grant to each person.
func (c *Change) tell(now time.Time, kind string, r *Request, g *Grant, people ...string) {
	n := Notice{Kind: kind, At: now}
	if r != nil {
		n.Request = r.ID
	}
	if g != nil {
		n.Grant = g.ID
	}
	c.say(n, people...)
}

// post adds a notice about a request for the dataset's channel, if it has one.
func (c *Change) post(p *policy.Policy, now time.Time, kind string, r *Request, g *Grant) {
	if set := p.Datasets[r.Dataset]; set == nil || set.Channel == "" || set.Slack == policy.SlackOff {
		return
	}
	n := Notice{Kind: kind, At: now, Request: r.ID, Channel: p.Datasets[r.Dataset].Channel}
	if g != nil {
		n.Grant = g.ID
	}
	c.Notices = append(c.Notices, n)
}

// say adds a notice to each person, and to nobody twice: an owner may be whom it is about.
func (c *Change) say(n Notice, people ...string) {
	for _, n.To = range people {
		if !slices.Contains(c.Notices, n) {
			c.Notices = append(c.Notices, n)
		}
	}
}
