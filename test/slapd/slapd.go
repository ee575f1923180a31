// Package slapd runs OpenLDAP's server for tests: a process of its own on loopback, with a directory of its own and a certificate
// that nobody else trusts. It touches nothing of a slapd that the machine runs as a service.
package slapd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/postern-sec/postern/internal/pgtest"
)

// What is in every directory.
const (
	Base     = "dc=example,dc=org"
	People   = "ou=people," + Base
	Groups   = "ou=groups," + Base
	Reader   = "cn=postern," + Base // may read everything
	Password = "a reader's password"

	admin    = "cn=admin," + Base
	adminPW  = "an admin's password"
	patience = 20 * time.Second
)

const program = "/usr/sbin/slapd"

const configText = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile DIR/slapd.pid
argsfile DIR/slapd.args
loglevel none
TLSCertificateFile DIR/server.crt
TLSCertificateKeyFile DIR/server.key
MORE
database mdb
suffix "` + Base + `"
rootdn "` + admin + `"
rootpw "` + adminPW + `"
directory DIR/db
maxsize 67108864
dbnosync
overlay memberof
memberof-refint TRUE
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="` + Reader + `" read by * none
LIMITS
`

// Server is a running server.
type Server struct {
	Dir  string
	CA   string // file with the certificate to trust
	LDAP string // host:port of ldap://, which takes StartTLS
	TLS  string // host:port of ldaps://

	t   testing.TB
	cmd *exec.Cmd
	log bytes.Buffer
}

// Options are what a test wants otherwise.
type Options struct {
	Global string // more lines of slapd.conf, before the database
	Limits string // of its readers, lines of the database
}

// Start runs a server with the people and groups of an LDIF, besides those that are in every directory.
func Start(t testing.TB, o Options, ldif string) *Server {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: build/prepare test installs it", err)
	}
	// The folder's name is short, for the sake of nothing but those who look at it; the test's own may hold what slapd.conf quotes.
	dir, err := os.MkdirTemp("", "postern-slapd-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{t: t, Dir: dir, CA: filepath.Join(dir, "server.crt")}
	must(t, os.Mkdir(filepath.Join(dir, "db"), 0o700))
	certificate(t, dir)
	conf := strings.NewReplacer("DIR", dir, "MORE", o.Global, "LIMITS", o.Limits).Replace(configText)
	must(t, os.WriteFile(filepath.Join(dir, "slapd.conf"), []byte(conf), 0o600))
	s.load(ldif)
	for _, at := range []*string{&s.LDAP, &s.TLS} {
		port, err := pgtest.FreePort()
		must(t, err)
		*at = fmt.Sprintf("127.0.0.1:%d", port)
	}
	s.Up()
	t.Cleanup(s.Down)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load fills the directory before the server runs.
func (s *Server) load(ldif string) {
	s.t.Helper()
	text := "dn: " + Base + "\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n\n" +
		"dn: " + Reader + "\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: postern\nuserPassword: " + Password + "\n\n" +
		"dn: " + People + "\nobjectClass: organizationalUnit\nou: people\n\ndn: " + Groups + "\nobjectClass: organizationalUnit\nou: groups\n\n" + ldif
	cmd := exec.CommandContext(s.t.Context(), program, "-T", "add", "-q", "-f", filepath.Join(s.Dir, "slapd.conf"))
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("fill the directory: %v\n%s", err, out)
	}
}

// Up starts the server, again after Down.
func (s *Server) Up() {
	s.t.Helper()
	// -d keeps it in the foreground: a child of the test, which ends with it.
	s.cmd = exec.Command(program, "-d", "0", "-f", filepath.Join(s.Dir, "slapd.conf"), "-h", "ldap://"+s.LDAP+"/ ldaps://"+s.TLS+"/") //nolint:noctx // Down ends it
	s.cmd.Stderr = &s.log
	must(s.t, s.cmd.Start())
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", s.TLS, time.Second)
		if err == nil {
			must(s.t, conn.Close())
			return
		}
		if time.Now().After(end) {
			s.Down()
			s.t.Fatalf("slapd does not answer: %s", s.log.String())
		}
	}
}

// Down ends the server's process.
func (s *Server) Down() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// admin runs changes as the one who may make them.
func (s *Server) admin(change func(*ldap.Conn) error) {
	s.t.Helper()
	conn, err := ldap.DialURL("ldap://" + s.LDAP)
	must(s.t, err)
	defer func() { _ = conn.Close() }()
	must(s.t, conn.Bind(admin, adminPW))
	must(s.t, change(conn))
}

// Add adds an entry.
func (s *Server) Add(dn string, attributes map[string][]string) {
	s.t.Helper()
	q := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		q.Attribute(name, values)
	}
	s.admin(func(c *ldap.Conn) error { return c.Add(q) })
}

// Set replaces the values of an attribute.
func (s *Server) Set(dn, attribute string, values ...string) {
	s.t.Helper()
	q := ldap.NewModifyRequest(dn, nil)
	q.Replace(attribute, values)
	s.admin(func(c *ldap.Conn) error { return c.Modify(q) })
}

// Move gives an entry another name beside it.
func (s *Server) Move(dn, name string) {
	s.t.Helper()
	s.admin(func(c *ldap.Conn) error { return c.ModifyDN(ldap.NewModifyDNRequest(dn, name, true, "")) })
}

// Delete removes an entry.
func (s *Server) Delete(dn string) {
	s.t.Helper()
	s.admin(func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) })
}

// Person is an entry of somebody in LDIF.
func Person(uid, mail string) string {
	return "dn: " + DN(uid) + "\nobjectClass: inetOrgPerson\nuid: " + uid + "\ncn: " + uid + "\nsn: " + uid + "\nmail: " + mail + "\nemployeeType: active\n\n"
}

// DN is the name of somebody's entry.
func DN(uid string) string { return "uid=" + uid + "," + People }

// Group is an entry of a group in LDIF, with the DNs of its members.
func Group(cn string, members ...string) string {
	return "dn: " + GroupDN(cn) + "\nobjectClass: groupOfNames\ncn: " + cn + "\nmember: " + strings.Join(members, "\nmember: ") + "\n\n"
}

// GroupDN is the name of a group's entry.
func GroupDN(cn string) string { return "cn=" + cn + "," + Groups }

// certificate makes a certificate for 127.0.0.1 and localhost, signed by itself.
func certificate(t testing.TB, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "slapd of a test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	for name, block := range map[string]*pem.Block{"server.crt": {Type: "CERTIFICATE", Bytes: der}, "server.key": {Type: "PRIVATE KEY", Bytes: secret}} {
		must(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}
