package pgwire

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
)

// negotiation is a connection from its first byte to its login. One goroutine owns it.
type negotiation struct {
	server    *Server
	admitted  *gateway.Admitted
	conn      net.Conn // as it is now: plain, or TLS over below
	below     net.Conn // the connection itself
	transport gateway.Transport
	direct    bool
	asked     struct{ ssl, gss bool }
	out       []byte
}

// errSilent ends a connection without a word.
var errSilent = errors.New("closed without a word")

// run brings a client in. It returns nil when the connection is done with; it is closed then.
func (n *negotiation) run(ctx context.Context) *session {
	n.below = n.conn
	deadline, _ := ctx.Deadline()
	_ = n.conn.SetDeadline(deadline) // a closed connection shows at the next read
	sess, err := n.login(ctx)
	if err == nil {
		return sess
	}
	if !errors.Is(err, errSilent) && !isGone(err) {
		_ = n.conn.SetWriteDeadline(time.Now().Add(n.admitted.Limits().TLS)) // see above
		_, _ = n.conn.Write(loginAnswer(err).append(nil))                    // it is closed next
	}
	_ = n.conn.Close() // nothing is left to be said
	return nil
}

// isGone says whether the client is not there any more, or too slow to be told.
func isGone(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && op.Op != "dial"
}

// login is the whole way in.
func (n *negotiation) login(ctx context.Context) (*session, error) {
	packet, err := n.negotiate(ctx)
	if err != nil {
		return nil, err
	}
	start, err := parseStartup(packet)
	var asked error // what only somebody who is observed may ask for
	if judgedLater(err) && n.admitted.Observes(start.database) {
		asked, err = err, nil
	}
	if err != nil {
		err = n.refuseStartup(ctx, start, err)
	}
	if errors.Is(err, errVersion) && binary.BigEndian.Uint32(packet)>>16 < 3 {
		_, _ = n.conn.Write(oldAnswer(binary.BigEndian.Uint32(packet))) // it is closed next
		return nil, errSilent
	}
	if err != nil {
		return nil, err
	}
	if start.negotiate {
		unknown := start.unknown
		if n.out, err = encode(n.out, &pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: start.version, UnrecognizedOptions: unknown}); err != nil {
			return nil, errLayout
		}
	}
	identified, err := n.identify(ctx, start)
	if err != nil {
		return nil, err
	}
	entered, err := identified.Enter(ctx)
	if err != nil {
		return nil, err
	}
	if asked != nil && !entered.Profile().Observed {
		entered.Close(audit.Event{})
		return nil, n.refuseStartup(ctx, start, asked)
	}
	sess, err := n.enter(ctx, start, entered)
	if err != nil {
		entered.Close(audit.Event{})
		return nil, err
	}
	return sess, nil
}

// oldAnswer is what a client of a protocol before 3.0 can read (PRO-11): text, and no fields.
func oldAnswer(version uint32) []byte {
	return fmt.Appendf(nil, "EFATAL:  unsupported frontend protocol %d.%d: the gateway speaks 3.0 to 3.2\n\x00", version>>16, version&0xffff)
}

// refuseStartup records what was wrong with a start-up packet, unless it is mere noise.
func (n *negotiation) refuseStartup(ctx context.Context, start *startup, cause error) error {
	claim := gateway.Claim{Transport: n.transport}
	if start != nil {
		claim.User, claim.Store = start.user, start.database
	}
	code := gateway.CodeProtocol
	var setting *errSetting
	switch {
	case errors.As(cause, &setting):
		code = gateway.CodeSetting
	case errors.Is(cause, errReplication):
		code = gateway.CodeReplication
	}
	_ = n.admitted.Refuse(ctx, claim, &gateway.Refusal{Code: code, Message: cause.Error()}) // the client hears the cause itself
	return cause
}

