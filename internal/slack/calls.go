package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	api "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// incoming is a call, with no more than what is needed of it.
type incoming struct {
	Kind    string            `json:"kind"` // command, click or form
	Team    string            `json:"team"`
	User    string            `json:"user"`
	Trigger string            `json:"trigger,omitempty"`
	Action  string            `json:"action,omitempty"` // of a click; of a form, its name
	Value   string            `json:"value,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// The kinds of call.
const (
	kindCommand = "command"
	kindClick   = "click"
	kindForm    = "form"
)

// request is the id of the request that a call is about, or "".
func (in *incoming) request() string {
	value := in.Value
	if _, rest, ok := strings.Cut(value, " "); ok {
		value = rest
	}
	id, _, _ := strings.Cut(value, ":")
	return id
}

// ofCommand reads a slash command.
func ofCommand(c *api.SlashCommand) *incoming {
	return &incoming{Kind: kindCommand, Team: c.TeamID, User: c.UserID, Trigger: c.TriggerID}
}

// ofInteraction reads a click or a form; nil for what is of no interest, such as the button that opens a link.
func ofInteraction(c *api.InteractionCallback) *incoming {
	in := &incoming{Team: c.User.TeamID, User: c.User.ID, Trigger: c.TriggerID}
	if in.Team == "" {
		in.Team = c.Team.ID
	}
	switch c.Type {
	case api.InteractionTypeBlockActions:
		if len(c.ActionCallback.BlockActions) != 1 {
			return nil
		}
		act := c.ActionCallback.BlockActions[0]
		if in.Kind, in.Action, in.Value = kindClick, act.ActionID, act.Value; act.ActionID == actOpen {
			return nil
		}
	case api.InteractionTypeViewSubmission:
		in.Kind, in.Action, in.Value, in.Fields = kindForm, c.View.CallbackID, c.View.PrivateMetadata, map[string]string{}
		if c.View.State != nil {
			for name, actions := range c.View.State.Values {
				for _, v := range actions {
					if in.Fields[name] = v.Value; v.SelectedOption.Value != "" {
						in.Fields[name] = v.SelectedOption.Value
					}
				}
			}
		}
	default:
		return nil
	}
	return in
}

// take keeps a call, so that it may be acknowledged. A call that was kept already is one that Slack delivered again, or that somebody
// else did: nothing comes of it.
func (a *App) take(ctx context.Context, in *incoming, fallback string) error {
	id := fallback
	if in.Trigger != "" {
		id = "trigger " + in.Trigger // one a call, whichever way it comes
	}
	doc, err := json.Marshal(in)
	if err != nil {
		return err
	}
	now := a.c.Now()
	if _, err := a.c.Calls.TakeCall(ctx, Call{ID: id, Doc: string(doc), Due: now, At: now}); err != nil {
		return err
	}
	woken(a.called)
	return nil
}

// listen keeps one socket open until ctx ends.
func (a *App) listen(ctx context.Context) {
	for ctx.Err() == nil {
		token, err := a.socket(ctx)
		wait := tokenLife // the client tries again by itself after all that passes; what is left is a token that is none
		if t, rerr := a.secrets(ctx); errors.Is(err, context.Canceled) || rerr == nil && !t.App.Equal(token) {
			wait = time.Second // an end that the client takes for its own, or there is another token by now
		} else if ctx.Err() == nil {
			a.c.Log.Error("slack: no connection; it is tried again", "error", err, "wait", wait)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// socket keeps a connection that was opened by a token until it ends for good.
func (a *App) socket(ctx context.Context) (token secret.Text, err error) {
	t, err := a.secrets(ctx)
	if err != nil {
		return token, err
	}
	c, err := a.client(ctx)
	if err != nil {
		return token, err
	}
	s := socketmode.New(c)
	ended := make(chan error, 1)
	go func() { ended <- s.RunContext(ctx) }()
	for {
		select {
		case err := <-ended:
			return t.App, err
		case e := <-s.Events:
			a.event(ctx, s, &e)
		}
	}
}

// event takes a call and acknowledges it. What could not be kept is not acknowledged: Slack delivers it again.
func (a *App) event(ctx context.Context, s *socketmode.Client, e *socketmode.Event) {
	var in *incoming
	switch data := e.Data.(type) {
	case api.SlashCommand:
		in = ofCommand(&data)
	case api.InteractionCallback:
		in = ofInteraction(&data)
	}
	if e.Request == nil || e.Request.EnvelopeID == "" {
		return
	}
	if in != nil {
		if err := a.take(ctx, in, "envelope "+e.Request.EnvelopeID); err != nil {
			a.c.Log.Error("slack: a call was not kept", "error", err)
			return
		}
	}
	if err := s.AckCtx(ctx, e.Request.EnvelopeID, nil); err != nil && ctx.Err() == nil {
		a.c.Log.Warn("slack: a call was not acknowledged", "error", err)
	}
}

// maxBody bounds a call over HTTP.
const maxBody = 256 << 10

// ServeHTTP takes calls that Slack signed. Everything else learns that it is not let in, and no more.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || r.Method != http.MethodPost {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	if err := a.signed(r, body); err != nil {
		http.Error(w, "not signed by Slack, or not now", http.StatusUnauthorized)
		return
	}
	in, err := ofForm(body)
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	if in != nil {
		sum := sha256.Sum256(body)
		if err := a.take(r.Context(), in, "body "+hex.EncodeToString(sum[:])); err != nil {
			a.c.Log.Error("slack: a call was not kept", "error", err)
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// signed checks the v0 signature over the time and the body as it came, in constant time, and that the time is now.
func (a *App) signed(r *http.Request, body []byte) error {
	t, err := a.secrets(r.Context())
	if err != nil {
		return err
	}
	if t.Signing.IsEmpty() {
		return errors.New("there is no signing secret")
	}
	v, err := api.NewSecretsVerifier(r.Header, t.Signing.Reveal())
	if err != nil {
		return err
	}
	if _, err := v.Write(body); err != nil {
		return err
	}
	return v.Ensure()
}

func ofForm(body []byte) (*incoming, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if form.Has("payload") {
		var c api.InteractionCallback
		if err := json.Unmarshal([]byte(form.Get("payload")), &c); err != nil {
			return nil, err
		}
		return ofInteraction(&c), nil
	}
	if form.Get("command") == "" {
		return nil, errors.New("neither a command nor a payload")
	}
	return ofCommand(&api.SlashCommand{TeamID: form.Get("team_id"), UserID: form.Get("user_id"), TriggerID: form.Get("trigger_id")}), nil
}

// answer works on the calls that are due.
func (a *App) answer(ctx context.Context) error {
	for {
		now := a.c.Now()
		call, found, err := a.c.Calls.ClaimCall(ctx, now, now.Add(claimFor))
		if err != nil || !found {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, callLimit)
		err = a.work(limited, &call)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err() // whoever comes next claims it again
		}
		var never *notify.Permanent
		var later *notify.Later
		switch err = delivery(err); {
		case err == nil:
			err = a.c.Calls.EndCall(ctx, call.ID)
		case errors.As(err, &never), call.Tries >= callTries:
			a.c.Log.Error("slack: nothing came of a call", "tries", call.Tries, "error", err)
			err = a.c.Calls.EndCall(ctx, call.ID)
		default:
			wait := min(retryFirst<<min(call.Tries, 10), retryMost)
			if errors.As(err, &later) && later.After > 0 {
				wait = later.After
			}
			err = a.c.Calls.CallLater(ctx, call.ID, now.Add(wait))
		}
		if err != nil {
			return err
		}
	}
}

func (a *App) work(ctx context.Context, call *Call) error {
	var in incoming
	if err := json.Unmarshal([]byte(call.Doc), &in); err != nil {
		return &notify.Permanent{Err: err}
	}
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	switch {
	case in.Kind == kindCommand:
		return a.command(ctx, c, &in)
	case in.Kind == kindClick && (in.Action == actDeny || in.Action == actReason):
		// The form shows nothing, and a trigger lives for three seconds: it is opened first, and who it is matters when it is sent.
		_, err := c.OpenViewContext(ctx, in.Trigger, reasonForm(in.Action, in.Value))
		return err
	case in.Kind == kindClick && in.Action == actApprove:
		return a.decide(ctx, c, &in, actApprove, in.Value)
	case in.Kind == kindForm && in.Action == formDecide:
		verdict, value, _ := strings.Cut(in.Value, " ")
		return a.decide(ctx, c, &in, verdict, value)
	case in.Kind == kindForm && in.Action == formAsk:
		return a.ask(ctx, c, &in, call.ID)
	}
	return &notify.Permanent{Err: fmt.Errorf("a %s named %q is none of ours", in.Kind, in.Action)}
}

// command opens the form to ask with: an empty one at once, filled when it is known whose it is.
func (a *App) command(ctx context.Context, c *api.Client, in *incoming) error {
	view, err := c.OpenViewContext(ctx, in.Trigger, notice("Request access", "One moment…"))
	if err != nil {
		return err
	}
	filled := notice("Request access", unknown)
	s, err := a.person(ctx, c, in.Team, in.User)
	var who stranger
	switch {
	case err == nil:
		filled = askForm(a.c.Policy(), s)
	case errors.As(err, &who):
		if err := a.strange(ctx, in, who); err != nil {
			return err
		}
	default:
		filled = notice("Request access", "Postern cannot look you up at the moment. Try again in a minute.")
	}
	_, err = c.UpdateViewContext(ctx, filled, "", view.Hash, view.ID)
	return err
}

const unknown = "You are not recognised: Postern knows people in Slack by the confirmed e-mail address of their profile. Ask whoever runs it."

// recognised finds who is behind a call. Whoever it does not know is told so, and on the trail.
func (a *App) recognised(ctx context.Context, c *api.Client, in *incoming) (s policy.Subject, ok bool, err error) {
	s, err = a.person(ctx, c, in.Team, in.User)
	var who stranger
	if !errors.As(err, &who) {
		return s, err == nil, err
	}
	if err := a.strange(ctx, in, who); err != nil {
		return s, false, err
	}
	if err := a.tell(ctx, c, in.User, unknown); err != nil {
		a.c.Log.Warn("slack: somebody who is not recognised was not told so", "error", err) // they may be in another workspace
	}
	return s, false, nil
}

// decide carries a verdict to the desk. What the desk says no to, it has recorded.
func (a *App) decide(ctx context.Context, c *api.Client, in *incoming, verdict, value string) error {
	s, ok, err := a.recognised(ctx, c, in)
	if err != nil || !ok {
		return err
	}
	id, seen, _ := strings.Cut(value, ":")
	version, err := strconv.Atoi(seen)
	if err != nil {
		return &notify.Permanent{Err: fmt.Errorf("a button with the value %q is none of ours", value)}
	}
	r, err := a.request(ctx, id)
	if err != nil {
		return err
	}
	if r != nil && r.Version != version && r.State == access.Pending && !said(r, s.Name) {
		woken(a.poke)
		return a.tell(ctx, c, in.User, "Request "+id+" has moved on since the message that you answered. Look at it again: the message is being edited.")
	}
	switch verdict {
	case actDeny:
		_, err = a.c.Desk.Deny(ctx, actor(s), id, in.Fields[fieldNote])
	case actApprove, actReason:
		_, err = a.c.Desk.Approve(ctx, actor(s), id, in.Fields[fieldNote])
	default:
		return &notify.Permanent{Err: fmt.Errorf("a verdict %q is none of ours", verdict)}
	}
	woken(a.poke)
	return a.refused(ctx, c, in, err)
}

// ask carries a request to the desk. The key makes a second turn find what came of the first.
func (a *App) ask(ctx context.Context, c *api.Client, in *incoming, key string) error {
	s, ok, err := a.recognised(ctx, c, in)
	if err != nil || !ok {
		return err
	}
	q := access.Ask{Rule: in.Fields[fieldRule], Purpose: in.Fields[fieldPurpose], Note: in.Fields[fieldNote], Key: "slack " + key}
	if length := strings.TrimSpace(in.Fields[fieldFor]); length != "" {
		if q.For, err = policy.ParseSpan(length); err != nil {
			return a.tell(ctx, c, in.User, "Nothing was asked for: "+err.Error())
		}
	}
	_, err = a.c.Desk.Request(ctx, actor(s), q)
	return a.refused(ctx, c, in, err)
}

// refused tells somebody why the desk said no. Any other failure is tried again.
func (a *App) refused(ctx context.Context, c *api.Client, in *incoming, err error) error {
	var no *access.Refusal
	switch {
	case errors.As(err, &no):
		line := no.Text
		if no.Hint != "" {
			line += " (" + no.Hint + ")"
		}
		return a.tell(ctx, c, in.User, line)
	case errors.Is(err, access.ErrNotFound):
		return a.tell(ctx, c, in.User, "That request does not exist any more.")
	}
	return err
}
