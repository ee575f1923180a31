package state_test

import (
	"errors"
	"testing"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
)

// Views are their owner's, under names of their own, and every instance sees them.
func TestViewsAreKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		ctx := t.Context()
		for _, v := range []people.View{
			{ID: "1", Subject: "ana", Name: "refused", Query: "verdict=refuse", At: noon},
			{ID: "2", Subject: "ana", Name: "alarms", At: noon},
			{ID: "3", Subject: "bob", Name: "refused", Query: "x", At: noon},
		} {
			if err := db.KeepView(ctx, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := other.KeepView(ctx, people.View{ID: "4", Subject: "ana", Name: "refused"}); !errors.Is(err, access.ErrConflict) {
			t.Errorf("a name twice: %v", err)
		}
		if err := other.RenameView(ctx, "ana", "2", "refused"); !errors.Is(err, access.ErrConflict) {
			t.Errorf("renamed to a name that is there: %v", err)
		}
		for _, err := range []error{other.RenameView(ctx, "bob", "1", "mine"), other.DropView(ctx, "bob", "1"), other.DropView(ctx, "ana", "9")} {
			if !errors.Is(err, access.ErrNotFound) {
				t.Errorf("of somebody else, or of nobody: %v", err)
			}
		}
		if err := other.RenameView(ctx, "ana", "2", "zebra"); err != nil {
			t.Error(err)
		}
		got, err := other.Views(ctx, "ana")
		if err != nil || len(got) != 2 || got[0] != (people.View{ID: "1", Subject: "ana", Name: "refused", Query: "verdict=refuse", At: noon}) || got[1].Name != "zebra" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := db.DropView(ctx, "ana", "1"); err != nil {
			t.Error(err)
		}
		if got, err := other.Views(ctx, "ana"); err != nil || len(got) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := other.Views(ctx, "bob"); err != nil || len(got) != 1 {
			t.Errorf("bob's: %+v, %v", got, err)
		}
	})
}
