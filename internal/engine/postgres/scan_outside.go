package postgres

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// ProbeOptions say what to ask an endpoint for.
type ProbeOptions struct {
	Endpoint  string   // host:port
	Users     []string // roles to try by name, with consent; a random one is always tried
	Databases []string // for the roles; the role's own name when there are none
	Random    string   // a role name that nobody has
	Roots     *x509.CertPool
	Now       time.Time
	Timeout   time.Duration // of each connection; 0 is 5 s
	Intrusive bool          // with consent: also send what a stranger has no reason to send
	// Dial replaces the dialer; nil is TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	probeSSL      = 80877103
	probeGSS      = 80877104
	probeProtocol = 196608
	probeLongest  = 64 << 10
)

// prober asks one endpoint.
type prober struct {
	ProbeOptions
	host string
	out  *catalog.Outside
}

// Probe looks at an endpoint the way a stranger can: without a password, a query, or more than two login attempts for a role and database. It
// sends TCP connects, SSLRequest, GSSENCRequest, ClientHello and StartupMessage (two of them such as no client sends, whose refusals tell the
// version), reads the first answer and hangs up. An error is returned only
// for an address that is none; one that does not answer is a result.
func Probe(ctx context.Context, o ProbeOptions) (*catalog.Outside, error) {
	host, _, err := net.SplitHostPort(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("probe %s: %w", o.Endpoint, err)
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	p := &prober{ProbeOptions: o, host: host, out: &catalog.Outside{Endpoint: o.Endpoint, Host: host}}
	conn, answer, err := p.request(ctx, probeSSL)
	if err != nil {
		p.out.TLSError = err.Error()
		return p.out, nil
	}
	p.out.Reachable, p.out.TLS = true, answer
	p.place(conn)
	_ = conn.Close() // nothing was promised
	if answer == "S" {
		p.versions(ctx)
		p.direct(ctx)
		if err := p.enumerate(ctx); err != nil {
			p.out.TLSError = "could not list suites and groups: " + err.Error()
		}
		if p.Intrusive {
			p.stuff(ctx)
		}
	}
	p.fingerprint(ctx)
	if conn, answer, err := p.request(ctx, probeGSS); err == nil {
		p.out.GSS = answer
		_ = conn.Close() // nothing was promised
	}
	p.offers(ctx)
	return p.out, nil
}

// place notes both ends of the connection.
func (p *prober) place(conn net.Conn) {
	from, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	to, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	p.out.From, p.out.Addresses = from, []string{to}
	addr, err := netip.ParseAddr(to)
	p.out.Loopback = err == nil && addr.Unmap().IsLoopback()
}

// dial opens a connection that ends by itself.
func (p *prober) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	conn, err := p.Dial(ctx, "tcp", p.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(p.Timeout)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// request sends one of the two requests of eight bytes and reads the answer of one.
func (p *prober) request(ctx context.Context, code uint32) (net.Conn, string, error) {
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, "", err
	}
	msg := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), code)
	answer := make([]byte, 1)
	if _, err = conn.Write(msg); err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	if err != nil {
		return nil, "", errors.Join(err, conn.Close())
	}
	return conn, string(answer), nil
}

// secure opens a connection and brings up TLS in it, by SSLRequest or directly.
func (p *prober) secure(ctx context.Context, c *tls.Config, direct bool) (*tls.Conn, error) {
	var conn net.Conn
	var err error
	if direct {
		conn, err = p.dial(ctx)
	} else {
		var answer string
		if conn, answer, err = p.request(ctx, probeSSL); err == nil && answer != "S" {
			err = errors.Join(fmt.Errorf("answered %q to SSLRequest", answer), conn.Close())
		}
	}
	if err != nil {
		return nil, err
	}
	t := tls.Client(conn, c)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return t, nil
}

// config accepts any certificate: what is wrong with it is what the probe is to tell.
func (p *prober) config(version uint16, protocols ...string) *tls.Config {
	return &tls.Config{ // #nosec G402 -- see above
		ServerName: p.host, InsecureSkipVerify: true, MinVersion: max(version, tls.VersionTLS10), MaxVersion: version, NextProtos: protocols,
	}
}

var probeVersions = []struct {
	name string
	id   uint16
}{{"TLSv1", tls.VersionTLS10}, {"TLSv1.1", tls.VersionTLS11}, {"TLSv1.2", tls.VersionTLS12}, {"TLSv1.3", tls.VersionTLS13}}

// versions tries each version of TLS by itself, and looks at the certificate of the best one.
func (p *prober) versions(ctx context.Context) {
	for _, v := range probeVersions {
		p.out.Tried = append(p.out.Tried, v.name)
		conn, err := p.secure(ctx, p.config(v.id), false)
		if err != nil {
			continue
		}
		p.out.Versions = append(p.out.Versions, v.name)
		state := conn.ConnectionState()
		p.out.Suites = append(p.out.Suites, catalog.Suite{Name: tls.CipherSuiteName(state.CipherSuite), ID: state.CipherSuite, Version: v.name})
		p.chain(state.PeerCertificates)
		_ = conn.Close() // what was to be seen was seen
	}
}

