package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/directory"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/sso"
	"github.com/postern-sec/postern/internal/state"
)

// registry makes what signs people in.
func registry(st *state.DB, p func() *policy.Policy, trail audit.Recorder, root secret.Text, url string, now func() time.Time, random io.Reader, emergency emergency) (*people.Registry, error) {
	key, err := mockKey(root)
	if err != nil {
		return nil, err
	}
	mock, err := identity.NewMock(key, 0)
	if err != nil {
		return nil, err
	}
	return people.New(people.Config{
		Accounts: st, Sessions: st, Devices: st, Policy: p, Audit: trail, Throttle: brake(st, "portal"), Mock: mock, Key: root, Now: now, Random: random,
		URL: url, Challenges: st,
		Emergency: emergency.hash, Alarm: emergency.alarm,
	})
}

// brake slows down guessing at one door. Where several gateways share state they share what they count; elsewhere memory is enough, and
// a login waits for no file.
func brake(st *state.DB, door string) identity.Brake {
	if st.Shared() {
		return identity.NewSharedThrottle(st, door)
	}
	return identity.NewThrottle()
}

// Clerk is the register of people for an operator at the machine, while serve runs or not.
type Clerk struct {
	*people.Registry
	st     *state.DB
	config *config.Config
	now    func() time.Time
}

// What a clerk is asked for and shows.
type (
	Role       = people.Role
	Invitation = people.Invitation
)

// OpenClerk opens the state of an installation. Events wait in its outbox for the trail, which has one writer: serve.
func OpenClerk(ctx context.Context, c *config.Config, clock func() time.Time, random io.Reader) (*Clerk, error) {
	root, err := c.Keys.Root.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys.root: %w", err)
	}
	st, err := OpenState(ctx, c)
	if err != nil {
		return nil, err
	}
	people, err := known(ctx, c, st, clock())
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	pol := c.Policy.WithPeople(people)
	r, err := registry(st, func() *policy.Policy { return pol }, outbox{st, clock}, root, c.Portal.URL, clock, random, emergency{})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return &Clerk{r, st, c, clock}, nil
}

// Close lets go of the state.
func (c *Clerk) Close() error { return c.st.Close() }

// Unlink lets go of who at the identity provider, and in the directory, a name is: whoever comes first with it is, from then on.
func (c *Clerk) Unlink(ctx context.Context, name string) error {
	all, err := c.st.Links(ctx)
	if err != nil {
		return err
	}
	said, err := c.st.Directory(ctx)
	if err != nil {
		return err
	}
	linked, found := slices.ContainsFunc(all, func(l sso.Link) bool { return l.Name == name }), said.Found(name)
	if !linked && !found {
		return &people.Refusal{Code: "not_found", Text: "nobody at the identity provider or in the directory is " + name + " here"}
	}
	if _, err := (outbox{c.st, c.now}).Record(ctx, audit.Event{Kind: audit.AccountUnlinked, Detail: map[string]string{"for": name}}); err != nil {
		return err
	}
	if err := c.EndEverything(ctx, name, "unlinked"); err != nil {
		return err
	}
	if found {
		if err := directory.Forget(ctx, c.st, name); err != nil {
			return err
		}
	}
	if !linked {
		return nil
	}
	return c.st.Unlink(ctx, name)
}

// Link is where an invitation is followed. The secret stands behind the #, which no browser sends to a server and no log keeps.
func (c *Clerk) Link(i *Invitation) string {
	at := c.config.Portal
	if at.Address == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(at.Address)
	if err != nil {
		return ""
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "HOST"
	}
	u := url.URL{Scheme: "https", Host: net.JoinHostPort(host, port), Path: "/join", Fragment: i.Code.Reveal()}
	if at.Cert == "" {
		u.Scheme = "http"
	}
	return u.String()
}

// AtMachine is where an operator comes from.
func AtMachine() people.From { return people.From{Channel: "machine"} }

// CodeOf finds the secret in what somebody pasted: a link, or what stands behind its #.
func CodeOf(link secret.Text) secret.Text {
	text := strings.TrimSpace(link.Reveal())
	if _, code, ok := strings.Cut(text, "#"); ok {
		text = code
	}
	return secret.New(text)
}

// Refused says what a person is told of a failure, and what to do about it.
func Refused(err error) (text, hint string) {
	var no *people.Refusal
	if errors.As(err, &no) {
		return no.Text, no.Hint
	}
	return err.Error(), ""
}

// outbox records what is done beside serve: an event waits in state until serve writes it to the trail.
type outbox struct {
	st  *state.DB
	now func() time.Time
}

// Record implements audit.Recorder.
func (o outbox) Record(ctx context.Context, e audit.Event) (string, error) {
	out := access.Event{
		Kind: string(e.Kind), At: o.now().UTC(), Actor: e.Subject, Subject: e.Detail["for"], Channel: "machine", Reason: e.Reason,
	}
	if role := e.Detail["role"]; role != "" {
		out.Reason = "role " + role
	}
	for _, what := range []string{"authority", "credential"} {
		if id := e.Detail[what]; id != "" {
			out.Reason = strings.TrimSpace(out.Reason + " " + what + " " + id)
		}
	}
	return "", o.st.Commit(ctx, access.Change{Events: []access.Event{out}})
}

// RecordSoon implements audit.Recorder.
func (o outbox) RecordSoon(e audit.Event) error {
	_, err := o.Record(context.Background(), e)
	return err
}
