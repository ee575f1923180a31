package pgsql

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/policy"
)

// Syntax checks the text parts of a policy without a server: what can be said of a filter, a mask expression or a verifier
// before any catalog is known. It implements policy.Syntax.
type Syntax struct{}

var _ policy.Syntax = Syntax{}

// CheckFilter parses a row filter. Relations, columns and types are not looked up: compiling it for a store does that.
func (Syntax) CheckFilter(sql string) (offset int, err error) {
	c := &filterCompiler{reads: map[Name]map[string]bool{}, opts: FilterOptions{CurrentUser: true}}
	_, err = c.compile(sql)
	return syntaxOffset(err)
}

// CheckMaskExpression parses the text of an expression("…") mask.
func (Syntax) CheckMaskExpression(sql string) (offset int, err error) {
	_, err = CompileMaskExpression(sql, "value")
	return syntaxOffset(err)
}

func syntaxOffset(err error) (int, error) {
	var se *SyntaxError
	if errors.As(err, &se) {
		return se.Offset, err
	}
	return -1, err
}

// CheckVerifier checks the form of a SCRAM-SHA-256 verifier, SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey.
func (Syntax) CheckVerifier(verifier string) error {
	rest, ok := strings.CutPrefix(verifier, "SCRAM-SHA-256$")
	if !ok {
		return errors.New("a verifier starts with SCRAM-SHA-256$; make one with postern user hash")
	}
	head, keys, ok := strings.Cut(rest, "$")
	iterations, salt, ok2 := strings.Cut(head, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 {
		return errors.New("a verifier has the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey; make one with postern user hash")
	}
	if n, err := strconv.Atoi(iterations); err != nil || n < 4096 {
		return errors.New("a verifier needs at least 4096 iterations")
	}
	if b, err := base64.StdEncoding.DecodeString(salt); err != nil || len(b) < 8 {
		return errors.New("the verifier's salt is not base64 of at least 8 bytes")
	}
	for _, key := range []string{stored, server} {
		if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) != 32 {
			return errors.New("the verifier's keys are not base64 of 32 bytes each")
		}
	}
	return nil
}

// FilterAttributes lists the attributes that an accepted row filter uses as subject.NAME.
func (Syntax) FilterAttributes(sql string) []string {
	c := &filterCompiler{reads: map[Name]map[string]bool{}, opts: FilterOptions{CurrentUser: true}}
	f, err := c.compile(sql)
	if err != nil {
		return nil
	}
	return f.Attributes
}
