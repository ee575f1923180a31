package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// grantLife is how long the grant of the tour lives: long enough for a slow machine to use it, short enough to wait for its end.
const grantLife = 25 * time.Second

// waitLimit bounds every wait of the tour.
const waitLimit = 60 * time.Second

// postern runs a command line as one of the people, who is logged in, and prints it.
func (t *stage) postern(ctx context.Context, who string, args ...string) (string, error) {
	out, err := t.Tools.Postern(ctx, filepath.Join(t.folder, who+".json"), "", args...)
	t.print("   %s$ postern %s\n", who, strings.Join(args, " "))
	for _, line := range strings.Split(strings.TrimRight(out, "\n"), "\n") {
		t.print("   %s\n", line)
	}
	return out, err
}

// logIn logs somebody in to the portal.
func (t *stage) logIn(ctx context.Context, who string) error {
	_, err := t.Tools.Postern(ctx, filepath.Join(t.folder, who+".json"), t.passwords[who].Reveal()+"\n",
		"login", "--server", "https://"+t.portal.String(), "--ca", filepath.Join(t.folder, "tls", "ca.crt"), "--user", who)
	return err
}

// granted asks as ana, approves as dora, and returns the grant.
func (t *stage) granted(ctx context.Context, more ...string) (grant string, err error) {
	for _, who := range []string{"ana", "dora"} {
		if err := t.logIn(ctx, who); err != nil {
			return "", err
		}
	}
	if _, err := t.postern(ctx, "ana", append([]string{"request", "staff", "--note", "quarterly-report"}, more...)...); err != nil {
		return "", err
	}
	waiting, err := t.Tools.Postern(ctx, filepath.Join(t.folder, "dora.json"), "", "approve", "--format", "json")
	if err != nil {
		return "", err
	}
	var inbox []struct{ ID, Subject, Note string }
	if err := json.Unmarshal([]byte(waiting), &inbox); err != nil || len(inbox) != 1 || inbox[0].Subject != "ana" {
		return "", fmt.Errorf("dora's inbox is %s", waiting)
	}
	// Nobody approves their own request, not even by its number.
	if _, err := t.Tools.Postern(ctx, filepath.Join(t.folder, "ana.json"), "", "approve", inbox[0].ID); err == nil {
		return "", errors.New("ana approved her own request")
	}
	out, err := t.postern(ctx, "dora", "approve", inbox[0].ID)
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(out, "grant ")
	grant, state, _ := strings.Cut(rest, ":")
	if !ok || !strings.HasPrefix(state, " active until") {
		return "", fmt.Errorf("the approval came to %q", out)
	}
	return grant, nil
}

func (t *stage) request(ctx context.Context) error {
	const sql = "SELECT employee, salary FROM payroll ORDER BY employee LIMIT 2"
	if err := t.refuses(ctx, "ana", sql, "42501", "postern request staff"); err != nil {
		return err
	}
	end := time.Now().Add(grantLife)
	if _, err := t.granted(ctx, "--until", end.UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	pretty, err := t.query(ctx, "ana", sql)
	if err != nil {
		return err
	}
	t.show("ana", sql, pretty)
	row, err := t.one(ctx, "ana", "SELECT employee <> '', salary IS NULL FROM payroll LIMIT 1")
	if err != nil {
		return err
	}
	if row != "t|t" {
		return fmt.Errorf("ana sees %q of the payroll", row)
	}
	t.print("   (the grant comes to its end)\n")
	if err := t.until(ctx, func() bool {
		_, err := t.one(ctx, "ana", sql)
		return err != nil && strings.Contains(err.Error(), "42501")
	}); err != nil {
		return fmt.Errorf("the grant has not ended: %w", err)
	}
	if time.Now().Before(end.Truncate(time.Second)) {
		return errors.New("the grant ended before its time")
	}
	return t.refuses(ctx, "ana", sql, "42501", "postern request staff")
}

// until waits for something to become true.
func (t *stage) until(ctx context.Context, done func() bool) error {
	deadline := time.Now().Add(waitLimit)
	for !done() {
		if time.Now().After(deadline) {
			return errors.New("it took too long")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

func (t *stage) revoke(ctx context.Context) error {
	grant, err := t.granted(ctx)
	if err != nil {
		return err
	}
	session, err := t.open(ctx, "ana")
	if err != nil {
		return err
	}
	defer session.close()
	if _, err := session.ask("SELECT count(employee) FROM payroll"); err != nil {
		return err
	}
	// Longer than anybody waits.
	const sql = "SELECT count(*) FROM payroll p, orders a, orders b, orders c"
	t.print("   ana=> %s   -- runs\n", sql)
	answer := make(chan error, 1)
	go func() {
		_, err := session.ask(sql)
		answer <- err
	}()
	if err := t.until(ctx, func() bool {
		n, err := t.one(ctx, "owner", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ana' AND state = 'active' AND query LIKE '%count%orders%'")
		return err == nil && n != "0"
	}); err != nil {
		return fmt.Errorf("the statement does not run: %w", err)
	}
	if _, err := t.postern(ctx, "dora", "revoke", grant, "--note", "not-needed-any-more"); err != nil {
		return err
	}
	select {
	case err := <-answer:
		if err == nil || !strings.Contains(err.Error(), "has ended") {
			return fmt.Errorf("the statement ended with %v", err)
		}
		t.print("   %v\n", err)
	case <-time.After(waitLimit):
		return errors.New("the statement runs on")
	}
	return t.refuses(ctx, "ana", "SELECT employee FROM payroll", "42501", "postern request staff")
}
