package scan_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// groupNames are sslscan's numbers of the groups that today's OpenSSL offers to servers by default.
var groupNames = map[string]string{"0x0017": "prime256v1", "0x0018": "secp384r1", "0x0019": "secp521r1", "0x001d": "X25519", "0x001e": "X448"}

// sslscanDocument is what sslscan says, as far as the probe says it too.
type sslscanDocument struct {
	Test struct {
		Protocols []struct {
			Kind    string `xml:"type,attr"`
			Version string `xml:"version,attr"`
			Enabled bool   `xml:"enabled,attr"`
		} `xml:"protocol"`
		Ciphers []struct {
			Version string `xml:"sslversion,attr"`
			ID      string `xml:"id,attr"`
		} `xml:"cipher"`
		Groups []struct {
			ID string `xml:"id,attr"`
		} `xml:"group"`
		Certificates []struct {
			Signature string `xml:"signature-algorithm"`
			Key       struct {
				Kind string `xml:"type,attr"`
				Bits int    `xml:"bits,attr"`
			} `xml:"pk"`
			Subject    string `xml:"subject"`
			Names      string `xml:"altnames"`
			Issuer     string `xml:"issuer"`
			SelfSigned bool   `xml:"self-signed"`
			NotBefore  string `xml:"not-valid-before"`
			NotAfter   string `xml:"not-valid-after"`
		} `xml:"certificates>certificate"`
	} `xml:"ssltest"`
}

