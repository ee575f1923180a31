package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// phase is the place of a change in a plan. What locks tables of the application comes late, so that the locks are short.
type phase int

const (
	phaseInstall phase = iota
	phasePublic
	phaseRules
	phaseCatalog
	phaseProfiles
	phaseIdentities
	phaseTables
	phasePolicies
	phaseDropPolicies
	phaseDropIdentities
	phaseDropProfiles
	phaseDropRules
)

// Diff compares the wanted state with the server. Its error is a policy.Problems when the policy and the server cannot be brought
// together at all: a name that is taken, a policy of the application's that opens the wall.
func (Engine) Diff(w *plan.Wanted, snap *catalog.Snapshot) (*plan.Plan, error) {
	d := compare(w, snap)
	if w.Inline {
		return d.inlinePlan(), nil
	}
	if wall := snap.Wall; wall != nil && wall.Suspended {
		if d.check(); len(d.problems) > 0 {
			return nil, d.problems.Sort()
		}
		d.warn(policy.Pos{}, "suspended", "run: postern resume --store "+w.Store, "store %s is suspended: subjects see nothing", w.Store)
		return d.plan(), nil
	}
	if err := d.run(); err != nil {
		return nil, err
	}
	if len(d.problems) > 0 {
		return nil, d.problems.Sort()
	}
	return d.plan(), nil
}

// run compares everything. What stands in the way is gathered in problems; the error is for what could not be compared.
func (d *differ) run() error {
	d.check()
	d.install()
	d.places()
	d.publicRights()
	d.rules()
	d.limits()
	d.catalog()
	if err := d.profiles(); err != nil {
		return err
	}
	if err := d.identities(); err != nil {
		return err
	}
	d.rows()
	d.edges()
	d.rights()
	d.owned()
	d.tables()
	d.policies()
	d.drops()
	d.advise()
	return nil
}

// compare starts a comparison.
func compare(w *plan.Wanted, snap *catalog.Snapshot) *differ {
	d := &differ{
		w: w, snap: snap, wall: newWall(w, snap), ours: map[string]marker{}, changes: map[string]*entry{}, opened: map[catalog.Name][]string{},
	}
	for _, r := range snap.Roles {
		if m, ok := parseMarker(r.Comment); ok && m.isOurs(w) {
			d.ours[r.Name] = m
		}
	}
	return d
}

// newDiffer starts a comparison of a store that must have been set up, for what does not need the whole policy compiled.
func newDiffer(req Request, snap *catalog.Snapshot) (*differ, error) {
	w := &plan.Wanted{
		Store: req.Store, Database: snap.Database.Name, Installation: plan.InstallationID(req.RootKey), Provisioner: snap.CurrentUser,
	}
	d := compare(w, snap)
	d.check()
	if snap.Wall == nil {
		return nil, fmt.Errorf("store %s has not been set up: run postern apply", req.Store)
	}
	if len(d.problems) > 0 {
		return nil, d.problems.Sort()
	}
	return d, nil
}

// differ carries one comparison.
type differ struct {
	w        *plan.Wanted
	snap     *catalog.Snapshot
	wall     *wall
	ours     map[string]marker // roles that exist and are Postern's
	changes  map[string]*entry
	operator []plan.OperatorStep
	warnings []plan.Warning
	problems policy.Problems
	opened   map[catalog.Name][]string // tables whose rows a policy of the application's shows to subjects
}

// entry is a change in the making.
type entry struct {
	plan.Change
	phase   phase
	reasons []string
	made    bool // the change makes its object, so that what is missing is no drift
	stale   bool // rows of Postern's own tables say something else of a login than the policy: it must not be used before
}

// change finds or starts a change.
func (d *differ) change(id string, at phase, title string, cause policy.Pos) *entry {
	if e := d.changes[id]; e != nil {
		return e
	}
	e := &entry{Change: plan.Change{ID: id, Title: title, Cause: cause}, phase: at}
	d.changes[id] = e
	return e
}

