package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/portal"
)

// certificateFiles are where this person's client certificate and its key are kept: beside the login. The key is there twice, because
// programs in Java read it as DER alone.
type certificateFiles struct{ cert, key, der string }

func (a *app) certificateFiles() certificateFiles {
	base := strings.TrimSuffix(a.loginFile(), filepath.Ext(a.loginFile()))
	return certificateFiles{base + ".crt", base + ".key", base + ".pk8"}
}

// remove deletes them, whichever there are.
func (f certificateFiles) remove() error {
	var errs []error
	for _, path := range []string{f.cert, f.key, f.der} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// good says whether a certificate is there that goes with its key, is somebody's, and has not ended.
func (f certificateFiles) good(user string, now time.Time) bool {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return false
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	return err == nil && leaf.Subject.CommonName == user && now.Before(leaf.NotAfter)
}

// certify makes a key, which stays here, and gets a certificate for it, where the portal gives any. Without one there are still
// passwords: that it did not work ends no login.
func (a *app) certify(ctx context.Context, c *portal.Client, store string) error {
	files := a.certificateFiles()
	if err := files.remove(); err != nil { // of the login before
		return failed("", fmt.Errorf("remove the old certificate: %w", err))
	}
	var me portal.Me
	if err := c.Call(ctx, http.MethodGet, "me", nil, &me); err != nil || !me.Certificates {
		return explainCall(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return failed("", fmt.Errorf("make a key: %w", err))
	}
	private, err1 := x509.MarshalPKCS8PrivateKey(key)
	request, err2 := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err := errors.Join(err1, err2); err != nil {
		return failed("", fmt.Errorf("make a certificate request: %w", err))
	}
	var made portal.CertifyAnswer
	call := portal.CertifyCall{Request: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})), Store: store}
	if err := c.Call(ctx, http.MethodPost, "certificates", call, &made); err != nil {
		return explainCall(err)
	}
	for path, text := range map[string][]byte{
		files.key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), files.der: private, files.cert: []byte(made.Certificate),
	} {
		if err := portal.WriteOwn(path, text); err != nil {
			return failed("", errors.Join(fmt.Errorf("keep the certificate: %w", err), files.remove()))
		}
	}
	a.ui.note("client certificate %s, good until %s", files.cert, ending(made.Expires))
	return nil
}

// byCertificate is how to connect with the client certificate of this login, or nil if there is none that is good.
func (a *app) byCertificate(ctx context.Context, c *portal.Client, l portal.Login, store string) (*connection, error) {
	files := a.certificateFiles()
	if l.User == "" || !files.good(l.User, time.Now()) {
		return nil, nil //nolint:nilnil // nothing is wrong
	}
	var me portal.Me
	if err := c.Call(ctx, http.MethodGet, "me", nil, &me); err != nil {
		return nil, explainCall(err)
	}
	if !me.Certificates || me.User != l.User {
		return nil, nil //nolint:nilnil // none is taken any more
	}
	store, err := oneStore(store, me.Stores)
	if err != nil {
		return nil, err
	}
	leaf, err := endOf(files.cert)
	if err != nil {
		return nil, failed("postern login", err)
	}
	out := &connection{Store: store, User: me.User, Expires: leaf, CA: l.CA, Cert: files.cert, Key: files.key, keyDER: files.der}
	out.Host, out.Port = c.GatewayOf(me.Gateway)
	if out.Mode = "require"; l.CA != "" { // a certificate is shown under TLS alone
		out.Mode = "verify-full"
	}
	return out, nil
}

// endOf reads when a certificate ends.
func endOf(path string) (time.Time, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if err != nil {
		return time.Time{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return time.Time{}, fmt.Errorf("%s holds no certificate", path)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: %w", path, err)
	}
	return leaf.NotAfter, nil
}

// oneStore is the store that is meant.
func oneStore(named string, held []string) (string, error) {
	switch {
	case named != "":
		return named, nil
	case len(held) != 1:
		return "", failed("name one with --store", fmt.Errorf("you hold rules on %s", count(len(held), "store")))
	}
	return held[0], nil
}
