package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

var b64 = base64.StdEncoding.EncodeToString

// fixedRandom makes nonces and salts that a test can foresee.
func fixedRandom() *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{7}, 4096)) }

// client is an independent SCRAM client: it derives everything from the messages alone.
type client struct {
	mechanism, gs2 string
	binding        []byte
	password       string
	breakProof     bool
}

func (c *client) login(t testing.TB, x *Exchange) (Proof, error) {
	t.Helper()
	bare := "n=,r=clientnonce"
	first, err := x.First(c.mechanism, []byte(c.gs2+bare))
	if err != nil {
		return Proof{}, err
	}
	attrs := map[string]string{}
	for _, p := range strings.Split(string(first), ",") {
		attrs[p[:1]] = p[2:]
	}
	salt, err := base64.StdEncoding.DecodeString(attrs["s"])
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(attrs["i"])
	if err != nil {
		t.Fatal(err)
	}
	k, err := DeriveKeys(secret.New(c.password), salt, n)
	if err != nil {
		t.Fatal(err)
	}
	without := "c=" + b64(append([]byte(c.gs2), c.binding...)) + ",r=" + attrs["r"]
	auth := bare + "," + string(first) + "," + without
	proof := MAC(k.StoredKey[:], auth)
	subtle.XORBytes(proof, proof, k.ClientKey[:])
	if c.breakProof {
		proof[5] ^= 1
	}
	final, p, err := x.Final([]byte(without + ",p=" + b64(proof)))
	if err == nil && string(final) != "v="+b64(MAC(k.ServerKey[:], auth)) {
		t.Error("the server's signature is wrong")
	}
	return p, err
}

func mustHash(t testing.TB, password string) *Verifier {
	t.Helper()
	text, err := HashPassword(secret.New(password), 4096, fixedRandom())
	if err != nil {
		t.Fatal(err)
	}
	v, err := ParseVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	if v.String() != text {
		t.Errorf("a verifier read and written is %q, not %q", v.String(), text)
	}
	return v
}

