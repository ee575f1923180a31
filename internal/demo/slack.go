package demo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/demo/workspace"
)

// openSlack opens the small Slack that the tour needs, and keeps its tokens where the policy looks for them.
func (s *site) openSlack() error {
	var users []workspace.User
	for _, p := range people {
		users = append(users, workspace.User{ID: "U" + p.name, Name: p.name, Email: p.name + "@shop.example"})
	}
	var err error
	if s.slack, err = workspace.New(users...); err != nil {
		return fmt.Errorf("open a small Slack: %w", err)
	}
	for name, token := range map[string]string{"slack-bot": s.slack.Bot, "slack-app": s.slack.App} {
		if err := os.WriteFile(filepath.Join(s.folder, "secrets", name), []byte(token), 0o600); err != nil {
			return fmt.Errorf("write a secret: %w", err)
		}
	}
	return nil
}

// does delivers what somebody did in Slack, and waits until it was acknowledged.
func (t *stage) does(ctx context.Context, e *workspace.Event) error {
	if err := t.until(ctx, func() bool { return t.slack.Deliver(e, 0) }); err != nil {
		return fmt.Errorf("there is no connection: %w", err)
	}
	return t.until(ctx, func() bool { return t.slack.Acknowledged(e) })
}

// reads waits until somebody has a message with some words, the newest first.
func (t *stage) reads(ctx context.Context, user string, words ...string) (workspace.Message, error) {
	var found workspace.Message
	err := t.until(ctx, func() bool {
		for _, m := range slices.Backward(t.slack.Messages(user)) {
			if contains(m.Says(), words...) == nil {
				found = m
				return true
			}
		}
		return false
	})
	if err != nil {
		err = fmt.Errorf("%s has no message with %q: %w", user, words, err)
	}
	return found, err
}

func (t *stage) inSlack(ctx context.Context) error {
	const sql, note = "SELECT count(employee) FROM payroll", "asked in Slack"
	if err := t.does(ctx, t.slack.Command("Uana")); err != nil {
		return err
	}
	var form workspace.View
	if err := t.until(ctx, func() bool { form, _ = t.slack.View("Uana"); return form.Callback == "ask" }); err != nil {
		return fmt.Errorf("the form to ask with: %w", err)
	}
	t.print("   ana types /postern and sends the form\n")
	if err := t.does(ctx, t.slack.Submit("Uana", form, map[string]string{"rule": "payroll-review", "for": "1h", "note": note})); err != nil {
		return err
	}
	m, err := t.reads(ctx, "Udora", "Note: "+note)
	if err != nil {
		return err
	}
	approve, ok := m.Button("approve")
	if !ok {
		return errors.New("dora has no button to approve")
	}
	if err := t.does(ctx, t.slack.Click("Uana", m, approve)); err != nil {
		return err
	}
	if _, err := t.reads(ctx, "Uana", "nobody decides on a request of their own"); err != nil {
		return err
	}
	if err := t.does(ctx, t.slack.Click("Udora", m, approve)); err != nil {
		return err
	}
	if m, err = t.reads(ctx, "Udora", "Note: "+note, "Approved by dora"); err != nil {
		return err
	}
	t.print("   dora clicks; her message becomes:\n")
	for _, line := range strings.Split(m.Says(), "\n") {
		t.print("      %s\n", line)
	}
	return t.usedAndRevoked(ctx, sql)
}

// usedAndRevoked uses what was granted in Slack, ends it at the portal, and looks at what Slack was told.
func (t *stage) usedAndRevoked(ctx context.Context, sql string) error {
	var n string
	if err := t.until(ctx, func() bool { var err error; n, err = t.one(ctx, "ana", sql); return err == nil }); err != nil {
		return fmt.Errorf("ana has no access: %w", err)
	}
	t.print("   ana=> %s   -- %s\n   dora ends it at /grants\n", sql, n)
	dora, err := t.browse(ctx, "dora")
	if err != nil {
		return err
	}
	if err := dora.press(ctx, "/grants?q=ana", toEnd, url.Values{"note": {"over in Slack"}}); err != nil {
		return err
	}
	if _, err := t.reads(ctx, "Uana", "was revoked", "over in Slack"); err != nil {
		return err
	}
	if wrong := t.slack.Broken(); len(wrong) > 0 {
		return fmt.Errorf("what Slack would not take: %q", wrong)
	}
	if err := lacks(t.slack.Everything(), "SELECT", t.passwords["ana"].Reveal()); err != nil {
		return err
	}
	return t.refuses(ctx, "ana", sql, "42501", "postern request staff")
}
