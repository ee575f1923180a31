package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/scan"
)

// insight answers the portal with what the commands explain, scan and discover know.
type insight struct {
	a    *app
	path string // of the policy
	now  daemon.InForce
	as   daemon.Stands

	mu    sync.Mutex
	guard *pgsql.Guard
	read  chan struct{}          // holds one while a catalog is read to explain a statement
	kept  map[string]keptRun     // reports of scan that were read, by file
	found map[string]foundReport // the latest discovery reports that were read, by file
}

// look is what a file looked like when it was read. Reports are replaced and never written over.
type look struct {
	size int64
	at   time.Time
}

func lookOf(info fs.FileInfo) look { return look{info.Size(), info.ModTime()} }

// keptRun and foundReport are reports with what their files looked like; nobody changes them.
type keptRun struct {
	look
	run portal.ScanRun
	bad bool // it could not be read
}

type foundReport struct {
	look
	report *discover.Report
}

var _ portal.Insight = (*insight)(nil)

// load reads the file on disk, for what is proposed to be written to it.
func (in *insight) load() (*config.Config, error) { return config.Load(in.path, pgsql.Syntax{}) }

// guardFor parses statements where the gateway parses them: a page must not be a way around parser: isolated.
func (in *insight) guardFor(c *config.Config) (*pgsql.Guard, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.guard != nil {
		return in.guard, nil
	}
	g := pgsql.NewGuard(-1)
	if c.Gateway.Parser == config.ParserIsolated {
		// The worker ends with this process's standard input to it.
		p, err := pgsql.NewIsolated(pgsql.IsolatedConfig{Command: workerCommand(), Workers: 1, Notify: func(error) {}})
		if err != nil {
			return nil, err
		}
		g.Isolate(p)
	}
	in.guard = g
	return g, nil
}

// explainLimit is how long a store's catalog may take to be read for one statement.
const explainLimit = 20 * time.Second

// Explain implements portal.Insight. It decides with what the gateway decides with; only a store that serve has not looked at yet is
// read for it, one at a time, however many ask.
func (in *insight) Explain(ctx context.Context, user, store, sql string) (*portal.Explanation, error) {
	c, pol := in.now()
	guard, err := in.guardFor(c)
	if err != nil {
		return nil, err
	}
	if on := in.as(user, store); on.Known {
		e, err := explainStanding(guard, &on, store, sql)
		if err != nil {
			return nil, err
		}
		return &e.Explanation, nil
	}
	ctx, cancel := context.WithTimeout(ctx, explainLimit)
	defer cancel()
	select {
	case in.read <- struct{}{}:
		defer func() { <-in.read }()
	case <-ctx.Done():
		return nil, fmt.Errorf("explain: %w", ctx.Err())
	}
	e, err := in.a.explainSQL(ctx, c, pol, guard, user, store, sql)
	if err != nil {
		return nil, err
	}
	return &e.Explanation, nil
}

// scannedFolder holds the reports of postern scan --keep, in a folder for each store.
func scannedFolder(c *config.Config) string { return filepath.Join(c.Folder, "scanned") }

// keptName is the name of a kept report: names in a folder sort as their runs, and two runs within a second have two.
const keptName = "20060102T150405.000000Z"

// keepScan writes a report where the portal finds it.
func keepScan(c *config.Config, store string, taken time.Time, r *scan.Report) error {
	folder := filepath.Join(scannedFolder(c), store)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	path := filepath.Join(folder, taken.UTC().Format(keptName)+".json")
	err := writeFile(path+".new", func(w *os.File) error { return r.WriteJSON(w) })
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	return nil
}

// mostKept is how many of a store's reports are looked at.
const mostKept = 60

// Scans implements portal.Insight.
func (in *insight) Scans(context.Context) ([]portal.ScanRun, error) {
	c, _ := in.now()
	var out []portal.ScanRun
	stores := maps.Clone(c.Stores)
	maps.Copy(stores, c.Standbys)
	for _, store := range slices.Sorted(maps.Keys(stores)) {
		files, err := filepath.Glob(filepath.Join(scannedFolder(c), store, "*.json"))
		if err != nil {
			return nil, err
		}
		slices.Sort(files)
		for _, f := range files[max(0, len(files)-mostKept):] {
			run, ok, err := in.run(store, f)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, run)
			}
		}
	}
	return out, nil
}

