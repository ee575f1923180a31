package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Limits of a secret source: a key or password is short, and a command that asks a vault answers soon or not at all.
const (
	maxSecret      = 64 << 10
	commandTimeout = 30 * time.Second
)

// Source says where a secret is, never what it is. Exactly one of Env, File and Command is set, or none for no secret.
type Source struct {
	Env     string
	File    string
	Command []string
	Dir     string // working directory of Command
	Pos     policy.Pos
}

// IsZero says whether the source names no secret.
func (s Source) IsZero() bool { return s.Env == "" && s.File == "" && len(s.Command) == 0 }

// String says where the secret is, for messages.
func (s Source) String() string {
	switch {
	case s.Env != "":
		return "environment variable " + s.Env
	case s.File != "":
		return "file " + s.File
	case len(s.Command) > 0:
		return "command " + s.Command[0]
	}
	return "nothing"
}

// Read fetches the secret. One line end at its end is dropped. An empty secret is an error: it is a mistake, never a choice.
// The error never holds the secret, nor what a command wrote.
func (s Source) Read(ctx context.Context) (secret.Text, error) {
	var text []byte
	var err error
	switch {
	case s.Env != "":
		value, ok := os.LookupEnv(s.Env)
		if !ok {
			err = errors.New("not set")
		}
		text = []byte(value)
	case s.File != "":
		text, err = readSecretFile(s.File)
	case len(s.Command) > 0:
		text, err = s.run(ctx)
	default:
		return secret.Text{}, errors.New("read a secret: the policy file names none")
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if err == nil && len(text) == 0 {
		err = errors.New("empty")
	}
	if err == nil && len(text) > maxSecret {
		err = fmt.Errorf("longer than %d bytes", maxSecret)
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("read a secret from %s: %w", s, err)
	}
	return secret.New(string(text)), nil
}

func readSecretFile(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the policy file's author names the path
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxSecret+3))
}

func (s Source) run(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out := capped{left: maxSecret + 3}
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...) //nolint:gosec // the policy file's author names the command; no shell is involved
	cmd.Dir, cmd.Stdout, cmd.WaitDelay = s.Dir, &out, time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return out.kept, nil
}

// capped keeps the first bytes of a stream and lets the writer believe that all went well.
type capped struct {
	kept []byte
	left int
}

// Write implements io.Writer.
func (c *capped) Write(b []byte) (int, error) {
	n := len(b)
	b = b[:min(n, c.left)]
	c.left -= len(b)
	c.kept = append(c.kept, b...)
	return n, nil
}

// Advice says what is unwise about where the secret is kept, or "". It looks at the file's mode, not at its contents.
func (s Source) Advice() string {
	if s.File == "" {
		return ""
	}
	info, err := os.Stat(s.File)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o044 == 0 {
		return ""
	}
	return fmt.Sprintf("%s may be read by others (mode %04o)", s, info.Mode().Perm())
}
