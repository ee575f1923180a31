package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
)

func (a *app) audit() *cobra.Command {
	return group("audit", "verify, search, export and replay the trail",
		a.auditVerify(), a.auditSearch(), a.auditExport(), a.auditKey(), a.auditReplay())
}

// trailFlags say which trail a command reads when no policy file is at hand.
type trailFlags struct{ folder, key string }

func (f *trailFlags) add(cmd *cobra.Command, withKey bool) {
	cmd.Flags().StringVar(&f.folder, "folder", "", "`folder` of the trail (default: audit.folder of the policy)")
	if withKey {
		cmd.Flags().StringVar(&f.key, "key", "", "public `key` as postern audit key prints it (default: from keys.audit of the policy)")
	}
}

// trail finds the folder, and the policy's configuration when it was needed for that.
func (a *app) trail(f *trailFlags) (string, *config.Config, error) {
	if f.folder != "" {
		return f.folder, nil, nil
	}
	c, err := a.load()
	if err != nil {
		return "", nil, err
	}
	if c.Audit.Folder == "" {
		return "", nil, failed("add --folder", errors.New("the policy names no audit.folder"))
	}
	return c.Audit.Folder, c, nil
}

func (a *app) auditVerify() *cobra.Command {
	var (
		f                    trailFlags
		head, save, instance string
		noState              bool
		format               string
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "prove that nobody edited, removed, inserted, reordered or cut off a record",
		Long: `Reads the whole trail and says which record is not what was written, and whether any is
missing. How far the trail must reach is known from state and from a head kept elsewhere
(--head): without either, what lies behind the last checkpoint is unproven.

Exit codes: 0 intact, 1 tampered, 2 could not look, 3 nothing wrong but not all proven.`,
		Example: `  postern audit verify
  postern audit verify --save-head /mnt/elsewhere/postern.head
  postern audit verify --head /mnt/elsewhere/postern.head
  postern audit verify --folder copy/ --key ed25519:…`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, c, err := a.trail(&f)
			if err != nil {
				return err
			}
			opts := audit.VerifyOptions{Instance: instance}
			if opts.PublicKey, err = publicKey(cmd.Context(), f.key, c); err != nil {
				return err
			}
			if opts.Head, err = readHead(head); err != nil {
				return err
			}
			if c != nil && !noState {
				heads, here, closeHeads, err := daemon.OpenHeads(cmd.Context(), c)
				if err != nil {
					return failed("--no-state leaves it out", err)
				}
				defer closeHeads()
				opts.State = heads
				if opts.Instance == "" {
					// Not the trail's word for it: of a trail that is gone, only state knows.
					opts.Instance = here
				}
			}
			return a.verifyTrail(cmd.Context(), folder, opts, save, format)
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&head, "head", "", "`file` with a head that was kept elsewhere")
	cmd.Flags().StringVar(&save, "save-head", "", "write the head to `file` when the trail is not tampered with")
	cmd.Flags().StringVar(&instance, "instance", "", "whose head to ask state for (default: this installation's)")
	cmd.Flags().BoolVar(&noState, "no-state", false, "do not ask state how far the trail reaches")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) verifyTrail(ctx context.Context, folder string, opts audit.VerifyOptions, save, format string) error {
	report, err := audit.Verify(ctx, folder, opts)
	if err != nil {
		return failed("", err)
	}
	if save != "" && report.Status != audit.Tampered && report.Records > 0 {
		if err := writeHead(save, report.Head); err != nil {
			return failed("", err)
		}
	}
	if format == "json" {
		err = a.ui.json(report)
	} else {
		a.printVerify(folder, report)
	}
	if err != nil {
		return err
	}
	if code := report.ExitCode(); code != exitOK {
		return silently(code)
	}
	return nil
}

