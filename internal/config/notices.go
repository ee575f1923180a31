package config

import (
	"net"
	"net/mail"
	"net/url"

	"github.com/postern-sec/postern/internal/policy"
)

// notices checks the ways to people. What travels names people and datasets, so that it goes over TLS or stays on this machine.
func (b *builder) notices(d noticesDoc) {
	if d.Pos.IsZero() {
		return
	}
	n := &b.c.Notices
	n.Pos, n.Link = d.Pos, d.Link.Value
	if w := d.Webhook; !w.Pos.IsZero() {
		n.Webhook.URL, n.Webhook.Secret = w.URL.Value, b.source(w.Secret)
		u, err := url.Parse(w.URL.Value)
		switch {
		case w.URL.Pos.IsZero() || w.Secret.Pos.IsZero():
			b.report(policy.KindMissing, w.Pos, "", "webhook needs url and secret")
		case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
			b.report(policy.KindValue, w.URL.Pos, "write https://HOST/PATH", "url: not the address of a webhook")
		case u.Scheme == "http" && !(Address{Host: u.Hostname()}).Loopback():
			b.report(policy.KindValue, w.URL.Pos, "write https://", "url: plain HTTP to another machine: messages would be read on the way")
		}
	}
	if m := d.Mail; !m.Pos.IsZero() {
		b.mail(m)
	}
}

func (b *builder) mail(m mailDoc) {
	n := &b.c.Notices.Mail
	n.Server, n.From, n.User, n.TLS, n.Templates = m.Server.Value, m.From.Value, m.User.Value, m.TLS.Value, b.path(m.Templates)
	n.TemplatesPos = m.Templates.Pos
	if !m.Password.Pos.IsZero() {
		n.Password = b.source(m.Password)
	}
	if n.TLS == "" {
		n.TLS = "starttls"
	}
	if m.Server.Pos.IsZero() || m.From.Pos.IsZero() {
		b.report(policy.KindMissing, m.Pos, "", "mail needs server and from")
		return
	}
	host, _, err := net.SplitHostPort(n.Server)
	if err != nil {
		b.report(policy.KindValue, m.Server.Pos, "write host:587", "server: %q is not host:port", n.Server)
	}
	if _, err := mail.ParseAddress(n.From); err != nil {
		b.report(policy.KindValue, m.From.Pos, "", "from: %q is not an address", n.From)
	}
	switch {
	case n.TLS == "disable" && !(Address{Host: host}).Loopback():
		b.report(policy.KindValue, m.TLS.Pos, "", "tls: mails to another machine would be read on the way")
	case n.TLS == "disable" && n.User != "":
		b.report(policy.KindValue, m.User.Pos, "", "user: a password is sent over TLS alone")
	case n.User != "" && m.Password.Pos.IsZero():
		b.report(policy.KindMissing, m.User.Pos, "", "user: missing key %q", "password")
	}
}
