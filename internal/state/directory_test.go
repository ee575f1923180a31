package state_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/directory"
)

// TestDirectoryIsKept: of two who write at once one is told, what is news is news to all, and what is not wakes nobody.
func TestDirectoryIsKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		if k, err := db.Directory(t.Context()); err != nil || k.Version != 0 || k.People != nil {
			t.Fatalf("at first: %+v, %v", k, err)
		}
		k := directory.Known{
			Version: 1, Source: "ldaps://d", Confirmed: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
			People: map[string]directory.Entry{"ana": {State: directory.Present, DN: "uid=ana", ID: "1", Groups: []string{"a", "b"}}, "bob": {State: directory.Gone}},
		}
		count := func() int64 {
			n, err := other.ChangeCount(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := count()
		if err := db.KeepDirectory(t.Context(), k, false); err != nil || count() == before {
			t.Fatalf("%v, and it is no news", err)
		}
		if got, err := other.Directory(t.Context()); err != nil || !reflect.DeepEqual(got, k) {
			t.Errorf("%+v, %v", got, err)
		}
		k.Version, before = 2, count()
		if err := other.KeepDirectory(t.Context(), k, true); err != nil || count() != before {
			t.Errorf("%v; quiet is not", err)
		}
		if links, err := db.Links(t.Context()); err != nil || len(links) != 0 {
			t.Errorf("it counts as people of the identity provider: %+v, %v", links, err)
		}
		for _, late := range []int{1, 2, 4} {
			k.Version = late
			if err := db.KeepDirectory(t.Context(), k, false); !errors.Is(err, directory.ErrConflict) {
				t.Errorf("version %d after 2: %v", late, err)
			}
		}
	})
}
