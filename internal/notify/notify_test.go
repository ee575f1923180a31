package notify_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/state"
)

type trail struct {
	mu    sync.Mutex
	kinds []audit.Kind
}

func (l *trail) Record(_ context.Context, e audit.Event) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kinds = append(l.kinds, e.Kind)
	return "", nil
}

func (l *trail) RecordSoon(audit.Event) error { return nil }

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// post is an outbox in a real state file, with a request of ana's and notices about it.
type post struct {
	t     *testing.T
	db    *state.DB
	trail *trail
	now   time.Time
}

func newPost(t *testing.T, to ...string) *post {
	t.Helper()
	db, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := access.Change{Requests: []access.Request{{
		ID: "r1", Version: 1, State: access.Pending, Subject: "ana", Rule: "payroll", Dataset: "staff", Note: "Quartalsbericht\n.\r\nBcc: eve@example.com", Created: start, Expires: start,
	}}}
	for _, who := range to {
		c.Notices = append(c.Notices, access.Notice{Kind: "request.new", To: who, Request: "r1", At: start})
	}
	if err := db.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return &post{t: t, db: db, trail: &trail{}, now: start.Add(time.Second)}
}

func (p *post) courier(t ...notify.Transport) *notify.Courier {
	user := func(name, mail string) *policy.User {
		return &policy.User{Name: name, Attributes: map[string]string{"email": mail}}
	}
	pol := &policy.Policy{Users: map[string]*policy.User{"bob": user("bob", "bob@example.com"), "dora": user("dora", "gone@example.com"), "eve": user("eve", "")}}
	return notify.New(notify.Config{
		Outbox: p.db, Access: p.db, Policy: func() *policy.Policy { return pol }, Transports: t, Audit: p.trail,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return p.now }, Link: "https://postern.example",
	})
}

func (p *post) turn(c *notify.Courier) {
	p.t.Helper()
	if err := c.Turn(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// hook answers with the statuses that it was given, then with 204, and keeps what it accepted.
type hook struct {
	mu       sync.Mutex
	statuses []int
	asked    int
	ids      []string
	wrong    []string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	body, _ := io.ReadAll(r.Body)
	mac := hmac.New(sha256.New, []byte("shared"))
	mac.Write([]byte(r.Header.Get("Postern-Timestamp") + "." + string(body)))
	if r.Header.Get("Postern-Signature") != "v1="+hex.EncodeToString(mac.Sum(nil)) {
		h.wrong = append(h.wrong, "signature")
	}
	var m map[string]any
	if json.Unmarshal(body, &m) != nil || m["kind"] != "request.new" || m["subject"] != "ana" || m["dataset"] != "staff" || m["id"] != r.Header.Get("Postern-Id") {
		h.wrong = append(h.wrong, string(body))
	}
	if len(h.statuses) > 0 {
		status := h.statuses[0]
		h.statuses = h.statuses[1:]
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "120")
		}
		w.WriteHeader(status)
		return
	}
	h.ids = append(h.ids, r.Header.Get("Postern-Id"))
	w.WriteHeader(http.StatusNoContent)
}

// A receiver that fails, then asks for patience, gets each notice in the end, once, also from two couriers at once.
func TestWebhookIsRetriedAndDeliversOnce(t *testing.T) {
	t.Parallel()
	h := &hook{statuses: []int{500, 429}}
	server := httptest.NewServer(h)
	defer server.Close()
	p := newPost(t, "bob")
	w := &notify.Webhook{URL: server.URL, Secret: secret.New("shared"), Now: func() time.Time { return p.now }}
	c := p.courier(w)
	for _, step := range []struct {
		wait  time.Duration
		asked int
	}{{0, 1}, {9 * time.Second, 1}, {time.Second, 2}, {119 * time.Second, 2}} {
		p.now = p.now.Add(step.wait)
		p.turn(c)
		if h.asked != step.asked {
			t.Fatalf("after %s more: asked %d times, want %d", step.wait, h.asked, step.asked)
		}
	}
	p.now = p.now.Add(time.Second)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _ = p.courier(w).Turn(t.Context()) })
	}
	wg.Wait()
	p.now = p.now.Add(12 * time.Hour)
	p.turn(c)
	if len(h.ids) != 1 || len(h.wrong) != 0 {
		t.Errorf("delivered %v, wrong %v", h.ids, h.wrong)
	}
	if len(p.trail.kinds) != 1 || p.trail.kinds[0] != audit.NoticeSent {
		t.Errorf("the trail has %v", p.trail.kinds)
	}
}

