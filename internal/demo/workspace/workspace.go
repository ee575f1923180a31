// Package workspace is a small Slack in one process: the methods of the Web API that an app like ours calls, Socket Mode, and people
// who click. It holds every message and form against Slack's limits, as Slack does, and it can be told to be busy, to fail, to hang
// up and to deliver twice. The demo's tour and the tests stand before it; it imports nothing of ours.
package workspace

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// User is somebody in the workspace.
type User struct {
	ID, Team, Email, Name                 string
	Unconfirmed, Deleted, Bot, Guest, Far bool // Far: of another workspace, in a shared channel
}

// Message is one that stands in a channel.
type Message struct {
	Channel, TS, Text string
	Blocks            []Block
	Edits             int
}

// Block is as much of a block as the limits and a reader need.
type Block struct {
	Type     string `json:"type"`
	BlockID  string `json:"block_id"`
	Text     *Text  `json:"text"`
	Label    *Text  `json:"label"`
	Hint     *Text  `json:"hint"`
	Element  *Part  `json:"element"`
	Elements []Part `json:"elements"`
}

// Text is a text object.
type Text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// Part is an element of a block.
type Part struct {
	Type      string `json:"type"`
	ActionID  string `json:"action_id"`
	Text      *Text  `json:"text"`
	Value     string `json:"value"`
	URL       string `json:"url"`
	MaxLength int    `json:"max_length"`
	Options   []struct {
		Text  *Text  `json:"text"`
		Value string `json:"value"`
	} `json:"options"`
}

// View is a form that is open.
type View struct {
	ID       string  `json:"id"`
	Type     string  `json:"type"`
	Callback string  `json:"callback_id"`
	Meta     string  `json:"private_metadata"`
	Title    *Text   `json:"title"`
	Submit   *Text   `json:"submit"`
	Close    *Text   `json:"close"`
	Blocks   []Block `json:"blocks"`
	User     string  `json:"-"`
}

// Team is the workspace's id.
const Team = "T0001"

// Workspace is the whole of it. Its exported fields are read before it is used, and come from Rotate after; it is safe for concurrent use.
type Workspace struct {
	Bot, App, Signing string

	server *http.Server
	url    string
	mu     sync.Mutex
	users  []User
	posts  []*Message
	views  []*View
	faults []Fault
	broken []string // what was refused because Slack would
	calls  []string
	socks  []*sock
	rooms  map[string]bool // the channels that the app was invited to
	acks   map[string]bool
	opened int
	last   int
	who    map[string]string // trigger -> user
}

// Fault is what becomes of calls of a method: Status with Retry seconds, or the error that Slack names, Times times.
type Fault struct {
	Method string // "" is any
	Status int
	Retry  int
	Error  string
	Lost   bool // it is carried out, and the answer is lost
	Times  int
}

type sock struct {
	conn *websocket.Conn
	mu   sync.Mutex
}

func (s *sock) write(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn.WriteJSON(v)
}

// New opens a workspace on this machine.
func New(users ...User) (*Workspace, error) {
	w := &Workspace{
		Bot: "xoxb-" + rand.Text(), App: "xapp-" + rand.Text(), Signing: rand.Text(), acks: map[string]bool{}, rooms: map[string]bool{}, who: map[string]string{},
	}
	for _, u := range users {
		if u.Team == "" {
			u.Team = Team
		}
		w.users = append(w.users, u)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", w.method)
	mux.HandleFunc("GET /api/{method}", w.method)
	mux.HandleFunc("GET /link", w.link)
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		return nil, err
	}
	w.url = "http://" + l.Addr().String()
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.server.Serve(l) }() // until Close
	return w, nil
}

// Close ends it.
func (w *Workspace) Close() {
	w.Hang()
	_ = w.server.Close()
}

// API is the address of its Web API.
func (w *Workspace) API() string { return w.url + "/api/" }

// Fail lets calls go wrong from now on.
func (w *Workspace) Fail(f ...Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, f...)
}

// Recover lets calls succeed again.
func (w *Workspace) Recover() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// Change replaces somebody's profile.
func (w *Workspace) Change(u User) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.Team == "" {
		u.Team = Team
	}
	w.users = append(slices.DeleteFunc(w.users, func(x User) bool { return x.ID == u.ID }), u)
}

// Invite lets the app post in a channel.
func (w *Workspace) Invite(channel string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rooms[channel] = true
}

