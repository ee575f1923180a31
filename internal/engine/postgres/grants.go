package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// Handed is what Hand did and could not do.
type Handed struct {
	Wanted   *plan.Wanted
	Snapshot *catalog.Snapshot // from afterwards
	Done     []string          // titles of changes, in order
	// Waiting names the users whose set of rules has no profile here yet, or whose login needs consent by name, and why.
	Waiting map[string]string
	// More: there was more to do than goes into one transaction. Later names whom it concerns, and says so.
	More  bool
	Later map[string]string
}

// handMost is how many statements Hand puts into one transaction to let people hold something. A server on which a thousand are granted
// something at once is brought there in several goes: each lets go of the lock, and what was done is not lost when time runs out.
const handMost = 1200

// first picks what is done now. All that ends comes first, and all at once: nobody keeps access because others are granted some.
func (h *Handed) first(changes []plan.Change) []plan.Change {
	var now, later []plan.Change
	for _, c := range changes {
		if strings.HasPrefix(c.ID, endPrefix) || strings.HasPrefix(c.ID, leavePrefix) {
			now = append(now, c)
		} else {
			later = append(later, c)
		}
	}
	statements := 0
	for n, c := range later {
		if statements += len(c.SQL); statements > handMost && n > 0 {
			h.put(later[n:])
			return append(now, later[:n]...)
		}
	}
	return append(now, later...)
}

// put leaves changes for the next time.
func (h *Handed) put(off []plan.Change) {
	h.More = true
	ids := map[string]bool{}
	for _, c := range off {
		ids[c.ID] = true
	}
	for _, i := range h.Wanted.Identities {
		if ids[identityChange(i)] {
			h.Later[i.User] = "it is brought to the server after what others were granted before"
		}
	}
}

// What the changes begin with that take something.
const (
	endPrefix   = "end:"
	leavePrefix = "leave:"
)

// handWait is how long grants wait for whoever else is changing the wall: another gateway with the same grants, most of the time.
const (
	handWait  = 5 * time.Second
	handPause = 50 * time.Millisecond
)

// await is prepare for those who may wait a moment. What they bring is compared anew once they have the lock.
func (s *Server) await(ctx context.Context, tx pgx.Tx) error {
	for until := time.Now().Add(handWait); ; {
		err := s.prepare(ctx, tx)
		if !errors.Is(err, ErrBusy) || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(handPause):
		}
	}
}

