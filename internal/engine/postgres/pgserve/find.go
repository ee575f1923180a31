package pgserve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/policy"
)

// finder looks for sensitive data in one store.
type finder struct {
	store   *config.Store
	account config.Account
	feed    *postgres.Feed
	done    seen
}

// Finder implements daemon.Engine. The login is the store's scanner, or the provisioner where serve holds it anyway; without one
// there is no finder.
func (e Engine) Finder(ctx context.Context, s *config.Store) (daemon.Finder, error) {
	account := s.Scanner
	if account.User == "" && s.Provision == config.ProvisionAuto {
		account = s.Provisioner
	}
	if account.User == "" {
		return nil, nil
	}
	login, err := Login(ctx, s, account)
	if err != nil {
		return nil, err
	}
	return &finder{store: s, account: account, feed: postgres.NewFeed(login, 1)}, nil
}

// Standbys are the servers of the policy that stream from a store, with the logins that read samples there: their own scanner, or the
// account that reads the store, which they have too.
func Standbys(ctx context.Context, c *config.Config, s *config.Store, account config.Account) ([]postgres.Standby, error) {
	var out []postgres.Standby
	for _, name := range slices.Sorted(maps.Keys(c.Standbys)) {
		of := c.Standbys[name]
		if of.StandbyOf != s.Name {
			continue
		}
		as := account
		if of.Scanner.User != "" {
			as = of.Scanner
		}
		login, err := Login(ctx, of, as)
		if err != nil {
			return nil, err
		}
		login.Database = s.Database
		out = append(out, postgres.Standby{Name: name, Login: login})
	}
	return out, nil
}

// Tables implements daemon.Finder.
func (f *finder) Tables(ctx context.Context) (string, error) { return f.feed.Tables(ctx) }

// Find implements daemon.Finder.
func (f *finder) Find(ctx context.Context, c *config.Config, last []byte, anew bool) (daemon.Found, error) {
	if anew || f.done.tables == nil {
		f.done.tables = map[string][]byte{}
	}
	opts := discover.Options{
		Store: f.store.Name, Countries: c.Discover.Countries, Customs: c.Discover.Classifiers, Checkpoint: &f.done, Last: &discover.Report{},
		Verdicts: Verdicts(c),
	}
	if len(last) > 0 {
		if err := json.Unmarshal(last, opts.Last); err != nil {
			return daemon.Found{}, fmt.Errorf("read the last report: %w", err)
		}
	}
	standbys, err := Standbys(ctx, c, f.store, f.account)
	if err != nil {
		return daemon.Found{}, err
	}
	var notes []string
	f.feed.Prefer(ctx, standbys, func(text string) { notes = append(notes, text) })
	report, err := discover.Run(ctx, f.feed, opts)
	if err != nil {
		return daemon.Found{}, err
	}
	report.SampledOn(f.feed.Sources())
	var text bytes.Buffer
	if err := report.Measure(opts.Last).WriteJSON(&text); err != nil {
		return daemon.Found{}, err
	}
	out := daemon.Found{Notes: notes, Report: text.Bytes(), Columns: report.Summary.Columns, Classified: report.Summary.Classified, NotExamined: report.Summary.NotExamined}
	for _, n := range report.New {
		label := c.Policy.Labels[policy.Column{Table: policy.Table{Store: f.store.Name, Schema: n.Schema, Name: n.Table}, Column: n.Column}]
		if label != nil && label.Class == string(n.Class) {
			continue
		}
		out.New = append(out.New, daemon.FoundColumn{Column: n.Place, Class: string(n.Class), Was: string(n.Was)})
	}
	return out, nil
}

// Close implements daemon.Finder.
func (f *finder) Close() { f.feed.Close(context.Background()) }

// Verdicts are the policy file's, as discover takes them.
func Verdicts(c *config.Config) []discover.Verdict {
	var out []discover.Verdict
	for _, v := range c.Discover.Verdicts {
		out = append(out, discover.Verdict{Column: v.Column, Class: v.Class, Type: v.Type, By: v.By, At: v.At, Reason: v.Reason})
	}
	return out
}

// seen remembers in memory what was counted of each table, so that a look at new tables reads only those.
type seen struct {
	mu     sync.Mutex
	tables map[string][]byte
}

var _ discover.Checkpoint = (*seen)(nil)

func (s *seen) Load(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, ok := s.tables[key]
	return raw, ok
}

func (s *seen) Save(key string, profiles []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tables[key] = profiles
}
