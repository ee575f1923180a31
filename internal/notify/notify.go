// Package notify tells people what concerns them: it takes notices out of the outbox that the workflow filled in its own transactions,
// and hands each to every transport that the site has, with retries and an end to them. It never blocks or rolls back the workflow, and
// it sends no data of a store: names, times and the notes that people wrote, and nothing else.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/policy"
)

// Message is one notice with what a person needs to understand it. Its JSON form is what a webhook gets.
type Message struct {
	ID      string    `json:"id"` // the same at every attempt
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	To      string    `json:"to"`
	Email   string    `json:"-"`
	Channel string    `json:"-"`                 // in Slack: it is posted there, and is to nobody
	Subject string    `json:"subject,omitempty"` // whose request or grant it is
	Dataset string    `json:"dataset,omitempty"`
	Rule    string    `json:"rule,omitempty"`
	Request string    `json:"request,omitempty"`
	Grant   string    `json:"grant,omitempty"`
	Grants  []Lost    `json:"grants,omitempty"` // several, of which grant is none
	State   string    `json:"state,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Note    string    `json:"note,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Urgent  bool      `json:"break_glass,omitempty"`
	// Statement is what a request's author wants to run, as far as the dataset lets that be told to who decides; Withheld says that there
	// is more of it, which the portal shows.
	Statement string `json:"statement,omitempty"`
	Withheld  bool   `json:"statement_withheld,omitempty"`
	Link      string `json:"link,omitempty"`
}

// Lost is one of several grants that ended at once.
type Lost struct {
	Grant   string `json:"grant"`
	Dataset string `json:"dataset"`
	Rule    string `json:"rule"`
}

// Decides says whether a notice of a kind asks its reader to decide on a request.
func Decides(kind string) bool { return kind == "request.new" || kind == "request.reminder" }

// StatementText is what a dataset lets be told of a request's statement; nothing, where there is no such dataset any more.
func StatementText(p *policy.Policy, dataset string) policy.StatementText {
	if set := p.Datasets[dataset]; set != nil {
		return set.Statement
	}
	return policy.StatementOmit
}

// Transport is a way to people.
type Transport interface {
	Name() string
	// Send delivers a message or says why not. An error that is a Permanent is not tried again.
	Send(ctx context.Context, m *Message) error
}

// Permanent is a failure that trying again does not mend.
type Permanent struct{ Err error }

// Error implements error.
func (p *Permanent) Error() string { return p.Err.Error() }

// Unwrap implements errors.
func (p *Permanent) Unwrap() error { return p.Err }

// Later is a failure whose other side says when to try again.
type Later struct {
	Err   error
	After time.Duration
}

// Error implements error.
func (l *Later) Error() string { return l.Err.Error() }

// ErrNotThisWay is what a transport says to a notice that is none of its own: somebody has no address there, or wants none. It is the
// end of the delivery, and nothing for the trail.
var ErrNotThisWay = errors.New("not told this way")

// Dead is the kind of notice that tells admins of one that could not be delivered.
const Dead = "notice.dead"

// Outbox is where notices wait.
type Outbox interface {
	// ClaimNotices takes notices that a transport has not delivered, for as long as the lease: nobody else gets them meanwhile.
	ClaimNotices(ctx context.Context, transport string, now time.Time, lease time.Duration, limit int) ([]access.Delivery, error)
	// NoticeDone ends a delivery, and puts more notices into the outbox with it. why is empty for one that succeeded.
	NoticeDone(ctx context.Context, transport string, id int64, why string, more ...access.Notice) error
	// NoticeLater lets a delivery be tried again from a time on.
	NoticeLater(ctx context.Context, transport string, id int64, due time.Time, why string) error
}

const (
	lease     = 2 * time.Minute
	batch     = 50
	sendLimit = 30 * time.Second
	firstWait = 10 * time.Second // doubling
	mostWait  = time.Hour
	tries     = 12 // some four hours
	lookEvery = time.Second
	deadEvery = time.Hour // admins are told of one dead delivery, not of each of a server that is away
)

// Config is what a Courier needs. Every field is required but Link and Admins.
type Config struct {
	Outbox     Outbox
	Access     access.Store
	Policy     func() *policy.Policy
	Transports []Transport
	Audit      audit.Recorder
	Log        *slog.Logger
	Now        func() time.Time
	Link       string // address of the portal, for people to follow
	// Admins lists who is told of what could not be delivered.
	Admins func(context.Context) ([]string, error)
}

// Courier delivers. Several instances may share an outbox; one belongs to one goroutine.
type Courier struct {
	c    Config
	mu   sync.Mutex
	died map[string]time.Time // transport -> when admins were last told that it did not deliver
}

// New makes a courier.
func New(c Config) *Courier { return &Courier{c: c, died: map[string]time.Time{}} }

// Run delivers until ctx ends, by every way for itself: one that hangs holds up no other.
func (c *Courier) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, t := range c.c.Transports {
		all.Go(func() { c.run(ctx, t) })
	}
	all.Wait()
}

