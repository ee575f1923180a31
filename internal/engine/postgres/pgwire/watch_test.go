package pgwire

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/secret"
)

// onlooker is a Watcher that keeps everything.
type onlooker struct {
	mu       sync.Mutex
	closed   bool            // takes no result
	enough   map[string]bool // columns of which it wants no more
	took     int
	received map[string][]string
}

func (o *onlooker) Take() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.took++
	return !o.closed
}

func (o *onlooker) Wants(c *WatchedColumn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.enough[c.Name]
}

func (o *onlooker) See(c *WatchedColumn, texts []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.received[c.Name] = append(o.received[c.Name], texts...)
}

// of is what was seen of a column.
func (o *onlooker) of(name string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.received[name]...)
}

func newOnlooker() *onlooker {
	return &onlooker{enough: map[string]bool{}, received: map[string][]string{}}
}

// dataRow is a DataRow message; nil is NULL.
func dataRow(values ...any) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			body = binary.BigEndian.AppendUint32(body, 0xffffffff)
			continue
		}
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(s))), s...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{'D'}, uint32(len(body)+4)), body...)
}

// watching is a session that has a watcher and nothing else, and a result whose fields 1 and 3 are watched.
func watching(w Watcher) (*session, *entry) {
	s := &session{server: &Server{config: Config{Watcher: w, Log: slog.New(slog.DiscardHandler)}}}
	return s, &entry{kind: kQuery, watched: []watchedField{{index: 1, column: &WatchedColumn{Name: "b"}}, {index: 3, column: &WatchedColumn{Name: "d"}}}}
}

func show(s *session, e *entry, row []byte) { s.watchRow(e, row, int64(len(row)-1)) }

func TestWatchRowTakesTheWatchedFields(t *testing.T) {
	t.Parallel()
	w := newOnlooker()
	s, e := watching(w)
	show(s, e, dataRow("a1", "b1", "c1", "d1"))
	show(s, e, dataRow(nil, nil, nil, "d2"))
	show(s, e, dataRow("", "", "", ""))
	show(s, e, dataRow("a", "bad \xff bytes", "c", strings.Repeat("x", watchBytes+50)))
	s.handOver()
	s.handOver() // and nothing twice
	if diff := cmp.Diff(map[string][]string{"b": {"b1"}, "d": {"d1", "d2", strings.Repeat("x", watchBytes)}}, w.received); diff != "" {
		t.Error(diff)
	}
	if w.took != 1 {
		t.Errorf("asked %d times for one result", w.took)
	}
}

func TestWatchRowIsBounded(t *testing.T) {
	t.Parallel()
	w := newOnlooker()
	s, e := watching(w)
	for i := range watchRows + 50 {
		show(s, e, dataRow("a", fmt.Sprintf("b%d", i), "c", "d"))
	}
	s.handOver()
	if n := len(w.received["b"]); n != watchRows {
		t.Errorf("%d rows of a result were kept, want %d", n, watchRows)
	}
}

func TestWatchRowLooksAtNothingThatIsNotWanted(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*onlooker, *entry){
		"the result is not taken": func(w *onlooker, _ *entry) { w.closed = true },
		"no column is wanted":     func(w *onlooker, _ *entry) { w.enough["b"], w.enough["d"] = true, true },
		"no field is watched":     func(_ *onlooker, e *entry) { e.watched = nil },
	} {
		w := newOnlooker()
		s, e := watching(w)
		set(w, e)
		show(s, e, dataRow("a", "b", "c", "d"))
		s.handOver()
		if len(w.received) > 0 {
			t.Errorf("%s: %v were seen", name, w.received)
		}
	}
	w := newOnlooker()
	w.enough["b"] = true
	s, e := watching(w)
	show(s, e, dataRow("a", "b", "c", "d"))
	s.handOver()
	if diff := cmp.Diff(map[string][]string{"d": {"d"}}, w.received); diff != "" {
		t.Error(diff)
	}
}