// run reads a kept report. One that is damaged, or gone since the folder was read, is none: it must not hide the others.
func (in *insight) run(store, path string) (run portal.ScanRun, ok bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return run, false, nil
	}
	if err != nil {
		return run, false, fmt.Errorf("read a kept report: %w", err)
	}
	if k, ok := in.kept[path]; ok && k.look == lookOf(info) {
		return k.run, !k.bad, nil
	}
	file, err := os.Open(path) //nolint:gosec // below the policy's folder
	if err != nil {
		return run, false, fmt.Errorf("read a kept report: %w", err)
	}
	defer func() { _ = file.Close() }()
	if in.kept == nil {
		in.kept = map[string]keptRun{}
	}
	k, err := scan.ReadKept(file)
	if err != nil {
		in.kept[path] = keptRun{look: lookOf(info), bad: true}
		in.a.ui.warn("a kept report of scan is left out: %s: %v", path, err)
		return run, false, nil
	}
	run = portal.ScanRun{Store: store, Taken: k.Taken, Points: k.Score.Points, Word: k.Score.Word, Unevaluated: k.Score.Unevaluated, Counts: k.Counts}
	for _, f := range k.Findings {
		shown := portal.ScanFinding{ID: f.ID, Pillar: f.Pillar, Title: f.Title, Severity: f.Severity.String(), Object: f.Object, Evidence: f.Evidence, Fix: f.Fix}
		if w := f.Waiver; w != nil {
			shown.Waiver, shown.Until, shown.Owner = w.Reason, w.Expires, w.Owner
		}
		run.Findings = append(run.Findings, shown)
	}
	in.kept[path] = keptRun{look: lookOf(info), run: run}
	return run, true, nil
}

// latest is the latest report on a store: serve's own, or that of postern discover. It is nil where nobody has looked.
func (in *insight) latest(c *config.Config, store string) (*discover.Report, time.Time, error) {
	path, when, now := "", time.Time{}, look{}
	for _, p := range []string{daemon.ReportFile(c, store), filepath.Join(c.Folder, "discovered", store+".json")} {
		info, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, when, fmt.Errorf("read the last report: %w", err)
		}
		if info.ModTime().After(when) {
			path, when, now = p, info.ModTime(), lookOf(info)
		}
	}
	if path == "" {
		return nil, when, nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if f, ok := in.found[path]; ok && f.look == now {
		return f.report, when, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // below the policy's folder
	var r discover.Report
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return nil, when, fmt.Errorf("read the last report %s: %w", path, err)
	}
	r.Store = store
	if in.found == nil {
		in.found = map[string]foundReport{}
	}
	in.found[path] = foundReport{now, &r}
	return &r, when, nil
}

