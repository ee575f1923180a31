package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/policy"
)

func (a *app) explain() *cobra.Command {
	var as, store, format string
	cmd := &cobra.Command{
		Use:   "explain --as USER SQL",
		Short: "say why a statement is allowed, rewritten or refused for somebody",
		Long: `Decides a statement the way the gateway would, without running it, and prints the verdict, the
rules that lead to it, what the server would be sent, and for a refusal what would help.

Exit codes: 0 allowed or rewritten, 1 refused, 2 could not look.`,
		Example: `  postern explain --as ana 'SELECT email FROM customers'
  postern explain --as ana --format json 'TABLE payroll'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if as == "" {
				return &usageError{command: cmd.CommandPath(), err: errors.New("say for whom: --as USER")}
			}
			e, err := a.explainSQL(cmd.Context(), as, store, args[0])
			if err != nil {
				return err
			}
			if err := a.printExplanation(e, format); err != nil {
				return err
			}
			if e.Verdict == "refuse" {
				return silently(exitFindings)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "`user` whose statement it is")
	storeFlag(cmd, &store)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// explanation is the JSON form.
type explanation struct {
	User     string   `json:"user"`
	Store    string   `json:"store"`
	Verdict  string   `json:"verdict"` // allow rewrite refuse
	Rules    []string `json:"rules"`
	Profile  string   `json:"profile,omitempty"`
	Sent     string   `json:"sent,omitempty"`
	Touches  []string `json:"touches,omitempty"`
	SQLState string   `json:"sqlstate,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Message  string   `json:"message,omitempty"`
	Detail   string   `json:"detail,omitempty"`
	Hint     string   `json:"hint,omitempty"`
	Dataset  string   `json:"dataset,omitempty"`
}

func (a *app) explainSQL(ctx context.Context, user, store, sql string) (*explanation, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	s, err := pickStore(c, store)
	if err != nil {
		return nil, err
	}
	subject, known := c.Policy.Subject(user)
	if !known {
		return nil, failed("postern policy check lists the users", fmt.Errorf("there is no user %q in the policy", user))
	}
	out := &explanation{User: user, Store: s.Name, Verdict: "refuse", Rules: []string{}}
	// Asked as if from this machine: what the network rules say of an address is not the statement's question.
	admission := c.Policy.Decide(policy.Login{Subject: subject, Store: s.Name, Local: true, TLS: true, ClientCert: true, At: time.Now()})
	if admission.Refusal != nil {
		out.Reason, out.Message = string(admission.Refusal.Code), admission.Refusal.Text
		return out, nil
	}
	for _, r := range admission.Rules {
		out.Rules = append(out.Rules, r.Name)
	}
	account := s.Grantor
	if account.User == "" {
		account = s.Provisioner
	}
	session, err := openAs(ctx, c, s, account)
	if err != nil {
		return nil, err
	}
	defer session.close()
	wanted, snap, err := session.server.Compile(ctx, session.request)
	if err != nil {
		return nil, explainPlan(err)
	}
	id := wanted.Identity(user)
	if id == nil || id.Profile == nil {
		return nil, failed("", fmt.Errorf("user %q has no profile on store %s", user, s.Name))
	}
	out.Profile = id.Profile.Schema
	out.fill(pgsql.NewGuard(0).Decide(postgres.World(wanted, id.Profile, snap), sql, pgsql.Simple))
	return out, nil
}

func (e *explanation) fill(d *pgsql.Decision) {
	if r := d.Refusal; r != nil {
		e.SQLState, e.Reason, e.Message, e.Detail, e.Hint, e.Dataset = r.SQLState, r.Reason, r.Message, r.Detail, r.Hint, r.Dataset
		return
	}
	e.Verdict, e.Sent = "allow", d.Text
	if d.Verdict == pgsql.Rewrite {
		e.Verdict = "rewrite"
	}
	for _, s := range d.Statements {
		for _, t := range s.Touches {
			text := t.Action + " " + t.Relation.Schema + "." + t.Relation.Name
			if len(t.Columns) > 0 {
				text += " (" + strings.Join(t.Columns, ", ") + ")"
			}
			if t.Masked {
				text += ", masked"
			}
			if !slices.Contains(e.Touches, text) {
				e.Touches = append(e.Touches, text)
			}
		}
	}
}

func (a *app) printExplanation(e *explanation, format string) error {
	if format == "json" {
		return a.ui.json(e)
	}
	style := styleGreen
	if e.Verdict == "refuse" {
		style = styleRed
	}
	a.ui.printf("%s for %s on %s\n", a.ui.style(style, e.Verdict), e.User, e.Store)
	line := func(name, value string) {
		if value != "" {
			a.ui.printf("  %-8s %s\n", name, printable(value))
		}
	}
	line("rules", strings.Join(e.Rules, ", "))
	line("touches", strings.Join(e.Touches, "; "))
	line("sent", e.Sent)
	line("what", e.Message)
	line("why", e.Detail)
	line("reason", e.Reason)
	line("hint", e.Hint)
	return nil
}