// A "no" is final, a redirect is not followed, retries come to an end, and what is old is not told any more. All of it is said.
func TestDeliveriesEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ status, asked int }{"gone": {410, 1}, "redirect": {302, 1}, "down": {503, 12}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
			}))
			defer server.Close()
			p := newPost(t, "bob")
			c := p.courier(&notify.Webhook{URL: server.URL, Secret: secret.New("shared"), Now: func() time.Time { return p.now }})
			for range 20 {
				p.turn(c)
				p.now = p.now.Add(time.Hour)
			}
			if asked != tt.asked || len(p.trail.kinds) != 1 || p.trail.kinds[0] != audit.NoticeDead {
				t.Errorf("asked %d times; the trail has %v", asked, p.trail.kinds)
			}
		})
	}
	p := newPost(t, "bob")
	p.now = p.now.Add(25 * time.Hour)
	p.turn(p.courier(&notify.Webhook{URL: "http://127.0.0.1:1", Now: func() time.Time { return p.now }}))
	if len(p.trail.kinds) != 0 {
		t.Errorf("an old notice was told: %v", p.trail.kinds)
	}
}

// mailbox is a mail server that plays failures: the first connection is turned away, the second recipient is not known.
type mailbox struct {
	mu     sync.Mutex
	busy   int
	tls    *tls.Config
	mails  []string
	logins int
	plain  int // commands with a secret or a mail that came without TLS
}

func (m *mailbox) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go m.talk(conn)
	}
}

