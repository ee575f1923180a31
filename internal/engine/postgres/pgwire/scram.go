package pgwire

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/secret"
)

func bindingOf(leaf *x509.Certificate) []byte { return identity.BindingOf(leaf) }

// Authentication request codes.
const (
	authOK       = 0
	authSASL     = 10
	authContinue = 11
	authFinal    = 12

	clientNonce    = 18
	maxServerNonce = 512
	maxServerSalt  = 1024
)

// authenticate proves who we are with SCRAM, and takes nothing else: not clear text, not MD5, and no AuthenticationOk before
// the server has proved itself (PRO-33).
func (u *upstream) authenticate(s *Server, who *gateway.Profile) error {
	code, data, err := u.readAuth()
	if err != nil {
		return err
	}
	if code == authOK && who.Observed && who.Password.Reveal() == "" {
		return nil // a role of the server's own, which it knows by its certificate or its socket
	}
	if code != authSASL {
		return &errUpstream{"asks for an authentication other than SCRAM"}
	}
	mechanisms := mechanismsOf(data)
	binding, demanded := u.binding()
	c := &scramClient{mechanism: identity.MechanismPlain, gs2: "n,,"}
	switch {
	case binding != nil && slices.Contains(mechanisms, identity.MechanismPlus):
		c.mechanism, c.gs2, c.binding = identity.MechanismPlus, "p=tls-server-end-point,,", binding
	case demanded:
		return &errUpstream{"offers no channel binding over verified TLS"}
	case !slices.Contains(mechanisms, identity.MechanismPlain):
		return &errUpstream{"offers no SCRAM-SHA-256"}
	case binding != nil:
		c.gs2 = "y,,"
	}
	return u.converse(s, c, who.Password)
}

// converse is the SCRAM exchange itself.
func (u *upstream) converse(s *Server, c *scramClient, password secret.Text) error {
	first, err := c.first(s.config.Random)
	if err != nil {
		return err
	}
	if err := u.send(&pgproto3.SASLInitialResponse{AuthMechanism: c.mechanism, Data: first}); err != nil {
		return err
	}
	code, data, err := u.readAuth()
	if err != nil {
		return err
	}
	if code != authContinue {
		return &errUpstream{"broke off SCRAM"}
	}
	final, err := c.final(s, string(data), password)
	if err != nil {
		return err
	}
	if err := u.send(&pgproto3.SASLResponse{Data: final}); err != nil {
		return err
	}
	if code, data, err = u.readAuth(); err != nil {
		return err
	}
	if code != authFinal || !c.verified(string(data)) {
		return &errUpstream{"did not prove that it knows the password"}
	}
	if code, _, err = u.readAuth(); err != nil {
		return err
	}
	if code != authOK {
		return &errUpstream{"asks for more after SCRAM"}
	}
	return nil
}

func (u *upstream) readAuth() (code uint32, data []byte, err error) {
	m, err := u.read()
	if err != nil {
		return 0, nil, err
	}
	if m.kind != 'R' || len(m.body) < 4 {
		return 0, nil, &errUpstream{"sent something else than an authentication request"}
	}
	return binary.BigEndian.Uint32(m.body), m.body[4:], nil
}

func (u *upstream) send(m encodable) error {
	out, err := encode(nil, m)
	if err != nil {
		return err
	}
	_, err = u.conn.Write(out)
	return err
}

func mechanismsOf(b []byte) []string {
	var out []string
	for {
		name, rest, ok := cString(b)
		if !ok || len(name) == 0 {
			return out
		}
		out = append(out, string(name))
		b = rest
	}
}

// scramClient is our side of SCRAM towards a store.
type scramClient struct {
	mechanism, gs2 string
	binding        []byte
	nonce, bare    string
	signature      []byte // that the server has to send
}

func (c *scramClient) first(random io.Reader) ([]byte, error) {
	raw := make([]byte, clientNonce)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, err
	}
	c.nonce = base64.StdEncoding.EncodeToString(raw)
	c.bare = "n=,r=" + c.nonce
	return []byte(c.gs2 + c.bare), nil
}

