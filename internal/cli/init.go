package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/secret"
)

//go:embed init.yaml.tmpl
var initTemplate string

// certificateLife is how long the listener's first certificate is good for.
const certificateLife = 365 * 24 * time.Hour

func (a *app) init() *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use:   "init [DSN]",
		Short: "write a policy file, keys, and the SQL that makes Postern's logins",
		Long: `Writes a commented postern.yaml, the keys and passwords that it names, a certificate for the
gateway, and the folder of the trail. On standard output it prints the SQL that a superuser
reads and runs once: it makes the provisioner (plan, apply) and the grantor (serve), with
verifiers instead of passwords. Nothing is changed on the server, and no file is overwritten.

With a DSN, as psql takes it, the server is asked for its tables, schemas and their owners.
Any login that may connect will do. Its password, also from PGPASSWORD or ~/.pgpass, is used
for that and kept nowhere.`,
		Example: `  postern init postgres://db1.internal:5432/shop > logins.sql
  postern init "host=/run/postgresql dbname=shop" --dir /etc/postern > logins.sql
  postern init`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.config != "" {
				return &usageError{command: cmd.CommandPath(), err: errors.New("--config names a policy file to read: say with --dir where to write one")}
			}
			s := exampleSurvey()
			if len(args) == 1 {
				var err error
				if s, err = a.survey(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			return a.initFolder(folder, s, time.Now())
		},
	}
	cmd.Flags().StringVar(&folder, "dir", ".", "`folder` to write to")
	return cmd
}

// initFolder writes everything and prints the SQL.
func (a *app) initFolder(folder string, s *survey, now time.Time) error {
	files, sql, err := s.files(now)
	if err != nil {
		return failed("", err)
	}
	if err := writeNew(folder, files); err != nil {
		if errors.Is(err, os.ErrExist) {
			return failed("--dir FOLDER writes elsewhere", err)
		}
		return failed("", err)
	}
	for _, owner := range s.superOwners {
		a.ui.warn("tables are owned by %s, a superuser, whom the provisioner must not join: the SQL says what to do", printable(owner))
	}
	a.ui.printf("%s", sql)
	a.ui.note("wrote %s", printable(filepath.Join(folder, "postern.yaml")))
	for _, f := range files {
		if f.name != "postern.yaml" && !strings.HasSuffix(f.name, ".gitignore") {
			a.ui.note("wrote %s: %s", printable(filepath.Join(folder, f.name)), f.what)
		}
	}
	a.ui.hint("have a superuser read and run the SQL, say in postern.yaml who may see what, then: postern plan")
	return nil
}

// newFile is a file to write. A name that ends with a slash is a folder.
type newFile struct {
	name, what string
	text       []byte
	mode       os.FileMode
}

// files makes the contents of all files, and the SQL that goes with their secrets.
func (s *survey) files(now time.Time) ([]newFile, string, error) {
	rootKey := make([]byte, 32)
	if _, err := rand.Read(rootKey); err != nil {
		return nil, "", fmt.Errorf("make the root key: %w", err)
	}
	auditKey, err := audit.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	provisioner, grantor := secret.New(rand.Text()), secret.New(rand.Text())
	o := postgres.InitOptions{
		Database: s.Database, Major: s.major, Provisioner: s.Provisioner, Grantor: s.Grantor, Owners: s.Owners, SuperOwners: s.superOwners,
	}
	if o.ProvisionerVerifier, err = daemon.HashPassword(provisioner, daemon.DefaultIterations, rand.Reader); err != nil {
		return nil, "", err
	}
	if o.GrantorVerifier, err = daemon.HashPassword(grantor, daemon.DefaultIterations, rand.Reader); err != nil {
		return nil, "", err
	}
	certificate, key, err := selfSigned(now)
	if err != nil {
		return nil, "", err
	}
	policy, err := s.policy(now.Add(certificateLife))
	if err != nil {
		return nil, "", err
	}
	line := func(t secret.Text) []byte { return []byte(strings.TrimSpace(t.Reveal()) + "\n") }
	root := secret.New(base64.StdEncoding.EncodeToString(rootKey))
	return []newFile{
		{"secrets/.gitignore", "", []byte("*\n"), 0o600},
		{"secrets/root.key", "passwords on the server and pseudonyms derive from it; keep a copy", line(root), 0o600},
		{"secrets/audit.key", "signs the trail; keep a copy", line(auditKey), 0o600},
		{s.ProvisionerFile, "password of " + s.Provisioner, line(provisioner), 0o600},
		{s.GrantorFile, "password of " + s.Grantor, line(grantor), 0o600},
		{"secrets/server.key", "key of the gateway's certificate", key, 0o600},
		{"server.crt", "the gateway's certificate, which signs itself: replace it or give it to clients", certificate, 0o644},
		{"audit/", "the trail", nil, 0o700},
		{"postern.yaml", "the policy", policy, 0o600},
	}, postgres.InitSQL(o), nil
}

