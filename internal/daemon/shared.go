package daemon

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/state"
)

// This file is what several gateways on one state need: a name each, one that leads, news of each other's changes, and cancel
// requests that reach the gateway whose session they are for.

const (
	// seatWait is how long a gateway waits for the name of one that died: the server notices a lost connection within 11 s.
	seatWait = 20 * time.Second
	// stateLimit is how long state may take before it counts as away.
	stateLimit = 5 * time.Second

	cancelInfo = "postern cancel v1"
)

// place says where a policy file keeps state.
func place(ctx context.Context, c *config.Config) (state.Place, error) {
	if c.State.Postgres == "" {
		return state.Place{Path: c.State.SQLite}, nil
	}
	out := state.Place{Path: c.State.Postgres}
	if c.Keys.State.IsZero() {
		return out, nil
	}
	var err error
	if out.Password, err = c.Keys.State.Read(ctx); err != nil {
		return out, fmt.Errorf("keys.state: %w", err)
	}
	return out, nil
}

// OpenState opens the state of a policy file, and makes it where there is none yet. The caller closes it.
func OpenState(ctx context.Context, c *config.Config) (*state.DB, error) {
	p, err := place(ctx, c)
	if err != nil {
		return nil, err
	}
	return state.OpenAt(ctx, p)
}

// openExisting opens the state of a policy file, or returns state.ErrMissing.
func openExisting(ctx context.Context, c *config.Config) (*state.DB, error) {
	p, err := place(ctx, c)
	if err != nil {
		return nil, err
	}
	return state.OpenExisting(ctx, p)
}

// instanceName is who writes a trail: the name that was given, or the machine's where several gateways share state, or the
// installation's.
func instanceName(ctx context.Context, c *config.Config, st *state.DB, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if c.State.Postgres != "" {
		host, err := os.Hostname()
		if err != nil {
			return "", fmt.Errorf("name this instance: %w: use --instance", err)
		}
		return host, nil
	}
	here, err := st.Installation(ctx)
	return here.ID, err
}

// takeSeat claims the instance's name. A gateway that was killed a moment ago may still hold it on the server.
func (d *daemon) takeSeat(ctx context.Context, st *state.DB) error {
	until := time.Now().Add(seatWait)
	for {
		err := st.Sit(ctx, d.instance)
		if !errors.Is(err, state.ErrInstance) || time.Now().After(until) {
			return err
		}
		d.log.Warn("waiting for the name of this instance", "instance", d.instance, "why", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// standing is whether state can be reached, as everybody may ask.
type standing struct {
	away atomic.Pointer[gateway.Unavailable]
}

// note takes up what the last look at state came to. It says whether that is news.
func (s *standing) note(err error) bool {
	if err == nil {
		return s.away.Swap(nil) != nil
	}
	return s.away.Swap(&gateway.Unavailable{
		Code: gateway.CodeState, Message: "who may come in is not known at the moment: the gateway's state cannot be used",
		Hint: "sessions that are open go on until their grants end; try again, and tell an administrator",
	}) == nil
}

// ready is gateway.Config.Ready.
func (s *standing) ready() *gateway.Unavailable { return s.away.Load() }

// cancels passes cancel requests between gateways.
type cancels struct {
	st  *state.DB
	key []byte
}

func newCancels(root secret.Text, st *state.DB) (*cancels, error) {
	key, err := hkdf.Key(sha256.New, []byte(root.Reveal()), nil, cancelInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive from keys.root: %w", err)
	}
	return &cancels{st: st, key: key}, nil
}

// proof stands for a session's key where others can read: whoever has not the key cannot make it, nor guess the key from it.
func (c *cancels) proof(pid uint32, key []byte) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write(binary.BigEndian.AppendUint32(nil, pid))
	mac.Write(key)
	return mac.Sum(nil)
}

// pass is gateway.Config.Elsewhere.
func (c *cancels) pass(ctx context.Context, pid uint32, key []byte) error {
	ctx, cancel := context.WithTimeout(ctx, stateLimit)
	defer cancel()
	return c.st.Shout(ctx, strconv.FormatUint(uint64(pid), 10)+" "+hex.EncodeToString(c.proof(pid, key)))
}

// heard cancels what another gateway's request is for, if it is here.
func (c *cancels) heard(ctx context.Context, gw *gateway.Gateway, text string) {
	first, rest, _ := strings.Cut(text, " ")
	pid, err := strconv.ParseUint(first, 10, 32)
	want, herr := hex.DecodeString(rest)
	if err != nil || herr != nil || len(want) != sha256.Size {
		return // nothing of ours
	}
	gw.Cancel(ctx, uint32(pid), func(key []byte) bool { return hmac.Equal(c.proof(uint32(pid), key), want) })
}