func (m *mailbox) talk(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	m.mu.Lock()
	busy := m.busy > 0
	m.busy--
	m.mu.Unlock()
	if busy {
		_, _ = io.WriteString(conn, "421 come back later\r\n")
		return
	}
	r, secure := bufio.NewReader(conn), false
	say := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") }
	say("220 mail.example")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb := strings.ToUpper(strings.TrimSpace(line))
		m.mu.Lock()
		if !secure && !strings.HasPrefix(verb, "EHLO") && !strings.HasPrefix(verb, "STARTTLS") && !strings.HasPrefix(verb, "QUIT") {
			m.plain++
		}
		m.mu.Unlock()
		switch {
		case strings.HasPrefix(verb, "EHLO") && m.tls != nil && !secure:
			say("250-mail.example\r\n250 STARTTLS")
		case strings.HasPrefix(verb, "EHLO"):
			say("250-mail.example\r\n250 AUTH PLAIN")
		case verb == "STARTTLS" && m.tls == nil:
			say("502 not here")
		case verb == "STARTTLS":
			say("220 go on")
			up := tls.Server(conn, m.tls)
			conn, r, secure = up, bufio.NewReader(up), true
		case strings.HasPrefix(verb, "AUTH"):
			m.mu.Lock()
			m.logins++
			m.mu.Unlock()
			say("235 welcome")
		case strings.HasPrefix(verb, "RCPT TO:<GONE@"):
			say("550 no such mailbox")
		case verb == "DATA":
			say("354 end with a dot")
			var text strings.Builder
			fits := true
			for {
				line, err := r.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				fits = fits && len(line) <= 1000 && !strings.ContainsFunc(line, func(r rune) bool { return r > 126 })
				text.WriteString(line)
			}
			if !fits { // as servers do that hold to RFC 5321, 4.5.3.1.6, and know no 8BITMIME
				say("552 a line is too long, or has eight bits")
				continue
			}
			m.mu.Lock()
			m.mails = append(m.mails, text.String())
			m.mu.Unlock()
			say("250 taken")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

func listen(t *testing.T, m *mailbox) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go m.serve(l)
	return l.Addr().String()
}

func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func texts(t *testing.T) *notify.Mail {
	t.Helper()
	own, err := notify.Texts()
	if err != nil {
		t.Fatal(err)
	}
	return &notify.Mail{From: "Postern <postern@example.com>", TLS: notify.StartTLS, Texts: own}
}

// A mail goes out over TLS, after a refusal at first, once; whom the server does not know, and who has no address, costs nobody theirs.
func TestMail(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	box := &mailbox{busy: 1, tls: server}
	s := texts(t)
	s.Server, s.User, s.Password, s.Roots = listen(t, box), "postern", secret.New("pw"), client
	p := newPost(t, "bob", "dora", "eve")
	c := p.courier(s)
	p.turn(c)
	if len(box.mails) != 0 {
		t.Fatalf("turned away, and yet: %q", box.mails)
	}
	for range 3 {
		p.now = p.now.Add(time.Hour)
		p.turn(c)
	}
	if len(box.mails) != 1 || box.logins != 2 || box.plain != 0 {
		t.Fatalf("%d mails, %d logins, %d commands without TLS", len(box.mails), box.logins, box.plain)
	}
	head, body, _ := strings.Cut(box.mails[0], "\r\n\r\n")
	for _, want := range []string{"To: <bob@example.com>", "Subject: ana asks for staff: your decision is needed", "Message-ID: <postern-1.", "Auto-Submitted: auto-generated"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
	if strings.Contains(head, "eve@example.com") || !strings.Contains(body, "Note: Quartalsbericht") || !strings.Contains(body, "https://postern.example") {
		t.Errorf("the mail is\n%s", box.mails[0])
	}
	dead := 0
	for _, k := range p.trail.kinds {
		if k == audit.NoticeDead {
			dead++
		}
	}
	if dead != 1 || len(p.trail.kinds) != 2 { // eve has no address: nothing was sent, and nothing is said
		t.Errorf("the trail has %v", p.trail.kinds)
	}
}

// Whatever somebody writes arrives, whole and at every server, and none of its lines passes for one of ours: a note can neither keep an
// alarm from those who should hear it nor say who asks.
func TestMailOfALongNote(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	box := &mailbox{tls: server}
	s := texts(t)
	s.Server, s.Roots = listen(t, box), client
	for _, note := range []string{strings.Repeat("ä", 1000), strings.Repeat("x", 1000), "why\nPerson: dora\n.\n\nhttps://elsewhere.example =3D\u00a0end "} {
		m := &notify.Message{ID: "x", Kind: "breakglass.started", Subject: "ana", Dataset: "staff\rBcc: eve@example.com", Note: note, Reason: note, Urgent: true, Email: "bob@example.com", Link: "https://postern.example"}
		if err := s.Send(t.Context(), m); err != nil {
			t.Errorf("a note of %d bytes: %v", len(note), err)
			continue
		}
		got, err := mail.ReadMessage(strings.NewReader(box.mails[len(box.mails)-1]))
		if err != nil {
			t.Fatal(err)
		}
		if got.Header.Get("Bcc") != "" || got.Header.Get("Subject") != "BREAK-GLASS: ana took access to staff Bcc: eve@example.com without approval" {
			t.Errorf("the headers are %v", got.Header)
		}
		raw, err := io.ReadAll(quotedprintable.NewReader(got.Body))
		if err != nil {
			t.Fatal(err)
		}
		body := strings.ReplaceAll(string(raw), "\r\n", "\n")
		if want := strings.ReplaceAll("Note: "+note, "\n", "\n    ") + "\n"; !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "Person: ") && line != "Person: ana\n" || strings.HasPrefix(line, "https://") && line != "https://postern.example\n" {
				t.Errorf("a line that we did not write: %q", line)
			}
		}
	}
}

// Without the TLS that was asked for, or with a certificate of somebody else, nothing is said.
func TestMailDemandsTLS(t *testing.T) {
	t.Parallel()
	server, _ := certificate(t)
	for name, box := range map[string]*mailbox{"no STARTTLS": {}, "another certificate": {tls: server}} {
		s := texts(t)
		s.Server, s.User, s.Password = listen(t, box), "postern", secret.New("pw")
		err := s.Send(t.Context(), &notify.Message{ID: "x", Kind: "request.new", Email: "bob@example.com"})
		if err == nil || len(box.mails)+box.logins+box.plain != 0 {
			t.Errorf("%s: %v, %d mails, %d logins", name, err, len(box.mails), box.logins)
		}
	}
}
