package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/secret"
)

// Limits of the portal's server.
const (
	portalRead  = 10 * time.Second
	portalWrite = time.Minute
	portalIdle  = 2 * time.Minute
	portalStop  = 5 * time.Second
	portalHead  = 64 << 10 // bytes of a call's headers: each of the connections that are held may send as many
)

// openPortal listens where the policy file says, if it does. What it returns stops it.
func (d *daemon) openPortal(ctx context.Context, root secret.Text) (stop func(), err error) {
	if d.config.Portal.Address == "" {
		return func() {}, nil
	}
	key, err := mockKey(root)
	if err != nil {
		return nil, err
	}
	mock, err := identity.NewMock(key, 0)
	if err != nil {
		return nil, err
	}
	listener, err := d.portalListener(ctx)
	if err != nil {
		return nil, err
	}
	c := portal.Config{
		Desk: d.grants.desk, Access: d.grants.st, Credentials: d.grants.st, Policy: d.world.Current, Audit: d.trail,
		People: d.signs, Mock: mock, Random: d.opts.Random, Log: d.log, Settled: d.grants.Settled, Gateway: d.gatewayAddress(),
		Views: d.grants.st, Outlines: d.grants.st, Columns: d.world.columns, Health: d.world.health, Trail: d.config.Audit.Folder, Version: d.opts.Version,
	}
	if d.opts.Insight != nil {
		c.Insight = d.opts.Insight(func() (*config.Config, *policy.Policy) { return d.taken.Load(), d.world.Current() }, d.stands)
	}
	c.URL, c.Changes = d.config.Portal.URL, d.changes.now
	c.Settings = func() []portal.SettingGroup { return settings(d.taken.Load()) }
	if c.Certifier, err = newCertifier(ctx, d.grants.st, root, d.trail, d.grants.desk.Now, d.opts.Random); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if d.sso != nil {
		c.SignOn, c.SignOnLabel = d.sso, d.config.Portal.OIDC.Label
	}
	pages := portal.New(c)
	closeEmergency, err := d.openEmergency(ctx, pages)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	stopChanges := d.startChanges(ctx)
	server := portalServer(portal.Behind(d.config.Portal.Proxies, d.withSlack(pages)), d.log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("the portal has stopped", "error", err)
		}
	}()
	if d.opts.Portal != nil {
		d.opts.Portal(listener.Addr())
	}
	d.log.Info("portal listening", "address", listener.Addr().String())
	return func() {
		closeEmergency()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), portalStop)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close()
		}
		<-done
		stopChanges()
	}, nil
}

// portalServer is a server that waits for nobody for long, and keeps little of what they send.
func portalServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: portalRead, ReadTimeout: portalRead, WriteTimeout: portalWrite, IdleTimeout: portalIdle, MaxHeaderBytes: portalHead,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func (d *daemon) portalListener(ctx context.Context) (net.Listener, error) {
	at := d.config.Portal
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", at.Address)
	if err != nil {
		return nil, fmt.Errorf("%s: portal: %w", at.Pos, err)
	}
	l = newBounded(l, portalMost, portalMostOf, at.Proxies, d.log)
	if at.Cert == "" {
		return l, nil
	}
	cert, err := tls.LoadX509KeyPair(at.Cert, at.Key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: portal: read the certificate: %w", at.Pos, err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}), nil
}

// gatewayAddress is where clients connect: the first address that the gateway listens on.
func (d *daemon) gatewayAddress() string {
	for _, a := range d.gw.Addrs() {
		if a.Network() == "tcp" {
			return a.String()
		}
	}
	return ""
}

// HashPassword makes the verifier that a user of the policy file carries instead of a password.
func HashPassword(password secret.Text, iterations int, random io.Reader) (string, error) {
	return identity.HashPassword(password, iterations, random)
}

// DefaultIterations is how often a password is hashed where nobody says otherwise.
const DefaultIterations = identity.DefaultIterations
