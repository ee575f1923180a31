// Package slack is Postern's app in Slack: direct messages about requests and grants, a form to ask with, and buttons to decide with
// where a dataset allows it. Calls come over Socket Mode or as signed HTTP, and go the same way from there: kept, acknowledged, then
// worked on. Whoever clicked is looked up anew each time, and what they want is the desk's to say, as at the portal.
//
// It decides nothing by itself, and it never shows data of a store: names, times, and the notes that people wrote. It imports access
// for the desk, notify because it is one of the ways of its courier, audit for what the desk does not see, policy, and secret.
package slack

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"text/template"
	"time"

	api "github.com/slack-go/slack"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Copy is one message that stands in Slack.
type Copy struct {
	ID      string // of the notice: it is sent once
	Channel string
	TS      string // Slack's name for a message in a channel
	Kind    string
	Request string // or ""
	To      string // the subject
	Version int    // of the request, as the message shows it
	Tries   int    // to edit it, in vain
	Due     time.Time
	At      time.Time
}

// Copies remembers messages. It is safe for concurrent use.
type Copies interface {
	// KeepCopy adds a message or changes one.
	KeepCopy(ctx context.Context, c Copy) error
	HasCopy(ctx context.Context, id string) (bool, error)
	// StaleCopies lists messages that show less than their request's version and are due.
	StaleCopies(ctx context.Context, now time.Time, limit int) ([]Copy, error)
}

// Call is something that Slack told us.
type Call struct {
	ID    string // the same at every delivery
	Doc   string
	Tries int // this one included
	Due   time.Time
	At    time.Time
}

// Calls remembers calls. It is safe for concurrent use.
type Calls interface {
	// TakeCall keeps a call; false says that it was there already.
	TakeCall(ctx context.Context, c Call) (bool, error)
	// ClaimCall takes one that is due, until a time: nobody else gets it meanwhile.
	ClaimCall(ctx context.Context, now, until time.Time) (Call, bool, error)
	EndCall(ctx context.Context, id string) error
	CallLater(ctx context.Context, id string, due time.Time) error
}

// Tokens are what the app proves itself with. App is empty without Socket Mode, Signing without HTTP.
type Tokens struct{ Bot, App, Signing secret.Text }

// Config is what an App needs. Every field is required but Link and Settled.
type Config struct {
	Tokens  func(ctx context.Context) (Tokens, error) // read again every minute, so that they can be rotated
	API     string                                    // ends in a slash
	Domains []string                                  // of addresses, in lower case
	Copies  Copies
	Calls   Calls
	Desk    *access.Desk
	Access  access.Store
	Policy  func() *policy.Policy
	// Active says whether somebody's account is not disabled.
	Active func(ctx context.Context, subject string) (bool, error)
	Texts  *template.Template // of notify
	Audit  audit.Recorder
	Log    *slog.Logger
	Now    func() time.Time
	Link   string // address of the portal
}

// How long things take, and how many there may be.
const (
	tokenLife  = time.Minute
	callLimit  = 20 * time.Second // one turn of work on a call
	claimFor   = 30 * time.Second
	retryFirst = 2 * time.Second // doubling
	retryMost  = 5 * time.Minute
	callTries  = 8 // some eight minutes: nobody waits longer for a click
	editTries  = 30
	lookEvery  = time.Second
	batch      = 50
	sockets    = 2 // one is always there while the other is exchanged (ACC-43)
	workers    = 4
)

// App talks to Slack. It is safe for concurrent use.
type App struct {
	c      Config
	poke   chan struct{} // an edit is due
	called chan struct{} // a call is due
	http   *http.Client

	mu     sync.Mutex
	tokens Tokens
	read   time.Time // when they were
	team   string    // of the bot's token
}

var _ notify.Transport = (*App)(nil)

// New makes an app. Nothing is asked of Slack yet.
func New(c Config) *App {
	return &App{c: c, poke: make(chan struct{}, 1), called: make(chan struct{}, workers), http: &http.Client{
		Timeout: callLimit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Name implements notify.Transport.
func (a *App) Name() string { return "slack" }

// Run answers calls and edits messages until ctx ends.
func (a *App) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() { a.every(ctx, a.called, a.answer) })
	}
	all.Go(func() { a.every(ctx, a.poke, a.edit) })
	if t, err := a.secrets(ctx); err != nil {
		a.c.Log.Error("slack: the tokens cannot be read", "error", err)
	} else if !t.App.IsEmpty() {
		for range sockets {
			all.Go(func() { a.listen(ctx) })
		}
	}
	all.Wait()
}

// every does something each second, and when woken.
func (a *App) every(ctx context.Context, wake <-chan struct{}, do func(context.Context) error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			a.c.Log.Error("slack: it is tried again in a second", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-wake:
		}
	}
}

func woken(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default: // somebody is on the way already
	}
}

// secrets reads the tokens, now and then.
func (a *App) secrets(ctx context.Context) (Tokens, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.c.Now(); a.read.IsZero() || now.Sub(a.read) >= tokenLife {
		t, err := a.c.Tokens(ctx)
		if err != nil {
			return Tokens{}, err
		}
		if !t.Bot.Equal(a.tokens.Bot) {
			a.team = ""
		}
		a.tokens, a.read = t, now
	}
	return a.tokens, nil
}

// client is a client with the token of the moment.
func (a *App) client(ctx context.Context) (*api.Client, error) {
	t, err := a.secrets(ctx)
	if err != nil {
		return nil, err
	}
	return api.New(t.Bot.Reveal(), api.OptionAPIURL(a.c.API), api.OptionHTTPClient(a.http), api.OptionAppLevelToken(t.App.Reveal())), nil
}

// workspace is the id of the workspace that the bot's token is for.
func (a *App) workspace(ctx context.Context, c *api.Client) (string, error) {
	a.mu.Lock()
	team := a.team
	a.mu.Unlock()
	if team != "" {
		return team, nil
	}
	who, err := c.AuthTestContext(ctx)
	if err != nil {
		return "", err
	}
	if who.TeamID == "" {
		return "", errors.New("auth.test names no workspace")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.team = who.TeamID
	return a.team, nil
}

// gone are the answers that trying again does not change: the person, the channel or the message is not there, or the message is not
// one that Slack takes.
var gone = map[string]bool{
	"users_not_found": true, "user_not_found": true, "user_disabled": true, "channel_not_found": true, "not_in_channel": true, "is_archived": true, "message_not_found": true,
	"cant_update_message": true, "edit_window_closed": true, "invalid_blocks": true, "invalid_arguments": true, "msg_too_long": true, "msg_blocks_too_long": true,
	"cannot_dm_bot": true, "expired_trigger_id": true, "exchanged_trigger_id": true, "invalid_trigger": true, "invalid_trigger_id": true, "trigger_expired": true,
	"view_not_found": true, "not_found": true, "trigger_exchanged": true, "messages_tab_disabled": true,
}

// delivery makes an error of Slack's one of notify's.
func delivery(err error) error {
	var limited *api.RateLimitedError
	var refused api.SlackErrorResponse
	var status api.StatusCodeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return &notify.Later{Err: err, After: limited.RetryAfter}
	case errors.As(err, &refused) && gone[refused.Err], errors.As(err, &status) && status.Code == http.StatusNotFound:
		return &notify.Permanent{Err: err}
	}
	return err
}