func testMock(t testing.TB) *Mock {
	t.Helper()
	m, err := NewMock(bytes.Repeat([]byte{3}, 32), 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDeriveKeysVector is the example of RFC 7677.
func TestDeriveKeysVector(t *testing.T) {
	t.Parallel()
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	k, err := DeriveKeys(secret.New("pencil"), salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	auth := "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," +
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	proof := MAC(k.StoredKey[:], auth)
	subtle.XORBytes(proof, proof, k.ClientKey[:])
	if got := b64(proof); got != "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=" {
		t.Errorf("proof %s", got)
	}
	if got := b64(MAC(k.ServerKey[:], auth)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("signature %s", got)
	}
	if k.StoredKey != sha256.Sum256(k.ClientKey[:]) {
		t.Error("StoredKey is not the hash of ClientKey")
	}
}

// TestBindingFlag is PRO-22: each flag with each mechanism, with and without PLUS on offer.
func TestBindingFlag(t *testing.T) {
	t.Parallel()
	account := AccountOf(mustHash(t, "pw"))
	data := []byte("certificate hash")
	for _, c := range []struct {
		name            string
		offered         bool
		mechanism, flag string
		sent            []byte
		ok              bool
	}{
		{"n, plain only", false, MechanismPlain, "n,,", nil, true},
		{"n, PLUS offered", true, MechanismPlain, "n,,", nil, true},
		{"y, plain only", false, MechanismPlain, "y,,", nil, true},
		{"y, PLUS offered: somebody removed it", true, MechanismPlain, "y,,", nil, false},
		{"PLUS", true, MechanismPlus, "p=tls-server-end-point,,", data, true},
		{"PLUS not offered", false, MechanismPlus, "p=tls-server-end-point,,", data, false},
		{"PLUS, other certificate", true, MechanismPlus, "p=tls-server-end-point,,", []byte("another hash"), false},
		{"PLUS, other type", true, MechanismPlus, "p=tls-unique,,", data, false},
		{"PLUS with n", true, MechanismPlus, "n,,", nil, false},
		{"plain with p", true, MechanismPlain, "p=tls-server-end-point,,", data, false},
		{"authzid", false, MechanismPlain, "n,a=admin,", nil, false},
		{"unknown mechanism", false, "SCRAM-SHA-1", "n,,", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claim := Claim{User: "ana", Account: account}
			if c.offered {
				claim.Binding = data
			}
			x := NewExchange(claim, testMock(t), fixedRandom())
			p, err := (&client{mechanism: c.mechanism, gs2: c.flag, binding: c.sent, password: "pw"}).login(t, x)
			if (err == nil) != c.ok || (p.User() == "ana") != c.ok {
				t.Errorf("proof %q, error %v", p.User(), err)
			}
		})
	}
}

// TestManyCredentials is PRO-24 and 26: any live credential fits, and the reason names the one that does not.
func TestManyCredentials(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	base := mustHash(t, "first")
	account := AccountOf(base)
	add := func(id, password string, edit func(*Credential)) {
		k, err := DeriveKeys(secret.New(password), base.Salt, base.Iterations)
		if err != nil {
			t.Fatal(err)
		}
		c := Credential{ID: id, StoredKey: k.StoredKey, ServerKey: k.ServerKey}
		edit(&c)
		account.Credentials = append(account.Credentials, c)
	}
	add("second", "second", func(*Credential) {})
	add("gone", "revoked", func(c *Credential) { c.Revoked = true })
	add("old", "expired", func(c *Credential) { c.Expires = now })
	add("new", "early", func(c *Credential) { c.NotBefore = now.Add(time.Second) })
	add("other", "elsewhere", func(c *Credential) { c.Store = "hr" })
	for _, c := range []struct{ password, credential, reason string }{
		{"first", "policy", ""},
		{"second", "second", ""},
		{"revoked", "", "revoked credential gone"},
		{"expired", "", "expired credential old"},
		{"early", "", "credential new is not valid yet"},
		{"elsewhere", "", "credential other is for another store"},
		{"nothing", "", "wrong password"},
	} {
		x := NewExchange(Claim{User: "ana", Store: "shop", Account: account, Now: now}, testMock(t), fixedRandom())
		p, err := (&client{mechanism: MechanismPlain, gs2: "n,,", password: c.password}).login(t, x)
		var f *Failure
		switch {
		case c.reason == "" && (err != nil || p.Credential() != c.credential):
			t.Errorf("%s: %q, %v", c.password, p.Credential(), err)
		case c.reason != "" && (!errors.As(err, &f) || f.Reason != c.reason || !errors.Is(err, ErrNotYou) || p != Proof{}):
			t.Errorf("%s: %v", c.password, err)
		}
	}
}

// TestMock is PRO-27: an unknown user looks like a known one, always the same, and no password fits.
func TestMock(t *testing.T) {
	t.Parallel()
	first := func(user string, a *Account) string {
		x := NewExchange(Claim{User: user, Account: a}, testMock(t), fixedRandom())
		out, err := x.First(MechanismPlain, []byte("n,,n=,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	nobody, again, other := first("nobody", nil), first("nobody", nil), first("somebody", nil)
	known := first("ana", AccountOf(mustHash(t, "pw")))
	if nobody != again || nobody == other || len(nobody) != len(known) {
		t.Errorf("%s\n%s\n%s\n%s", nobody, again, other, known)
	}
	x := NewExchange(Claim{User: "nobody"}, testMock(t), fixedRandom())
	if _, err := (&client{mechanism: MechanismPlain, gs2: "n,,", password: ""}).login(t, x); !errors.Is(err, ErrNotYou) {
		t.Errorf("a mock exchange ended with %v", err)
	}
}

// TestMalformed is PRO-23: nothing that no client sends is taken.
func TestMalformed(t *testing.T) {
	t.Parallel()
	account := AccountOf(mustHash(t, "pw"))
	start := func() *Exchange { return NewExchange(Claim{User: "ana", Account: account}, testMock(t), fixedRandom()) }
	for _, first := range []string{
		"", "n", "n,", "n,,", "n,,n=", "n,,n=,", "n,,n=,r=", "n,,r=abc", "n,,m=x,n=,r=abc", "n,,n=,r=a b", "n,,n=,r=a\x00b",
		"n,,n=,r=abc,m=x", "n,,n=,r=abc,xx", "n,,n=,r=" + strings.Repeat("a", 300), "q,,n=,r=abc", "p=,,n=,r=abc",
	} {
		if _, err := start().First(MechanismPlain, []byte(first)); !errors.Is(err, ErrMalformed) {
			t.Errorf("first message %q: %v", first, err)
		}
	}
	proof := b64(make([]byte, 32))
	for name, final := range map[string]func(nonce string) string{
		"no proof":        func(n string) string { return "c=biws,r=" + n },
		"short proof":     func(n string) string { return "c=biws,r=" + n + ",p=" + b64(make([]byte, 31)) },
		"long proof":      func(n string) string { return "c=biws,r=" + n + ",p=" + b64(make([]byte, 33)) },
		"after the proof": func(n string) string { return "c=biws,r=" + n + ",p=" + proof + ",x=y" },
		"other nonce":     func(n string) string { return "c=biws,r=" + n + "x,p=" + proof },
		"client nonce":    func(string) string { return "c=biws,r=abc,p=" + proof },
		"no binding":      func(n string) string { return "r=" + n + ",p=" + proof },
		"bad base64":      func(n string) string { return "c=b!ws,r=" + n + ",p=" + proof },
		"mandatory":       func(n string) string { return "c=biws,r=" + n + ",m=x,p=" + proof },
		"empty":           func(string) string { return "" },
	} {
		x := start()
		first, err := x.First(MechanismPlain, []byte("n,,n=,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		nonce := strings.TrimPrefix(strings.Split(string(first), ",")[0], "r=")
		if _, p, err := x.Final([]byte(final(nonce))); !errors.Is(err, ErrMalformed) || p != (Proof{}) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := x.Final([]byte(final(nonce))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s, tried again: %v", name, err)
		}
	}
	if _, _, err := start().Final([]byte("c=biws,r=abc,p=" + proof)); !errors.Is(err, ErrMalformed) {
		t.Errorf("final before first: %v", err)
	}
}

func TestParseVerifierRefuses(t *testing.T) {
	t.Parallel()
	good := mustHash(t, "pw").String()
	for _, bad := range []string{
		"", "md5abcdef", good + "x", strings.Replace(good, "4096", "0", 1), strings.Replace(good, "4096", "-1", 1),
		strings.Replace(good, "4096", "04096", 1), strings.Replace(good, "4096", "100001", 1), strings.Replace(good, ":", "", 1),
		strings.Replace(good, "SCRAM-SHA-256", "SCRAM-SHA-1", 1), "SCRAM-SHA-256$4096:$x:y",
	} {
		if _, err := ParseVerifier(bad); err == nil {
			t.Errorf("%q is taken for a verifier", bad)
		} else if strings.Contains(err.Error(), good[20:40]) {
			t.Errorf("the error quotes the verifier: %v", err)
		}
	}
	if _, err := HashPassword(secret.New(""), 4096, fixedRandom()); err == nil {
		t.Error("an empty password is hashed")
	}
}

// TestSASLPrep has the examples of RFC 4013 and what libpq does with them.
func TestSASLPrep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, out string }{
		{"I\u00ADX", "IX"},
		{"user", "user"},
		{"USER", "USER"},
		{"\u00AA", "a"},
		{"\u2168", "IX"},
		{"a\u00A0b", "a b"},
		{"\u0007\u00e9", "\u0007\u00e9"}, // prohibited: used as typed
		{"\u0627\u0031", "\u0627\u0031"}, // bidirectional check fails: used as typed
		{"\xff\xfe", "\xff\xfe"},         // not UTF-8: used as typed
		{"Å", "Å"},
		{"A\u030a", "Å"},
	} {
		if got := saslPrep(c.in); got != c.out {
			t.Errorf("%q becomes %q, not %q", c.in, got, c.out)
		}
	}
}

// FuzzExchange looks for a way in without the password, and for a crash.
func FuzzExchange(f *testing.F) {
	account := AccountOf(mustHash(f, "pw"))
	f.Add("SCRAM-SHA-256", []byte("n,,n=,r=abc"), []byte("c=biws,r=abc,p="+b64(make([]byte, 32))), false)
	f.Add("SCRAM-SHA-256-PLUS", []byte("p=tls-server-end-point,,n=,r=abc"), []byte("c=,r=,p="), true)
	f.Add("SCRAM-SHA-256", []byte("y,,n=x,r=~,x=1"), []byte("c=eSws,r=~,x=1,p=,p="), false)
	f.Fuzz(func(t *testing.T, mechanism string, first, final []byte, bound bool) {
		claim := Claim{User: "ana", Account: account}
		if bound {
			claim.Binding = []byte("hash")
		}
		x := NewExchange(claim, testMock(t), fixedRandom())
		out, err := x.First(mechanism, first)
		if err != nil {
			if out != nil {
				t.Error("an answer beside an error")
			}
			return
		}
		nonce := strings.TrimPrefix(strings.Split(string(out), ",")[0], "r=")
		for _, m := range [][]byte{final, bytes.ReplaceAll(final, []byte("r=abc"), []byte("r="+nonce))} {
			if _, p, err := x.Final(m); err == nil || p != (Proof{}) {
				t.Errorf("a proof without the password: %q", m)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	account := AccountOf(mustHash(b, "pw"))
	b.ReportAllocs()
	for b.Loop() {
		x := NewExchange(Claim{User: "ana", Account: account}, nil, fixedRandom())
		x.state, x.nonce = expectFinal, "abc"
		_, _, _ = x.Final([]byte("c=,r=abc,p=" + b64(make([]byte, 32))))
	}
}
