package daemon

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

// world is what is in force: the policy and, for each store, what its wall shows. It changes in one step, so that a decision
// never mixes two policies.
type world struct {
	current atomic.Pointer[inForce]
	mu      sync.Mutex      // one writer at a time
	people  []policy.Person // whom the identity provider knows
}

type inForce struct {
	policy  *policy.Policy
	views   map[string]view
	columns []portal.Column // of the views, once for all who ask; never changed
}

// view is one store's answer, or why there is none.
type view struct {
	view View
	why  *gateway.Unavailable
}

var (
	_ gateway.Policies = (*world)(nil)
	_ gateway.Profiles = (*world)(nil)
)

func newWorld(p *policy.Policy) *world {
	w := &world{}
	w.current.Store(&inForce{policy: p, views: map[string]view{}})
	return w
}

// Current implements gateway.Policies.
func (w *world) Current() *policy.Policy { return w.current.Load().policy }

// Profile implements gateway.Profiles.
func (w *world) Profile(h gateway.Holder) (*gateway.Profile, error) {
	v, ok := w.current.Load().views[h.Store]
	switch {
	case !ok:
		return nil, &gateway.Unavailable{Code: gateway.CodeUpstream, Message: "store " + h.Store + " is not ready yet", Hint: "try again in a moment"}
	case v.why != nil:
		return nil, v.why
	}
	return v.view.Profile(h)
}

// columns lists the columns of every store that was looked at. Nobody may change the list: it is the same one until another look.
func (w *world) columns() []portal.Column { return w.current.Load().columns }

func columnsOf(all map[string]view) []portal.Column {
	var out []portal.Column
	for _, name := range sortedKeys(all) {
		if all[name].view == nil {
			continue
		}
		for _, c := range all[name].view.Columns() {
			out = append(out, portal.Column(c))
		}
	}
	return out
}

// health says of each store whether it can be used, and if not why.
func (w *world) health() map[string]string {
	out := map[string]string{}
	for name, v := range w.current.Load().views {
		out[name] = ""
		if v.why != nil {
			out[name] = v.why.Message
		}
	}
	return out
}

// set puts a policy and some stores' views in force; stores that are not in views keep theirs.
func (w *world) set(p *policy.Policy, views map[string]view) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := &inForce{policy: w.peopled(p), views: maps.Clone(w.current.Load().views)}
	maps.Copy(next.views, views)
	if next.columns = w.current.Load().columns; len(views) > 0 {
		next.columns = columnsOf(next.views)
	}
	w.current.Store(next)
}

// with is a policy with the people whom the identity provider knows at the moment.
func (w *world) with(p *policy.Policy) *policy.Policy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.peopled(p)
}

func (w *world) peopled(p *policy.Policy) *policy.Policy {
	if w.people == nil {
		return p
	}
	return p.WithPeople(w.people)
}

// setPeople puts in force who is known to the identity provider, and says whether that is another set of people or groups than before.
func (w *world) setPeople(people []policy.Person) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if reflect.DeepEqual(people, w.people) || len(people)+len(w.people) == 0 {
		return false
	}
	w.people = people
	now := w.current.Load()
	w.current.Store(&inForce{policy: w.peopled(now.policy), views: now.views, columns: now.columns})
	return true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
