package access_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// withCertificates is the policy with certificates for all but bob, who has to give a password.
var withCertificates = strings.NewReplacer(
	"gateway:\n", "gateway:\n  network: [{from: [all], to: [bob], auth: scram}, {from: [all], auth: cert_or_scram, tls: require}]\n",
	"owners_without_factor: true", "owners_without_factor: true, certificates: true, credentials: {lives: {eve: 30m}}",
)

const emergencyPassword = "kept in two envelopes"

// certified is a place where certificates are on.
func certified(t *testing.T) *place {
	t.Helper()
	p := newPlace(t)
	hash := strings.TrimSpace(p.typed(t, "", []string{emergencyPassword}, nil, "user", "hash", "--emergency"))
	text, err := os.ReadFile(p.Config)
	if err != nil {
		t.Fatal(err)
	}
	p.WritePolicy(t, strings.Replace(withCertificates.Replace(string(text)), "certificates: true", "certificates: true, emergency_admin: {socket: emergency.sock, password: \""+hash+"\"}", 1))
	p.serve()
	return p
}

// terminal is somebody's terminal: where postern keeps their login.
type terminal struct {
	p     *place
	t     *testing.T
	who   string
	login string
}

func (p *place) terminal(t *testing.T, who string) *terminal {
	t.Helper()
	x := &terminal{p, t, who, filepath.Join(t.TempDir(), "home", "login.json")}
	x.logIn()
	return x
}

func (x *terminal) logIn(more ...string) string {
	x.t.Helper()
	return x.p.typed(x.t, x.login, []string{pgtest.PasswordOf(x.who)}, nil, append([]string{"login", "--server", x.p.portal.URL, "--user", x.who}, more...)...)
}

func (x *terminal) file(kind string) string { return strings.TrimSuffix(x.login, ".json") + kind }

// dsn is what psql and pgx connect with.
func (x *terminal) dsn(user string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d dbname=shop user=%s sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s",
		x.p.Port, user, x.p.CA, x.file(".crt"), x.file(".key"))
}

