package daemon

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/postern-sec/postern/internal/config"
)

// When to look at certificates, and how long before the end to say so.
const (
	certificatesEvery = 24 * time.Hour
	certificateNotice = 14 * 24 * time.Hour
)

// tellCertificates logs which listeners' certificates clients will not take, or will not take for much longer: a server serves
// an expired one as well as any, and only clients complain.
func (d *daemon) tellCertificates() {
	now := d.opts.Clock.Now()
	d.certificatesNext = now.Add(certificatesEvery)
	for _, l := range d.config.Gateway.Listeners {
		if l.TLS.Cert == "" {
			continue
		}
		leaf, err := certificateOf(l)
		switch {
		case err != nil:
			d.log.Error("a certificate cannot be read", "file", l.TLS.Cert, "error", err)
		case now.After(leaf.NotAfter):
			d.log.Error("a certificate has ended: clients that check it do not connect", "file", l.TLS.Cert, "ended_on", leaf.NotAfter.UTC().Format(time.RFC3339))
		case now.Before(leaf.NotBefore):
			d.log.Error("a certificate is not valid yet: clients that check it do not connect", "file", l.TLS.Cert, "begins_on", leaf.NotBefore.UTC().Format(time.RFC3339))
		case leaf.NotAfter.Sub(now) < certificateNotice:
			d.log.Warn("a certificate ends soon: put a new one in its place and send SIGHUP", "file", l.TLS.Cert, "ends_on", leaf.NotAfter.UTC().Format(time.RFC3339))
		}
	}
}

// certificateOf reads the certificate itself, without those that signed it.
func certificateOf(l *config.Listener) (*x509.Certificate, error) {
	text, err := os.ReadFile(l.TLS.Cert)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("the file holds no certificate")
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}
