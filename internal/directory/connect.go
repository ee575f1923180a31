package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/postern-sec/postern/internal/secret"
)

// adCapability is what a root DSE lists on Active Directory: there memberOf can be asked through all nesting.
const adCapability = "1.2.840.113556.1.4.800"

const missingHint = "ldap.user_base, ldap.group_base and the DNs of ldap.groups have to exist"

// session is one connection to the directory, signed in.
type session struct {
	s      *Settings
	conn   *ldap.Conn
	active string // the filter of those who are not disabled
	chain  bool   // the server follows groups in groups itself
	asked  int    // entries that came
}

// open connects and signs in. The session ends with ctx, if close does not end it before.
func (c *Client) open(ctx context.Context) (s *session, done func(), err error) {
	password, err := c.c.Password(ctx)
	if err != nil {
		return nil, nil, &Failure{failSecret, "ldap.bind_password", "", err}
	}
	dialer := net.Dialer{Timeout: dialLimit}
	raw, err := dialer.DialContext(ctx, "tcp", c.c.Address)
	if err != nil {
		return nil, nil, failure(err)
	}
	if end, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(end); err != nil {
			return nil, nil, errors.Join(failure(err), raw.Close())
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn, err := c.secured(ctx, &bounded{Conn: raw, left: answerLimit})
	if err != nil {
		stop()
		_ = raw.Close()
		return nil, nil, failure(err)
	}
	done = func() {
		stop()
		_ = conn.Close()
	}
	s = &session{s: &c.c.Settings, conn: conn, active: c.c.Active}
	if err := s.signIn(c.c.BindDN, password); err != nil {
		done()
		return nil, nil, failure(err)
	}
	return s, done, nil
}

// secured speaks TLS before anything else is said, unless the file wants none.
func (c *Client) secured(ctx context.Context, raw net.Conn) (*ldap.Conn, error) {
	config := &tls.Config{ServerName: c.c.Host, RootCAs: c.c.Roots, MinVersion: tls.VersionTLS12}
	if c.c.Implicit {
		over := tls.Client(raw, config)
		if err := over.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn := ldap.NewConn(over, true)
		conn.SetTimeout(askLimit)
		conn.Start()
		return conn, nil
	}
	conn := ldap.NewConn(raw, false)
	conn.SetTimeout(askLimit)
	conn.Start()
	if c.c.Plain {
		return conn, nil
	}
	if err := conn.StartTLS(config); err != nil {
		_ = conn.Close()
		var said *ldap.Error
		switch {
		case errors.As(err, &said) && said.ResultCode < ldap.ErrorNetwork:
			return nil, &Failure{failTLS, "the directory does not take StartTLS", "give it a certificate, or use ldaps://", err}
		case strings.Contains(err.Error(), "TLS handshake failed"): // the library keeps only the words of what the handshake said
			return nil, untrusted(err)
		}
		return nil, err
	}
	return conn, nil
}

func untrusted(err error) *Failure {
	return &Failure{failTLS, "nobody vouches for the directory's certificate", "ldap.ca names the certificates to trust, and ldap.url the host that the certificate is of", err}
}

// signIn proves who we are, and finds out what the server can do.
func (s *session) signIn(dn string, password secret.Text) error {
	if err := s.conn.Bind(dn, password.Reveal()); err != nil {
		return err
	}
	root, err := s.search("", ldap.ScopeBaseObject, "(objectClass=*)", []string{"supportedCapabilities"})
	if err != nil {
		return err
	}
	if len(root) == 1 && slices.Contains(root[0].GetAttributeValues("supportedCapabilities"), adCapability) {
		s.chain = true
		if s.active == "" {
			s.active = "(!(userAccountControl:1.2.840.113556.1.4.803:=2))" // ACCOUNTDISABLE
		}
	}
	return nil
}

// bounded cuts a connection off that has said more than anybody needs.
type bounded struct {
	net.Conn
	left int
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("more than %d MB of answers", answerLimit>>20)
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// failure says of an error what it is about and what helps.
func failure(err error) error {
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	if errors.As(err, &certificate) || errors.As(err, &record) {
		return untrusted(err)
	}
	var said *ldap.Error
	if !errors.As(err, &said) {
		return &Failure{failAway, "the directory cannot be reached", "is it up, and ldap.url right", err}
	}
	switch said.ResultCode {
	case ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication:
		return &Failure{failBind, "the directory does not take the password", "ldap.bind_dn and ldap.bind_password have to be those of an account there that may read", err}
	case ldap.LDAPResultInsufficientAccessRights:
		return &Failure{failDenied, "the directory does not let the account read", "give ldap.bind_dn the right to read people and groups", err}
	case ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded:
		return &Failure{failLimit, "the directory cut an answer short", "raise the account's limits at the directory, or lower ldap.page_size", err}
	case ldap.LDAPResultReferral:
		return &Failure{failRefer, "the directory sends elsewhere, which is not followed", "name in ldap.url the server that holds the bases itself", err}
	case ldap.LDAPResultNoSuchObject:
		return &Failure{failMissing, "the directory has no such entry", missingHint, err}
	case ldap.ErrorNetwork, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultTimeout, ldap.LDAPResultConnectError, ldap.LDAPResultServerDown:
		return &Failure{failAway, "the directory cannot be reached", "is it up, and ldap.url right", err}
	case ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultStrongAuthRequired:
		return &Failure{failTLS, "the directory wants TLS", "use ldaps://", err}
	}
	return &Failure{failOther, "the directory does not answer as it should", "", err}
}

// escaped is a text as a filter takes it, whatever it holds.
func escaped(s string) string { return ldap.EscapeFilter(s) }

// folded is a DN in the form in which two that name the same entry are equal, "" if it is none.
func folded(dn string) string {
	d, err := ldap.ParseDN(dn)
	if err != nil || len(d.RDNs) == 0 {
		return ""
	}
	for _, r := range d.RDNs {
		for _, a := range r.Attributes {
			a.Value = strings.ToLower(a.Value)
		}
	}
	return d.String()
}
