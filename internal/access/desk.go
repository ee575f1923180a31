package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

const (
	verdictApprove = "approve"
	verdictDeny    = "deny"
	verdictSkip    = "skip"

	attempts     = 8               // of a transition that others outrun
	factorFresh  = 5 * time.Minute // a second factor for break-glass
	reviewWithin = 3 * 24 * time.Hour
	extendFrom   = 5 // the last fifth of a grant
	warnBefore   = 3 * 24 * time.Hour
	tickBatch    = 500

	// failAfter is how long a grant may be held by nobody but us: what a server cannot be brought to show for a day is not what was
	// decided any more, and whoever decided is told.
	failAfter = 24 * time.Hour
)

// How far ahead what is asked for may start, and for how long somebody may stand in for who is away.
const (
	LatestStart = 90 * 24 * time.Hour
	LongestAway = 60 * 24 * time.Hour
)

// Config is what a Desk needs. Every field is required but Redact, Changed and Admins.
type Config struct {
	Store  Store
	Policy func() *policy.Policy // the one in force
	Now    func() time.Time
	NewID  func() string
	// Redact writes a statement without its literals and comments, and says whether it loses nothing by it; "" for one that no parser can
	// read. Without it nothing can be read.
	Redact func(statement string) (text string, whole bool)
	// Changed is called after every change that somebody may wait for.
	Changed func()
	// Admins lists who looks after this installation, and is told what no owner can mend. It may be nil.
	Admins func(context.Context) ([]string, error)
}

// Desk is where requests are made and decided. It is safe for concurrent use.
type Desk struct {
	c Config

	mu     sync.Mutex
	latest time.Time              // time never runs backwards here (ACC-15)
	asked  map[string][]time.Time // by whom, of the last hour
	turned map[string]*turned     // who asked too often, by name
}

// NewDesk makes a desk.
func NewDesk(c Config) *Desk {
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Redact == nil {
		c.Redact = func(string) (string, bool) { return "", false }
	}
	if c.Admins == nil {
		c.Admins = func(context.Context) ([]string, error) { return nil, nil }
	}
	return &Desk{c: c, asked: map[string][]time.Time{}, turned: map[string]*turned{}}
}

// now is the clock, kept from going back: a jump backwards never revives a grant. Ends are whole seconds, as servers keep them.
func (d *Desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.c.Now().UTC(); t.After(d.latest) {
		d.latest = t
	}
	return d.latest
}

// Now is the desk's time.
func (d *Desk) Now() time.Time { return d.now() }

// transition carries out a change that think works out, again and again while others are faster.
func (d *Desk) transition(ctx context.Context, think func(ctx context.Context, now time.Time) (Change, error)) error {
	for try := 0; ; try++ {
		c, err := think(ctx, d.now())
		if err != nil {
			if len(c.Events) > 0 { // a refused click is an event too
				err = errors.Join(err, d.c.Store.Commit(ctx, Change{Events: c.Events, Notices: c.Notices}))
			}
			return err
		}
		err = d.c.Store.Commit(ctx, c)
		if err == nil {
			d.c.Changed()
			return nil
		}
		if !errors.Is(err, ErrConflict) || try == attempts-1 {
			return err
		}
	}
}

// Ask is what a person says when asking.
type Ask struct {
	Rule    string
	For     policy.Span // zero: the rule's default
	Until   time.Time   // an absolute end instead
	Start   time.Time   // later than now; zero: at once
	Level   string      // at most the rule's; empty: the rule's
	Purpose string
	Note    string
	Extends string // a grant of theirs
	Break   bool   // without approval, in an emergency
	Key     string // idempotency
	// Statement is what they want to run; empty: they do not say.
	Statement string
}

// Outcome is what came of asking or deciding: the request, and the grant if there is one.
type Outcome struct {
	Request Request `json:"request"`
	Grant   *Grant  `json:"grant,omitempty"`
}