// Rotate gives the app new secrets; the ones before are worth nothing from now on.
func (w *Workspace) Rotate() (bot, app, signing string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Bot, w.App, w.Signing = "xoxb-"+rand.Text(), "xapp-"+rand.Text(), rand.Text()
	return w.Bot, w.App, w.Signing
}

// Messages are those that stand in the direct messages with a user.
func (w *Workspace) Messages(user string) []Message { return w.Posts("D" + user) }

// Posts are the messages that stand in a channel.
func (w *Workspace) Posts(channel string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	for _, m := range w.posts {
		if m.Channel == channel {
			out = append(out, *m)
		}
	}
	return out
}

// View is the newest form that a user has open.
func (w *Workspace) View(user string) (View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range slices.Backward(w.views) {
		if v.User == user {
			return *v, true
		}
	}
	return View{}, false
}

// Broken lists the payloads that Slack would have refused.
func (w *Workspace) Broken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.broken)
}

// Calls counts the calls of a method.
func (w *Workspace) Calls(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c == method {
			n++
		}
	}
	return n
}

// Everything is all that the app has ever said, for those who look for what it must not say.
func (w *Workspace) Everything() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, _ := json.Marshal(struct{ P, V any }{w.posts, w.views}) // texts alone: it cannot fail
	return string(text)
}

// Says is the text of a message, its blocks one a line.
func (m *Message) Says() string {
	var out []string
	for _, b := range m.Blocks {
		if b.Text != nil {
			out = append(out, b.Text.Text)
		}
	}
	return strings.Join(out, "\n")
}

// Button finds a button by its action.
func (m *Message) Button(action string) (Part, bool) {
	for _, b := range m.Blocks {
		for _, e := range b.Elements {
			if e.ActionID == action {
				return e, true
			}
		}
	}
	return Part{}, false
}

func (w *Workspace) method(rw http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	args := map[string]string{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var raw map[string]json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&raw) // what is not there is missed below
		for k, v := range raw {
			var s string
			if json.Unmarshal(v, &s) != nil {
				s = string(v)
			}
			args[k] = s
		}
	} else {
		_ = r.ParseForm()
		for k := range r.Form {
			args[k] = r.Form.Get(k)
		}
	}
	if t := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); t != "" {
		args["token"] = t
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, method)
	fault := w.fault(method)
	if fault != nil && !fault.Lost {
		if fault.Error != "" {
			answer(rw, nil, fault.Error)
			return
		}
		rw.Header().Set("Retry-After", strconv.Itoa(fault.Retry))
		http.Error(rw, "fault", fault.Status)
		return
	}
	want := w.Bot
	if method == "apps.connections.open" {
		want = w.App
	}
	if args["token"] != want {
		answer(rw, nil, "invalid_auth")
		return
	}
	out, refused := w.do(method, args)
	if fault != nil {
		http.Error(rw, "the answer is lost", http.StatusBadGateway)
		return
	}
	answer(rw, out, refused)
}

func (w *Workspace) fault(method string) *Fault {
	for i := range w.faults {
		f := &w.faults[i]
		if (f.Method == "" || f.Method == method) && f.Times > 0 {
			f.Times--
			return f
		}
	}
	return nil
}

