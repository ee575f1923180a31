package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"text/template"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

// Mail sends messages over SMTP to the address in the attribute "email" of the person.
type Mail struct {
	Server   string // host:port
	From     string
	User     string
	Password secret.Text
	TLS      TLS
	Roots    *tls.Config // nil: the system's
	Texts    *template.Template
}

// TLS says how a connection to a mail server is protected.
type TLS string

// The ways.
const (
	StartTLS TLS = "starttls" // demanded, never given up
	Implicit TLS = "implicit"
	Plain    TLS = "disable" // to this machine alone
)

// Name implements Transport.
func (s *Mail) Name() string { return "mail" }

// Send implements Transport. Somebody without an address is told elsewhere.
func (s *Mail) Send(ctx context.Context, m *Message) error {
	if m.Email == "" {
		return ErrNotThisWay
	}
	to, err := mail.ParseAddress(m.Email)
	if err != nil {
		return &Permanent{fmt.Errorf("the address of %s is none", m.To)}
	}
	raw, err := s.compose(m, to)
	if err != nil {
		return &Permanent{err}
	}
	c, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := s.hand(c, to.Address, raw); err != nil {
		var answer *textproto.Error
		if errors.As(err, &answer) && answer.Code >= 500 {
			return &Permanent{err}
		}
		return err
	}
	_ = c.Quit() // it was accepted: a server that hangs up now has it
	return nil
}

func (s *Mail) hand(c *smtp.Client, to string, raw []byte) error {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return &Permanent{err}
	}
	if s.User != "" {
		host, _, _ := net.SplitHostPort(s.Server)
		if err := c.Auth(smtp.PlainAuth("", s.User, s.Password.Reveal(), host)); err != nil {
			return fmt.Errorf("log in to the mail server: %w", err)
		}
	}
	if err := c.Mail(from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return w.Close()
}

func (s *Mail) dial(ctx context.Context) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(s.Server)
	if err != nil {
		return nil, err
	}
	settings := s.Roots.Clone()
	if settings == nil {
		settings = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	settings.ServerName = host
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.Server)
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	if s.TLS == Implicit {
		conn = tls.Client(conn, settings)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if s.TLS == StartTLS {
		if err := c.StartTLS(settings); err != nil {
			return nil, errors.Join(fmt.Errorf("STARTTLS: %w", err), c.Close())
		}
	}
	return c, nil
}

// compose writes the mail. Its id stays the same at every attempt, so that a mailbox shows it once.
func (s *Mail) compose(m *Message, to *mail.Address) ([]byte, error) {
	subject, body, err := Compose(s.Texts, m)
	if err != nil {
		return nil, err
	}
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", to.String()},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(subject))},
		{"Date", m.At.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.ID + "." + fmt.Sprint(m.At.UnixMicro()) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"Postern-Kind", m.Kind}, // for filters of mailboxes
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	// A note is a line of up to 4,000 bytes: servers turn away what has more than 998 in one (RFC 5321, 4.5.3.1.6), and with it the alarm
	// that the note stands in.
	text := quotedprintable.NewWriter(&b)
	if _, err := io.WriteString(text, body); err != nil {
		return nil, err
	}
	return b.Bytes(), text.Close()
}

// oneLine takes out of a header what would begin another.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