// negotiate answers requests for encryption and cancelling until a start-up packet comes, and returns that packet without
// its length.
func (n *negotiation) negotiate(ctx context.Context) ([]byte, error) {
	for {
		packet, err := n.readPacket(ctx)
		if err != nil {
			return nil, err
		}
		switch code := binary.BigEndian.Uint32(packet); {
		case code == codeSSL && len(packet) == 4:
			err = n.answerSSL(ctx)
		case code == codeGSS && len(packet) == 4:
			err = n.answerGSS(ctx)
		case code == codeCancel:
			n.server.cancel(ctx, n.admitted, packet[4:], n.transport.State != nil)
			return nil, errSilent
		case code == codeSSL || code == codeGSS:
			return nil, errSilent
		default:
			return packet, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// readPacket reads one packet of the start-up phase: a length word and what it announces. The very first byte tells direct
// TLS and garbage apart (PRO-05).
func (n *negotiation) readPacket(ctx context.Context) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(n.conn, head[:1]); err != nil {
		n.server.opened.add()
		return nil, errSilent
	}
	if head[0] == firstTLS && n.transport.State == nil && !n.asked.ssl {
		n.conn = &prefixed{Conn: n.conn, first: []byte{firstTLS}}
		if err := n.startTLS(ctx, true); err != nil {
			return nil, err
		}
		return n.readPacket(ctx)
	}
	if head[0] != 0 {
		return nil, errSilent
	}
	if _, err := io.ReadFull(n.conn, head[1:]); err != nil {
		return nil, errSilent
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 8 || size > maxStartup+4 {
		return nil, errSilent
	}
	packet := make([]byte, size-4)
	if _, err := io.ReadFull(n.conn, packet); err != nil {
		return nil, errSilent
	}
	return packet, nil
}

// answerSSL is PRO-03, 04, 05 and 08.
func (n *negotiation) answerSSL(ctx context.Context) error {
	if n.transport.State != nil && !n.direct || n.asked.ssl {
		return errSilent
	}
	n.asked.ssl = true
	config, _ := n.admitted.TLS()
	if config == nil || n.direct || n.admitted.Facts().Local {
		_, err := n.conn.Write([]byte{'N'})
		return err
	}
	if err := n.nothingWaiting(ctx); err != nil {
		return err
	}
	if _, err := n.conn.Write([]byte{'S'}); err != nil {
		return err
	}
	return n.startTLS(ctx, false)
}

// answerGSS is PRO-02: never an error, and the client goes on.
func (n *negotiation) answerGSS(ctx context.Context) error {
	if n.transport.State != nil || n.asked.gss {
		return errSilent
	}
	n.asked.gss = true
	if err := n.nothingWaiting(ctx); err != nil {
		return err
	}
	_, err := n.conn.Write([]byte{'N'})
	return err
}

// nothingWaiting makes sure that the client waits for our answer: whatever it has sent already goes to no one (PRO-04).
func (n *negotiation) nothingWaiting(ctx context.Context) error {
	sc, ok := n.below.(syscall.Conn)
	if !ok || !waiting(sc) {
		return nil
	}
	n.alarm(ctx, errTooSoon)
	return errTooSoon
}

// alarm records a broken protocol.
func (n *negotiation) alarm(ctx context.Context, cause error) {
	_, err := n.admitted.Record(ctx, audit.Event{Kind: audit.Alarm, Reason: string(gateway.CodeProtocol), Message: cause.Error()})
	if err != nil {
		n.server.config.Log.Error("an alarm could not be recorded", "alarm", cause, "error", err)
	}
}

// startTLS does the handshake. A direct one needs the protocol's name in ALPN (PRO-05).
func (n *negotiation) startTLS(ctx context.Context, direct bool) error {
	config, binding := n.admitted.TLS()
	if config == nil || n.admitted.Facts().Local {
		return errSilent
	}
	config = config.Clone()
	config.NextProtos = []string{alpn}
	ctx, cancel := context.WithTimeout(ctx, n.admitted.Limits().TLS)
	defer cancel()
	secure := tls.Server(n.conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		n.server.config.Log.Info("TLS handshake", "remote", n.admitted.Facts().Remote, "error", err)
		return errSilent
	}
	state := secure.ConnectionState()
	if direct && state.NegotiatedProtocol != alpn {
		return errSilent
	}
	n.conn, n.direct = secure, direct
	n.transport = gateway.Transport{State: &state, Binding: binding}
	return nil
}

// identify finds out who it is.
func (n *negotiation) identify(ctx context.Context, start *startup) (*gateway.Identified, error) {
	claimed, err := n.admitted.Claim(ctx, gateway.Claim{
		User: start.user, Store: start.database, Application: start.application, Transport: n.transport,
	})
	if err != nil {
		return nil, err
	}
	var proof identity.Proof
	if claimed.Method() == policy.AuthSCRAM {
		proof, err = n.scram(claimed.Exchange())
	} else {
		proof, err = claimed.FromTransport()
	}
	if isGone(err) {
		return nil, err // psql comes without a password first, and leaves to ask for one: that is no guess
	}
	if err != nil {
		refusal := claimed.Failed(ctx, err)
		if errors.Is(err, identity.ErrNotYou) {
			return nil, refusal
		}
		return nil, err
	}
	return claimed.Identify(ctx, proof)
}

// scram carries a SCRAM exchange. The server's last message waits in n.out for AuthenticationOk (PRO-30).
func (n *negotiation) scram(x *identity.Exchange) (identity.Proof, error) {
	none := identity.Proof{}
	if err := n.send(&pgproto3.AuthenticationSASL{AuthMechanisms: x.Mechanisms()}); err != nil {
		return none, err
	}
	mechanism, data, err := n.readInitial()
	if err != nil {
		return none, err
	}
	if !slices.Contains(x.Mechanisms(), mechanism) {
		return none, fmt.Errorf("%w: mechanism was not offered", identity.ErrMalformed)
	}
	if data == nil {
		// Length -1: the client wants to be asked first (PRO-23).
		if err := n.send(&pgproto3.AuthenticationSASLContinue{}); err != nil {
			return none, err
		}
		if data, err = n.readPassword(); err != nil {
			return none, err
		}
	}
	first, err := x.First(mechanism, data)
	if err != nil {
		return none, err
	}
	if err := n.send(&pgproto3.AuthenticationSASLContinue{Data: first}); err != nil {
		return none, err
	}
	if data, err = n.readPassword(); err != nil {
		return none, err
	}
	final, proof, err := x.Final(data)
	if err != nil {
		return none, err
	}
	n.out, err = encode(n.out, &pgproto3.AuthenticationSASLFinal{Data: final})
	return proof, err
}

// readInitial reads SASLInitialResponse: a name and data, nil when there is none.
func (n *negotiation) readInitial() (mechanism string, data []byte, err error) {
	body, err := n.readPassword()
	if err != nil {
		return "", nil, err
	}
	name, rest, ok := cString(body)
	if !ok || len(rest) < 4 {
		return "", nil, identity.ErrMalformed
	}
	size := int32(binary.BigEndian.Uint32(rest)) //nolint:gosec // -1 is meant
	rest = rest[4:]
	switch {
	case size == -1 && len(rest) == 0:
		return string(name), nil, nil
	case size < 0 || int(size) != len(rest):
		return "", nil, identity.ErrMalformed
	}
	return string(name), rest, nil
}

func (n *negotiation) readPassword() ([]byte, error) {
	m, err := readMessage(n.conn, maxSASL)
	if err != nil {
		return nil, err
	}
	if m.kind != 'p' {
		return nil, errBadIdent
	}
	return m.body, nil
}

// send writes what waits in n.out and m.
func (n *negotiation) send(m encodable) error {
	out, err := encode(n.out, m)
	if err != nil {
		return err
	}
	n.out = n.out[:0]
	_, err = n.conn.Write(out)
	return err
}

// enter logs in to the store and tells the client that it is in: only after everything has succeeded (PRO-30).
func (n *negotiation) enter(ctx context.Context, start *startup, entered *gateway.Session) (*session, error) {
	profile, ok := entered.Profile().Engine.(*Profile)
	if !ok || profile.World == nil || profile.Upstream == nil {
		return nil, entered.Refuse(ctx, &gateway.Refusal{Code: gateway.CodeInternal, Message: "the profile is not one of PostgreSQL"})
	}
	// A client may say the path that it has anyway, as it may with SET; what is sent is the profile's in any case (ENF-47).
	if path, set := start.settings["search_path"]; set && !entered.Profile().Observed && !profile.World.HasPath(path) {
		cause := &errSetting{name: "search_path"}
		_ = entered.Refuse(ctx, &gateway.Refusal{Code: gateway.CodeSetting, Message: cause.Error()}) // the client hears the cause itself
		return nil, cause
	}
	up, err := n.server.connect(ctx, n.admitted.Limits(), profile, entered.Profile(), start)
	if err != nil {
		return nil, n.refuseUpstream(ctx, entered, err)
	}
	sess, err := n.server.newSession(n, start, entered, up)
	if err != nil {
		_ = up.conn.Close() // the login failed
		return nil, err
	}
	if err := n.welcome(ctx, entered, sess, up); err != nil {
		sess.abandon()
		return nil, err
	}
	return sess, nil
}

// refuseUpstream says why the store did not let us in: the client gets a code, the trail and the log get the cause.
func (n *negotiation) refuseUpstream(ctx context.Context, entered *gateway.Session, cause error) error {
	n.server.config.Log.Error("log in to the store", "role", entered.Profile().Role, "error", cause)
	r := &gateway.Refusal{Code: gateway.CodeUpstream, Message: "the store cannot be reached"}
	var se *serverError
	if errors.As(cause, &se) {
		r.Message = "the store refused the session: " + se.code()
	}
	r = entered.Refuse(ctx, r)
	if se != nil {
		return se
	}
	return r
}

// welcome sends everything up to the first ReadyForQuery in one write.
func (n *negotiation) welcome(ctx context.Context, entered *gateway.Session, sess *session, up *upstream) error {
	if err := entered.Accept(ctx); err != nil {
		return err
	}
	out, err := encode(n.out, &pgproto3.AuthenticationOk{})
	if err != nil {
		return err
	}
	for _, p := range up.parameters {
		value := p.value
		if p.name == "search_path" && !entered.Profile().Observed {
			value = sess.logicalPath()
		}
		if out, err = encode(out, &pgproto3.ParameterStatus{Name: p.name, Value: value}); err != nil {
			return err
		}
	}
	if out, err = encode(out, &pgproto3.BackendKeyData{ProcessID: up.pid, SecretKey: sess.key}); err != nil {
		return err
	}
	if out, err = encode(out, &pgproto3.ReadyForQuery{TxStatus: up.status}); err != nil {
		return err
	}
	n.out = nil
	if _, err = n.conn.Write(out); err != nil {
		return err
	}
	return errors.Join(n.conn.SetDeadline(time.Time{}), up.conn.SetDeadline(time.Time{}))
}
