package people

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

// The vectors of RFC 6238, appendix B, and of RFC 4226, appendix D.
func TestOneTimePasswordsOfTheStandards(t *testing.T) {
	t.Parallel()
	seed := func(n int) []byte { return []byte(strings.Repeat("1234567890", 7)[:n]) }
	algorithms := []struct {
		h    func() hash.Hash
		seed []byte
	}{{sha1.New, seed(20)}, {sha256.New, seed(32)}, {sha512.New, seed(64)}}
	for at, want := range map[int64][3]string{
		59:          {"94287082", "46119246", "90693936"},
		1111111109:  {"07081804", "68084774", "25091201"},
		1111111111:  {"14050471", "67062674", "99943326"},
		1234567890:  {"89005924", "91819424", "93441116"},
		2000000000:  {"69279037", "90698825", "38618901"},
		20000000000: {"65353130", "77737706", "47863826"},
	} {
		for i, a := range algorithms {
			if got := hotp(a.h, a.seed, uint64(at/stepSeconds), 8); got != want[i] {
				t.Errorf("algorithm %d at %d: %s, want %s", i, at, got, want[i])
			}
		}
	}
	for i, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := hotp(sha1.New, seed(20), uint64(i), 6); got != want {
			t.Errorf("counter %d: %s, want %s", i, got, want)
		}
	}
}

// A code is good in its own step and the two beside it, and once.
func TestStepOfACode(t *testing.T) {
	t.Parallel()
	seed, now := []byte("12345678901234567890"), time.Unix(1111111111, 0)
	at := now.Unix() / stepSeconds
	for offset, good := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		code := hotp(sha1.New, seed, uint64(at+offset), digits)
		if got, ok := step(seed, code, now, 0); ok != good || ok && got != at+offset {
			t.Errorf("offset %d: %d, %v", offset, got, ok)
		}
		if _, ok := step(seed, code, now, at+offset); ok {
			t.Errorf("offset %d: used twice", offset)
		}
	}
	for _, code := range []string{"", "1", "0000000", "abcdef"} {
		if _, ok := step(seed, code, now, 0); ok {
			t.Errorf("%q was taken", code)
		}
	}
}

func TestPasswordHashes(t *testing.T) {
	t.Parallel()
	if c := DefaultCost(); c.Memory < 64<<10 || c.Passes < 3 {
		t.Errorf("the cost is %+v, below RFC 9106's second option", c)
	}
	cheap := Cost{Memory: 64, Passes: 1, Threads: 1}
	phc, err := hashPassword(secret.New("correct horse"), cheap, strings.NewReader("0123456789abcdef"))
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("%q, %v", phc, err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horse ": false, "": false} {
		if got, err := fits(secret.New(password), phc); err != nil || got != want {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	for _, bad := range []string{
		"", "x", strings.Replace(phc, "argon2id", "argon2i", 1), strings.Replace(phc, "v=19", "v=16", 1), strings.Replace(phc, "m=64", "m=99999999", 1),
		strings.Replace(phc, "p=1", "p=0", 1), phc[:len(phc)-5], phc + "$",
	} {
		if ok, err := fits(secret.New("correct horse"), bad); ok || err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for password, want := range map[string]bool{
		"several words here": true, "short": false, "aaaaaaaaaaaaaaaa": false, "ana-2026-pass": false, strings.Repeat("lange wörter ", 90): false, "zwölf Zeichen!": true,
	} {
		if err := acceptable("ana", secret.New(password)); (err == nil) != want {
			t.Errorf("%q: %v", password, err)
		}
	}
}