func (c *Courier) run(ctx context.Context, t Transport) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if err := c.turn(ctx, t); err != nil && ctx.Err() == nil {
			c.c.Log.Error("notices: it is tried again in a second", "transport", t.Name(), "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// Turn delivers what is due at the moment.
func (c *Courier) Turn(ctx context.Context) error {
	for _, t := range c.c.Transports {
		if err := c.turn(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// turn delivers what is due by one way. It stops before what it has claimed is anybody else's again: the rest is claimed anew, by whoever
// comes first.
func (c *Courier) turn(ctx context.Context, t Transport) error {
	began := time.Now()
	found, err := c.c.Outbox.ClaimNotices(ctx, t.Name(), c.c.Now(), lease, batch)
	if err != nil {
		return err
	}
	for _, d := range found {
		if time.Since(began) > lease-sendLimit {
			return nil
		}
		if err := c.deliver(ctx, t, d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Courier) deliver(ctx context.Context, t Transport, d access.Delivery) error {
	m, overtaken, err := c.message(ctx, d)
	if err != nil {
		return err
	}
	if overtaken {
		return c.c.Outbox.NoticeDone(ctx, t.Name(), d.ID, "overtaken")
	}
	limited, cancel := context.WithTimeout(ctx, sendLimit)
	err = t.Send(limited, m)
	cancel()
	if ctx.Err() != nil {
		return ctx.Err() // stopped: whoever comes next tries again
	}
	var never *Permanent
	switch {
	case err == nil:
		return c.end(ctx, t, m, d, audit.NoticeSent, "")
	case errors.Is(err, ErrNotThisWay):
		return c.c.Outbox.NoticeDone(ctx, t.Name(), d.ID, err.Error())
	case errors.As(err, &never), d.Tries+1 >= tries:
		c.c.Log.Error("a notice was not delivered", "transport", t.Name(), "kind", m.Kind, "to", m.To, "tries", d.Tries+1, "error", err)
		return c.end(ctx, t, m, d, audit.NoticeDead, err.Error())
	}
	wait := min(firstWait<<min(d.Tries, 10), mostWait)
	var later *Later
	if errors.As(err, &later) && later.After > 0 {
		wait = min(later.After, mostWait)
	}
	return c.c.Outbox.NoticeLater(ctx, t.Name(), d.ID, c.c.Now().Add(wait), err.Error())
}

func (c *Courier) end(ctx context.Context, t Transport, m *Message, d access.Delivery, kind audit.Kind, why string) error {
	var more []access.Notice
	if kind == audit.NoticeDead {
		var err error
		if more, err = c.dead(ctx, t, d, why); err != nil {
			return err
		}
	}
	if err := c.c.Outbox.NoticeDone(ctx, t.Name(), d.ID, why, more...); err != nil {
		return err
	}
	if m.Channel != "" {
		m.To = "channel " + m.Channel
	}
	detail := map[string]string{"notice": m.ID, "kind": m.Kind, "to": m.To, "transport": t.Name(), "tries": fmt.Sprint(d.Tries + 1)}
	_, err := c.c.Audit.Record(ctx, audit.Event{Kind: kind, Message: why, Detail: detail})
	return err
}

// dead are the notices about one that could not be delivered. There are none about themselves.
func (c *Courier) dead(ctx context.Context, t Transport, d access.Delivery, why string) ([]access.Notice, error) {
	now := c.c.Now()
	c.mu.Lock()
	last, told := c.died[t.Name()]
	c.mu.Unlock()
	if c.c.Admins == nil || d.Kind == Dead || told && now.Sub(last) < deadEvery {
		return nil, nil
	}
	admins, err := c.c.Admins(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.died[t.Name()] = now
	c.mu.Unlock()
	var out []access.Notice
	for _, name := range admins {
		out = append(out, access.Notice{
			Kind: Dead, To: name, Request: d.Request, Grant: d.Grant, At: now, Reason: fmt.Sprintf("%s by %s to %s: %s", d.Kind, t.Name(), d.To+d.Channel, why),
		})
	}
	return out, nil
}

// message fills in what the notice is about, as it is now, and says whether that has overtaken it.
func (c *Courier) message(ctx context.Context, d access.Delivery) (m *Message, overtaken bool, err error) {
	m = &Message{
		ID: fmt.Sprintf("postern-%d", d.ID), Kind: d.Kind, At: d.At, To: d.To, Request: d.Request, Grant: d.Grant, Link: c.c.Link, Dataset: d.Dataset,
		Channel: d.Channel,
	}
	if u := c.c.Policy().Users[d.To]; u != nil {
		m.Email = u.Attributes["email"]
	}
	var request *access.Request
	var grant *access.Grant
	if d.Request != "" {
		found, err := c.c.Access.Requests(ctx, access.Filter{IDs: []string{d.Request}})
		if err != nil {
			return nil, false, err
		}
		for _, r := range found {
			request = &r
			m.Subject, m.Dataset, m.Rule, m.State, m.Note, m.Urgent = r.Subject, r.Dataset, r.Rule, string(r.State), r.Note, r.Breaking
			if Decides(d.Kind) {
				text, whole := request.Outside(StatementText(c.c.Policy(), r.Dataset), false)
				m.Statement, m.Withheld = text, !whole
			}
		}
	}
	if d.Grant != "" {
		found, err := c.c.Access.Grants(ctx, access.Filter{IDs: []string{d.Grant}})
		if err != nil {
			return nil, false, err
		}
		for _, g := range found {
			grant = &g
			m.Subject, m.Dataset, m.Rule, m.State, m.Until, m.Reason, m.Urgent = g.Subject, g.Dataset, g.Rule, string(g.State), g.End, g.Reason, g.Breaking
		}
	}
	if d.Grants != "" {
		found, err := c.c.Access.Grants(ctx, access.Filter{IDs: strings.Fields(d.Grants)})
		if err != nil {
			return nil, false, err
		}
		for _, g := range found {
			m.Subject, m.State = g.Subject, string(g.State)
			m.Grants = append(m.Grants, Lost{g.ID, g.Dataset, g.Rule})
		}
		slices.SortFunc(m.Grants, func(a, b Lost) int { return strings.Compare(a.Dataset+"\x00"+a.Rule, b.Dataset+"\x00"+b.Rule) })
	}
	if d.Reason != "" {
		m.Reason = d.Reason
	}
	return m, d.Overtaken(request, grant, c.c.Now()), nil
}
