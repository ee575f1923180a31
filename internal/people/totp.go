package people

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238's default, and the only one that every authenticator speaks
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"strings"
	"time"
)

// One-time passwords as RFC 6238 has them by default.
const (
	stepSeconds = 30
	digits      = 6
	seedBytes   = 20 // as long as the hash (RFC 4226, 4)
	skew        = 1  // steps before and after: a clock that is off by half a minute
)

// hotp is the one-time password of a counter (RFC 4226).
func hotp(h func() hash.Hash, seed []byte, counter uint64, digits int) string {
	var message [8]byte
	binary.BigEndian.PutUint64(message[:], counter)
	mac := hmac.New(h, seed)
	_, _ = mac.Write(message[:]) // a hash never fails
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:at+4]) & 0x7fffffff
	text := fmt.Sprintf("%010d", n)
	return text[len(text)-digits:]
}

// step finds the time step whose password a code is, not before the one after last: a password is good once. All candidates
// are compared, so that the time taken says nothing.
func step(seed []byte, code string, now time.Time, last int64) (int64, bool) {
	current, found := now.Unix()/stepSeconds, int64(0)
	for s := current - skew; s <= current+skew; s++ {
		want := hotp(sha1.New, seed, uint64(s), digits) //nolint:gosec // times after 1970
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && s > last {
			found = s
		}
	}
	return found, found != 0
}

// Enrolment is what an authenticator is given, once.
type Enrolment struct {
	Secret string `json:"secret"` // base32, to type
	URI    string `json:"uri"`    // otpauth://, to scan
}

func enrolment(name string, seed []byte) Enrolment {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed)
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/Postern:" + name, RawQuery: url.Values{"secret": {text}, "issuer": {"Postern"}}.Encode()}
	return Enrolment{Secret: text, URI: u.String()}
}

func newSeal(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealed encrypts what has to be read again; it opens under the same name alone.
func (r *Registry) sealed(name string, plain []byte) []byte {
	return r.seal.Seal(nil, nil, plain, []byte(name))
}

func (r *Registry) opened(name string, sealed []byte) ([]byte, error) {
	plain, err := r.seal.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, errors.New("the second factor was sealed under another keys.root: invite the user again")
	}
	return plain, nil
}

// Recovery codes: 80 bits each, so that a keyed hash is enough to keep.
const (
	recoveryCodes = 10
	recoveryBytes = 10
)

func (r *Registry) recoveryCodes() (codes, hashes []string, err error) {
	for range recoveryCodes {
		raw, err := r.draw(recoveryBytes)
		if err != nil {
			return nil, nil, err
		}
		text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		codes = append(codes, text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:])
		hashes = append(hashes, r.recoveryHash(text))
	}
	return codes, hashes, nil
}

// plainCode takes out what people put between the characters of a code.
func plainCode(code string) string {
	return strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(code)))
}