func (a *app) printVerify(folder string, r *audit.Report) {
	style := map[audit.Status]string{audit.Intact: styleGreen, audit.Tampered: styleRed, audit.Incomplete: styleYellow}[r.Status]
	a.ui.printf("%s: %s: %s, %s\n", printable(folder), a.ui.style(style, string(r.Status)), count(r.Files, "file"), count(int(r.Records), "record")) //nolint:gosec // for people
	for _, p := range r.Problems {
		a.ui.printf("  %s\n", printable(p.String()))
	}
	if r.More > 0 {
		a.ui.printf("  and %d more\n", r.More)
	}
	for _, s := range r.Unproven {
		a.ui.printf("  unproven: %s\n", printable(s))
	}
	for _, s := range r.Notes {
		a.ui.printf("  note: %s\n", printable(s))
	}
	if r.Status != audit.Tampered && r.Records > 0 {
		a.ui.printf("  head: record %d of %s, %s\n", r.Head.Seq, printable(r.Head.Instance), r.Head.Hash)
	}
}

// publicKey takes the key from the flag, else derives it from the policy's own audit key.
func publicKey(ctx context.Context, flag string, c *config.Config) (audit.PublicKey, error) {
	if flag != "" {
		k, err := audit.ParsePublicKey(flag)
		if err != nil {
			return audit.PublicKey{}, failed("", err)
		}
		return k, nil
	}
	if c == nil {
		return audit.PublicKey{}, failed("add --key, as postern audit key prints it", errors.New("no key to check signatures with"))
	}
	k, err := auditKey(ctx, c)
	if err != nil {
		return audit.PublicKey{}, err
	}
	return k.Public(), nil
}

func auditKey(ctx context.Context, c *config.Config) (*audit.Key, error) {
	if c.Keys.Audit.IsZero() {
		return nil, failed("postern init makes one; name it in keys.audit", errors.New("the policy names no audit key"))
	}
	text, err := c.Keys.Audit.Read(ctx)
	if err != nil {
		return nil, failed("", err)
	}
	k, err := audit.LoadKey(text)
	if err != nil {
		return nil, failed("", err)
	}
	return k, nil
}

func readHead(path string) (*audit.Head, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path) //nolint:gosec // named by the person
	if err != nil {
		return nil, failed("", fmt.Errorf("read the head: %w", err))
	}
	defer func() { _ = f.Close() }()
	h, err := audit.ReadHead(f)
	if err != nil {
		return nil, failed("", fmt.Errorf("%s: %w", path, err))
	}
	return &h, nil
}

func writeHead(path string, h audit.Head) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // named by the person
	if err != nil {
		return fmt.Errorf("write the head: %w", err)
	}
	return errors.Join(audit.WriteHead(f, h), f.Close())
}

// queryFlags are the flags of search and export.
type queryFlags struct {
	q            audit.Query
	kind         string
	since, until string
}

func (f *queryFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.q.Subject, "subject", "", "who acted")
	flags.StringVar(&f.q.Store, "store", "", "on which store")
	flags.StringVar(&f.kind, "kind", "", "kind of event, such as statement.decision or request.*")
	flags.StringVar(&f.q.Verdict, "verdict", "", "allow, rewrite or refuse")
	flags.StringVar(&f.q.Reason, "reason", "", "reason code of a refusal")
	flags.StringVar(&f.q.Relation, "relation", "", "touched or refused `table`: store.schema.table or its end")
	flags.StringVar(&f.q.Label, "label", "", "touched `label`, such as contact.email or contact.*")
	flags.StringVar(&f.q.Session, "session", "", "all events of a session")
	flags.StringVar(&f.q.ID, "id", "", "an event, as an error message names it, and what refers to it")
	flags.StringVar(&f.q.Address, "address", "", "client address, with or without port")
	flags.StringVar(&f.q.Text, "text", "", "text anywhere in the event")
	flags.StringVar(&f.since, "since", "", "from this `time` on: 2026-11-22, 2026-11-22T10:00:00Z or 24h")
	flags.StringVar(&f.until, "until", "", "before this `time`")
	flags.Uint64Var(&f.q.From, "from", 0, "first record number")
	flags.Uint64Var(&f.q.To, "to", 0, "last record number")
	flags.IntVar(&f.q.Limit, "limit", 0, "at most so many `events`")
	flags.BoolVar(&f.q.Signed, "signed", false, "the trail's own records too: headers, checkpoints, recoveries")
}

func (f *queryFlags) query(now time.Time) (audit.Query, error) {
	f.q.Kind = audit.Kind(f.kind)
	var err error
	if f.q.Since, err = parseTime(f.since, now); err != nil {
		return audit.Query{}, failed("", fmt.Errorf("--since: %w", err))
	}
	if f.q.Until, err = parseTime(f.until, now); err != nil {
		return audit.Query{}, failed("", fmt.Errorf("--until: %w", err))
	}
	return f.q, nil
}

