package people

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/postern-sec/postern/internal/secret"
)

// Cost is what a password's hash takes.
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// DefaultCost is the second recommended option of RFC 9106, section 4: 64 MiB, three passes, four lanes. It is above every
// equivalent of OWASP's table.
func DefaultCost() Cost { return Cost{Memory: 64 << 10, Passes: 3, Threads: 4} }

const (
	saltBytes   = 16
	hashBytes   = 32
	minPassword = 12   // characters
	maxPassword = 1024 // bytes
	maxMemory   = 1 << 20
	maxPasses   = 64
)

// hashPassword makes a hash in the PHC form, which says its own cost, so that old ones work on when the cost is raised.
func hashPassword(password secret.Text, c Cost, random io.Reader) (string, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	sum := argon2.IDKey([]byte(password.Reveal()), salt, c.Passes, c.Memory, c.Threads, hashBytes)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, c.Threads, b64(salt), b64(sum)), nil
}

// fits says whether a password is the one of a hash, in constant time.
func fits(password secret.Text, phc string) (bool, error) {
	c, salt, sum, err := parseHash(phc)
	if err != nil {
		return false, err
	}
	got := argon2.IDKey([]byte(password.Reveal()), salt, c.Passes, c.Memory, c.Threads, uint32(len(sum))) //nolint:gosec // parseHash bounds it
	return subtle.ConstantTimeCompare(got, sum) == 1, nil
}

var errHash = errors.New("a password's hash is damaged")

func parseHash(phc string) (c Cost, salt, sum []byte, err error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Passes, &c.Threads); err != nil {
		return c, nil, nil, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	// The bounds keep a damaged record from taking the machine's memory.
	if err1 != nil || err2 != nil || len(salt) < 8 || len(sum) != hashBytes || c.Memory > maxMemory || c.Passes < 1 || c.Passes > maxPasses || c.Threads < 1 {
		return c, nil, nil, errHash
	}
	return c, salt, sum, nil
}

// acceptable refuses passwords that are guessed first. What counts is length (NIST SP 800-63B 3.1.1.2); no classes of characters are
// asked for.
func acceptable(name string, password secret.Text) error {
	p := password.Reveal()
	lower := strings.ToLower(p)
	different := map[rune]bool{}
	for _, c := range lower {
		different[c] = true
	}
	switch {
	case !utf8.ValidString(p) || strings.ContainsRune(p, 0):
		return &Refusal{CodePassword, "a password is text", ""}
	case utf8.RuneCountInString(p) < minPassword:
		return &Refusal{CodePassword, fmt.Sprintf("a password has at least %d characters", minPassword), "several words are easy to remember"}
	case len(p) > maxPassword:
		return &Refusal{CodePassword, fmt.Sprintf("a password has at most %d bytes", maxPassword), ""}
	case len(different) < 5:
		return &Refusal{CodePassword, "a password of so few different characters is guessed at once", ""}
	case strings.Contains(lower, strings.ToLower(name)) && utf8.RuneCountInString(p) < minPassword+utf8.RuneCountInString(name):
		return &Refusal{CodePassword, "a password is not the user's name with something around it", ""}
	}
	return nil
}
