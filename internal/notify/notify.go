// Package notify tells people what concerns them: it takes notices out of the outbox that the workflow filled in its own transactions,
// and hands each to every transport that the site has, with retries and an end to them. It never blocks or rolls back the workflow, and
// it sends no data of a store: names, times and the notes that people wrote, and nothing else.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	Subject string    `json:"subject,omitempty"` // whose request or grant it is
	Dataset string    `json:"dataset,omitempty"`
	Rule    string    `json:"rule,omitempty"`
	Request string    `json:"request,omitempty"`
	Grant   string    `json:"grant,omitempty"`
	State   string    `json:"state,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Note    string    `json:"note,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Urgent  bool      `json:"break_glass,omitempty"`
	Link    string    `json:"link,omitempty"`
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

// Outbox is where notices wait.
type Outbox interface {
	// ClaimNotices takes notices that a transport has not delivered, for as long as the lease: nobody else gets them meanwhile.
	ClaimNotices(ctx context.Context, transport string, now time.Time, lease time.Duration, limit int) ([]access.Delivery, error)
	// NoticeDone ends a delivery. why is empty for one that succeeded.
	NoticeDone(ctx context.Context, transport string, id int64, why string) error
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
)

// Config is what a Courier needs. Every field is required but Link.
type Config struct {
	Outbox     Outbox
	Access     access.Store
	Policy     func() *policy.Policy
	Transports []Transport
	Audit      audit.Recorder
	Log        *slog.Logger
	Now        func() time.Time
	Link       string // address of the portal, for people to follow
}

// Courier delivers. Several instances may share an outbox.
type Courier struct{ c Config }

// New makes a courier.
func New(c Config) *Courier { return &Courier{c} }

// Run delivers until ctx ends.
func (c *Courier) Run(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if err := c.Turn(ctx); err != nil && ctx.Err() == nil {
			c.c.Log.Error("notices: it is tried again in a second", "error", err)
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
		found, err := c.c.Outbox.ClaimNotices(ctx, t.Name(), c.c.Now(), lease, batch)
		if err != nil {
			return err
		}
		for _, d := range found {
			if err := c.deliver(ctx, t, d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Courier) deliver(ctx context.Context, t Transport, d access.Delivery) error {
	m, err := c.message(ctx, d)
	if err != nil {
		return err
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
	if err := c.c.Outbox.NoticeDone(ctx, t.Name(), d.ID, why); err != nil {
		return err
	}
	detail := map[string]string{"notice": m.ID, "kind": m.Kind, "to": m.To, "transport": t.Name(), "tries": fmt.Sprint(d.Tries + 1)}
	_, err := c.c.Audit.Record(ctx, audit.Event{Kind: kind, Message: why, Detail: detail})
	return err
}

// message fills in what the notice is about, as it is now.
func (c *Courier) message(ctx context.Context, d access.Delivery) (*Message, error) {
	m := &Message{ID: fmt.Sprintf("postern-%d", d.ID), Kind: d.Kind, At: d.At, To: d.To, Request: d.Request, Grant: d.Grant, Link: c.c.Link}
	if u := c.c.Policy().Users[d.To]; u != nil {
		m.Email = u.Attributes["email"]
	}
	if d.Request != "" {
		found, err := c.c.Access.Requests(ctx, access.Filter{IDs: []string{d.Request}})
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			m.Subject, m.Dataset, m.Rule, m.State, m.Note, m.Urgent = r.Subject, r.Dataset, r.Rule, string(r.State), r.Note, r.Breaking
		}
	}
	if d.Grant != "" {
		found, err := c.c.Access.Grants(ctx, access.Filter{IDs: []string{d.Grant}})
		if err != nil {
			return nil, err
		}
		for _, g := range found {
			m.Subject, m.Dataset, m.Rule, m.State, m.Until, m.Reason, m.Urgent = g.Subject, g.Dataset, g.Rule, string(g.State), g.End, g.Reason, g.Breaking
		}
	}
	return m, nil
}