// compareSslscan holds versions, suites, groups and the certificate to what sslscan lists.
func compareSslscan(t *testing.T, port int, o *catalog.Outside) {
	t.Helper()
	// #nosec G204 -- a test's own port
	out, err := exec.CommandContext(t.Context(), "sslscan", "--starttls-psql", "--xml=-", "--no-heartbleed", "127.0.0.1:"+strconv.Itoa(port)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var doc sslscanDocument
	if err := xml.Unmarshal(out, &doc); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plain := func(version string) string { return strings.TrimSuffix(version, ".0") } // TLSv1.0 is our TLSv1
	var versions, suites, groups []string
	for _, p := range doc.Test.Protocols {
		if p.Enabled {
			versions = append(versions, plain(strings.ToUpper(p.Kind)+"v"+p.Version))
		}
	}
	for _, c := range doc.Test.Ciphers {
		suites = append(suites, plain(c.Version)+" 0x"+strings.ToUpper(c.ID[2:]))
	}
	for _, g := range doc.Test.Groups {
		name := groupNames[strings.ToLower(g.ID)]
		if name == "" {
			name = g.ID
		}
		groups = append(groups, name)
	}
	var ours []string
	for _, s := range o.Suites {
		ours = append(ours, fmt.Sprintf("%s 0x%04X", s.Version, s.ID))
	}
	sameSet(t, "sslscan", "versions", o.Versions, versions)
	sameSet(t, "sslscan", "suites", ours, suites)
	sameSet(t, "sslscan", "groups", o.Groups, groups)
	if len(doc.Test.Certificates) != 1 || len(o.Chain) == 0 {
		t.Fatalf("sslscan shows %d certificates, the probe %d", len(doc.Test.Certificates), len(o.Chain))
	}
	theirs, leaf := doc.Test.Certificates[0], o.Chain[0]
	signature := map[string]string{"sha256WithRSAEncryption": "SHA256-RSA"}[theirs.Signature]
	for what, pair := range map[string][2]string{
		"signature": {leaf.Signature, signature}, "key": {fmt.Sprint(leaf.KeyKind, leaf.KeyBits), fmt.Sprint(theirs.Key.Kind, theirs.Key.Bits)},
		"subject": {leaf.CommonName, theirs.Subject}, "issuer": {strings.TrimPrefix(leaf.Issuer, "CN="), theirs.Issuer}, "self-signed": {fmt.Sprint(leaf.SelfSigned), fmt.Sprint(theirs.SelfSigned)},
		"from":  {leaf.NotBefore.UTC().Format(sslscanTime), theirs.NotBefore},
		"until": {leaf.NotAfter.UTC().Format(sslscanTime), theirs.NotAfter},
		"names": {strings.Join(leaf.Names, " "), strings.NewReplacer("DNS:", "", "IP Address:", "", ",", "").Replace(theirs.Names)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("the certificate's %s: the probe says %q, sslscan %q", what, pair[0], pair[1])
		}
	}
}

const sslscanTime = "Jan _2 15:04:05 2006 GMT"

// sameSet compares two lists without their order.
func sameSet(t *testing.T, scanner, what string, ours, theirs []string) {
	t.Helper()
	if a, b := without(ours, theirs), without(theirs, ours); len(a)+len(b) > 0 {
		t.Errorf("%s: the probe alone lists %v, %s alone %v", what, a, scanner, b)
	}
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// compareTestssl holds versions, suites with forward secrecy, groups and the certificate to what testssl.sh says, which takes minutes.
func compareTestssl(t *testing.T, port int, o *catalog.Outside) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "testssl.json")
	// #nosec G204 -- a test's own port
	cmd := exec.CommandContext(t.Context(), "testssl", "--starttls", "postgres", "--quiet", "--color", "0", "--mapping", "no-openssl", "--jsonfile", file, "-p", "-f", "-S",
		"127.0.0.1:"+strconv.Itoa(port))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("testssl: %v\n%s", err, out) // its exit code counts what it found
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []struct{ ID, Finding string }
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	says := func(id string) string {
		i := slices.IndexFunc(found, func(f struct{ ID, Finding string }) bool { return f.ID == id })
		if i < 0 {
			t.Errorf("testssl says nothing about %s", id)
			return ""
		}
		return found[i].Finding
	}
	for id, name := range map[string]string{"SSLv3": "SSLv3", "TLS1": "TLSv1", "TLS1_1": "TLSv1.1", "TLS1_2": "TLSv1.2", "TLS1_3": "TLSv1.3"} {
		if theirs := says(id); strings.HasPrefix(theirs, "offered") != slices.Contains(o.Versions, name) {
			t.Errorf("%s: testssl says %q, the probe lists %v", name, theirs, o.Versions)
		}
	}
	var secret []string
	for _, s := range o.Suites {
		// Its list leaves out suites that authenticate nobody or encrypt nothing.
		fs := s.Version == "TLSv1.3" || strings.Contains(s.Name, "_ECDHE_") || strings.Contains(s.Name, "_DHE_")
		if fs && !strings.Contains(s.Name, "_NULL_") && !slices.Contains(secret, s.Name) {
			secret = append(secret, s.Name)
		}
	}
	sameSet(t, "testssl", "suites with forward secrecy", secret, strings.Fields(says("PFS_ciphers")))
	sameSet(t, "testssl", "groups", o.Groups, strings.Fields(says("PFS_ECDHE_curves")))
	leaf := o.Chain[0]
	hash, kind, _ := strings.Cut(leaf.Signature, "-")
	minute := func(at time.Time) string { return at.UTC().Format("2006-01-02 15:04") }
	for id, ours := range map[string]string{
		"cert_numbers": strconv.Itoa(1), "certs_countServer": strconv.Itoa(len(o.Chain)), "cert_signatureAlgorithm": hash + " with " + kind,
		"cert_keySize": fmt.Sprintf("%s %d bits", leaf.KeyKind, leaf.KeyBits), "cert_commonName": leaf.CommonName, "cert_subjectAltName": strings.Join(leaf.Names, " "),
		"cert_notBefore": minute(leaf.NotBefore), "cert_notAfter": minute(leaf.NotAfter),
	} {
		if theirs := says(id); theirs != ours {
			t.Errorf("%s: testssl says %q, the probe %q", id, theirs, ours)
		}
	}
	if theirs := says("cert_chain_of_trust"); strings.Contains(theirs, "self signed") != leaf.SelfSigned {
		t.Errorf("testssl says of the chain %q, the probe that self-signed is %v", theirs, leaf.SelfSigned)
	}
}