// postern runs a command as this person, and says what it printed and whether it went well.
func (x *terminal) postern(args ...string) (string, error) {
	x.t.Helper()
	folder := x.t.TempDir()
	env := site.Command(x.t, folder)
	cmd := exec.CommandContext(x.t.Context(), filepath.Join(folder, "postern"), args...) //nolint:gosec // the test's own words
	cmd.Dir, cmd.Env = x.p.Dir, append(os.Environ(), env, "POSTERN_LOGIN="+x.login, "HOME="+x.t.TempDir(), "PGSSLROOTCERT="+x.p.CA)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// psql asks with the real one, which never asks for a password.
func (x *terminal) psql(dsn, sql string) (string, error) {
	cmd := exec.CommandContext(x.t.Context(), "psql", "-XAtw", "-c", sql, dsn) //nolint:gosec // the test's own words
	cmd.Env = append(os.Environ(), "HOME="+x.t.TempDir())
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// refused says that psql was turned away for its certificate, and that the trail says why.
func (x *terminal) refused(what, dsn, why string) {
	x.t.Helper()
	out, err := x.psql(dsn, "SELECT 1")
	if err == nil || !strings.Contains(out, "certificate authentication failed") {
		x.t.Errorf("%s: %v %s", what, err, out)
	}
	if got, err := x.p.query(dsn, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28000") {
		x.t.Errorf("%s: %d %v", what, got, err)
	}
	found := x.p.Must(x.t, "audit", "search", "--kind", "login.refused", "--format", "json")
	if !strings.Contains(found, why) {
		x.t.Errorf("%s: the trail does not say %q:\n%s", what, why, found)
	}
}

// What `postern login` gets opens the gateway without a password, in psql, pgx and JDBC; for this person, until it is revoked or the
// login is over; and nothing that only looks like it does.
func TestCertificates(t *testing.T) {
	p := certified(t)
	ana := p.terminal(t, "ana")
	t.Run("files", func(t *testing.T) {
		for _, kind := range []string{".crt", ".key", ".pk8"} {
			if info, err := os.Stat(ana.file(kind)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", kind, info, err)
			}
		}
		for _, path := range []string{p.Dir, filepath.Join(p.Dir, "audit")} { // the key has not left its place
			checkNoKey(t, path, ana.file(".pk8"))
		}
	})
	t.Run("psql", func(t *testing.T) {
		if out, err := ana.psql(ana.dsn("ana"), "SELECT count(*) FROM base"); err != nil || out != "10" {
			t.Errorf("%v %s", err, out)
		}
		if found := p.Must(t, "audit", "search", "--kind", "login.accepted", "--format", "json"); !strings.Contains(found, `"method":"certificate"`) || !strings.Contains(found, `"credential"`) {
			t.Errorf("the trail does not say how:\n%s", found)
		}
	})
	t.Run("pgx", func(t *testing.T) {
		if n, err := p.query(ana.dsn("ana"), "SELECT count(*) FROM base"); err != nil || n != 10 {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("connect and run", ana.connects)
	t.Run("password", func(t *testing.T) { // whoever shows no certificate is asked for one
		if n, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM base"); err != nil || n != 10 {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("nobody else", ana.opensNothingElse)
	t.Run("forged", ana.forged)
	t.Run("requests", p.requestsForCertificates)
	t.Run("one store", func(t *testing.T) {
		x := p.terminal(t, "ana")
		if out := x.logIn("--store", "shop"); !strings.Contains(out, "client certificate") {
			t.Errorf("%s", out)
		}
		if out, err := x.psql(x.dsn("ana"), "SELECT 1"); err != nil || out != "1" {
			t.Errorf("its own store: %v %s", err, out)
		}
		x.refused("another store", strings.Replace(x.dsn("ana"), "dbname=shop", "dbname=other", 1), "another store")
	})
	t.Run("without a rule that takes it", func(t *testing.T) {
		bob := p.terminal(t, "bob")
		if _, err := os.Stat(bob.file(".crt")); err == nil {
			t.Error("bob has a certificate that no rule takes")
		}
		if code := p.try("bob", http.MethodPost, "certificates", map[string]string{"request": request(t, nil)}, nil); code != http.StatusForbidden {
			t.Errorf("bob asks for one: %d", code)
		}
	})
	t.Run("life by person", func(t *testing.T) {
		leaf := leafOf(t, p.terminal(t, "eve").file(".crt"))
		if life := time.Until(leaf.NotAfter); life > 30*time.Minute || life < 25*time.Minute {
			t.Errorf("eve's lives for %s", life)
		}
		if life := time.Until(leafOf(t, ana.file(".crt")).NotAfter); life > 8*time.Hour || life < 7*time.Hour {
			t.Errorf("ana's lives for %s", life)
		}
	})
	t.Run("emergency", p.emergency)
	t.Run("revoked", func(t *testing.T) { p.revokes(t, p.terminal(t, "ana")) })
	t.Run("disabled", func(t *testing.T) {
		x := p.terminal(t, "eve")
		p.Must(t, "user", "create", "eve")
		p.Must(t, "user", "set", "eve", "--disable")
		eventually(t, "a disabled user's certificate opens nothing", func() bool {
			_, err := x.psql(x.dsn("eve"), "SELECT 1")
			return err != nil
		})
	})
	t.Run("rotated", func(t *testing.T) { p.rotates(t, p.terminal(t, "ana")) })
	t.Run("logout", func(t *testing.T) { p.logsOut(t, p.terminal(t, "ana")) })
	t.Run("switched off", func(t *testing.T) {
		x := p.terminal(t, "ana")
		conn := x.open()
		text, err := os.ReadFile(p.Config)
		if err != nil {
			t.Fatal(err)
		}
		p.WritePolicy(t, strings.NewReplacer("certificates: true", "certificates: false", "cert_or_scram", "scram").Replace(string(text)))
		p.Reload(t)
		closed(t, "the session of a certificate", conn)
		if out, err := x.psql(x.dsn("ana"), "SELECT 1"); err == nil {
			t.Errorf("a certificate still opens: %s", out)
		}
	})
}

func (x *terminal) open() *pgx.Conn {
	x.t.Helper()
	conn, err := pgx.Connect(x.t.Context(), x.dsn(x.who))
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// closed waits until a session is over.
func closed(t *testing.T, what string, conn *pgx.Conn) {
	t.Helper()
	eventually(t, what+" is closed", func() bool {
		_, err := conn.Exec(context.Background(), "SELECT count(*) FROM base")
		return err != nil && conn.IsClosed()
	})
}

// connects plays `postern connect` and `postern run`.
func (x *terminal) connects(t *testing.T) {
	out, err := x.postern("connect")
	for _, want := range []string{"sslcert=" + x.file(".crt"), "sslkey=" + x.file(".key"), "sslkey=" + x.file(".pk8"), "sslmode=require", "# service"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("connect, %v, %s is missing in:\n%s", err, want, out)
		}
	}
	if strings.Contains(out, "password") || strings.Contains(out, "pgpass") {
		t.Errorf("connect shows a password:\n%s", out)
	}
	if out, err := x.postern("connect", "--password", "--format", "service"); err != nil || !strings.Contains(out, "password=") || strings.Contains(out, "sslcert") {
		t.Errorf("connect --password: %v\n%s", err, out)
	}
	if out, err := x.postern("connect", "--format", "pgpass"); err != nil || !strings.Contains(out, ":shop:ana:") {
		t.Errorf("connect --format pgpass: %v\n%s", err, out)
	}
	for _, args := range [][]string{{"run", "psql"}, {"run", "--password", "psql"}} {
		out, err = x.postern(append(args, "-XAtwc", "SELECT count(*) FROM base")...)
		if err != nil || strings.TrimSpace(out) != "10" {
			t.Errorf("%q: %v %s", args, err, out)
		}
	}
	words, err := x.postern("connect", "--format", "jdbc")
	if err != nil {
		t.Fatal(err)
	}
	address, _, _ := strings.Cut(words, "\n")
	classes := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "javac", "-d", classes, "testdata/Certificate.java").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// #nosec G204 -- the test's own program
	cmd := exec.CommandContext(t.Context(), "java", "-XX:TieredStopAtLevel=1", "-cp", classes+":/usr/share/java/postgresql.jar", "Certificate", address)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "count 10") {
		t.Errorf("JDBC: %v\n%s", err, out)
	}
	// The service as it is printed, with a name of its own.
	service, err := x.postern("connect", "--format", "service")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pg_service.conf")
	service = service[:strings.Index(service, "sslkey=")+len("sslkey=")+len(x.file(".key"))] + "\nsslmode=require\n"
	if err := os.WriteFile(file, []byte(service), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), "psql", "-XAtw", "-c", "SELECT count(*) FROM base", "service=shop")
	cmd.Env = append(os.Environ(), "PGSERVICEFILE="+file)
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "10" {
		t.Errorf("service: %v %s", err, out)
	}
}

// opensNothingElse: it names one person, and the portal does not know it.
func (x *terminal) opensNothingElse(*testing.T) {
	x.refused("another user", x.dsn("eve"), "names somebody else")
	x.refused("a user that there is not", x.dsn("nobody"), "names somebody else")
	if out, err := x.psql(x.dsn("bob"), "SELECT 1"); err == nil || strings.Contains(out, "certificate authentication") {
		x.t.Errorf("bob has to give a password: %v %s", err, out)
	}
}

// forged: certificates that look like it.
func (x *terminal) forged(t *testing.T) {
	real := leafOf(t, x.file(".crt"))
	shown := func(name string, template x509.Certificate, parent *x509.Certificate, signer *ecdsa.PrivateKey) string {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			parent, signer = &template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		writeFile(t, file+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		writeFile(t, file+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
		return strings.NewReplacer(x.file(".crt"), file+".crt", x.file(".key"), file+".key").Replace(x.dsn("ana"))
	}
	same := x509.Certificate{
		SerialNumber: real.SerialNumber, Subject: real.Subject, URIs: real.URIs, NotBefore: real.NotBefore, NotAfter: real.NotAfter,
		KeyUsage: real.KeyUsage, ExtKeyUsage: real.ExtKeyUsage, BasicConstraintsValid: true,
	}
	x.refused("self-signed, with the same subject", shown("self", same, nil, nil), "signed by somebody else")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: real.Issuer, NotBefore: real.NotBefore, NotAfter: real.NotAfter.Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: real.AuthorityKeyId,
	}
	x.refused("an authority of the same name", shown("other", same, other, key), "signed by somebody else")
	leaf, err := os.ReadFile(x.file(".key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(leaf)
	own, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	eve := same
	eve.Subject = pkix.Name{CommonName: "eve"}
	dsn := shown("below", eve, real, own.(*ecdsa.PrivateKey)) //nolint:forcetypeassert // made as one
	x.refused("signed with a person's certificate", strings.Replace(dsn, "user=ana", "user=eve", 1), "signed by somebody else")
}

// requestsForCertificates: nothing of a request counts but its key, and it has to be signed with that.
func (p *place) requestsForCertificates(t *testing.T) {
	var made struct{ Certificate string }
	all := &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "eve", Organization: []string{"admins"}}, DNSNames: []string{"postern.example"},
		EmailAddresses: []string{"eve@example.com"}, URIs: []*url.URL{{Scheme: "postern", Host: "x", Path: "/person/eve"}},
	}
	p.call("ana", http.MethodPost, "certificates", map[string]string{"request": request(t, all)}, &made)
	block, _ := pem.Decode([]byte(made.Certificate))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Subject.String() != "CN=ana" || len(leaf.DNSNames)+len(leaf.EmailAddresses)+len(leaf.IPAddresses) > 0 || len(leaf.URIs) != 1 || !strings.HasSuffix(leaf.URIs[0].String(), "/person/ana") || leaf.IsCA {
		t.Errorf("%s %v %v %v", leaf.Subject, leaf.DNSNames, leaf.EmailAddresses, leaf.URIs)
	}
	if len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("good for %v, %v", leaf.ExtKeyUsage, leaf.KeyUsage)
	}
	good, _ := pem.Decode([]byte(request(t, nil)))
	tampered := append([]byte{}, good.Bytes...)
	tampered[len(tampered)-3] ^= 1 // of the signature
	swapped := append([]byte{}, good.Bytes...)
	swapped[len(swapped)-90] ^= 1 // of the key
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	of, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, weak)
	if err != nil {
		t.Fatal(err)
	}
	armour := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	for name, text := range map[string]string{
		"another signature": armour(tampered), "another key": armour(swapped), "RSA": armour(of), "nothing": "", "noise": "x", "two": armour(good.Bytes) + armour(good.Bytes),
	} {
		if code := p.try("ana", http.MethodPost, "certificates", map[string]string{"request": text}, nil); code != http.StatusBadRequest {
			t.Errorf("%s: %d", name, code)
		}
	}
	var token struct{ Secret string }
	p.call("ana", http.MethodPost, "credentials", map[string]string{"kind": "personal", "name": "bot", "for": "1d"}, &token)
	p.tokens["bot"] = token.Secret
	if code := p.try("bot", http.MethodPost, "certificates", map[string]string{"request": request(t, nil)}, nil); code != http.StatusForbidden {
		t.Errorf("a token gets a certificate: %d", code)
	}
}

// revokes: by its owner and at the machine; what runs is closed.
func (p *place) revokes(t *testing.T, x *terminal) {
	conn := x.open()
	id := fmt.Sprintf("%x", leafOf(t, x.file(".crt")).SerialNumber)
	if out, err := x.postern("token", "revoke", id); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	x.refused("a revoked one", x.dsn("ana"), "was revoked")
	closed(t, "the session of a revoked certificate", conn)

	x.logIn()
	conn = x.open()
	id = fmt.Sprintf("%x", leafOf(t, x.file(".crt")).SerialNumber)
	if out := p.Must(t, "certs", "list", "--user", "ana"); !strings.Contains(out, id) {
		t.Errorf("%s is not listed:\n%s", id, out)
	}
	p.Must(t, "certs", "revoke", id)
	closed(t, "the session of a certificate that was revoked at the machine", conn)
	x.refused("one that was revoked at the machine", x.dsn("ana"), "was revoked")
	if r := p.Run(t, "certs", "revoke", id); r.Code != 2 {
		t.Errorf("revoked twice: %d %s", r.Code, r.Stderr)
	}
}

// rotates: a new authority signs, the old one is trusted until somebody says otherwise.
func (p *place) rotates(t *testing.T, x *terminal) {
	old := leafOf(t, x.file(".crt"))
	p.Must(t, "certs", "rotate")
	y := p.terminal(t, "ana")
	if next := leafOf(t, y.file(".crt")); string(next.AuthorityKeyId) == string(old.AuthorityKeyId) {
		t.Error("the old authority goes on signing")
	}
	for _, z := range []*terminal{x, y} {
		if out, err := z.psql(z.dsn("ana"), "SELECT 1"); err != nil || out != "1" {
			t.Errorf("after a rotation: %v %s", err, out)
		}
	}
	conn := y.open()
	p.Must(t, "certs", "rotate", "--distrust")
	closed(t, "the session of an authority that is not trusted any more", conn)
	for _, z := range []*terminal{x, y} {
		z.refused("an authority that is not trusted any more", z.dsn("ana"), "signed by somebody else")
	}
	y.logIn()
	if out, err := y.psql(y.dsn("ana"), "SELECT 1"); err != nil || out != "1" {
		t.Errorf("from the newest authority: %v %s", err, out)
	}
	eventually(t, "the trail says what became of authorities", func() bool {
		all := p.Must(t, "audit", "search", "--format", "json")
		return strings.Count(all, `"kind":"authority.made"`) == 3 && strings.Count(all, `"kind":"authority.ended"`) == 2
	})
}

// logsOut: the certificate ends with the login, and its files are gone.
func (p *place) logsOut(t *testing.T, x *terminal) {
	conn := x.open()
	kept := filepath.Join(t.TempDir(), "kept")
	for _, kind := range []string{".crt", ".key"} { // somebody has taken a copy
		text, err := os.ReadFile(x.file(kind))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, kept+kind, text)
	}
	if out, err := x.postern("logout"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, kind := range []string{".crt", ".key", ".pk8"} {
		if _, err := os.Stat(x.file(kind)); err == nil {
			t.Errorf("%s is left", kind)
		}
	}
	closed(t, "the session of a login that is over", conn)
	x.refused("a copy of the certificate of a login that is over", strings.NewReplacer(x.file(".crt"), kept+".crt", x.file(".key"), kept+".key").Replace(x.dsn("ana")), "login that it came from is over")
}

// emergency signs in the emergency admin, at the machine and from elsewhere.
func (p *place) emergency(t *testing.T) {
	p.Must(t, "user", "create", "ruth", "--admin") // somebody to tell
	x := &terminal{p, t, "emergency-admin", filepath.Join(t.TempDir(), "login.json")}
	if code := p.try("", http.MethodPost, "login", map[string]string{"user": "emergency-admin", "password": emergencyPassword}, nil); code != http.StatusUnauthorized {
		t.Errorf("from elsewhere: %d", code)
	}
	socket := filepath.Join(p.Dir, "emergency.sock")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	out := p.typed(t, x.login, []string{emergencyPassword}, nil, "login", "--emergency", socket)
	if !strings.Contains(out, "logged in as emergency-admin") {
		t.Fatalf("%s", out)
	}
	var kept struct{ Token string }
	text, err := os.ReadFile(x.login)
	if err != nil || json.Unmarshal(text, &kept) != nil || kept.Token == "" {
		t.Fatalf("%v %s", err, text)
	}
	p.tokens["emergency-admin"] = kept.Token
	at := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	call := func(method, path, body string) int {
		q, err := http.NewRequestWithContext(t.Context(), method, "http://localhost/api/v1/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+kept.Token)
		a, err := at.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Body.Close() }()
		return a.StatusCode
	}
	if code := call(http.MethodGet, "users", ""); code != http.StatusOK {
		t.Errorf("looks after accounts: %d", code)
	}
	if code := call(http.MethodPost, "users/ruth/invite", "{}"); code != http.StatusOK {
		t.Errorf("lets an admin in again: %d", code)
	}
	for path, body := range map[string]string{
		"credentials": `{"kind":"temporary","store":"shop"}`, "certificates": `{"request":"x"}`, "requests": `{"what":"take-a"}`,
	} {
		if code := call(http.MethodPost, path, body); code != http.StatusForbidden {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code := p.try("emergency-admin", http.MethodGet, "users", nil, nil); code != http.StatusUnauthorized {
		t.Errorf("its token from elsewhere: %d", code)
	}
	if _, err := p.query(p.DSN("emergency-admin", "shop"), "SELECT 1"); err == nil {
		t.Error("it comes to data")
	}
	eventually(t, "the admins are told", func() bool { _, told := p.told.Load("emergency.login ruth"); return told })
	all := p.Must(t, "audit", "search", "--kind", "emergency.*", "--format", "json")
	for _, want := range []string{`"kind":"emergency.login"`, "local:uid=", `"kind":"emergency.refused"`, `"reason":"address"`} {
		if !strings.Contains(all, want) {
			t.Errorf("the trail does not say %s:\n%s", want, all)
		}
	}
	if out, err := x.postern("logout"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if code := call(http.MethodGet, "users", ""); code != http.StatusUnauthorized {
		t.Errorf("after logging out: %d", code)
	}
}

// request is a certificate request of a new key.
func request(t *testing.T, template *x509.CertificateRequest) string {
	t.Helper()
	if template == nil {
		template = &x509.CertificateRequest{}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func leafOf(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s holds no certificate", path)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkNoKey looks for a private key in every file of a folder.
func checkNoKey(t *testing.T, folder, key string) {
	t.Helper()
	der, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), string(der[36:68])) { // the secret number
			t.Errorf("%s holds the key", f)
		}
	}
}