// writeNew writes files that must not be there yet, all or none.
func writeNew(folder string, files []newFile) (err error) {
	for _, f := range files {
		path := filepath.Join(folder, f.name)
		if _, err := os.Lstat(path); err == nil && !strings.HasSuffix(f.name, "/") {
			return fmt.Errorf("%s: %w", path, os.ErrExist)
		}
	}
	var made []string
	defer func() {
		for _, path := range made {
			if err != nil {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	for _, f := range files {
		path := filepath.Join(folder, f.name)
		parent := filepath.Dir(path)
		if strings.HasSuffix(f.name, "/") {
			parent = path
		}
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		if parent == path {
			continue
		}
		w, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.mode) //nolint:gosec // named by the person
		if err != nil {
			return err
		}
		made = append(made, path)
		if _, err := w.Write(f.text); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", path, err), w.Close())
		}
		if err := errors.Join(w.Sync(), w.Close()); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// selfSigned makes a certificate for this machine's names and its key, both as PEM.
func selfSigned(now time.Time) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the gateway's key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("make the gateway's certificate: %w", err)
	}
	names := []string{"localhost"}
	if host, err := os.Hostname(); err == nil && host != "" && host != "localhost" {
		names = append(names, host)
	}
	leaf := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[len(names)-1]}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:   now.Add(-time.Hour), NotAfter: now.Add(certificateLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &private.PublicKey, private)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the gateway's certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the gateway's key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// policy renders postern.yaml.
func (s *survey) policy(certificateEnd time.Time) ([]byte, error) {
	t, err := template.New("postern.yaml").Option("missingkey=error").Funcs(template.FuncMap{
		"yaml": yamlText, "yamlList": yamlList, "names": func(all []string) string { return printable(strings.Join(all, ", ")) },
	}).Parse(initTemplate)
	if err != nil {
		return nil, fmt.Errorf("write the policy: %w", err)
	}
	var b strings.Builder
	err = t.Execute(&b, struct {
		*survey
		CertificateEnd string
	}{s, certificateEnd.UTC().Format(time.DateOnly)})
	if err != nil {
		return nil, fmt.Errorf("write the policy: %w", err)
	}
	return []byte(b.String()), nil
}

// survey connects and looks at what is to be guarded.
func (a *app) survey(ctx context.Context, dsn string) (*survey, error) {
	login, err := postgres.ParseDSN(dsn, a.env.Getenv)
	if err != nil {
		return nil, failed("a password with @ : / or spaces is better left to PGPASSWORD or ~/.pgpass", err)
	}
	server, err := postgres.Open(ctx, login)
	if err != nil {
		return nil, failed(connectHint(login, err), err)
	}
	defer func() { _ = server.Close(context.WithoutCancel(ctx)) }()
	snap, err := server.Inspect(ctx, nil)
	if err != nil {
		return nil, failed("", err)
	}
	s := surveyOf(login, snap)
	if s.Tables == nil {
		a.ui.warn("database %s has no tables: the example names some that are not there", printable(login.Database))
		s.Tables = []string{s.table("public", "customers")}
	}
	return s, nil
}

// connectHint names the next step where the certificate stands in the way.
func connectHint(c postgres.Config, err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
	)
	switch {
	case errors.As(err, &unknown):
		return "sslrootcert=FILE names the authority that signed the server's certificate"
	case errors.As(err, &name):
		return "connect by a name that stands in the server's certificate"
	case c.TLS == postgres.TLSVerifyFull:
		return "postern does not fall back to an open connection: sslmode=disable asks for one"
	}
	return ""
}