func answer(rw http.ResponseWriter, out map[string]any, refused string) {
	if out == nil {
		out = map[string]any{}
	}
	if out["ok"] = refused == ""; refused != "" {
		out["error"] = refused
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(out) // a caller that has hung up
}

func (w *Workspace) do(method string, args map[string]string) (map[string]any, string) {
	switch method {
	case "auth.test":
		return map[string]any{"team_id": Team, "team": "sample", "user_id": "UBOT", "bot_id": "BBOT"}, ""
	case "users.info":
		return w.user(func(u User) bool { return u.ID == args["user"] }, "user_not_found")
	case "users.lookupByEmail":
		return w.user(func(u User) bool { return strings.EqualFold(u.Email, args["email"]) && !u.Deleted }, "users_not_found")
	case "conversations.open":
		if i := slices.IndexFunc(w.users, func(u User) bool { return u.ID == args["users"] && !u.Far }); i < 0 {
			return nil, "user_not_found"
		}
		return map[string]any{"channel": map[string]any{"id": "D" + args["users"]}}, ""
	case "chat.postMessage":
		return w.post(args)
	case "chat.update":
		return w.update(args)
	case "views.open", "views.update":
		return w.view(method, args)
	case "apps.connections.open":
		w.opened++
		return map[string]any{"url": "ws" + strings.TrimPrefix(w.url, "http") + "/link?n=" + strconv.Itoa(w.opened)}, ""
	}
	return nil, "unknown_method"
}

func (w *Workspace) user(is func(User) bool, none string) (map[string]any, string) {
	i := slices.IndexFunc(w.users, is)
	if i < 0 {
		return nil, none
	}
	u := w.users[i]
	return map[string]any{"user": map[string]any{
		"id": u.ID, "team_id": u.Team, "deleted": u.Deleted, "is_bot": u.Bot, "is_restricted": u.Guest, "is_stranger": u.Far, "is_email_confirmed": !u.Unconfirmed,
		"name": u.Name, "profile": map[string]any{"email": u.Email, "display_name": u.Name, "real_name": u.Name},
	}}, ""
}

func (w *Workspace) post(args map[string]string) (map[string]any, string) {
	blocks, wrong := checkMessage(args["text"], args["blocks"])
	if wrong != "" {
		w.broken = append(w.broken, wrong)
		return nil, "invalid_blocks"
	}
	if c := args["channel"]; !strings.HasPrefix(c, "D") && !w.rooms[c] {
		return nil, "not_in_channel"
	}
	w.last++
	m := &Message{Channel: args["channel"], TS: fmt.Sprintf("1700000000.%06d", w.last), Text: args["text"], Blocks: blocks}
	w.posts = append(w.posts, m)
	return map[string]any{"channel": m.Channel, "ts": m.TS}, ""
}

func (w *Workspace) update(args map[string]string) (map[string]any, string) {
	blocks, wrong := checkMessage(args["text"], args["blocks"])
	if wrong != "" {
		w.broken = append(w.broken, wrong)
		return nil, "invalid_blocks"
	}
	for _, m := range w.posts {
		if m.Channel == args["channel"] && m.TS == args["ts"] {
			m.Text, m.Blocks = args["text"], blocks
			m.Edits++
			return map[string]any{"channel": m.Channel, "ts": m.TS, "text": m.Text}, ""
		}
	}
	return nil, "message_not_found"
}

// Forget takes a user's messages away, as a person or a retention rule may.
func (w *Workspace) Forget(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts = slices.DeleteFunc(w.posts, func(m *Message) bool { return m.Channel == "D"+user })
}

func (w *Workspace) view(method string, args map[string]string) (map[string]any, string) {
	var v View
	if err := json.Unmarshal([]byte(args["view"]), &v); err != nil {
		return nil, "invalid_arguments"
	}
	if wrong := checkView(&v); wrong != "" {
		w.broken = append(w.broken, wrong)
		return nil, "invalid_arguments"
	}
	if method == "views.open" {
		user, ok := w.who[args["trigger_id"]]
		if !ok {
			return nil, "invalid_trigger_id"
		}
		delete(w.who, args["trigger_id"]) // it opens one form
		w.last++
		v.ID, v.User = fmt.Sprintf("V%d", w.last), user
		w.views = append(w.views, &v)
		return map[string]any{"view": map[string]any{"id": v.ID, "hash": "h" + v.ID}}, ""
	}
	for _, old := range w.views {
		if old.ID == args["view_id"] {
			v.ID, v.User = old.ID, old.User
			*old = v
			return map[string]any{"view": map[string]any{"id": v.ID, "hash": "h" + v.ID}}, ""
		}
	}
	return nil, "not_found"
}

func (w *Workspace) link(rw http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }} // Slack's own address is not ours
	conn, err := up.Upgrade(rw, r, nil)
	if err != nil {
		return
	}
	s := &sock{conn: conn}
	defer func() { _ = conn.Close() }()
	if s.write(map[string]any{"type": "hello", "num_connections": 1}) != nil {
		return
	}
	w.mu.Lock()
	w.socks = append(w.socks, s)
	w.mu.Unlock()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Second):
				_ = conn.WriteControl(websocket.PingMessage, []byte("ping"), time.Now().Add(time.Second))
			}
		}
	}()
	for {
		var ack struct {
			Envelope string `json:"envelope_id"`
		}
		if conn.ReadJSON(&ack) != nil {
			break
		}
		w.mu.Lock()
		w.acks[ack.Envelope] = true
		w.mu.Unlock()
	}
	w.mu.Lock()
	w.socks = slices.DeleteFunc(w.socks, func(x *sock) bool { return x == s })
	w.mu.Unlock()
}

