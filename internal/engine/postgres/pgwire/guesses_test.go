package pgwire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/pgtest"
)

// paused holds a client's third message, which is the proof of its password, until it is let go.
type paused struct {
	net.Conn
	writes int
	ready  func()
	gate   <-chan struct{}
}

func (p *paused) Write(b []byte) (int, error) {
	if p.writes++; p.writes == 3 {
		p.ready()
		<-p.gate
	}
	return p.Conn.Write(b)
}

// Guesses that all begin before the first of them is counted are no way around the brake: the right password among more of them than
// lock does not come in. Among fewer it does.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrong int
		in    bool
	}{"fewer than lock": {5, true}, "more than lock": {30, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pgtest.Default(t))
			wrong, right := make(chan struct{}), make(chan struct{})
			var begun, over sync.WaitGroup
			try := func(password string, gate <-chan struct{}) error {
				config, err := pgx.ParseConfig(strings.Replace(r.dsn(r.plain, "sslmode=disable"), "password='"+anaPassword+"'", "password='"+password+"'", 1))
				if err != nil {
					return err
				}
				ready := sync.OnceFunc(begun.Done)
				defer ready()
				config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
					var d net.Dialer
					conn, err := d.DialContext(ctx, network, addr)
					return &paused{Conn: conn, ready: ready, gate: gate}, err
				}
				conn, err := pgx.ConnectConfig(t.Context(), config)
				if err == nil {
					err = conn.Close(context.Background())
				}
				return err
			}
			for i := range c.wrong {
				begun.Add(1)
				over.Go(func() {
					if err := try(fmt.Sprint("guess", i), wrong); err == nil {
						t.Error("a wrong password comes in")
					}
				})
			}
			begun.Add(1)
			answer := make(chan error, 1)
			go func() { answer <- try(anaPassword, right) }()
			begun.Wait()
			close(wrong)
			over.Wait()
			close(right)
			err := <-answer
			var pe *pgconn.PgError
			switch {
			case c.in && err != nil:
				t.Errorf("the right password after %d wrong ones: %v", c.wrong, err)
			case !c.in && (!errors.As(err, &pe) || pe.Code != "28P01"):
				t.Errorf("the right password among %d guesses: %v", c.wrong, err)
			}
			locked := 0
			for _, e := range r.trail.all() {
				if e.Kind == audit.LoginRefused && e.Reason == string(gateway.CodeLockedOut) {
					locked++
				}
			}
			if (locked > 0) == c.in {
				t.Errorf("%d events say that it is locked", locked)
			}
		})
	}
}
