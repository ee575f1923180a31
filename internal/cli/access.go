package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/portal"
)

// moment reads a time as people type it: with its zone, or a date, which means its beginning in UTC.
func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, failed("write 2027-01-31 or 2027-01-31T18:00:00Z", fmt.Errorf("%s %q is not a time", flag, text))
}

func (a *app) request() *cobra.Command {
	var call portal.AskCall
	var until, start, withdraw, statement, format string
	cmd := &cobra.Command{
		Use:   "request [DATASET | RULE]",
		Short: "ask for access to a dataset",
		Long: `Asks for a rule, or for the one that you can ask for on a dataset. A rule of self-service is yours at
once; one on request waits for its approvers. postern grants --askable lists what you can ask for.

--extend asks for a later end of a grant, in the last fifth of its time.

--break-glass takes a rule on request at once, where the policy lets you in an emergency. It wants a
reason and a second factor of the last five minutes (postern login --factor). Everybody whose
approval was skipped and the owners of the dataset are told, and somebody else has to review it.

--statement says what you want to run, @FILE reads it from a file and - from the standard input; --event
takes it from a refusal of yours, whose id is in the error's detail, without its literals. Whoever decides
reads it; what of it is told in Slack and by mail says the dataset's statement_text.`,
		Example: `  postern request staff --for 8h --note "quarterly report, ticket 4711"
  postern request staff --break-glass --note "payroll run stuck, incident 815"
  postern request staff --note "the same for March" --event d20e13e4sq9ggmrk
  postern request --withdraw 5f2c9a61d0b7`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if withdraw != "" {
				return a.decide(cmd, portal.Path("requests", withdraw, "withdraw"), "", format)
			}
			if len(args) == 0 {
				return &usageError{command: cmd.CommandPath(), err: errors.New("name a dataset or a rule")}
			}
			call.What = args[0]
			if call.Until, err = moment("--until", until); err != nil {
				return err
			}
			if call.Start, err = moment("--start", start); err != nil {
				return err
			}
			if call.Statement, err = a.statement(statement); err != nil {
				return err
			}
			var out portal.Outcome
			if err := a.call(cmd.Context(), http.MethodPost, "requests", call, &out); err != nil {
				return err
			}
			return a.outcome(&out, format)
		},
	}
	f := cmd.Flags()
	f.StringVar(&call.For, "for", "", "how `long`: a number and m, h, d, w, mo or y (default: the rule's)")
	f.StringVar(&until, "until", "", "an absolute `end` instead")
	f.StringVar(&start, "start", "", "a later `start`")
	f.StringVar(&call.Level, "level", "", "the `level` that you expect the rule to have")
	f.StringVar(&call.Purpose, "purpose", "", "one of the site's `purposes`")
	f.StringVar(&call.Note, "note", "", "`why`, for the approvers")
	f.StringVar(&statement, "statement", "", "the `SQL` that you want to run, @FILE or -")
	f.StringVar(&call.Event, "event", "", "the `id` of a refusal of yours that you ask about")
	f.StringVar(&call.Extends, "extend", "", "the `grant` whose end is to be later")
	f.StringVar(&call.Key, "key", "", "`text` of your choice: asked again with the same one, the first outcome comes back")
	f.BoolVar(&call.Break, "break-glass", false, "take it now, without approval, in an emergency; --note says why")
	f.StringVar(&withdraw, "withdraw", "", "take back the request with this `id`")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// statement is what a flag says to run: itself, a file's text, or what is piped in. It is read no further than it may be long.
func (a *app) statement(flag string) (string, error) {
	from := a.env.Stdin
	switch name, file := strings.CutPrefix(flag, "@"); {
	case file:
		f, err := os.Open(name)
		if err != nil {
			return "", failed("", fmt.Errorf("--statement: %w", err))
		}
		defer func() { _ = f.Close() }()
		from = f
	case flag != "-":
		return flag, nil
	}
	text, err := io.ReadAll(io.LimitReader(from, portal.LongestStatement+2)) // with a newline more, which does not count
	if err != nil {
		return "", failed("", fmt.Errorf("--statement: %w", err))
	}
	return string(text), nil
}

// outcome says what became of a request.
func (a *app) outcome(out *portal.Outcome, format string) error {
	if format == "json" {
		return a.ui.json(out)
	}
	r := &out.Request
	a.ui.printf("request %s for rule %s on %s: %s\n", r.ID, printable(r.Rule), printable(r.Dataset), r.State)
	if g := out.Grant; g != nil {
		a.ui.printf("grant %s: %s until %s\n", g.ID, stateOf(g), ending(g.End))
		if g.Why != "" {
			a.ui.warn("not on the server yet: %s", printable(g.Why))
		}
	} else if r.State == "pending" {
		a.ui.note("waits for its approvers until %s", ending(r.Expires))
	}
	return nil
}