// Discovered implements portal.Insight.
func (in *insight) Discovered(context.Context) ([]portal.Discovery, error) {
	c, _ := in.now()
	// What the policy in force says counts, and not what the file said when a report was made.
	said := map[string]config.Verdict{}
	for _, v := range c.Discover.Verdicts {
		said[v.Column] = v
	}
	var out []portal.Discovery
	for _, store := range slices.Sorted(maps.Keys(c.Stores)) {
		r, when, err := in.latest(c, store)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue
		}
		d := portal.Discovery{Store: store, Taken: when, Gaps: r.Summary.NotExamined, Columns: []portal.Discovered{}}
		for i := range r.Columns {
			if col, ok := discovered(c, said, store, &r.Columns[i]); ok {
				d.Columns = append(d.Columns, col)
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// discovered is a column as the portal shows it; false: nothing is known of it.
func discovered(c *config.Config, said map[string]config.Verdict, store string, rec *discover.Record) (portal.Discovered, bool) {
	out := portal.Discovered{Column: store + "." + rec.Place(), Type: rec.Type, Class: string(rec.Class), Confidence: rec.Confidence}
	if l := c.Policy.Labels[policy.Column{Table: policy.Table{Store: store, Schema: rec.Schema, Name: rec.Table}, Column: rec.Column}]; l != nil {
		out.Label = l.Class
	}
	if v := rec.Verdict; v != nil {
		out.By, out.Disputed = v.By, v.Disputed
	}
	if v, ok := said[out.Column]; ok {
		if out.By, out.Verdict = v.By, string(v.Class); v.Class == "" {
			out.Verdict = discover.NotSensitive
		}
	}
	if len(rec.Evidence) > 0 {
		out.Because = string(rec.Evidence[0].Source)
	}
	return out, out.Class != "" || out.Label != "" || out.Verdict != ""
}

// Propose implements portal.Insight.
func (in *insight) Propose(_ context.Context, by string, choices []portal.Choice) (*portal.Proposal, error) {
	c, err := in.load()
	if err != nil {
		return nil, err
	}
	byStore := map[string][]discover.Choice{}
	for _, choice := range choices {
		parts, err := discover.SplitPlace(choice.Column)
		if err != nil || len(parts) != 4 || c.Stores[parts[0]] == nil {
			return nil, portal.Refuse("There is no column "+choice.Column+".", "")
		}
		if !discover.KnownClass(choice.Class) {
			return nil, portal.Refuse("There is no class "+choice.Class+".", "docs/reference/classes.md lists them.")
		}
		byStore[parts[0]] = append(byStore[parts[0]], discover.Choice{Schema: parts[1], Table: parts[2], Column: parts[3], Class: choice.Class})
	}
	file := policyFileFor(c, "labels")
	before, err := os.ReadFile(file) //nolint:gosec // the policy
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	var reports discover.Reports
	for _, store := range slices.Sorted(maps.Keys(byStore)) {
		r, _, err := in.latest(c, store)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, portal.Refuse("Nobody has looked at store "+store+" yet.", "")
		}
		reports = append(reports, r)
	}
	text, err := reports.PatchChosen(before, c.Policy, byStore, by, time.Now())
	if err != nil {
		return nil, portal.Refuse("The policy file cannot be changed for that: "+err.Error()+".", "")
	}
	info, err := os.Stat(file)
	if err == nil {
		err = loads(c, file, info, text)
	}
	if err != nil {
		return nil, portal.Refuse("The policy file would not load with that: "+err.Error()+".", "Correct what is in the way in the file, and decide again.")
	}
	diff, err := bareDiff(filepath.Base(file), string(before), string(text))
	if err != nil {
		return nil, portal.Refuse("The change cannot be shown: "+err.Error()+".", "")
	}
	left := slices.Concat(reports.Standing(before, c.Policy, byStore), reports.Notes(before, c.Policy))
	return &portal.Proposal{File: filepath.Base(file), Diff: diff, Left: left}, nil
}

// policyFileFor is the file of the policy that has a key, or the first.
func policyFileFor(c *config.Config, key string) string {
	for _, f := range c.Files {
		if text, err := os.ReadFile(f); err == nil && discover.HasKey(text, key) { //nolint:gosec // the policy
			return f
		}
	}
	return c.Files[0]
}

// verifier is what no page shows, even of a file that its reader may change.
var verifier = regexp.MustCompile(`SCRAM-SHA-256\$|scram:`)

// bareDiff is a unified diff without context, so that it shows what changes and nothing that stands beside it: policy files hold
// verifiers of passwords. Lines are only added, or one is replaced by a longer one.
func bareDiff(name, before, after string) (string, error) {
	if before == after {
		return "", nil
	}
	if before != "" && !strings.HasSuffix(before, "\n") {
		return "", errors.New("the policy file's last line has no end: add a newline first")
	}
	old, now := strings.Split(before, "\n"), strings.Split(after, "\n")
	var b strings.Builder
	fmt.Fprintf(&b, "--- a/%s\n+++ b/%[1]s\n", name)
	i, j := 0, 0
	for i < len(old) || j < len(now) {
		if i < len(old) && j < len(now) && old[i] == now[j] {
			i, j = i+1, j+1
			continue
		}
		removed, added := changed(old[i:], now[j:])
		if slices.ContainsFunc(old[i:i+removed], verifier.MatchString) {
			return "", errors.New("the change is in a line that holds somebody's verifier: make it by hand")
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", hunk(i, removed), hunk(j, added))
		for _, l := range old[i : i+removed] {
			b.WriteString("-" + l + "\n")
		}
		for _, l := range now[j : j+added] {
			b.WriteString("+" + l + "\n")
		}
		i, j = i+removed, j+added
	}
	return b.String(), nil
}

// changed says how many lines go and how many come, until both texts meet again.
func changed(old, now []string) (removed, added int) {
	if len(old) == 0 {
		return 0, len(now)
	}
	for k, l := range now {
		if l == old[0] {
			return 0, k
		}
	}
	// The first line was replaced: by all up to the next that both have.
	removed = 1
	if len(old) == 1 {
		return removed, len(now)
	}
	for k, l := range now {
		if l == old[1] {
			return removed, k
		}
	}
	return removed, 1
}

// hunk is a range of lines as unified diffs write it.
func hunk(from, count int) string {
	if count == 0 {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, count)
}
