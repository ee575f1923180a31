// Package pgwire speaks the PostgreSQL protocol on both sides of the gateway: as a server towards the client, as a client
// towards the store. It decides nothing itself. Who comes in is the gateway's business, what a statement may do is the
// guard's; this package asks them at the right moment, keeps both protocol machines in step whatever the answer is, and
// passes results on without looking into rows.
//
// It is the only user of pgproto3, which it uses to encode and decode single messages; framing is its own. The rules are
// those of the protocol document (PRO-nn); tests are named after them.
package pgwire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
)

// Guard decides a statement text. It is safe for concurrent use.
type Guard interface {
	// Decide never returns nil and never keeps text.
	Decide(w *pgsql.World, text string, mode pgsql.Mode) *pgsql.Decision
}

var (
	_ Guard          = (*pgsql.Guard)(nil)
	_ gateway.Engine = (*Server)(nil)
)

// Profile is what gateway.Profile.Engine holds for this engine. It is immutable.
type Profile struct {
	World *pgsql.World
	// SearchPath is the pinned search_path, as SET would take it. It goes upstream as a start-up parameter, so that RESET
	// returns to it (PRO-119).
	SearchPath string
	// Protected holds the OIDs of the base tables that no result field may come from (ENF-69).
	Protected map[uint32]struct{}
	// Watched holds the columns that a Watcher may see: shown as they are, without a label.
	Watched  map[Origin]*WatchedColumn
	Upstream *Upstream
	// Shown holds the columns of protected tables that are shown as they are where nothing stands between the table and the result:
	// on the inline tier.
	Shown map[Origin]struct{}
	// ReadOnly makes the session's transactions read only on the server too.
	ReadOnly bool
}

// TLSMode is how the connection to a store is protected; the names are libpq's.
type TLSMode string

// The modes. There is no "prefer": a store that answers N to a mode other than disable is an error.
const (
	TLSDisable    TLSMode = "disable"
	TLSRequire    TLSMode = "require"     // encrypted, the certificate is not checked
	TLSVerifyCA   TLSMode = "verify-ca"   // signed by a known authority
	TLSVerifyFull TLSMode = "verify-full" // and made out to the host
)

// Upstream is how a store is reached. It is immutable.
type Upstream struct {
	Network, Address string // for net.Dialer: "tcp" and host:port, or "unix" and the socket's path
	Database         string // its name on the server
	TLS              TLSMode
	// TLSConfig holds roots, client certificate and ServerName; see NewTLSConfig. Unused with TLSDisable.
	TLSConfig *tls.Config
	DirectTLS bool // TLS from the first byte (PostgreSQL 17)
	// Version32 asks for protocol 3.2; without it 3.0 (PRO-35).
	Version32 bool
	// Dial replaces net.Dialer when set.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Limits bound what one session can make the gateway hold (PRO-100, 103). A zero value means the default.
type Limits struct {
	Statement  int // bytes of a Query or Parse; default 16 MiB
	Bind       int // bytes of a Bind; default 16 MiB
	ServerText int // bytes of a server message that has to be looked at whole; default 64 MiB
	Prepared   int // live prepared statements; default 5000
	Portals    int // live portals and cursors; default 1000
	Pending    int // messages sent to the store whose answers have not come; default 10 000
}

// Config is what a Server is made of.
type Config struct {
	Guard  Guard
	Random io.Reader
	Log    *slog.Logger
	// Opaque makes what is recorded in place of a statement that could not be parsed; see audit.Key.
	Opaque  func(statement string) *audit.Opaque
	Limits  Limits
	Watcher Watcher // nil: nobody looks into results
	// Portal is the address under which people ask for datasets in a browser, without a slash at its end; "": nowhere.
	Portal string
}

// Server serves clients. It is safe for concurrent use.
type Server struct {
	config  Config
	limits  Limits
	keys    keyring
	derived keyCache
	cancels cancelBrake
	buffers sync.Pool // *[]byte of bufferSize
	opened  counter   // connections that said nothing
}

// NewServer makes a server.
func NewServer(c Config) (*Server, error) {
	if c.Guard == nil || c.Random == nil || c.Log == nil || c.Opaque == nil {
		return nil, errors.New("pgwire: a part is missing")
	}
	s := &Server{config: c, limits: c.Limits.withDefaults()}
	s.keys.sessions = map[uint32][]*session{}
	s.derived.m = map[derivedKey]derivedEntry{}
	s.cancels.seen = map[string]cancelCount{}
	s.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	return s, nil
}

func (l Limits) withDefaults() Limits {
	for _, p := range []struct {
		have *int
		def  int
	}{
		{&l.Statement, 16 << 20},
		{&l.Bind, 16 << 20},
		{&l.ServerText, 64 << 20},
		{&l.Prepared, 5000},
		{&l.Portals, 1000},
		{&l.Pending, 10_000},
	} {
		if *p.have == 0 {
			*p.have = p.def
		}
	}
	return l
}

// Serve talks to one client from its first byte to its last.
func (s *Server) Serve(ctx context.Context, conn net.Conn, a *gateway.Admitted) {
	ctx, cancel := context.WithTimeout(ctx, a.Limits().Login)
	defer cancel()
	n := &negotiation{server: s, admitted: a, conn: conn}
	sess := n.run(ctx)
	if sess == nil {
		return
	}
	cancel() // the login's time is over; the session has its own
	if ctx := context.WithoutCancel(ctx); sess.gw.Profile().Observed {
		sess.observe(ctx)
	} else {
		sess.run(ctx)
	}
}

// Probes is how many connections came and went without a word, as port scanners do (PRO-08).
func (s *Server) Probes() int64 { return s.opened.load() }
