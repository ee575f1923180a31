package postgres

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pghost"
)

// host looks at this machine, when the server that was asked runs on it.
func (t *ScanTarget) host(ctx context.Context, e *catalog.Evidence, g *Gather) {
	if g.HostRoot == "" {
		return
	}
	unseen := func(why string) {
		e.Unseen = append(e.Unseen, catalog.Unseen{Fact: catalog.FactHost, Why: why})
	}
	if !thisMachine(t.config.Host) {
		unseen("the server is not on this machine")
		return
	}
	m := pghost.Machine{Now: g.Now, Run: runListing, Interfaces: interfaces}
	if g.HostRoot != "/" {
		m = pghost.Machine{Root: g.HostRoot, Now: g.Now}
	}
	s := e.Server
	h, err := pghost.Look(ctx, m, pghost.Server{
		SystemID: s.SystemID, Port: int(t.config.Port), Version: fmt.Sprintf("%d.%d", s.Major(), s.Minor()), Setting: s.Value, ReadLogs: g.ReadLogs,
	})
	if err != nil {
		unseen(err.Error())
		return
	}
	e.Host = h
	t.rulesFromFiles(e)
}

// rulesFromFiles reads pg_hba.conf and pg_ident.conf where the login may not see their views.
func (t *ScanTarget) rulesFromFiles(e *catalog.Evidence) {
	read := func(f catalog.Fact, setting string, parse func(name string) error) {
		files := e.Host.FilesOf(setting)
		if e.Missing(f, "") == nil || len(files) == 0 || parse(files[0].Path) != nil {
			return
		}
		e.Unseen = slices.DeleteFunc(e.Unseen, func(u catalog.Unseen) bool { return u.Fact == f && u.Database == "" })
	}
	read(catalog.FactHBA, "hba_file", func(name string) (err error) {
		e.Server.HBA, err = catalog.ParseHBA(hostFiles{}, name, e.Server.Major())
		for i := range e.Server.HBA {
			for j, o := range e.Server.HBA[i].Options {
				e.Server.HBA[i].Options[j] = catalog.RedactOption(o)
			}
		}
		return err
	})
	read(catalog.FactIdent, "ident_file", func(name string) (err error) {
		e.Server.Ident, err = catalog.ParseIdent(hostFiles{}, name, e.Server.Major())
		return err
	})
}

// hostFiles reads files of this machine.
type hostFiles struct{}

func (hostFiles) Read(name string) ([]byte, error) { return os.ReadFile(name) }

func (hostFiles) List(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

// thisMachine reports whether a host of a connection is this machine: a socket's folder, loopback, or an address of one of its interfaces.
func thisMachine(host string) bool {
	if host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false // a name may lead anywhere
	}
	own, _ := interfaces() // without them only loopback is ours
	return addr.Unmap().IsLoopback() || slices.ContainsFunc(own, func(a string) bool {
		p, err := netip.ParsePrefix(a)
		return err == nil && p.Addr() == addr.Unmap()
	})
}

func interfaces() ([]string, error) {
	addrs, err := net.InterfaceAddrs()
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out, err
}

// mostListing bounds what a listing may print.
const mostListing = 32 << 20

// limitedBuffer takes so much and no more.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > mostListing {
		return 0, fmt.Errorf("more than %d bytes", mostListing)
	}
	return b.Buffer.Write(p)
}

// runListing starts one of the packet filter's listings: no shell, an empty environment, fixed arguments, bounded in time and length.
func runListing(ctx context.Context, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var out limitedBuffer
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- pghost gives fixed paths and fixed arguments
	cmd.Env, cmd.Dir, cmd.Stdout = []string{"LC_ALL=C"}, "/", &out
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w", program, err)
	}
	return out.Bytes(), nil
}
