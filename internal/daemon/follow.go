package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/policy"
)

// follow reacts to the policy file, to SIGHUP and to the stores until ctx ends.
func (d *daemon) follow(ctx context.Context, s *stores, find *finding, files *watcher) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.opts.Reload:
			d.reload(ctx, s, files, "signal")
		case <-files.changes():
			settled = time.After(settle)
		case <-settled:
			settled = nil
			d.reload(ctx, s, files, "file")
		case r := <-find.done:
			find.tell(ctx, r)
		case <-d.grants.wake:
			d.grants.turn(ctx, s)
		case <-poll.C:
			if d.grants.leads {
				find.poll(ctx)
			}
			if s.poll(ctx, d.grants.policy()) {
				d.decideAgain()
			}
			d.grants.turn(ctx, s)
			if !d.opts.Clock.Now().Before(d.certificatesNext) {
				d.tellCertificates()
			}
		}
	}
}

// reload takes up the policy file. One that cannot be used leaves everything as it is.
func (d *daemon) reload(ctx context.Context, s *stores, files *watcher, cause string) {
	next, err := d.opts.Load(d.opts.Path)
	if err == nil {
		err = needsRestart(d.config, next)
	}
	if err != nil {
		d.log.Error("the policy file was not taken up; the one in force stays", "error", err)
		// A failure to record is in the log, and there is nothing to hold back.
		_ = d.recordReload(ctx, d.config, cause, err)
		return
	}
	if err := d.recordReload(ctx, next, cause, nil); err != nil {
		return // nothing happens that the trail does not know
	}
	changed := next.Policy.Digest != d.config.Policy.Digest
	d.config = next
	d.taken.Store(next)
	d.keepOutline(ctx)
	if err := files.follow(next); err != nil {
		d.log.Error("the policy file cannot be watched: send SIGHUP after a change", "error", err)
	}
	s.refreshAll(ctx, d.grants.policy())
	d.decideAgain()
	d.grants.swept = time.Time{} // grants are held against the new policy at the next turn, which is now
	d.grants.turn(ctx, s)
	d.tellCertificates()
	d.log.Info("policy taken up", "cause", cause, "changed", changed, "digest", next.Policy.Digest[:min(12, len(next.Policy.Digest))])
}

func (d *daemon) recordReload(ctx context.Context, c *config.Config, cause string, failure error) error {
	e := audit.Event{Kind: audit.Reload, Policy: c.Policy.Digest, Verdict: "allow", Detail: d.fileDetail(c, map[string]string{"cause": cause})}
	if failure != nil {
		e.Verdict, e.Message = "refuse", firstLine(failure)
	}
	if _, err := d.trail.Record(ctx, e); err != nil {
		d.log.Error("a policy change could not be recorded and is not taken up", "error", err)
		return err
	}
	return nil
}

func firstLine(err error) string {
	var ps config.Problems
	if errors.As(err, &ps) && len(ps) > 0 {
		return ps[0].String()
	}
	return err.Error()
}

// decideAgain lets every live session be decided anew.
func (d *daemon) decideAgain() {
	if err := d.gw.Reload(); err != nil {
		d.log.Error("certificates were not read again; the old ones stay in use", "error", err)
	}
}

// needsRestart says what a running gateway cannot take up: the first key of the file that changed and is looked at only at start.
func needsRestart(old, next *config.Config) error {
	for _, part := range atStart(next) {
		before := part.of(old)
		if !sameBut(reflect.ValueOf(before), reflect.ValueOf(part.of(next))) {
			return fmt.Errorf("%s changed, which needs a restart of postern serve", part.key)
		}
	}
	return nil
}

// startPart is what a key of the file says, and is looked at only at start.
type startPart struct {
	key   string
	field string // of config.Config
	of    func(*config.Config) any
}

// atStart lists all of it.
func atStart(next *config.Config) []startPart {
	out := []startPart{
		{"state", "State", func(c *config.Config) any { return [2]string{c.State.SQLite, c.State.Postgres} }},
		{"keys", "Keys", func(c *config.Config) any { return c.Keys }},
		{"audit", "Audit", func(c *config.Config) any { return c.Audit }},
		{"portal", "Portal", func(c *config.Config) any { return c.Portal }},
		{"ldap", "LDAP", func(c *config.Config) any { return c.LDAP }},
		{"identity.emergency_admin", "Emergency", func(c *config.Config) any { return c.Emergency }},
		{"notices", "Notices", func(c *config.Config) any { return c.Notices }},
		{"slack", "Slack", func(c *config.Config) any { return c.Slack }},
		{"gateway.listeners", "Gateway", func(c *config.Config) any { return listenersOf(c) }},
		{"gateway.parser", "Gateway", func(c *config.Config) any { return c.Gateway.Parser }},
		{"stores", "Stores", func(c *config.Config) any { return storesOf(c) }},
	}
	if next.Audit.ClassifyResults > 0 { // results are looked at by the classes that there were at start
		out = append(out, startPart{"classifiers", "Discover", func(c *config.Config) any { return c.Discover.Classifiers }})
	}
	return out
}

