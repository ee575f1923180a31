package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/secret"
)

// emergency is the emergency admin, as the register of people knows them: the hash of their password, and who is told.
type emergency struct {
	hash  string
	alarm func(ctx context.Context, kind audit.Kind, subject string)
}

// peerKey keeps who is at the other end of the emergency admin's socket.
type peerKey struct{}

// openEmergency listens at the emergency admin's socket, if there is one. What it returns stops it.
func (d *daemon) openEmergency(ctx context.Context, pages http.Handler) (stop func(), err error) {
	path := d.config.Emergency.Socket
	if path == "" {
		return func() {}, nil
	}
	l, err := listenOwn(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("identity.emergency_admin: %w", err)
	}
	server := portalServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr, _ = r.Context().Value(peerKey{}).(string) // who at this machine it was is what the trail has to say
		pages.ServeHTTP(w, r)
	}), d.log)
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		peer := "local"
		if u, ok := c.(*net.UnixConn); ok {
			peer = gateway.PeerOf(u)
		}
		return context.WithValue(people.WithEmergency(ctx), peerKey{}, peer)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("the emergency admin's socket has stopped", "error", err)
		}
	}()
	d.log.Warn("an emergency admin can sign in at this machine", "socket", path)
	return func() {
		_ = server.Close()
		<-done
	}, nil
}

// listenOwn opens a socket for its owner and root. It has its rights before it has its name.
func listenOwn(ctx context.Context, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("listen on %s: the file is not a socket", path)
		}
		d := net.Dialer{Timeout: time.Second}
		if c, err := d.DialContext(ctx, "unix", path); err == nil {
			return nil, errors.Join(fmt.Errorf("listen on %s: another process answers there", path), c.Close())
		}
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".postern-") // for the owner alone
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	defer func() { _ = os.RemoveAll(private) }()
	hidden := filepath.Join(private, "s")
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", hidden)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) //nolint:forcetypeassert // of a Unix socket
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return l, nil
}

// HashEmergency makes the hash of the emergency admin's password for the policy file.
func HashEmergency(password secret.Text, random io.Reader) (string, error) {
	return people.HashEmergency(password, random)
}