// add appends a statement and puts its reverse in front of the others'.
func (e *entry) add(sql, reverse string) {
	e.SQL = append(e.SQL, sql)
	if reverse != "" {
		e.Reverse = append([]string{reverse}, e.Reverse...)
	}
}

// because adds a reason, once.
func (e *entry) because(format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	if !slices.Contains(e.reasons, reason) {
		e.reasons = append(e.reasons, reason)
	}
}

// drift says that somebody changed by hand what Postern had made.
func (e *entry) drift(format string, args ...any) {
	e.Drift = true
	e.because(format, args...)
}

// widens says that an existing profile would show more, which needs consent by name.
func (e *entry) widens(format string, args ...any) {
	e.Widens, e.Consent = true, plan.ConsentWidening
	e.because(format, args...)
}

func (d *differ) problem(pos policy.Pos, hint, format string, args ...any) {
	d.problems = append(d.problems, policy.Problem{Pos: pos, Kind: policy.KindConflict, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (d *differ) warn(pos policy.Pos, id, hint, format string, args ...any) {
	d.warnings = append(d.warnings, plan.Warning{ID: id, Text: fmt.Sprintf(format, args...), Hint: hint, Pos: pos})
}

// step adds to an operator step, or starts it.
func (d *differ) step(id, title, staysOpen string, required bool, sql ...string) {
	for i := range d.operator {
		if d.operator[i].ID == id {
			d.operator[i].SQL = append(d.operator[i].SQL, sql...)
			return
		}
	}
	d.operator = append(d.operator, plan.OperatorStep{ID: id, Title: title, StaysOpen: staysOpen, Required: required, SQL: sql})
}

// can says whether the provisioner has the rights of a role.
func (d *differ) can(role string) bool { return canActAs(d.snap, d.w.Provisioner, role) }

// isOurs says whether a role is Postern's, existing or wanted; the logins of Postern itself are too.
func (d *differ) isOurs(role string) bool {
	if _, ok := d.ours[role]; ok {
		return true
	}
	if _, ok := d.wall.roles[role]; ok {
		return true
	}
	if role == d.w.Provisioner || d.w.Grantor != "" && role == d.w.Grantor {
		return true
	}
	// Roles of other stores of this installation, and of other installations, are nobody's application either.
	if r := d.snap.Role(role); r != nil {
		_, marked := parseMarker(r.Comment)
		return marked
	}
	return false
}

// foreign lists the roles outside Postern whose rights must not change: everybody but superusers, the server's own roles and Postern's.
func (d *differ) foreign() []string {
	var out []string
	for _, r := range d.snap.Roles {
		if !r.Superuser && !isSystemRole(r.Name) && !d.isOurs(r.Name) {
			out = append(out, r.Name)
		}
	}
	return out
}

// marker makes the marker of an object of this store.
func (d *differ) marker(kind, digest string) string {
	m := marker{Kind: kind, Installation: d.w.Installation, Store: d.w.Store, Digest: digest}
	if m.clusterWide() {
		m.Store = ""
	}
	return m.String()
}

// plan puts the changes in order and seals them.
func (d *differ) plan() *plan.Plan {
	entries := make([]*entry, 0, len(d.changes))
	for _, e := range d.changes {
		if len(e.SQL) > 0 {
			e.Reason = strings.Join(e.reasons, "; ")
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b *entry) int {
		if a.phase != b.phase {
			return int(a.phase - b.phase)
		}
		return strings.Compare(a.ID, b.ID)
	})
	p := &plan.Plan{
		Store: d.w.Store, Database: d.w.Database, Installation: d.w.Installation,
		Changes: []plan.Change{}, Operator: d.operator, Warnings: append(slices.Clone(d.w.Warnings), d.warnings...),
	}
	for _, e := range entries {
		p.Changes = append(p.Changes, e.Change)
	}
	slices.SortFunc(p.Operator, func(a, b plan.OperatorStep) int { return strings.Compare(a.ID, b.ID) })
	slices.SortStableFunc(p.Warnings, func(a, b plan.Warning) int { return strings.Compare(a.ID, b.ID) })
	p.Seal()
	return p
}

// sortedKeys lists a map's keys in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
