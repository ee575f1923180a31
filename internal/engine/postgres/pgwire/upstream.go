package pgwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/gateway"
)

// upstream is a logged-in connection to a store.
type upstream struct {
	conn       net.Conn // plain or TLS over below
	below      net.Conn
	target     *Upstream
	parameters []setting // in the order in which the server sent them
	pid        uint32
	key        []byte
	status     byte
	version    uint32
}

// serverError is an ErrorResponse of the store during login. One without SQLSTATE is legal (PRO-37).
type serverError struct{ response pgproto3.ErrorResponse }

// Error implements error; the text is for the log and may name roles and hosts.
func (e *serverError) Error() string {
	return fmt.Sprintf("the store says %s: %s", e.code(), e.response.Message)
}

func (e *serverError) code() string {
	if len(e.response.Code) != 5 {
		return "08006"
	}
	return e.response.Code
}

// errUpstream is a store that does not keep to the protocol (PRO-33).
type errUpstream struct{ what string }

// Error implements error.
func (e *errUpstream) Error() string { return "the store " + e.what }

// NewTLSConfig makes the client side of TLS towards a store. ca is a PEM file, empty for the system's authorities; cert and
// key name a client certificate, or are empty. It returns nil for TLSDisable.
func NewTLSConfig(mode TLSMode, host, ca, cert, key string) (*tls.Config, error) {
	if mode == TLSDisable {
		return nil, nil
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, NextProtos: []string{alpn}}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("store authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("store authority: %s holds no certificate", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("store client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	switch mode {
	case TLSRequire:
		c.InsecureSkipVerify = true //nolint:gosec // the mode says so; libpq's require does the same
	case TLSVerifyCA:
		c.InsecureSkipVerify = true //nolint:gosec // the chain is verified below, without the name
		roots := c.RootCAs
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, roots) }
	case TLSVerifyFull:
		if host == "" {
			return nil, errors.New("verify-full needs the store's host name")
		}
	default:
		return nil, fmt.Errorf("unknown TLS mode %q", mode)
	}
	return c, nil
}

// verifyChain checks a server's certificate but for its name.
func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the store sent no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	return err
}

// connect logs in to the store as the subject's identity role.
func (s *Server) connect(ctx context.Context, limits gateway.Limits, p *Profile, who *gateway.Profile, start *startup) (*upstream, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Dial)
	defer cancel()
	version := uint32(version30)
	if p.Upstream.Version32 {
		version = version32
	}
	up, err := s.attempt(ctx, p, who, start, version)
	if err != nil && version == version32 && ctx.Err() == nil && isProtocolTrouble(err) {
		// Old poolers take 3.2 for a broken header. Once, and never silently (PRO-35).
		s.config.Log.Warn("the store did not take protocol 3.2, trying 3.0", "address", p.Upstream.Address, "error", err)
		return s.attempt(ctx, p, who, start, version30)
	}
	return up, err
}

// isProtocolTrouble tells a peer that stumbles over the version from one that has understood and says no.
func isProtocolTrouble(err error) bool {
	var se *serverError
	if errors.As(err, &se) {
		return se.code() == "08P01" || se.code() == "0A000" || se.code() == "08006"
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// attempt is one login.
func (s *Server) attempt(ctx context.Context, p *Profile, who *gateway.Profile, start *startup, version uint32) (*upstream, error) {
	up, err := dial(ctx, p.Upstream)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = up.conn.Close() }) // unblocks whatever waits
	err = up.login(s, p, who, start, version)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = up.conn.Close() // of no use any more
		if ctx.Err() != nil {
			return nil, fmt.Errorf("log in to %s: %w", p.Upstream.Address, context.Cause(ctx))
		}
		return nil, fmt.Errorf("log in to %s: %w", p.Upstream.Address, err)
	}
	return up, nil
}

// dial connects and, if the store's entry says so, puts TLS on top.
func dial(ctx context.Context, u *Upstream) (*upstream, error) {
	connect := u.Dial
	if connect == nil {
		connect = (&net.Dialer{}).DialContext
	}
	conn, err := connect(ctx, u.Network, u.Address)
	if err != nil {
		return nil, err
	}
	up := &upstream{conn: conn, below: conn, target: u}
	if u.TLS == TLSDisable || u.TLS == "" {
		return up, nil
	}
	if err := up.startTLS(ctx); err != nil {
		_ = conn.Close() // of no use any more
		return nil, fmt.Errorf("TLS with %s: %w", u.Address, err)
	}
	return up, nil
}

// startTLS asks for TLS, or begins with it.
func (u *upstream) startTLS(ctx context.Context) error {
	if u.target.TLSConfig == nil {
		return errors.New("no TLS configuration")
	}
	deadline, _ := ctx.Deadline()
	if err := u.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if !u.target.DirectTLS {
		request, err := encode(nil, &pgproto3.SSLRequest{})
		if err != nil {
			return err
		}
		if _, err := u.conn.Write(request); err != nil {
			return err
		}
		var reply [1]byte
		if _, err := io.ReadFull(u.conn, reply[:]); err != nil {
			return err
		}
		if reply[0] != 'S' {
			return &errUpstream{"does not offer TLS"}
		}
		// Bytes that came with the S were sent by somebody who cannot speak TLS yet (CVE-2021-23222).
		if sc, ok := u.below.(syscall.Conn); ok && waiting(sc) {
			return &errUpstream{"sent data before TLS"}
		}
	}
	secure := tls.Client(u.conn, u.target.TLSConfig)
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	if u.target.DirectTLS && secure.ConnectionState().NegotiatedProtocol != alpn {
		return &errUpstream{"does not speak PostgreSQL over direct TLS"}
	}
	u.conn = secure
	return u.conn.SetDeadline(deadline)
}