// Request asks for a rule. A rule of self-service is held at once; one on request waits for its approvers.
func (d *Desk) Request(ctx context.Context, who Actor, a Ask) (*Outcome, error) {
	key := ""
	if a.Key != "" {
		// A digest, since a key is whatever bytes a client likes.
		digest := sha256.Sum256([]byte(who.Subject.Name + "\x00" + a.Key))
		key = hex.EncodeToString(digest[:])
		if id, err := d.c.Store.Outcome(ctx, key); err != nil || id != "" {
			if err != nil {
				return nil, err
			}
			return d.outcome(ctx, id)
		}
	}
	if err := d.often(ctx, who, a.Rule); err != nil {
		return nil, err
	}
	var out Outcome
	err := d.transition(ctx, func(ctx context.Context, now time.Time) (Change, error) {
		if key != "" {
			if id, err := d.c.Store.Outcome(ctx, key); err == nil && id != "" {
				o, err := d.outcome(ctx, id)
				if err == nil {
					out = *o
				}
				return Change{}, err
			}
		}
		c, o, err := d.ask(ctx, who, a, now)
		if err != nil {
			return c, err
		}
		out, c.Key, c.Outcome = o, key, o.Request.ID
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	d.noted(who.Subject.Name)
	return &out, nil
}

// outcome reads a request and its grant.
func (d *Desk) outcome(ctx context.Context, id string) (*Outcome, error) {
	r, err := d.request(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Request: *r}
	if r.Grant != "" {
		if out.Grant, err = d.grant(ctx, r.Grant); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (d *Desk) request(ctx context.Context, id string) (*Request, error) {
	found, err := d.c.Store.Requests(ctx, Filter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("request %q: %w", id, ErrNotFound)
	}
	return &found[0], nil
}

func (d *Desk) grant(ctx context.Context, id string) (*Grant, error) {
	found, err := d.c.Store.Grants(ctx, Filter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("grant %q: %w", id, ErrNotFound)
	}
	return &found[0], nil
}

// circle gathers what says who may approve at this moment.
func (d *Desk) circle(ctx context.Context, now time.Time) (circle, error) {
	away, err := d.c.Store.Delegations(ctx, now)
	return circle{p: d.c.Policy(), delegations: away, now: now}, err
}

// ask works out what a request comes to.
func (d *Desk) ask(ctx context.Context, who Actor, a Ask, now time.Time) (Change, Outcome, error) {
	p := d.c.Policy()
	rule, err := askable(p, who, a.Rule)
	if err != nil {
		return Change{}, Outcome{}, err
	}
	if !a.For.IsZero() && !a.Until.IsZero() {
		return Change{}, Outcome{}, refuse(CodeTime, "give one of them", "a length and an end are two answers to one question").at("until")
	}
	r := Request{
		ID: d.c.NewID(), Version: 1, State: Pending, Subject: who.Subject.Name, Rule: rule.Name, Dataset: rule.On, Level: levelName(rule.Level),
		For: a.For, Until: a.Until.UTC().Truncate(time.Second), Start: a.Start.UTC().Truncate(time.Second), Purpose: a.Purpose, Note: a.Note,
		Extends: a.Extends, Created: now, Expires: rule.Request.Expires.From(now), Channel: who.Channel, Breaking: a.Break,
		Steps: rule.Request.Approvers, StepSince: now,
	}
	if a.Until.IsZero() {
		r.Until = time.Time{}
	}
	if a.Start.IsZero() {
		r.Start = time.Time{}
	}
	if r.For.IsZero() && r.Until.IsZero() {
		r.For = rule.Request.Default
	}
	if r.Statement, err = d.statement(a.Statement); err != nil {
		return Change{}, Outcome{}, err
	}
	if err := d.fits(p, rule, &r, a, who, now); err != nil {
		return Change{}, Outcome{}, err
	}
	old, err := d.inTheWay(ctx, &r, now)
	if err != nil {
		return Change{}, Outcome{}, err
	}
	if old != nil {
		if err := extends(rule, &r, a, old, now); err != nil {
			return Change{}, Outcome{}, err
		}
	}
	c := Change{}
	submitted := Event{Kind: "request.submitted", Reason: r.Purpose, To: Pending}
	if r.Statement != nil {
		submitted.Statement = r.Statement.Redacted
	}
	c.event(p, who, now, submitted, &r, nil)
	if rule.Request.Kind == policy.SelfService || a.Break {
		return d.takes(p, who, c, r, old, now)
	}
	around, err := d.circle(ctx, now)
	if err != nil {
		return Change{}, Outcome{}, err
	}
	if !around.possible(&r) {
		refused := Change{}
		refused.event(p, who, now, Event{Kind: "request.decision_refused", Reason: CodeNobody}, &r, nil)
		refused.say(Notice{Kind: kindNobody, At: now, Dataset: r.Dataset, Reason: r.Subject + " asks by rule " + r.Rule}, owners(p, r.Dataset)...)
		return refused, Outcome{}, refuse(CodeNobody, "ask an owner of dataset "+r.Dataset+" to look at the rule", "nobody could approve this request")
	}
	c.tell(now, kindNew, &r, nil, around.told(&r)...)
	c.tell(now, kindSent, &r, nil, r.Subject)
	c.post(p, now, kindPosted, &r, nil)
	c.Requests = []Request{r}
	return c, Outcome{Request: r}, nil
}

// takes grants at once: self-service, or break-glass.
func (d *Desk) takes(p *policy.Policy, who Actor, c Change, r Request, old *Grant, now time.Time) (Change, Outcome, error) {
	skipped := r.Steps
	r.Steps = nil
	g := d.grants(p, &c, who, &r, old, now)
	if r.Breaking {
		around := circle{p: p, now: now}
		told := owners(p, r.Dataset)
		for _, s := range skipped {
			told = append(told, around.approvers(&r, s)...)
		}
		c.tell(now, kindBreakGlass, &r, g, told...)
		c.post(p, now, kindBreakGlass, &r, g)
		c.event(p, who, now, Event{Kind: "breakglass.started", Reason: r.Note}, &r, g)
		g.Breaking, g.ReviewDue = true, now.Add(reviewWithin)
	}
	c.Requests, c.Grants = []Request{r}, []Grant{*g}
	return c, Outcome{Request: r, Grant: g}, nil
}

// grants makes the grant of a request that needs nothing more, or gives the grant that it extends a new end.
func (d *Desk) grants(p *policy.Policy, c *Change, who Actor, r *Request, old *Grant, now time.Time) *Grant {
	start := now
	if r.Start.After(now) {
		start = r.Start
	}
	from := r.State
	r.close(Approved, now)
	if old != nil {
		g := *old
		g.Version++
		g.End = r.end(g.End)
		g.Warned, g.Extended, g.Told = false, now, 0
		r.Grant = g.ID
		c.event(p, who, now, Event{Kind: "grant.extended", From: g.State, To: g.State, Reason: "until " + g.End.Format(time.RFC3339)}, r, &g)
		return &g
	}
	g := Grant{
		ID: d.c.NewID(), Version: 1, State: Active, Wall: WallPending, Subject: r.Subject, Rule: r.Rule, Dataset: r.Dataset, Request: r.ID,
		Start: start, End: r.end(start),
	}
	if rule := p.Rule(r.Rule); rule != nil && rule.Request != nil {
		g.Unused = rule.Request.Unused
	}
	if start.After(now) {
		g.State = Scheduled
	}
	r.Grant = g.ID
	c.event(p, who, now, Event{Kind: "grant.prepared", From: from, To: g.State, Reason: "until " + g.End.Format(time.RFC3339)}, r, &g)
	return &g
}

// end is when what a request asks for is over, if it starts at a time. Servers keep whole seconds; a part of one is given away.
func (r *Request) end(start time.Time) time.Time {
	if !r.Until.IsZero() {
		return r.Until
	}
	return r.For.From(start).Truncate(time.Second)
}

// asked is which of the two a request says its end by.
func (r *Request) asked() string {
	if r.Until.IsZero() {
		return "for"
	}
	return "until"
}

// fits checks a request against its rule.
func (d *Desk) fits(p *policy.Policy, rule *policy.Rule, r *Request, a Ask, who Actor, now time.Time) error {
	q := rule.Request
	if err := checkNote(r.Note); err != nil {
		return err
	}
	switch {
	case (q.Note.Asks() || r.Breaking) && blank(r.Note):
		return refuse(CodeNote, "add --note", "rule %s wants a note that says why", rule.Name).at("note")
	case r.Purpose != "" && !slices.Contains(p.Purposes, r.Purpose):
		return refuse(CodePurpose, "", "there is no purpose %q", r.Purpose).at("purpose")
	case q.Purpose && r.Purpose == "":
		return refuse(CodePurpose, "add --purpose", "dataset %s wants a purpose: %s", rule.On, joined(p.Purposes)).at("purpose")
	case !r.Start.IsZero() && r.Start.After(now.Add(LatestStart)):
		return refuse(CodeTime, "choose a start until "+now.Add(LatestStart).Format(time.RFC3339), "a request starts at most 90 days from now").at("start")
	case !r.Start.IsZero() && r.Start.Before(now.Add(-time.Minute)):
		return refuse(CodeTime, "choose a later start, or none to start at once", "the start lies in the past").at("start")
	case a.Level != "" && a.Level != r.Level:
		return refuse(CodeLevel, "", "rule %s gives level %s; a rule with less is asked for by its own name", rule.Name, r.Level)
	}
	if err := d.long(rule, r, now); err != nil {
		return err
	}
	if q.Factor.Asks() && !who.proved(now) {
		return refuse(CodeFactor, HintFactor, "rule %s wants a fresh second factor of who asks", rule.Name)
	}
	if !r.Breaking {
		return nil
	}
	g := p.BreakGlass
	if g == nil || !slices.ContainsFunc(g.Groups, func(name string) bool { return slices.Contains(who.Subject.Groups, name) }) {
		return refuse(CodeBreakGlass, "", "you are in no group that may break glass")
	}
	if !who.proved(now) {
		return refuse(CodeFactor, HintFactor, "break-glass wants a fresh second factor")
	}
	if r.Until.IsZero() && a.For.IsZero() && !r.For.Within(g.Max, now) {
		r.For = g.Max
	}
	if r.end(now).After(g.Max.From(now)) || !r.Start.IsZero() || r.Extends != "" {
		return refuse(CodeTooLong, "", "break-glass starts now and lasts %s at most", g.Max)
	}
	return nil
}

// long checks a request's length.
func (d *Desk) long(rule *policy.Rule, r *Request, now time.Time) error {
	start := now
	if r.Start.After(now) {
		start = r.Start
	}
	limit := rule.Request.Max.From(start)
	end := r.end(start)
	switch {
	case !end.After(start):
		return refuse(CodeTime, "choose an end after "+start.Format(time.RFC3339), "that ends before it starts").at(r.asked())
	case end.After(limit):
		return refuse(CodeTooLong, "ask for an end until "+limit.Format(time.RFC3339), "rule %s is held for %s at most", rule.Name, rule.Request.Max).at(r.asked())
	case !rule.Until.IsZero() && !start.Before(rule.Until):
		return refuse(CodeTime, "choose a start before that", "rule %s ends on %s", rule.Name, rule.Until.Format(time.RFC3339)).at("start")
	}
	return nil
}

// inTheWay refuses what is held or asked for already, and finds the grant that a request extends.
func (d *Desk) inTheWay(ctx context.Context, r *Request, now time.Time) (*Grant, error) {
	open, err := d.c.Store.Requests(ctx, Filter{Subject: r.Subject, Rule: r.Rule, Open: true})
	if err != nil {
		return nil, err
	}
	if len(open) > 0 {
		return nil, refuse(CodeHeld, "postern grants shows it", "you have asked for rule %s already: request %s", r.Rule, open[0].ID)
	}
	held, err := d.c.Store.Grants(ctx, Filter{Subject: r.Subject, Rule: r.Rule, Open: true})
	if err != nil {
		return nil, err
	}
	held = slices.DeleteFunc(held, func(g Grant) bool { return !now.Before(g.End) })
	switch {
	case r.Extends == "" && len(held) == 0:
		return nil, nil
	case r.Extends == "":
		return nil, refuse(CodeHeld, "add --extend "+held[0].ID, "you hold rule %s already, until %s", r.Rule, held[0].End.Format(time.RFC3339))
	case len(held) == 0 || held[0].ID != r.Extends || held[0].State != Active:
		return nil, refuse(CodeFinal, "", "grant %s is not one that you hold by rule %s", r.Extends, r.Rule)
	}
	g := held[0]
	if from := g.Extendable(); now.Before(from) {
		return nil, refuse(CodeTime, "ask again then", "grant %s can be extended from %s", g.ID, from.UTC().Format(time.RFC3339))
	}
	return &g, nil
}

// extends checks the end that an extension comes to: what is held may lie as far ahead as a rule's maximum, whether it was asked for at once
// or in parts. Who names no length gets what is left of it.
func extends(rule *policy.Rule, r *Request, a Ask, old *Grant, now time.Time) error {
	limit := farthest(rule, now)
	if r.end(old.End).After(limit) {
		if !a.For.IsZero() || !a.Until.IsZero() {
			return refuse(CodeTooLong, "ask for an end until "+limit.Format(time.RFC3339), "rule %s is held for %s from now at most, and grant %s ends on %s already", rule.Name, rule.Request.Max, old.ID, old.End.Format(time.RFC3339)).at(r.asked())
		}
		r.For, r.Until = policy.Span{}, limit
	}
	if !r.end(old.End).After(old.End) {
		return refuse(CodeTime, "ask for a later end", "grant %s ends on %s already", old.ID, old.End.Format(time.RFC3339)).at(r.asked())
	}
	return nil
}

func levelName(l policy.Level) string {
	switch l {
	case policy.Write:
		return "write"
	case policy.Own:
		return "own"
	}
	return "read"
}

// owners lists the people who own a dataset.
func owners(p *policy.Policy, dataset string) []string {
	d := p.Datasets[dataset]
	if d == nil {
		return nil
	}
	var out []string
	for _, s := range p.Subjects() {
		if s.Is(d.Owners) {
			out = append(out, s.Name)
		}
	}
	return out
}

// owners is owners, remembered for the length of a change: one that ends a thousand grants asks a thousand times.
func (c *Change) owners(p *policy.Policy, dataset string) []string {
	found, ok := c.known[dataset]
	if !ok {
		found = slices.Clip(owners(p, dataset)) // whoever appends to it gets a copy
		if c.known == nil {
			c.known = map[string][]string{}
		}
		c.known[dataset] = found
	}
	return found
}

// event adds an event about a request and a grant.
func (c *Change) event(p *policy.Policy, who Actor, now time.Time, e Event, r *Request, g *Grant) {
	e.At, e.Actor, e.Channel, e.Address, e.Policy = now, who.Subject.Name, who.Channel, who.Address, p.Digest
	if r != nil {
		e.Subject, e.Dataset, e.Rule, e.Request = r.Subject, r.Dataset, r.Rule, r.ID
	}
	if g != nil {
		e.Subject, e.Dataset, e.Rule, e.Grant = g.Subject, g.Dataset, g.Rule, g.ID
		if r == nil {
			e.Request = g.Request
		}
	}
	c.Events = append(c.Events, e)
}

func joined(list []string) string {
	out := ""
	for i, s := range list {
		if i > 0 {
			out += ", "
		}
		out += s
	}
	return out
}