// stateOf is what people are told: active only once the server has it.
func stateOf(g *portal.Grant) string {
	if g.State == "active" && g.Wall != "ready" {
		return "active, not on the server yet"
	}
	return string(g.State)
}

func ending(t time.Time) string {
	if t.Year() == 9999 {
		return "for ever"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// decide makes a call about a request.
func (a *app) decide(cmd *cobra.Command, path, note, format string) error {
	var out portal.Outcome
	if err := a.call(cmd.Context(), http.MethodPost, path, portal.NoteCall{Note: note}, &out); err != nil {
		return err
	}
	return a.outcome(&out, format)
}

func (a *app) approve() *cobra.Command {
	var note, delegate, until, recall, format string
	var delegations bool
	cmd := &cobra.Command{
		Use:   "approve [REQUEST]",
		Short: "approve a request; without one, list what waits for you",
		Long: `Lists the requests that you can decide on, or approves one. Nobody approves what they asked for
themselves. --delegate lets somebody decide in your place while you are away; --delegations lists who
does, and in whose place you do, and --recall ends one of these before its time.`,
		Example: `  postern approve
  postern approve 5f2c9a61d0b7 --note "for the audit"
  postern approve --delegate bob --until 2027-01-31
  postern approve --delegations
  postern approve --recall 9e41c07b2d35`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case several(len(args) > 0, delegate != "", delegations, recall != ""):
				return &usageError{command: cmd.CommandPath(), err: errors.New("approve a request or say who stands in for you, one at a time")}
			case delegate == "" && until != "": // who types this may believe that it bounds the grant
				return &usageError{command: cmd.CommandPath(), err: errors.New("--until is the end of a delegation: add --delegate; a grant lasts as long as was asked")}
			case delegate != "":
				return a.delegate(cmd, delegate, until, format)
			case delegations:
				return a.delegations(cmd, format)
			case recall != "":
				return a.recall(cmd, recall, format)
			case len(args) == 0:
				return a.inbox(cmd, format)
			}
			return a.decide(cmd, portal.Path("requests", args[0], "approve"), note, format)
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "`why`")
	cmd.Flags().StringVar(&delegate, "delegate", "", "let this `user` decide in your place")
	cmd.Flags().StringVar(&until, "until", "", "`end` of the delegation")
	cmd.Flags().BoolVar(&delegations, "delegations", false, "list who stands in for you, and for whom you do")
	cmd.Flags().StringVar(&recall, "recall", "", "end this `delegation`")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) inbox(cmd *cobra.Command, format string) error {
	var found []portal.Request
	if err := a.call(cmd.Context(), http.MethodGet, "requests?inbox=1", nil, &found); err != nil {
		return err
	}
	if format == "json" {
		return a.ui.json(found)
	}
	rows := [][]string{}
	for _, r := range found {
		long := r.For.String()
		if long == "" {
			long = "until " + ending(r.Until)
		}
		rows = append(rows, []string{r.ID, r.Subject, r.Rule, r.Dataset, r.Level, long, r.Purpose, strings.ReplaceAll(r.Note, "\n", " ")})
	}
	a.ui.table([]string{"request", "user", "rule", "dataset", "level", "for", "purpose", "note"}, rows)
	for _, r := range found {
		if r.Statement != nil {
			a.ui.printf("\nrequest %s, what %s wants to run:\n", r.ID, printable(r.Subject))
			for line := range strings.Lines(r.Statement.Text) {
				a.ui.printf("  %s\n", printable(strings.TrimSuffix(line, "\n")))
			}
		}
	}
	return nil
}

func (a *app) deny() *cobra.Command {
	var note, format string
	cmd := &cobra.Command{
		Use: "deny REQUEST", Short: "refuse a request, which ends it", Args: cobra.ExactArgs(1),
		Example: `  postern deny 5f2c9a61d0b7 --note "ask for the masked rule"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.decide(cmd, portal.Path("requests", args[0], "deny"), note, format)
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "`why`")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// changeGrant makes a call about a grant.
func (a *app) changeGrant(cmd *cobra.Command, id, what, note, format string) error {
	var g portal.Grant
	if err := a.call(cmd.Context(), http.MethodPost, portal.Path("grants", id, what), portal.NoteCall{Note: note}, &g); err != nil {
		return err
	}
	if format == "json" {
		return a.ui.json(g)
	}
	a.ui.printf("grant %s of %s by rule %s: %s\n", g.ID, printable(g.Subject), printable(g.Rule), g.State)
	return nil
}

func (a *app) revoke() *cobra.Command {
	var note, format string
	var suspend, resume bool
	cmd := &cobra.Command{
		Use:   "revoke GRANT",
		Short: "end a grant now",
		Long: `Ends a grant for good: the gateway refuses, the server forgets it, live sessions are closed. Its holder,
an owner of the dataset and whoever approved it may. --suspend ends its sessions until --resume.`,
		Example: `  postern revoke 0b7d5f2c9a61 --note "left the project"
  postern revoke 0b7d5f2c9a61 --suspend`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			what := "revoke"
			switch {
			case suspend && resume:
				return &usageError{command: cmd.CommandPath(), err: errors.New("--suspend and --resume are opposites")}
			case suspend:
				what = "suspend"
			case resume:
				what = "resume"
			}
			return a.changeGrant(cmd, args[0], what, note, format)
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "`why`")
	cmd.Flags().BoolVar(&suspend, "suspend", false, "only until --resume")
	cmd.Flags().BoolVar(&resume, "resume", false, "let a suspended grant go on")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) grants() *cobra.Command {
	var all, askable, requests bool
	var format string
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "list what you hold and have asked for",
		Example: `  postern grants
  postern grants --askable`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case askable:
				return a.listAskable(cmd, format)
			case requests:
				return a.listRequests(cmd, all, format)
			}
			path := "grants"
			if all {
				path += "?all=1"
			}
			return a.listGrants(cmd, path, format)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also what is over")
	cmd.Flags().BoolVar(&askable, "askable", false, "what you can ask for instead")
	cmd.Flags().BoolVar(&requests, "requests", false, "what you have asked for instead")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) listGrants(cmd *cobra.Command, path, format string) error {
	var found []portal.Grant
	if err := a.call(cmd.Context(), http.MethodGet, path, nil, &found); err != nil {
		return err
	}
	if format == "json" {
		return a.ui.json(found)
	}
	rows := [][]string{}
	for i := range found {
		g := &found[i]
		used := "never used"
		if !g.LastUse.IsZero() {
			used = "used " + ending(g.LastUse)
		}
		remark := used
		switch {
		case g.Why != "":
			remark = g.Why
		case g.State == "suspended" && g.Reason != "":
			remark = strings.ReplaceAll(g.Reason, "\n", " ")
		case !g.ReviewDue.IsZero():
			remark = "break-glass: review due " + ending(g.ReviewDue)
		}
		rows = append(rows, []string{g.ID, g.Subject, g.Rule, g.Dataset, stateOf(g), ending(g.End), remark})
	}
	a.ui.table([]string{"grant", "user", "rule", "dataset", "state", "until", "remark"}, rows)
	return nil
}

func (a *app) listRequests(cmd *cobra.Command, all bool, format string) error {
	path := "requests?open=1"
	if all {
		path = "requests"
	}
	var found []portal.Request
	if err := a.call(cmd.Context(), http.MethodGet, path, nil, &found); err != nil {
		return err
	}
	if format == "json" {
		return a.ui.json(found)
	}
	rows := [][]string{}
	for _, r := range found {
		rows = append(rows, []string{r.ID, r.Rule, r.Dataset, string(r.State), ending(r.Created)})
	}
	a.ui.table([]string{"request", "rule", "dataset", "state", "asked"}, rows)
	return nil
}

func (a *app) listAskable(cmd *cobra.Command, format string) error {
	var me portal.Me
	if err := a.call(cmd.Context(), http.MethodGet, "me", nil, &me); err != nil {
		return err
	}
	if format == "json" {
		return a.ui.json(me.Askable)
	}
	rows := [][]string{}
	for _, r := range me.Askable {
		rows = append(rows, []string{r.Dataset, r.Rule, r.Level, strings.ReplaceAll(r.Kind, "_", " "), r.Default, r.Max, strings.Join(r.Stores, ", ")})
	}
	a.ui.table([]string{"dataset", "rule", "level", "how", "default", "most", "stores"}, rows)
	return nil
}

func (a *app) review() *cobra.Command {
	var confirm, drop, note, format string
	cmd := &cobra.Command{
		Use:   "review",
		Short: "confirm or drop what others hold on your datasets",
		Long: `Lists what others hold on datasets that you own: emergencies first, then what was never used and what
never ends; before that, which reviews of datasets are open, and what in them nobody has answered for.
--confirm says that a grant is still needed, --drop ends it.`,
		Example: `  postern review
  postern review --confirm 0b7d5f2c9a61`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case confirm != "" && drop != "":
				return &usageError{command: cmd.CommandPath(), err: errors.New("one at a time: --confirm or --drop")}
			case confirm != "":
				return a.changeGrant(cmd, confirm, "confirm", note, format)
			case drop != "":
				return a.changeGrant(cmd, drop, "revoke", note, format)
			}
			return a.listReview(cmd, format)
		},
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "this `grant` is needed")
	cmd.Flags().StringVar(&drop, "drop", "", "this `grant` is not")
	cmd.Flags().StringVar(&note, "note", "", "`why`")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// reviewing is what there is to review, for programs.
type reviewing struct {
	Reviews []portal.Review `json:"reviews"` // that are open
	Grants  []portal.Grant  `json:"grants"`  // what others hold
}

// listReview says which reviews are open, then lists what others hold.
func (a *app) listReview(cmd *cobra.Command, format string) error {
	var open []portal.Review
	if err := a.call(cmd.Context(), http.MethodGet, "reviews", nil, &open); err != nil {
		return err
	}
	if format == "json" {
		out := reviewing{Reviews: open}
		if err := a.call(cmd.Context(), http.MethodGet, "grants?answer=1", nil, &out.Grants); err != nil {
			return err
		}
		return a.ui.json(out)
	}
	for i := range open {
		v := &open[i]
		follows := "what nobody answers for is kept"
		if v.Revoke {
			follows = "what nobody answers for in time ends"
		}
		late := ""
		if v.Overdue {
			late = "OVERDUE, "
		}
		a.ui.printf("review of %s: %sdue %s, %d of %d unanswered; %s\n", v.Dataset, late, ending(v.Due), len(v.Unanswered), len(v.Grants), follows)
		if len(v.Unanswered) > 0 {
			a.ui.printf("  unanswered: %s\n", strings.Join(v.Unanswered, " "))
		}
	}
	return a.listGrants(cmd, "grants?answer=1", format)
}

func (a *app) token() *cobra.Command {
	return group("token", "manage personal access tokens and temporary credentials", a.tokenCreate(), a.tokenList(), a.tokenRevoke())
}

func (a *app) tokenCreate() *cobra.Command {
	var call portal.IssueCall
	var format string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "make a personal access token, shown once",
		Long: `A token lets a program of yours in: at the gateway as the password of your user, at the portal as
POSTERN_TOKEN. It can do what you can within its scopes:

  gateway  databases, as the password of your user
  read     looking at requests, grants and your own things
  request  asking for access, and taking that back
  decide   deciding on requests, and about grants
  inspect  what your role opens to look at: trail, posture, discovery, policy, health

Passwords, sessions, accounts and further credentials are for people alone.`,
		Example: `  postern token create nightly-export --store shop --for 30d
  postern token create chat-bot --scope read,decide --for 90d`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			call.Kind, call.Name = "personal", args[0]
			var out portal.IssueAnswer
			if err := a.call(cmd.Context(), http.MethodPost, "credentials", call, &out); err != nil {
				return err
			}
			if format == "json" {
				return a.ui.json(out)
			}
			a.ui.printf("%s\n", out.Secret)
			a.ui.note("token %s, good until %s; it is not shown again", out.ID, ending(out.Expires))
			return nil
		},
	}
	cmd.Flags().StringVar(&call.Store, "store", "", "the only `store` it opens")
	cmd.Flags().StringSliceVar(&call.Scopes, "scope", nil, "what it opens: `scopes` of gateway, read, request, decide and inspect (default gateway,read)")
	cmd.Flags().StringVar(&call.For, "for", "", "how `long` it lives")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) tokenList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "list", Short: "list your live tokens and credentials", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var found []portal.Shown
			if err := a.call(cmd.Context(), http.MethodGet, "credentials", nil, &found); err != nil {
				return err
			}
			if format == "json" {
				return a.ui.json(found)
			}
			rows := [][]string{}
			for _, c := range found {
				used := "never"
				if !c.Used.IsZero() {
					used = ending(c.Used)
				}
				rows = append(rows, []string{c.ID, c.Kind, c.Name, c.Store, strings.Join(c.Scopes, " "), ending(c.Created), used, ending(c.Expires)})
			}
			a.ui.table([]string{"id", "kind", "name", "store", "scopes", "made", "last used", "until"}, rows)
			return nil
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "end a token or credential, and the sessions that use it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var none struct{}
			return a.call(cmd.Context(), http.MethodDelete, portal.Path("credentials", args[0]), nil, &none)
		},
	}
}