// TestWatchRowTakesNothingFromRowsThatLie: what the server sends is not trusted to be well formed.
func TestWatchRowTakesNothingFromRowsThatLie(t *testing.T) {
	t.Parallel()
	w := newOnlooker()
	s, e := watching(w)
	whole := dataRow("a", "b", "c", "d")
	s.watchRow(e, whole[:len(whole)-3], int64(len(whole)-1)) // the rest has not arrived
	show(s, e, dataRow("a"))                                 // fewer fields than described
	lying := dataRow("a", "b", "c", "d")
	binary.BigEndian.PutUint32(lying[headerSize+2:], 1<<30)
	show(s, e, lying)
	s.handOver()
	if len(w.received) > 0 {
		t.Errorf("seen: %v", w.received)
	}
	show(s, e, whole) // and the next row is read as ever
	s.handOver()
	if diff := cmp.Diff(map[string][]string{"b": {"b"}, "d": {"d"}}, w.received); diff != "" {
		t.Error(diff)
	}
}

// FuzzWatchRow: no bytes of a server make it panic or keep more than its bounds.
func FuzzWatchRow(f *testing.F) {
	f.Add(dataRow("a", "b", nil, "d"))
	f.Add([]byte{'D', 0, 0, 0, 9, 0, 4, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerSize+2 {
			return
		}
		w := newOnlooker()
		s, e := watching(w)
		s.watchRow(e, b, int64(len(b)-1))
		s.handOver()
		for _, list := range w.received {
			if len(list) > 1 || len(list[0]) > watchBytes {
				t.Errorf("kept %d values", len(list))
			}
		}
	})
}

// TestWatcherSeesWhatPeopleRead goes through a gateway with each protocol: columns without a label that are shown as they are, by the
// origin that the server states, and never a masked one.
func TestWatcherSeesWhatPeopleRead(t *testing.T) {
	t.Parallel()
	w := newOnlooker()
	r := newRig(t, pgtest.Default(t), func(_ *rig, _ *gateway.Config, c *Config) { c.Watcher = w })
	known := map[Origin]*WatchedColumn{}
	for place, c := range map[string]*WatchedColumn{
		"'wall.customers'::regclass::oid || ' 2'": {Name: "name", Type: "text", Text: true}, "'public.gate'::regclass::oid || ' 1'": {Name: "id", Type: "integer"},
	} {
		var o Origin
		if _, err := fmt.Sscanf(r.db.Query(t, "SELECT "+place), "%d %d", &o.OID, &o.Num); err != nil {
			t.Fatal(err)
		}
		known[o] = c
	}
	r.db.Exec(t, "INSERT INTO gate VALUES (4711)")
	up := r.upstream
	r.profile.Store(&gateway.Profile{
		Name: r.world.Profile, Generation: r.world.Generation, Role: r.role, Password: secret.New(pgtest.PasswordOf(r.role)),
		Engine: &Profile{World: r.world, SearchPath: r.world.Profile, Protected: r.noTrip, Upstream: &up, Watched: known},
	})
	if out, err := r.psql(t, r.dsn(r.plain, ""), "SELECT email, name AS other, name || 'x' FROM customers WHERE id = 2; SELECT id FROM gate;"); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	eventually(t, "both columns", func() bool { return len(w.of("name")) == 1 && len(w.of("id")) == 1 })
	if diff := cmp.Diff(map[string][]string{"name": {"name 2"}, "id": {"4711"}}, w.received); diff != "" {
		t.Error(diff)
	}
	// With the extended protocol rows may come in binary: only columns whose two forms are the same are looked at.
	conn, err := pgx.Connect(t.Context(), r.dsn(r.plain, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for sql, arg := range map[string]int{"SELECT name, email FROM customers WHERE id = $1": 4, "SELECT id FROM gate WHERE id = $1": 4711} {
		if _, err := conn.Exec(t.Context(), sql, arg); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the second name", func() bool { return len(w.of("name")) == 2 })
	if got := w.of("id"); len(got) != 1 {
		t.Errorf("an integer of the extended protocol was looked at: %v", got)
	}
}