// binding is the channel binding data of the store's certificate and whether PLUS must be used: where TLS verifies, nobody
// sits in between, and channel binding proves it (PRO-32).
func (u *upstream) binding() (data []byte, demanded bool) {
	secure, ok := u.conn.(*tls.Conn)
	if !ok {
		return nil, false
	}
	state := secure.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		return nil, false
	}
	data = bindingOf(state.PeerCertificates[0])
	return data, data != nil && u.target.TLS != TLSRequire
}

// login runs the start-up phase towards the store up to its first ReadyForQuery.
func (u *upstream) login(s *Server, p *Profile, who *gateway.Profile, start *startup, version uint32) error {
	u.version = version
	packet, err := encode(nil, &pgproto3.StartupMessage{ProtocolVersion: version, Parameters: startParameters(p, who, start)})
	if err != nil {
		return err
	}
	if _, err := u.conn.Write(packet); err != nil {
		return err
	}
	if err := u.authenticate(s, who); err != nil {
		return err
	}
	for {
		m, err := u.read()
		if err != nil {
			return err
		}
		done, err := u.settle(m)
		if err != nil {
			return err
		}
		if done {
			return u.checkParameters(who)
		}
	}
}

// startParameters are what a session begins with: what the client may bring, and over it what is pinned (ENF-47, PRO-119).
func startParameters(p *Profile, who *gateway.Profile, start *startup) map[string]string {
	if who.Observed {
		out := maps.Clone(start.given)
		out["user"], out["database"] = who.Role, p.Upstream.Database
		return out
	}
	out := maps.Clone(start.settings)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, map[string]string{
		"user":                        who.Role,
		"database":                    p.Upstream.Database,
		"client_encoding":             "UTF8",
		"standard_conforming_strings": "on",
		"row_security":                "on",
		"backslash_quote":             "safe_encoding",
		"escape_string_warning":       "on",
		"quote_all_identifiers":       "off",
		"default_table_access_method": "heap",
		"plan_cache_mode":             "auto",
		"search_path":                 p.SearchPath,
	})
	if p.ReadOnly {
		out["default_transaction_read_only"] = "on"
	}
	return out
}

// read reads one message of the login phase. Notices are passed over; an error is the error.
func (u *upstream) read() (message, error) {
	for {
		m, err := readMessage(u.conn, maxLoginMessage)
		if err != nil {
			return m, err
		}
		switch m.kind {
		case 'N':
			continue
		case 'E':
			se := &serverError{}
			if err := se.response.Decode(m.body); err != nil {
				return m, &errUpstream{"sent an error that cannot be read"}
			}
			return m, se
		case 'v':
			var v pgproto3.NegotiateProtocolVersion
			if err := v.Decode(m.body); err != nil {
				return m, &errUpstream{"sent a version that cannot be read"}
			}
			if v.NewestMinorProtocol != version30 && v.NewestMinorProtocol != 0 || u.version == version30 {
				return m, &errUpstream{"wants a protocol version that was not asked for"}
			}
			u.version = version30
			continue
		}
		return m, nil
	}
}

// settle takes one message between AuthenticationOk and ReadyForQuery.
func (u *upstream) settle(m message) (done bool, err error) {
	switch m.kind {
	case 'S':
		var p pgproto3.ParameterStatus
		if err := p.Decode(m.body); err != nil {
			return false, &errUpstream{"sent a parameter that cannot be read"}
		}
		u.parameters = slices.DeleteFunc(u.parameters, func(s setting) bool { return s.name == p.Name })
		u.parameters = append(u.parameters, setting{p.Name, p.Value})
		return false, nil
	case 'K':
		var k pgproto3.BackendKeyData
		if err := k.Decode(m.body); err != nil || len(k.SecretKey) < 4 || len(k.SecretKey) > 256 {
			return false, &errUpstream{"sent a cancel key of a wrong length"}
		}
		u.pid, u.key = k.ProcessID, k.SecretKey
		return false, nil
	case 'Z':
		if len(m.body) != 1 || m.body[0] != 'I' {
			return false, &errUpstream{"begins inside a transaction"}
		}
		u.status = m.body[0]
		return true, nil
	}
	return false, &errUpstream{fmt.Sprintf("sent message %q during login", m.kind)}
}

// checkParameters is PRO-39 and 40: what the server says of itself must be what we count on.
func (u *upstream) checkParameters(who *gateway.Profile) error {
	if who.Observed {
		return nil // it is the server's own session, whatever it is
	}
	for _, p := range u.parameters {
		if want, ok := pinnedStatus(p.name, who.Role); ok && !strings.EqualFold(p.value, want) {
			return &errUpstream{fmt.Sprintf("has %s = %s, which must be %s", p.name, p.value, want)}
		}
	}
	return nil
}

// pinnedStatus is what a reported parameter must be for the life of a session.
func pinnedStatus(name, role string) (want string, pinned bool) {
	switch name {
	case "client_encoding":
		return "UTF8", true
	case "standard_conforming_strings":
		return "on", true
	case "is_superuser":
		return "off", true
	case "session_authorization":
		return role, true
	}
	return "", false
}
