package pgwire

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
)

// TestNotifications: what is sent on a channel reaches a session for as long as a rule opens the channel, though the server never
// forgets that the session listens.
func TestNotifications(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	opens := func(channels ...string) {
		w := *r.world
		w.Generation++
		w.Channels = map[string]bool{}
		for _, c := range channels {
			w.Channels[c] = true
		}
		r.world = &w
		r.install(&w)
		_ = r.gw.Reload() // no certificate has changed
	}
	opens("news", "old")
	config, err := pgconn.ParseConfig(r.dsn(r.plain, "sslmode=disable"))
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 10)
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { heard <- n.Channel + " " + n.Payload }
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "LISTEN news; LISTEN old").ReadAll(); err != nil {
		t.Fatal(err)
	}
	// The server sends notifications in their order, so news that has come shows what has become of old.
	told := func(number string, want ...string) {
		t.Helper()
		r.db.Exec(t, "NOTIFY old, '"+number+"'; NOTIFY news, '"+number+"'")
		for _, w := range want {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			for len(heard) == 0 {
				if err := conn.WaitForNotification(ctx); err != nil {
					t.Fatalf("waiting for %q: %v", w, err)
				}
			}
			cancel()
			if got := <-heard; got != w {
				t.Errorf("heard %q, want %q", got, w)
			}
		}
	}
	told("1", "old 1", "news 1")
	opens("news")
	told("2", "news 2")
	opens("news", "old")
	told("3", "old 3", "news 3")
}
