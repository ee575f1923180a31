package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/identity"
)

// What the provider ended ends what came of it and nothing else, and the last time of it is known to every instance for a while.
func TestLogouts(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other, ctx := open(t, path), open(t, path), t.Context()
		for _, i := range []identity.Issued{
			{ID: "a1", Kind: identity.Temporary, Subject: "ana", SignOn: "one"},
			{ID: "a2", Kind: identity.Temporary, Subject: "ana", SignOn: "two"},
			{ID: "a3", Kind: identity.Personal, Subject: "ana"},
			{ID: "b1", Kind: identity.Temporary, Subject: "bob", SignOn: "one"},
			{ID: "b2", Kind: identity.Temporary, Subject: "bob"},
		} {
			i.Created, i.Expires = noon, noon.Add(time.Hour)
			if err := db.Issue(ctx, i); err != nil {
				t.Fatal(err)
			}
		}
		live := func(want ...string) {
			t.Helper()
			all, err := other.Credentials(ctx, "", noon)
			var got []string
			for i := range all {
				got = append(got, all[i].ID)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("live are %q, %v, want %q", got, err, want)
			}
		}
		end := func(subject string, signOns ...string) {
			t.Helper()
			if err := other.EndSignedOn(ctx, subject, signOns, noon); err != nil {
				t.Fatal(err)
			}
		}
		end("ana", "two", "three")
		live("a1", "a3", "b1", "b2")
		end("", "one")
		live("a3", "b2")
		end("bob")
		live("a3")

		last := func(key string, want time.Time) {
			t.Helper()
			if at, err := other.LastLogout(ctx, key); err != nil || !at.Equal(want) {
				t.Errorf("%s was ended at %s, %v, want %s", key, at, err, want)
			}
		}
		last("k", time.Time{})
		for _, at := range []time.Time{noon, noon.Add(time.Minute), noon.Add(-time.Minute)} {
			if err := db.KeepLogout(ctx, "k", at); err != nil {
				t.Fatal(err)
			}
		}
		last("k", noon.Add(time.Minute))
		last("other", time.Time{})
		if err := db.Tidy(ctx, noon.Add(25*time.Hour)); err != nil {
			t.Fatal(err)
		}
		last("k", noon.Add(time.Minute))
		if err := db.Tidy(ctx, noon.Add(26*time.Hour)); err != nil {
			t.Fatal(err)
		}
		last("k", time.Time{})
	})
}
