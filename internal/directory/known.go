package directory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Known is what the directory said at its last answer that counted.
type Known struct {
	Version   int              `json:"version"`
	Source    string           `json:"source"`
	Confirmed time.Time        `json:"confirmed,omitzero"` // when it last said all of it
	Failing   time.Time        `json:"failing,omitzero"`   // its answers do not count, since then
	Reason    string           `json:"reason,omitempty"`   // why
	Expired   time.Time        `json:"expired,omitzero"`   // that lasted too long: its groups ended then
	People    map[string]Entry `json:"people,omitempty"`   // who was looked for, by their name here
}

// Entry is what the directory said of somebody.
type Entry struct {
	State  State    `json:"state"`
	DN     string   `json:"dn,omitempty"`
	ID     string   `json:"id,omitempty"` // of the entry; a name or an address can change hands
	Groups []string `json:"groups,omitempty"`
}

// State is how somebody stands in the directory.
type State string

// The states. Who was never found is no business of the directory's; who was and is no more has lost everything.
const (
	Absent   State = "absent"   // never found
	Present  State = "present"  // found
	Unclear  State = "unclear"  // several entries could be theirs, or several people could be the entry's
	Disabled State = "disabled" // found, and disabled
	Gone     State = "gone"     // was found once
	Other    State = "other"    // was found once; the entry that is found now is somebody else's
)

// Ended says whether somebody may do nothing any more.
func (s State) Ended() bool { return s == Disabled || s == Gone || s == Other }

// holds says whether groups count at a time.
func (k *Known) holds(limit time.Duration, now time.Time) bool {
	return k.Expired.IsZero() && now.Before(k.Confirmed.Add(limit))
}

// groupsOf are the groups of somebody that were in force.
func (k *Known) groupsOf(name string) []string {
	if !k.Expired.IsZero() {
		return nil
	}
	return k.People[name].Groups
}

// Join adds what the directory says to what the identity provider says of people. Groups of another directory do not count, and those
// that nobody confirmed within the limit do not either; that somebody is gone does. Who was found once stays on the list also
// without groups: what they hold on servers follows it.
func (k *Known) Join(provider []policy.Person, source string, limit time.Duration, now time.Time) []policy.Person {
	if k == nil {
		return provider
	}
	out := slices.Clone(provider)
	at := map[string]int{}
	for i := range out {
		at[out[i].Name] = i
	}
	for _, name := range slices.Sorted(maps.Keys(k.People)) {
		e := k.People[name]
		if e.State == Absent {
			continue
		}
		var groups []string
		if e.State == Present && k.Source == source && k.holds(limit, now) {
			groups = e.Groups
		}
		i, known := at[name]
		if !known {
			i = len(out)
			out = append(out, policy.Person{Name: name, OfFile: true})
		}
		out[i].Directory, out[i].Barred = groups, e.State.Ended()
		out[i].Ended = out[i].Ended || out[i].Barred
	}
	return out
}

// Found says whether an entry of the directory was somebody's once.
func (k *Known) Found(name string) bool {
	e, ok := k.People[name]
	return ok && e.State != Absent
}

// Forget lets go of whose entry somebody had: the next look takes what it finds.
func Forget(ctx context.Context, s Store, name string) error {
	const attempts = 5
	for try := 1; ; try++ {
		k, err := s.Directory(ctx)
		if err != nil || !k.Found(name) {
			return err
		}
		delete(k.People, name)
		k.Version++
		if err = s.KeepDirectory(ctx, k, false); !errors.Is(err, ErrConflict) || try == attempts {
			return err
		}
	}
}