// chain describes the certificates and says why they would be refused.
func (p *prober) chain(certs []*x509.Certificate) {
	p.out.Chain, p.out.ChainError, p.out.NameError = nil, "", ""
	if len(certs) == 0 {
		return
	}
	opts := x509.VerifyOptions{Roots: p.Roots, Intermediates: x509.NewCertPool(), CurrentTime: p.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, c := range certs {
		p.out.Chain = append(p.out.Chain, describeCertificate(c))
		opts.Intermediates.AddCert(c)
	}
	// A date is judged by itself, so the chain is tried at a time when the certificate holds.
	if p.Now.After(certs[0].NotAfter) || p.Now.Before(certs[0].NotBefore) {
		opts.CurrentTime = certs[0].NotBefore.Add(time.Second)
	}
	if _, err := certs[0].Verify(opts); err != nil {
		p.out.ChainError = err.Error()
	}
	if err := certs[0].VerifyHostname(p.host); err != nil {
		p.out.NameError = "is not for " + p.host
	}
}

func describeCertificate(c *x509.Certificate) catalog.Certificate {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	d := catalog.Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), CommonName: c.Subject.CommonName, Names: c.DNSNames, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		Signature: c.SignatureAlgorithm.String(), SPKI: hex.EncodeToString(sum[:]), SelfSigned: c.CheckSignatureFrom(c) == nil || c.Subject.String() == c.Issuer.String(), CA: c.IsCA,
	}
	for _, ip := range c.IPAddresses {
		d.Names = append(d.Names, ip.String())
	}
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		d.KeyKind, d.KeyBits = "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		d.KeyKind, d.KeyBits = "ECDSA", k.Curve.Params().BitSize
	case ed25519.PublicKey:
		d.KeyKind, d.KeyBits = "Ed25519", 256
	}
	return d
}

// direct tries TLS without SSLRequest: with the right protocol, with a wrong one, and with none.
func (p *prober) direct(ctx context.Context) {
	p.out.Direct = "refused"
	for _, try := range []struct {
		protocols []string
		means     string
	}{{[]string{"postgresql"}, "alpn"}, {[]string{"h2"}, "any"}, {nil, "any"}} {
		conn, err := p.secure(ctx, p.config(tls.VersionTLS13, try.protocols...), true)
		if err != nil {
			continue
		}
		// The server says no to a wrong protocol after the handshake as far as TLS 1.3 is concerned: it hangs up at once.
		if try.means == "alpn" || answersStartup(conn) {
			p.out.Direct = try.means
		}
		_ = conn.Close() // what was to be seen was seen
	}
}

// answersStartup reports whether a server still answers a StartupMessage.
func answersStartup(conn *tls.Conn) bool {
	if _, err := conn.Write(startupMessage("postern-probe", "postern-probe")); err != nil {
		return false
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err == nil
}

func startupMessage(user, database string) []byte {
	body := binary.BigEndian.AppendUint32(nil, probeProtocol)
	body = append(body, strings.Join([]string{"user", user, "database", database}, "\x00")+"\x00\x00"...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...) // #nosec G115 -- two names
}

// offers asks which method would be asked for, once in plaintext and once inside TLS for each role and database.
func (p *prober) offers(ctx context.Context) {
	p.offer(ctx, p.Random, p.Random, true)
	for _, user := range p.Users {
		dbs := p.Databases
		if len(dbs) == 0 {
			dbs = []string{user}
		}
		for _, db := range dbs {
			p.offer(ctx, user, db, false)
		}
	}
}

func (p *prober) offer(ctx context.Context, user, database string, random bool) {
	if conn, err := p.dial(ctx); err == nil {
		p.out.Offers = append(p.out.Offers, askMethod(conn, catalog.Offer{User: user, Database: database, Random: random}))
	}
	if p.out.TLS != "S" {
		return
	}
	if conn, err := p.secure(ctx, p.config(tls.VersionTLS13), false); err == nil {
		p.out.Offers = append(p.out.Offers, askMethod(conn, catalog.Offer{User: user, Database: database, Random: random, TLS: true}))
	} else if conn, err := p.secure(ctx, p.config(tls.VersionTLS12), false); err == nil {
		p.out.Offers = append(p.out.Offers, askMethod(conn, catalog.Offer{User: user, Database: database, Random: random, TLS: true}))
	}
}

// askMethod sends a StartupMessage, reads the first message and hangs up.
func askMethod(conn net.Conn, o catalog.Offer) catalog.Offer {
	defer func() { _ = conn.Close() }() // nothing was promised
	if _, err := conn.Write(startupMessage(o.User, o.Database)); err != nil {
		return o
	}
	kind, body, err := firstMessage(bufio.NewReader(conn))
	if err != nil {
		return o
	}
	switch kind {
	case 'R':
		o.Method = authMethod(body)
	case 'E':
		o.Method = "error"
		o.Code, o.Text = errorField(body, 'C'), errorField(body, 'M')
	}
	return o
}

// firstMessage reads one message, with a limit before anything is allocated.
func firstMessage(r io.Reader) (byte, []byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > probeLongest {
		return 0, nil, fmt.Errorf("a message of %d bytes", n)
	}
	body := make([]byte, n-4)
	_, err := io.ReadFull(r, body)
	return head[0], body, err
}

// authMethod reads an authentication request.
func authMethod(body []byte) string {
	if len(body) < 4 {
		return ""
	}
	switch binary.BigEndian.Uint32(body) {
	case 0:
		return "ok"
	case 3:
		return "cleartext"
	case 5:
		return "md5"
	case 7:
		return "gss"
	case 9:
		return "sspi"
	case 10:
		names := string(body[4:])
		switch {
		case strings.Contains(names, "SCRAM-SHA-256-PLUS"):
			return "scram-plus"
		case strings.Contains(names, "SCRAM-SHA-256"):
			return "scram"
		case strings.Contains(names, "OAUTHBEARER"):
			return "oauth"
		}
	}
	return "other"
}