// parseTime reads a day, a time with zone, or how long ago.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: expected 2026-11-22, 2026-11-22T10:00:00Z or a duration such as 24h", text)
}

func (a *app) auditSearch() *cobra.Command {
	var (
		f      trailFlags
		q      queryFlags
		format string
		first  bool
	)
	cmd := &cobra.Command{
		Use:   "search",
		Short: "find events: who saw what, when, from where",
		Long:  "Prints the events that match every flag given, oldest first; with --limit the last ones, unless --first.",
		Example: `  postern audit search --subject ana --since 24h
  postern audit search --label 'contact.*' --verdict refuse
  postern audit search --id 0R4T… --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, _, err := a.trail(&f)
			if err != nil {
				return err
			}
			query, err := q.query(time.Now())
			if err != nil {
				return err
			}
			query.Last = !first
			return a.search(cmd.Context(), folder, query, format)
		},
	}
	f.add(cmd, false)
	q.add(cmd)
	cmd.Flags().BoolVar(&first, "first", false, "with --limit, the first ones")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) search(ctx context.Context, folder string, q audit.Query, format string) error {
	broken := 0
	for found, err := range audit.Search(ctx, folder, q) {
		var line *audit.LineError
		switch {
		case errors.As(err, &line):
			broken++
			a.ui.warn("%s", printable(line.Error()))
			continue
		case err != nil:
			return failed("", err)
		}
		if format == "json" {
			a.ui.printf("%s\n", found.Line)
			continue
		}
		a.ui.printf("%s\n", eventLine(found.Record))
	}
	if broken > 0 {
		return failed("postern audit verify says what happened to the trail",
			&exitError{code: exitIncomplete, err: fmt.Errorf("%s could not be read", count(broken, "line"))})
	}
	return nil
}

// eventLine is an event on one line, for people.
func eventLine(r audit.Record) string {
	parts := []string{r.Time.UTC().Format("2006-01-02 15:04:05.000"), string(r.Kind)}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+printable(value))
		}
	}
	add("", r.Subject)
	add("store=", r.Store)
	add("", r.Verdict)
	add("reason=", r.Reason)
	add("sqlstate=", r.SQLState)
	for _, t := range r.Touches {
		add("", t.Action+":"+t.Relation)
	}
	if r.Kind == audit.Completion {
		add("", fmt.Sprintf("rows=%d bytes=%d %s", r.Rows, r.Bytes, time.Duration(r.DurationUS)*time.Microsecond))
	}
	add("from=", r.Address)
	add("id=", r.ID)
	add("", r.Message)
	if r.Statement != "" {
		add("| ", strings.Join(strings.Fields(r.Statement), " "))
	}
	return strings.Join(parts, "  ")
}

func (a *app) auditExport() *cobra.Command {
	var (
		f trailFlags
		q queryFlags
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "write events as JSON lines, byte for byte as they stand in the trail",
		Long: `Writes the matching events to standard output as JSON lines, chain fields included. An export
that restricts nothing but --from and --to, with --signed, is a range that can be verified.`,
		Example: `  postern audit export --signed > trail.jsonl
  postern audit export --since 2026-11-01 --store shop > november.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, _, err := a.trail(&f)
			if err != nil {
				return err
			}
			query, err := q.query(time.Now())
			if err != nil {
				return err
			}
			n, err := audit.Export(cmd.Context(), a.ui.out, folder, query)
			if err != nil {
				return failed("postern audit verify says what happened to the trail", err)
			}
			a.ui.note("%s exported", count(n, "event"))
			return nil
		},
	}
	f.add(cmd, false)
	q.add(cmd)
	return cmd
}

func (a *app) auditKey() *cobra.Command {
	return &cobra.Command{
		Use:     "key",
		Short:   "print the public key that checks the trail's signatures",
		Example: "  postern audit key > postern-audit.pub",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			k, err := auditKey(cmd.Context(), c)
			if err != nil {
				return err
			}
			a.ui.printf("%s\n", k.Public())
			return nil
		},
	}
}
