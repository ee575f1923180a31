package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A load balancer that only forwards bytes says at the beginning of a connection whom it forwards: the PROXY protocol, version 1 in
// words or version 2 in bytes. It is believed from the addresses of the listener's list alone, and demanded of them: without it
// everybody would come from the load balancer, for the rules about addresses, the brake on guessing and the trail. Who comes from
// elsewhere is who they are, and a header of theirs is no start-up packet.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyWords     = 107     // bytes of a header of version 1 at most, line end included
	proxyBytes     = 4 << 10 // of what follows the first 16 of version 2, which may hold more than addresses
	proxiesAtOnce  = 1024    // connections whose header is not there yet
)

var errProxyHeader = errors.New("no PROXY header that can be read")

// proxied is a connection whose other end is said by a load balancer.
type proxied struct {
	*net.TCPConn

	from netip.AddrPort
}

// RemoteAddr implements net.Conn.
func (p *proxied) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.from) }

// fromProxy says whether a connection comes from a load balancer of the listener's list.
func (l *listener) fromProxy(conn net.Conn) (*net.TCPConn, bool) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok || len(l.config.Proxies) == 0 {
		return nil, false
	}
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return nil, false
	}
	from := at.Addr().Unmap().WithZone("")
	return tcp, slices.ContainsFunc(l.config.Proxies, func(p netip.Prefix) bool { return p.Contains(from) })
}

// behindProxy serves a connection that a load balancer forwards, once it has said for whom.
func (g *Gateway) behindProxy(ctx context.Context, conn *net.TCPConn, l *listener) {
	select {
	case l.headers <- struct{}{}:
	default:
		g.config.Log.Warn("connection turned away", "remote", conn.RemoteAddr().String(), "listener", l.name, "reason", CodeTooMany)
		_ = conn.Close()
		return
	}
	l.shakes(conn, true) // so that a stop waits for no header
	whole, err := l.header(conn, g.limits.TLS)
	l.shakes(conn, false)
	<-l.headers
	if err != nil {
		g.config.Log.Warn("connection turned away", "remote", conn.RemoteAddr().String(), "listener", l.name, "reason", err.Error(),
			"remedy", "let the load balancer send the PROXY protocol, or take it out of trusted_proxies")
		_ = conn.Close()
		return
	}
	if a, release := g.admit(whole, l); a != nil {
		defer release()
		g.serve(ctx, whole, a)
		return
	}
	_ = conn.Close()
}

// header takes the header off a connection.
func (l *listener) header(conn *net.TCPConn, limit time.Duration) (net.Conn, error) {
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	from, said, err := readProxyHeader(conn)
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil || !said {
		return conn, err
	}
	return &proxied{conn, from}, nil
}

// readProxyHeader reads a header and not a byte more. said is false where the load balancer speaks for itself, as when it looks whether
// anybody is there.
func readProxyHeader(r io.Reader) (from netip.AddrPort, said bool, err error) {
	first := make([]byte, len(proxySignature))
	if _, err := io.ReadFull(r, first); err != nil {
		return from, false, fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	switch {
	case string(first) == proxySignature:
		return proxyInBytes(r)
	case bytes.HasPrefix(first, []byte("PROXY ")):
		return proxyInWords(r, first)
	}
	return from, false, errProxyHeader
}

func proxyInBytes(r io.Reader) (from netip.AddrPort, said bool, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return from, false, fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	if length > proxyBytes {
		return from, false, fmt.Errorf("%w: it is too long", errProxyHeader)
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(r, rest); err != nil {
		return from, false, fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	const local, forwarded, unspecified, tcp4, tcp6 = 0x20, 0x21, 0x00, 0x11, 0x21
	size := map[byte]int{tcp4: 4, tcp6: 16}[head[1]]
	switch {
	case head[0] == local, head[0] == forwarded && head[1] == unspecified:
		return from, false, nil
	case head[0] != forwarded || size == 0 || length < 2*size+4:
		return from, false, fmt.Errorf("%w: it is about something else than TCP", errProxyHeader)
	}
	addr, _ := netip.AddrFromSlice(rest[:size])
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(rest[2*size:])), true, nil
}

func proxyInWords(r io.Reader, line []byte) (from netip.AddrPort, said bool, err error) {
	var one [1]byte
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == proxyWords {
			return from, false, fmt.Errorf("%w: it is too long", errProxyHeader)
		}
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return from, false, fmt.Errorf("%w: %w", errProxyHeader, err)
		}
		line = append(line, one[0])
	}
	words := strings.Split(strings.TrimSuffix(string(line), "\r\n"), " ")
	if words[1] == "UNKNOWN" {
		return from, false, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return from, false, fmt.Errorf("%w: it is about something else than TCP", errProxyHeader)
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(words[2+i])
		port, perr := strconv.ParseUint(words[4+i], 10, 16)
		if err != nil || perr != nil || addr.Zone() != "" || addr.Is4() != (words[1] == "TCP4") {
			return from, false, fmt.Errorf("%w: an address or a port of it is none", errProxyHeader)
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	}
	return ends[0], true, nil
}
