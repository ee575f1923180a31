package pgwire

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/policy"
)

// memoryConn takes what is written to it and has nothing to read.
type memoryConn struct {
	net.Conn
	got bytes.Buffer
}

func (c *memoryConn) Write(b []byte) (int, error)      { return c.got.Write(b) }
func (c *memoryConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (c *memoryConn) Close() error                     { return nil }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// loose makes sessions without a server: what is fuzzed is handed to them, and what they would send is looked at.
type loose struct {
	server  *Server
	trail   *trail
	policy  *policy.Policy
	profile *gateway.Profile
	entered chan *gateway.Session
	session *gateway.Session
}

func (l *loose) Current() *policy.Policy                          { return l.policy }
func (l *loose) Profile(gateway.Holder) (*gateway.Profile, error) { return l.profile, nil }

// Serve goes through the stages with the word of the socket and hands the result out.
func (l *loose) Serve(ctx context.Context, _ net.Conn, a *gateway.Admitted) {
	claimed, err := a.Claim(ctx, gateway.Claim{User: a.Facts().Account, Store: "shop"})
	if err != nil {
		return
	}
	proof, err := claimed.FromTransport()
	if err != nil {
		return
	}
	identified, err := claimed.Identify(ctx, proof)
	if err != nil {
		return
	}
	if s, err := identified.Enter(ctx); err == nil && s.Accept(ctx) == nil {
		l.entered <- s
	}
}

func newLoose(t testing.TB) *loose {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "fz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l := &loose{trail: &trail{}, policy: testPolicy(""), entered: make(chan *gateway.Session, 1)}
	l.policy.Users[me.Username] = &policy.User{Name: me.Username}
	l.policy.Groups["analysts"].Members = []string{me.Username}
	l.policy.Network[0].Auth = policy.AuthPeer
	l.profile = &gateway.Profile{Name: "wall", Role: "role", Engine: &Profile{
		World: &pgsql.World{Store: "shop", Schemas: []string{"public"}, Masked: true}, SearchPath: "wall", Protected: map[uint32]struct{}{16384: {}},
		Upstream: &Upstream{},
	}}
	if l.server, err = NewServer(Config{Guard: lenient{}, Random: rand.Reader, Log: discard(), Opaque: opaque(t)}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	gw, err := gateway.New(gateway.Config{
		Listeners: []gateway.Listener{{Engine: "postgres", Socket: socket}}, Engines: map[string]gateway.Engine{"postgres": l},
		Policies: l, Profiles: l, Audit: l.trail, Clock: gateway.SystemClock{}, Random: rand.Reader, Log: discard(), Installation: make([]byte, 32),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := gw.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { _ = gw.Serve(context.Background()) }()
	t.Cleanup(gw.Close)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	l.session = <-l.entered
	return l
}

func (l *loose) newSession() (s *session, client, store *memoryConn) {
	client, store = &memoryConn{}, &memoryConn{}
	s = &session{server: l.server, gw: l.session, clock: gateway.SystemClock{}, target: &upstream{target: &Upstream{
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF },
	}}}
	s.client, s.up = newLeg(client, client, &l.server.buffers, 0), newLeg(store, store, &l.server.buffers, 0)
	s.pipe.init('I')
	return s, client, store
}

// frames splits well-formed messages and says which types there are.
func frames(t *testing.T, b []byte) (kinds []byte) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < headerSize || int(binary.BigEndian.Uint32(b[1:])) < 4 || len(b) < messageSize(b) {
			t.Fatalf("broken framing: %q", b[:min(len(b), 40)])
		}
		kinds = append(kinds, b[0])
		b = b[messageSize(b):]
	}
	return kinds
}

// FuzzClient: whatever a client sends, nothing but well-formed messages of known types go to the store, each one expected in
// the queue, and nothing is sent that the trail does not have.
func FuzzClient(f *testing.F) {
	l := newLoose(f)
	seed := func(list ...pgproto3.FrontendMessage) {
		var b []byte
		for _, m := range list {
			b, _ = m.Encode(b)
		}
		f.Add(b)
	}
	seed(&pgproto3.Query{String: "select 1"}, &pgproto3.Terminate{})
	seed(&pgproto3.Parse{Name: "s", Query: "select 1"}, &pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Describe{ObjectType: 'P'},
		&pgproto3.Execute{}, &pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Flush{}, &pgproto3.Sync{}, &pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Sync{})
	seed(&pgproto3.Query{String: "copy t from stdin"}, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, &pgproto3.CopyFail{})
	f.Add([]byte("F\x00\x00\x00\x04S\x00\x00\x00\x04z\x00\x00\x00\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, _ := l.newSession()
		done := make(chan struct{})
		answered := make(chan struct{})
		go func() { // the store answers everything
			defer close(answered)
			for {
				s.pipe.mu.Lock()
				for e := s.pipe.front(); e != nil; e = s.pipe.front() {
					s.pipe.confirm(e, 0, "")
					s.pipe.pop()
				}
				s.pipe.changed.Broadcast()
				s.pipe.mu.Unlock()
				select {
				case <-done:
					return
				case <-time.After(20 * time.Microsecond):
				}
			}
		}()
		up := s.up.conn.(*memoryConn)
		s.in.buf, s.in.n = b, len(b)
		goodbye, err := s.process(context.Background())
		close(done)
		<-answered
		if s.in.stream > 0 {
			return // COPY data goes on
		}
		for _, k := range frames(t, append(up.got.Bytes(), s.in.out...)) {
			if !bytes.ContainsRune([]byte("QPBDECSHXdcf"), rune(k)) {
				t.Errorf("message %q goes to the store", k)
			}
		}
		if err == nil && !goodbye && s.in.pos < s.in.n && s.in.n-s.in.pos >= headerSize && messageSize(b[s.in.pos:]) <= s.in.n-s.in.pos {
			t.Error("a whole message was left lying")
		}
	})
}

// FuzzServer: whatever a store sends, in whatever pieces, the client gets well-formed messages and the same ones.
func FuzzServer(f *testing.F) {
	l := newLoose(f)
	seed := func(list ...pgproto3.BackendMessage) {
		var b []byte
		for _, m := range list {
			b, _ = m.Encode(b)
		}
		f.Add(b, uint16(7), uint16(40))
	}
	field := pgproto3.FieldDescription{Name: []byte("a"), DataTypeOID: 23}
	row := &pgproto3.DataRow{Values: [][]byte{[]byte("1")}}
	seed(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{field}}, row, row, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 2")}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{field}}, row, &pgproto3.PortalSuspended{},
		&pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.NoticeResponse{Code: "25001"}, &pgproto3.NotificationResponse{})
	seed(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "22012", Message: "x"}, &pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "42601"},
		&pgproto3.ParameterStatus{Name: "search_path", Value: "wall"}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	field.TableOID = 16384
	seed(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{field}}, row)
	seed(&pgproto3.CopyInResponse{}, &pgproto3.CopyOutResponse{}, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{})
	run := func(t *testing.T, chunks ...[]byte) ([]byte, bool) {
		s, client, _ := l.newSession()
		st := &statement{}
		for _, e := range []entry{
			{kind: kQuery, event: "e1"},
			{kind: kParse},
			{kind: kBind},
			{kind: kDescribe, shaped: st},
			{kind: kExecute, event: "e2", shaped: st},
			{kind: kParse, answer: &answer{state: "42501"}},
			{kind: kSync},
			{kind: kQuery, answer: &answer{state: "42501"}},
			{kind: kQuery, copies: 1},
		} {
			s.pipe.push(&e)
		}
		s.out.begun = time.Now()
		for _, c := range chunks {
			if len(c) == 0 {
				continue
			}
			// As receive does: what was left comes first.
			s.out.buf = append(append([]byte(nil), s.out.buf[s.out.pos:s.out.n]...), c...)
			s.out.pos, s.out.kept, s.out.n = 0, 0, len(s.out.buf)
			err := s.relay()
			if werr := s.deliver(); werr != nil {
				t.Fatal(werr)
			}
			if err != nil {
				return client.got.Bytes(), true
			}
		}
		if s.out.stream > 0 {
			return nil, true
		}
		return client.got.Bytes(), false
	}
	f.Fuzz(func(t *testing.T, b []byte, x, y uint16) {
		i := min(int(x), len(b))
		j := min(max(int(y), i), len(b))
		whole, broken := run(t, b)
		parts, brokenToo := run(t, b[:i], b[i:j], b[j:])
		if broken != brokenToo || !bytes.Equal(whole, parts) {
			t.Errorf("in one piece %q %v, in three %q %v", whole, broken, parts, brokenToo)
		}
		for _, k := range frames(t, whole) {
			if bytes.ContainsRune([]byte("RKvVW"), rune(k)) {
				t.Errorf("message %q goes to the client", k)
			}
		}
	})
}
