package state_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
)

// What a policy said is kept once, under its digest, and every instance reads it.
func TestPoliciesAreKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		want := []string{"group office: members = bob", "rule all: to = ana"}
		if err := errors.Join(db.KeepPolicy(t.Context(), "d1", noon, want), other.KeepPolicy(t.Context(), "d1", noon, []string{"something else"})); err != nil {
			t.Fatal(err)
		}
		if got, err := other.PolicyOutline(t.Context(), "d1"); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := other.PolicyOutline(t.Context(), "d2"); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("one that never was: %v", err)
		}
		if err := db.KeepPolicy(t.Context(), "d0", noon.Add(time.Hour), want); err != nil {
			t.Fatal(err)
		}
		if got, err := other.PolicyDigests(t.Context()); err != nil || !slices.Equal(got, []string{"d1", "d0"}) {
			t.Errorf("kept are %q, %v", got, err)
		}
	})
}