// sameBut compares what two files say, whatever line it stands on: moving a line is no change.
func sameBut(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return false
	}
	switch {
	case !a.IsValid() || a.Type() == reflect.TypeFor[policy.Pos]():
		return true
	case a.Kind() == reflect.Struct:
		for i := range a.NumField() {
			if !sameBut(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case a.Kind() == reflect.Pointer || a.Kind() == reflect.Interface:
		return a.IsNil() == b.IsNil() && (a.IsNil() || sameBut(a.Elem(), b.Elem()))
	case a.Kind() == reflect.Map:
		for _, key := range a.MapKeys() {
			if !sameBut(a.MapIndex(key), b.MapIndex(key)) {
				return false
			}
		}
		return a.Len() == b.Len()
	case a.Kind() == reflect.Slice || a.Kind() == reflect.Array:
		for i := range min(a.Len(), b.Len()) {
			if !sameBut(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return a.Len() == b.Len()
	}
	return a.Equal(b)
}

func listenersOf(c *config.Config) []gateway.Listener {
	var out []gateway.Listener
	for _, l := range c.Gateway.Listeners {
		out = append(out, listenerOf(l))
	}
	return out
}

// storesOf is what serve connects with: limits and who is observed are the policy's, which is taken up.
func storesOf(c *config.Config) map[string]config.Store {
	out := map[string]config.Store{}
	for name, s := range c.Stores {
		known := *s
		known.Limits, known.Observe = policy.Limits{}, policy.Observe{}
		out[name] = known
	}
	return out
}

func listenerOf(l *config.Listener) gateway.Listener {
	out := gateway.Listener{Engine: l.Engine, Address: l.Address, Mode: l.Mode, Group: l.Group, Proxies: l.Proxies}
	if l.Socket != "" {
		out.Socket = filepath.Join(l.Socket, fmt.Sprintf(".s.PGSQL.%d", l.Port))
	}
	out.TLS = gateway.ListenerTLS{Cert: l.TLS.Cert, Key: l.TLS.Key, Required: l.TLS.Required, MinVersion: l.TLS.MinVersion, ClientCA: l.TLS.ClientCA}
	return out
}

// watcher notices changes of the policy's files. It watches folders, because editors replace files.
type watcher struct {
	fs      *fsnotify.Watcher
	folders map[string]bool
	out     chan struct{}
	done    chan struct{}
	log     *slog.Logger
}

func watch(c *config.Config, log *slog.Logger) (*watcher, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch the policy file: %w", err)
	}
	w := &watcher{fs: fs, folders: map[string]bool{}, out: make(chan struct{}, 1), done: make(chan struct{}), log: log}
	if err := w.follow(c); err != nil {
		return nil, errors.Join(err, fs.Close())
	}
	go w.run()
	return w, nil
}

func (w *watcher) changes() <-chan struct{} { return w.out }

// follow watches the folders of a configuration's files. Folders are only ever added.
func (w *watcher) follow(c *config.Config) error {
	paths := append([]string{c.Path}, c.Files...)
	for _, p := range paths {
		abs, err := filepath.Abs(p)
		if err != nil {
			return fmt.Errorf("watch %s: %w", p, err)
		}
		for _, dir := range []string{filepath.Dir(abs), abs} {
			if w.folders[dir] || (dir == abs && p != c.Path) {
				continue
			}
			// A path that is a file can be watched too; its folder tells when it is replaced.
			if err := w.fs.Add(dir); err != nil {
				return fmt.Errorf("watch %s: %w", dir, err)
			}
			w.folders[dir] = true
		}
	}
	return nil
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		select {
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if e.Op == fsnotify.Chmod || !isPolicyFile(e.Name) {
				continue
			}
			select {
			case w.out <- struct{}{}:
			default: // one is waiting already
			}
		case err, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			w.log.Warn("watching the policy file", "error", err)
		}
	}
}

// isPolicyFile keeps the audit trail, the state and an editor's own files from looking like changes.
func isPolicyFile(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

func (w *watcher) close() {
	_ = w.fs.Close()
	<-w.done
}
