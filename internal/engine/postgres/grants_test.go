package postgres

import (
	"fmt"
	"slices"
	"testing"

	"github.com/postern-sec/postern/internal/plan"
)

// What does not fit into one transaction waits, the beginnings and never the ends, and whoever waits is named.
func TestHandInParts(t *testing.T) {
	t.Parallel()
	const each = handMost / 4
	h := &Handed{Wanted: &plan.Wanted{}, Later: map[string]string{}}
	var changes []plan.Change
	for n := range 6 {
		i := &plan.Identity{User: fmt.Sprintf("u%d", n), Role: fmt.Sprintf("r%d", n)}
		h.Wanted.Identities = append(h.Wanted.Identities, i)
		changes = append(changes, plan.Change{ID: identityChange(i), SQL: make([]string, each)})
	}
	for n := range 6 {
		changes = append(changes, plan.Change{ID: []string{endPrefix, leavePrefix}[n%2] + fmt.Sprintf("old%d", n), SQL: make([]string, each)})
	}
	var now []string
	for _, c := range h.first(changes) {
		now = append(now, c.ID)
	}
	want := []string{"end:old0", "leave:old1", "end:old2", "leave:old3", "end:old4", "leave:old5"}
	for n := range 4 {
		want = append(want, changes[n].ID)
	}
	if !slices.Equal(now, want) {
		t.Errorf("now: %v", now)
	}
	if later := sortedKeys(h.Later); !h.More || !slices.Equal(later, []string{"u4", "u5"}) {
		t.Errorf("more: %v, later: %v", h.More, later)
	}
	all := &Handed{Wanted: h.Wanted, Later: map[string]string{}}
	if n := len(all.first(changes[3:])); n != 9 || all.More || len(all.Later) > 0 {
		t.Errorf("what fits: %d changes, more: %v, later: %v", n, all.More, all.Later)
	}
	huge := &Handed{Wanted: h.Wanted, Later: map[string]string{}}
	if n := len(huge.first([]plan.Change{{ID: changes[0].ID, SQL: make([]string, handMost+1)}, changes[1]})); n != 1 || !huge.More {
		t.Errorf("a change that is too large by itself: %d, more: %v", n, huge.More)
	}
}
