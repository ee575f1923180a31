package discover

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWatchCountsAColumnOnceADay(t *testing.T) {
	now := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	var found []Sighting
	w, err := NewWatch(0.5, nil, func() time.Time { return now }, func(s Sighting) { found = append(found, s) })
	if err != nil {
		t.Fatal(err)
	}
	if a, b := w.Take(), w.Take(); a == b {
		t.Error("not every second result is looked at")
	}
	mail := func(from, n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("person%d@box.example", from+i)
		}
		return out
	}
	w.See("shop.public.t.c", "c", "text", mail(0, 60))
	if len(found) != 0 || !w.Wants("shop.public.t.c") {
		t.Fatalf("sixty values are judged already: %+v", found)
	}
	w.See("shop.public.t.c", "c", "text", mail(60, 60))
	if len(found) != 1 || found[0].Class != "contact.email" || found[0].Tested != 100 {
		t.Fatalf("found %+v", found)
	}
	if w.Wants("shop.public.t.c") {
		t.Error("a column is wanted twice a day")
	}
	if w.bytes != 0 {
		t.Errorf("%d bytes of values are kept", w.bytes)
	}
	words := strings.Fields("red green blue yellow black white grey brown pink orange violet cyan olive teal navy plum rust sand lime mint coal")
	w.See("shop.public.t.colour", "colour", "text", words)
	now = now.Add(watchWait + time.Second)
	w.See("shop.public.t.colour", "colour", "text", words)
	if len(found) != 1 {
		t.Errorf("colours are %+v", found[1:])
	}
	now = now.Add(watchAgain)
	if !w.Wants("shop.public.t.c") {
		t.Error("a column is not wanted the next day")
	}
}

func TestWatchIsBounded(t *testing.T) {
	w, err := NewWatch(1, nil, time.Now, func(Sighting) {})
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 1<<20)
	for i := range 40 {
		w.See(fmt.Sprintf("s.t.c%d", i), "c", "text", []string{big + fmt.Sprint(i)})
	}
	if w.bytes > watchMemory {
		t.Errorf("%d bytes are kept", w.bytes)
	}
	for i := range watchColumns + 100 {
		w.See(fmt.Sprintf("s.u.c%d", i), "c", "text", []string{"x"})
	}
	if len(w.columns) > watchColumns {
		t.Errorf("%d columns are kept", len(w.columns))
	}
}

func TestWatchMakesRoom(t *testing.T) {
	now := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	var found []Sighting
	w, err := NewWatch(1, nil, func() time.Time { return now }, func(s Sighting) { found = append(found, s) })
	if err != nil {
		t.Fatal(err)
	}
	mail := make([]string, watchValues)
	for i := range mail {
		mail[i] = fmt.Sprintf("person%d@box.example", i)
	}
	w.See("s.counted.c", "c", "text", mail)
	for i := range watchColumns - 1 {
		w.See(fmt.Sprintf("s.u.c%d", i), "c", "text", []string{"x"})
	}
	if w.Wants("s.late.c") {
		t.Fatal("there is room beside columns that are being read")
	}
	w.See("s.late.c", "c", "text", mail)
	if len(found) != 1 {
		t.Fatalf("a column was counted without room: %+v", found)
	}
	now = now.Add(watchIdle - time.Minute)
	w.See("s.u.c7", "c", "text", []string{"y"}) // read all the time
	now = now.Add(2 * time.Minute)
	if !w.Wants("s.late.c") {
		t.Fatal("columns that nobody reads are kept")
	}
	w.See("s.late.c", "c", "text", mail)
	if len(found) != 2 || found[1].Place != "s.late.c" {
		t.Fatalf("found %+v", found)
	}
	if len(w.columns) != 3 || w.columns["s.u.c7"] == nil || w.Wants("s.counted.c") {
		t.Errorf("%d columns are kept; those counted today and those being read should be", len(w.columns))
	}
	if w.bytes != 2 {
		t.Errorf("%d bytes are kept, the two values of one column should be", w.bytes)
	}
	for i := range watchColumns {
		w.See(fmt.Sprintf("s.v.c%d", i), "c", "text", []string{"x"})
	}
	now = now.Add(watchAgain)
	if !w.Wants("s.counted.c") || !w.Wants("s.other.c") {
		t.Error("the next day there is no room")
	}
}
