package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// callLimit bounds one call of psql.
const callLimit = 60 * time.Second

func findPsql() (string, error) {
	p, err := exec.LookPath("psql")
	if err != nil {
		return "", errors.New("psql is not in PATH: install it (Debian: apt-get install postgresql-client)")
	}
	return p, nil
}

// environment is psql's: nothing of the caller's PG settings, so that the tour is the same everywhere.
func (s *site) environment(extra ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.folder, "LC_ALL=C.UTF-8", "PGSERVICEFILE=" + s.services, "PGTZ=UTC", "PGCONNECT_TIMEOUT=20",
	}, extra...)
}

// run calls psql and returns what it printed, errors included.
func (t *stage) run(ctx context.Context, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.psql, append([]string{"-X", "-P", "pager=off", "-P", "footer=off", "-v", "VERBOSITY=verbose"}, args...)...) //nolint:gosec // psql with our own arguments
	cmd.Env = t.environment(env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// query asks as one of the services and returns psql's table.
func (t *stage) query(ctx context.Context, who, sql string) (string, error) {
	out, err := t.run(ctx, []string{"PGSERVICE=" + who}, "-c", sql)
	if err != nil {
		return out, fmt.Errorf("%s: %s: %s", who, sql, strings.TrimSpace(out))
	}
	return out, nil
}

// one returns the bare answer, columns joined by "|".
func (t *stage) one(ctx context.Context, who, sql string) (string, error) {
	out, err := t.run(ctx, []string{"PGSERVICE=" + who}, "-At", "-c", sql)
	if err != nil {
		return "", fmt.Errorf("%s: %s: %s", who, sql, strings.TrimSpace(out))
	}
	return strings.TrimSpace(out), nil
}

// refuses checks that a statement is refused and that the refusal says all of words.
func (t *stage) refuses(ctx context.Context, who, sql string, words ...string) error {
	out, err := t.run(ctx, []string{"PGSERVICE=" + who}, "-c", sql)
	t.show(who, sql, dropNoise(out))
	if err == nil {
		return fmt.Errorf("%s was answered", sql)
	}
	return contains(out, words...)
}

// dropNoise leaves out what psql adds about its own source.
func dropNoise(out string) string {
	var keep []string
	for _, line := range strings.Split(out, "\n") {
		if !strings.HasPrefix(line, "LOCATION:") && strings.TrimSpace(line) != "" {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "\n")
}

// session is a psql that stays connected.
type session struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// mark ends an answer; it is no data of the shop.
const mark = "--end-of-answer--"

func (t *stage) open(ctx context.Context, who string) (*session, error) {
	cmd := exec.CommandContext(ctx, t.psql, "-X", "-At", "-q") //nolint:gosec // psql with our own arguments
	cmd.Env = t.environment("PGSERVICE=" + who)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	return &session{cmd: cmd, in: in, out: bufio.NewScanner(out)}, nil
}

// ask sends a statement on the open connection and returns the answer.
func (s *session) ask(sql string) (string, error) {
	if _, err := fmt.Fprintf(s.in, "%s;\n\\echo %s\n", sql, mark); err != nil {
		return "", fmt.Errorf("the session is gone: %w", err)
	}
	var lines []string
	for s.out.Scan() {
		line := s.out.Text()
		switch {
		case line == mark:
			return strings.Join(lines, "\n"), nil
		case strings.Contains(line, "ERROR") || strings.Contains(line, "FATAL"):
			return "", fmt.Errorf("the session was answered %s", line)
		}
		lines = append(lines, line)
	}
	return "", errors.Join(errors.New("the session ended"), s.out.Err())
}

func (s *session) close() {
	_ = s.in.Close()
	_ = s.cmd.Wait()
}