// final answers the server's first message.
func (c *scramClient) final(s *Server, serverFirst string, password secret.Text) ([]byte, error) {
	nonce, salt, iterations, err := parseServerFirst(serverFirst, c.nonce)
	if err != nil {
		return nil, err
	}
	keys, err := s.derived.keys(password, salt, iterations)
	if err != nil {
		return nil, err
	}
	channel := append([]byte(c.gs2), c.binding...)
	without := "c=" + base64.StdEncoding.EncodeToString(channel) + ",r=" + nonce
	text := c.bare + "," + serverFirst + "," + without
	proof := identity.MAC(keys.StoredKey[:], text)
	subtle.XORBytes(proof, proof, keys.ClientKey[:])
	c.signature = identity.MAC(keys.ServerKey[:], text)
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// verified checks the server's own proof.
func (c *scramClient) verified(serverFinal string) bool {
	v, ok := strings.CutPrefix(serverFinal, "v=")
	if !ok {
		return false
	}
	got, err := base64.StdEncoding.DecodeString(v)
	return err == nil && subtle.ConstantTimeCompare(got, c.signature) == 1
}

// parseServerFirst reads "r=nonce,s=salt,i=count". The nonce must be ours with something added, and the count is bounded
// before any work is done (PRO-34).
func parseServerFirst(s, ours string) (nonce string, salt []byte, iterations int, err error) {
	parts := strings.Split(s, ",")
	if len(s) > maxLoginMessage || len(parts) < 3 {
		return "", nil, 0, &errUpstream{"sent a SCRAM message that cannot be read"}
	}
	nonce, ok1 := strings.CutPrefix(parts[0], "r=")
	salt64, ok2 := strings.CutPrefix(parts[1], "s=")
	count, ok3 := strings.CutPrefix(parts[2], "i=")
	if !ok1 || !ok2 || !ok3 {
		return "", nil, 0, &errUpstream{"sent a SCRAM message that cannot be read"}
	}
	if !strings.HasPrefix(nonce, ours) || len(nonce) <= len(ours) || len(nonce) > maxServerNonce {
		return "", nil, 0, &errUpstream{"answers to a nonce that is not ours"}
	}
	if salt, err = base64.StdEncoding.DecodeString(salt64); err != nil || len(salt) == 0 || len(salt) > maxServerSalt {
		return "", nil, 0, &errUpstream{"sent a salt that cannot be read"}
	}
	iterations, err = strconv.Atoi(count)
	if err != nil || iterations < 1 || iterations > identity.MaxIterations {
		return "", nil, 0, &errUpstream{"asks for an iteration count that is not between 1 and " + strconv.Itoa(identity.MaxIterations)}
	}
	return nonce, salt, iterations, nil
}

// keyCache remembers what passwords become, because PBKDF2 costs more than the rest of a login. Passwords themselves are
// not kept, only a hash to compare with.
type keyCache struct {
	mu sync.Mutex
	m  map[derivedKey]derivedEntry
}

type derivedKey struct {
	password   [sha256.Size]byte
	iterations int
}

type derivedEntry struct {
	salt []byte
	keys identity.Keys
}

const maxDerived = 4096

func (c *keyCache) keys(password secret.Text, salt []byte, iterations int) (identity.Keys, error) {
	k := derivedKey{sha256.Sum256([]byte(password.Reveal())), iterations}
	c.mu.Lock()
	e, ok := c.m[k]
	c.mu.Unlock()
	if ok && bytes.Equal(e.salt, salt) {
		return e.keys, nil
	}
	keys, err := identity.DeriveKeys(password, salt, iterations)
	if err != nil {
		return keys, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= maxDerived {
		clear(c.m)
	}
	c.m[k] = derivedEntry{salt: slices.Clone(salt), keys: keys}
	return keys, nil
}
