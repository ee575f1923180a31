package scan_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// network is a network namespace of the test's own, or the machine's own network when it is nil.
type network struct {
	file  *os.File // keeps it alive
	stays int      // a thread that stays in it
}

// networks is where the server stands and where else it is reached from.
type networks struct{ server, client *network }

// place is where an attempt comes from, and the address of the server's that it goes to.
type place struct {
	network *network
	address netip.Addr
	to      string
	kind    string
}

// Kinds of places.
const (
	bySocket     = "the socket"
	byLoopback   = "loopback"
	byOwnAddress = "the server's own addresses"
	byOther      = "the other network"
)

func (n *networks) kinds() []string {
	if n.server == nil {
		return []string{bySocket, byLoopback}
	}
	return []string{bySocket, byLoopback, byOwnAddress, byOther}
}

// newNetworks makes two networks joined by a cable, which takes root. Other accounts test from the machine's own loopback addresses alone;
// a root that may not do it is told, and nothing is left out in silence.
func newNetworks(t *testing.T) *networks {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("not root: attempts come from loopback addresses and no network namespace")
		return &networks{}
	}
	n := &networks{server: newNetwork(t), client: newNetwork(t)}
	for _, c := range []struct {
		in   *network
		line string
	}{
		{n.server, "link add s0 type veth peer name c0 netns " + strconv.Itoa(n.client.stays)},
		{n.server, "link set lo up"},
		{n.client, "link set lo up"},
		{n.server, "addr add 10.77.1.1/24 dev s0"},
		{n.server, "addr add 10.77.9.9/32 dev s0"},
		{n.server, "-6 addr add fd77:1::1/64 dev s0 nodad"},
		{n.client, "addr add 10.77.1.2/24 dev c0"},
		{n.client, "addr add 10.77.1.200/24 dev c0"},
		{n.client, "addr add 192.0.2.7/32 dev c0"},
		{n.client, "-6 addr add fd77:1::2/64 dev c0 nodad"},
		{n.client, "-6 addr add 2001:db8::5/128 dev c0 nodad"},
		{n.server, "link set s0 up"},
		{n.client, "link set c0 up"},
		{n.server, "route add 192.0.2.0/24 dev s0"},
		{n.server, "-6 route add 2001:db8::/32 dev s0"},
	} {
		err := c.in.run(func() error {
			// #nosec G204 -- the lines above
			if out, err := exec.Command("ip", strings.Fields(c.line)...).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("set up a network namespace (root with CAP_NET_ADMIN and iproute2, which build/prepare test installs): ip %s: %v", c.line, err)
		}
	}
	return n
}

// newNetwork makes a network namespace, which ends with the test.
func newNetwork(t *testing.T) *network {
	t.Helper()
	made, end, ended := make(chan error), make(chan struct{}), make(chan struct{})
	n := &network{}
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never let go: the thread ends with this goroutine
		n.stays = unix.Gettid()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.file, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", n.stays))
		}
		made <- err
		<-end
	}()
	err := <-made
	t.Cleanup(func() { close(end); <-ended; _ = n.file.Close() })
	if err != nil {
		t.Fatalf("make a network namespace, which takes root with CAP_SYS_ADMIN: %v", err)
	}
	return n
}

// enter returns what moves a locked thread into the network, nil for the machine's own.
func (n *network) enter() func() error {
	if n == nil {
		return nil
	}
	return func() error { return unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET) }
}

// run calls f on a thread that is in the network. Sockets stay in the network that they were made in.
func (n *network) run(f func() error) error {
	if n == nil {
		return f()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never let go: the thread ends with this goroutine
		err := n.enter()()
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// addresses are those of the network's interfaces.
func (n *network) addresses(t *testing.T) []netip.Prefix {
	t.Helper()
	var out []netip.Prefix
	err := n.run(func() error {
		addrs, err := net.InterfaceAddrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				out = append(out, p)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// listen are the addresses that the server listens on.
func (n *networks) listen() string {
	if n.server == nil {
		return "127.0.0.1,::1"
	}
	return "127.0.0.1,::1,10.77.1.1,fd77:1::1"
}

// places are where attempts come from: half of them from loopback addresses, the rest from the server's own other addresses and from the
// second network, near and through a route.
func (n *networks) places() []place {
	var out []place
	for _, a := range []string{"::1", "127.0.0.1", "127.0.0.5", "127.0.0.6", "127.9.9.9", "::1"} {
		out = append(out, n.place(byLoopback, n.server, a, "127.0.0.1", "::1"))
	}
	if n.server == nil {
		return out
	}
	for _, a := range []string{"10.77.1.1", "10.77.9.9", "fd77:1::1"} {
		out = append(out, n.place(byOwnAddress, n.server, a, "10.77.1.1", "fd77:1::1"))
	}
	for _, a := range []string{"10.77.1.2", "10.77.1.200", "192.0.2.7", "fd77:1::2", "2001:db8::5"} {
		out = append(out, n.place(byOther, n.client, a, "10.77.1.1", "fd77:1::1"))
	}
	return out
}

func (n *networks) place(kind string, from *network, address, to4, to6 string) place {
	p := place{kind: kind, network: from, address: netip.MustParseAddr(address), to: to4}
	if p.address.Is6() {
		p.to = to6
	}
	return p
}