// Hand brings what grants decide to the server, with no more rights than the grantor has: rows of Postern's own tables,
// memberships of profile roles and login roles. It never touches a table of the application, nor anything that the policy file
// alone decides: that is apply's. What it does happens in one transaction, and if that is not
// all, the result says so.
func (s *Server) Hand(ctx context.Context, req Request) (*Handed, error) {
	// The first look takes no lock: with nothing to bring, nobody else's apply or verify is in the way.
	snap, err := s.Inspect(ctx, schemasOf(req))
	if err != nil {
		return nil, err
	}
	out, changes, err := compareGrants(req, snap)
	if err != nil || len(changes) == 0 {
		return out, err
	}
	tx, err := s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return nil, fmt.Errorf("hand out grants: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after Commit this does nothing
	if err := s.await(ctx, tx); err != nil {
		return nil, err
	}
	if snap, err = s.inspect(ctx, tx, schemasOf(req)); err != nil {
		return nil, err
	}
	if out, changes, err = compareGrants(req, snap); err != nil || len(changes) == 0 {
		return out, err
	}
	changes = out.first(changes)
	if err := s.execute(ctx, tx, changes); err != nil {
		return nil, err
	}
	for _, c := range changes {
		out.Done = append(out.Done, c.Title)
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, fmt.Errorf("hand out grants: commit: %w", err)
	}
	out.Snapshot, err = s.Inspect(ctx, schemasOf(req)) // read back (ACC-29)
	return out, err
}

// compareGrants says what grants want that the server does not have.
func compareGrants(req Request, snap *catalog.Snapshot) (*Handed, []plan.Change, error) {
	req.Snapshot, req.Engine = snap, Engine{}
	w, err := plan.Compile(req)
	if err != nil {
		return nil, nil, err
	}
	out := &Handed{Wanted: w, Snapshot: snap, Waiting: map[string]string{}, Later: map[string]string{}}
	if snap.Wall == nil || snap.Wall.Suspended {
		return out, nil, nil
	}
	changes, err := out.changes(req)
	return out, changes, err
}

// changes picks from the whole comparison what grants decide.
func (h *Handed) changes(req Request) ([]plan.Change, error) {
	whole, err := Engine{}.Diff(h.Wanted, h.Snapshot)
	if err != nil {
		return nil, err
	}
	requested := map[string]bool{} // rules held by grants
	for _, r := range req.Policy.Rules {
		requested[r.Name] = r.Request != nil
	}
	held := map[string]bool{} // roles that hold one on the server
	for _, row := range h.Snapshot.Wall.Holds {
		if req.Policy.Rule(row.Rule) == nil {
			requested[row.Rule] = true // a rule that is gone from the file is held by nobody
		}
		held[row.Role] = held[row.Role] || requested[row.Rule]
	}
	digests := ProfileDigests(h.Snapshot, h.Wanted.Installation, h.Wanted.Store)
	byID := map[string]plan.Change{}
	for _, c := range whole.Changes {
		byID[c.ID] = c
	}
	identities := map[string]bool{}
	var out []plan.Change
	for _, i := range h.Wanted.Identities {
		identities[i.Role] = true
		granted := slices.ContainsFunc(i.Holds, func(x plan.Hold) bool { return x.Granted })
		if !granted && !held[i.Role] && !req.Policy.IsProvided(i.User) {
			continue
		}
		if digests[i.Profile.Schema] != i.Profile.Digest {
			h.Waiting[i.User] = notBuilt(i.Profile)
			// What ended ends all the same: its rows go, and the larger profile shows nothing of it.
			if req.Policy.IsProvided(i.User) && h.holdsMore(i) {
				out = append(out, h.leaves(i.Role))
				continue
			}
			out = append(out, h.ends(i.Role, i.Holds, requested)...)
			continue
		}
		switch c, differs := byID[identityChange(i)]; {
		case !differs:
		case c.Consent != "":
			h.Waiting[i.User] = c.Reason
			out = append(out, h.ends(i.Role, i.Holds, requested)...)
		default:
			out = append(out, h.fit(c, i))
		}
	}
	for _, role := range sortedKeys(held) {
		if held[role] && !identities[role] {
			out = append(out, h.leaves(role))
		}
	}
	return append(out, h.left(req.Policy, held)...), nil
}

// notBuilt says that a profile waits to be built.
func notBuilt(p *plan.Profile) string {
	out := "nothing is built yet for the " + rulesOf(p)
	if len(p.Rules) > 1 {
		out += " together"
	}
	return out
}

// holdsMore says whether the profile that a role has on the server shows what the role should no longer see: a rule that has no end
// leaves no row that could go.
func (h *Handed) holdsMore(i *plan.Identity) bool {
	for _, m := range h.Snapshot.Memberships {
		if m.Member != i.Role || m.Role == i.Profile.Role || !h.isProfile(m.Role) {
			continue
		}
		at := slices.IndexFunc(h.Wanted.Profiles, func(p *plan.Profile) bool { return p.Role == m.Role })
		if at < 0 || slices.ContainsFunc(h.Wanted.Profiles[at].Rules, func(r *plan.Rule) bool { return !slices.Contains(i.Profile.Rules, r) }) {
			return true
		}
	}
	return false
}

// isProfile says whether a role is one of this store's profiles.
func (h *Handed) isProfile(role string) bool {
	r := h.Snapshot.Role(role)
	if r == nil {
		return false
	}
	mark, ok := parseMarker(r.Comment)
	return ok && mark.Kind == kindProfile && mark.isOurs(h.Wanted)
}

// left takes what people of the identity provider had from it and have no longer, those among it who hold nothing that ends.
func (h *Handed) left(p *policy.Policy, held map[string]bool) []plan.Change {
	var out []plan.Change
	for _, name := range p.Provided() {
		role := name
		if u := p.FileUser(name); u != nil && u.Role != "" {
			role = u.Role
		}
		if held[role] || slices.ContainsFunc(h.Wanted.Identities, func(i *plan.Identity) bool { return i.Role == role }) {
			continue
		}
		if c := h.leaves(role); len(c.SQL) > 1 { // more than the rows of what ends, of which there are none
			out = append(out, c)
		}
	}
	return out
}

// fit makes a change of a login one that the grantor can carry out. Whoever makes a role administers it from then on; the
// provisioner needs to as well (16 and later).
func (h *Handed) fit(c plan.Change, i *plan.Identity) plan.Change {
	if h.Snapshot.Major() < 16 || h.Snapshot.CurrentUser == h.Wanted.Provisioner || h.Snapshot.Role(i.Role) != nil {
		return c
	}
	self := fmt.Sprintf("GRANT %s TO %s WITH ADMIN TRUE", quoteIdent(i.Role), quoteIdent(h.Snapshot.CurrentUser))
	sql := slices.DeleteFunc(slices.Clone(c.SQL), func(s string) bool { return strings.HasPrefix(s, self) })
	c.SQL = append(sql, fmt.Sprintf("GRANT %s TO %s WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", quoteIdent(i.Role), quoteIdent(h.Wanted.Provisioner)))
	return c
}

// ends removes and shortens what a role holds by grants and should not hold, or not for so long; nothing is added.
func (h *Handed) ends(role string, wanted []plan.Hold, requested map[string]bool) []plan.Change {
	c := plan.Change{ID: endPrefix + role, Title: "end grants of " + role}
	until := map[string]string{}
	for _, x := range wanted {
		until[x.Rule] = holdUntil(x)
	}
	for _, row := range h.Snapshot.Wall.Holds {
		if row.Role != role || !requested[row.Rule] {
			continue
		}
		switch want, wants := until[row.Rule]; {
		case !wants:
			c.SQL = append(c.SQL, fmt.Sprintf("DELETE FROM postern.holds WHERE role = %s AND rule = %s", quoteLiteral(role), quoteLiteral(row.Rule)))
		case want < row.Until:
			c.SQL = append(c.SQL, fmt.Sprintf("UPDATE postern.holds SET until = %s WHERE role = %s AND rule = %s", quoteLiteral(want), quoteLiteral(role), quoteLiteral(row.Rule)))
		}
	}
	if len(c.SQL) == 0 {
		return nil
	}
	return []plan.Change{c}
}

// leaves takes everything from a role that holds nothing on this store any longer. The role itself stays for apply to remove: it may
// be needed again in an hour.
func (h *Handed) leaves(role string) plan.Change {
	c := plan.Change{ID: leavePrefix + role, Title: "end the access of " + role}
	c.SQL = append(c.SQL, "DELETE FROM postern.holds WHERE role = "+quoteLiteral(role))
	for _, m := range h.Snapshot.Memberships {
		if m.Member != role || !h.isProfile(m.Role) {
			continue
		}
		sql := "REVOKE " + quoteIdent(m.Role) + " FROM " + quoteIdent(role)
		if h.Snapshot.Major() >= 16 {
			sql += " GRANTED BY " + quoteIdent(m.Grantor)
		}
		c.SQL = append(c.SQL, sql)
	}
	return c
}