// Sockets counts those that are open.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.socks)
}

// Hang hangs up on every socket, without a word.
func (w *Workspace) Hang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.socks {
		_ = s.conn.Close()
	}
}

// Refresh asks every socket to be opened anew, as Slack does every few hours.
func (w *Workspace) Refresh() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.socks {
		_ = s.write(map[string]any{"type": "disconnect", "reason": "refresh_requested"})
	}
}

// Event is something that somebody did. It can be delivered any number of times, in any way.
type Event struct {
	Envelope, Kind string // slash_commands or interactive
	Payload        map[string]any
}

func (w *Workspace) event(kind, user string, payload map[string]any) *Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	trigger := fmt.Sprintf("%d.%s", w.last, rand.Text())
	w.who[trigger] = user
	payload["trigger_id"] = trigger
	return &Event{Envelope: rand.Text(), Kind: kind, Payload: payload}
}

func (w *Workspace) team(user string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.users {
		if u.ID == user {
			return u.Team
		}
	}
	return Team
}

// Command is somebody who types the slash command.
func (w *Workspace) Command(user string) *Event {
	return w.event("slash_commands", user, map[string]any{"command": "/postern", "team_id": w.team(user), "user_id": user, "user_name": "whoever"})
}

// Click is somebody who presses a button.
func (w *Workspace) Click(user string, m Message, b Part) *Event {
	team := w.team(user)
	return w.event("interactive", user, map[string]any{
		"type": "block_actions", "team": map[string]any{"id": team}, "user": map[string]any{"id": user, "team_id": team, "name": "whoever"},
		"container": map[string]any{"type": "message", "channel_id": m.Channel, "message_ts": m.TS},
		"actions":   []any{map[string]any{"type": "button", "action_id": b.ActionID, "value": b.Value, "block_id": "b"}},
	})
}

// Submit is somebody who sends a form, with a value for each of its inputs.
func (w *Workspace) Submit(user string, v View, values map[string]string) *Event {
	state := map[string]any{}
	for _, b := range v.Blocks {
		if b.Type != "input" || values[b.BlockID] == "" {
			continue
		}
		field := map[string]any{"type": b.Element.Type, "value": values[b.BlockID]}
		if b.Element.Type == "static_select" {
			field = map[string]any{"type": b.Element.Type, "selected_option": map[string]any{"value": values[b.BlockID]}}
		}
		state[b.BlockID] = map[string]any{b.Element.ActionID: field}
	}
	team := w.team(user)
	return w.event("interactive", user, map[string]any{
		"type": "view_submission", "team": map[string]any{"id": team}, "user": map[string]any{"id": user, "team_id": team, "name": "whoever"},
		"view": map[string]any{"id": v.ID, "type": "modal", "callback_id": v.Callback, "private_metadata": v.Meta, "state": map[string]any{"values": state}},
	})
}

// Deliver sends an event over a socket; retry says the how-manieth time it is. False: there is none.
func (w *Workspace) Deliver(e *Event, retry int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.socks {
		err := s.write(map[string]any{
			"type": e.Kind, "envelope_id": e.Envelope, "payload": e.Payload, "accepts_response_payload": true, "retry_attempt": retry,
		})
		if err == nil {
			return true
		}
	}
	return false
}

// Acknowledged says whether an event was.
func (w *Workspace) Acknowledged(e *Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acks[e.Envelope]
}

// Request is an event as a signed call over HTTP to an address, at a time.
func (w *Workspace) Request(to string, e *Event, at time.Time) (*http.Request, error) {
	form := url.Values{}
	if e.Kind == "slash_commands" {
		for k, v := range e.Payload {
			form.Set(k, fmt.Sprint(v))
		}
	} else {
		text, err := json.Marshal(e.Payload)
		if err != nil {
			return nil, err
		}
		form.Set("payload", string(text))
	}
	body := form.Encode()
	r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(body)) //nolint:noctx // the caller gives it one
	if err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	w.mu.Lock()
	mac := hmac.New(sha256.New, []byte(w.Signing))
	w.mu.Unlock()
	_, _ = mac.Write([]byte("v0:" + stamp + ":" + body)) // a hash never fails
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return r, nil
}
