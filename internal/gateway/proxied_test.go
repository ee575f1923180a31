package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// whoCalls is an engine that says from where it is called, and what it is told first.
type whoCalls struct{}

func (whoCalls) Serve(_ context.Context, conn net.Conn, a *Admitted) {
	defer conn.Close()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Fprintf(conn, "%s %s %s", a.Facts().Address, a.Facts().Remote, line)
}

// inBytes is a header of version 2.
func inBytes(command, family byte, addresses ...byte) string {
	out := append([]byte(proxySignature), 0x20|command, family)
	out = binary.BigEndian.AppendUint16(out, uint16(len(addresses)))
	return string(append(out, addresses...))
}

var forwarded4 = []byte{192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x34, 0x15, 0x38}

// Of a connection that a load balancer forwards, the address is the client's, for the rules about addresses and the trail; one that does
// not say for whom it connects is closed, and nobody else is believed.
func TestBehindALoadBalancer(t *testing.T) {
	t.Parallel()
	v6 := append(append(netip.MustParseAddr("2001:db8::1").AsSlice(), netip.MustParseAddr("2001:db8::2").AsSlice()...), 0x12, 0x34, 0x15, 0x38)
	mapped := append(append(netip.MustParseAddr("::ffff:192.0.2.1").AsSlice(), netip.MustParseAddr("2001:db8::2").AsSlice()...), 0x12, 0x34, 0x15, 0x38)
	for name, tt := range map[string]struct {
		proxies, sent, want string
	}{
		"in words":               {"127.0.0.0/8", "PROXY TCP4 192.0.2.1 198.51.100.1 4660 5432\r\nhello\n", "192.0.2.1 192.0.2.1:4660 hello\n"},
		"in words, IPv6":         {"127.0.0.0/8", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 5432\r\nhello\n", "2001:db8::1 [2001:db8::1]:4660 hello\n"},
		"in bytes":               {"127.0.0.1/32", inBytes(1, 0x11, forwarded4...) + "hello\n", "192.0.2.1 192.0.2.1:4660 hello\n"},
		"with more behind":       {"127.0.0.1/32", inBytes(1, 0x11, append(bytes.Clone(forwarded4), 4, 0, 1, 9)...) + "hello\n", "192.0.2.1 192.0.2.1:4660 hello\n"},
		"in bytes, IPv6":         {"127.0.0.1/32", inBytes(1, 0x21, v6...) + "hello\n", "2001:db8::1 [2001:db8::1]:4660 hello\n"},
		"IPv4 written as IPv6":   {"127.0.0.1/32", inBytes(1, 0x21, mapped...) + "hello\n", "192.0.2.1 192.0.2.1:4660 hello\n"},
		"for itself":             {"127.0.0.1/32", inBytes(0, 0) + "hello\n", "127.0.0.1 127.0.0.1:PORT hello\n"},
		"unknown, in words":      {"127.0.0.1/32", "PROXY UNKNOWN\r\nhello\n", "127.0.0.1 127.0.0.1:PORT hello\n"},
		"no header":              {"127.0.0.1/32", "hello, and some more of it\n", ""},
		"a socket's":             {"127.0.0.1/32", inBytes(1, 0x31, make([]byte, 216)...) + "hello\n", ""},
		"too short":              {"127.0.0.1/32", inBytes(1, 0x11, 192, 0, 2, 1) + "hello\n", ""},
		"of a version to come":   {"127.0.0.1/32", strings.Replace(inBytes(1, 0x11, forwarded4...), "\x21\x11", "\x31\x11", 1) + "hello\n", ""},
		"no address":             {"127.0.0.1/32", "PROXY TCP4 192.0.2.256 198.51.100.1 4660 5432\r\nhello\n", ""},
		"of the other family":    {"127.0.0.1/32", "PROXY TCP6 192.0.2.1 198.51.100.1 4660 5432\r\nhello\n", ""},
		"without an end":         {"127.0.0.1/32", "PROXY TCP4 " + strings.Repeat("1", 200) + "\r\nhello\n", ""},
		"an address kept out":    {"127.0.0.1/32", "PROXY TCP4 203.0.113.9 198.51.100.1 4660 5432\r\nhello\n", ""},
		"from somebody else":     {"192.0.2.0/24", "PROXY TCP4 192.0.2.1 198.51.100.1 4660 5432\r\nhello\n", "127.0.0.1 127.0.0.1:PORT PROXY TCP4 192.0.2.1 198.51.100.1 4660 5432\r\n"},
		"where none is expected": {"", "hello\n", "127.0.0.1 127.0.0.1:PORT hello\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var proxies []netip.Prefix
			if tt.proxies != "" {
				proxies = append(proxies, netip.MustParsePrefix(tt.proxies))
			}
			p := newPlace(t, func(c *Config) {
				c.Engines["who"] = whoCalls{}
				c.Listeners = append(c.Listeners, Listener{Engine: "who", Address: "127.0.0.1:0", Proxies: proxies})
			})
			p.setPolicy(func(n *policy.Policy) {
				n.Network = append([]*policy.NetworkRule{{From: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Auth: policy.AuthReject}}, n.Network...)
			})
			conn, err := net.Dial("tcp", p.Addrs()[1].String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.WriteString(conn, tt.sent); err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
			got, _ := io.ReadAll(conn) // a connection that was closed with bytes unread is reset, which is as good
			if want := strings.ReplaceAll(tt.want, "PORT", port); string(got) != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// Whatever comes, a header is read to its end and no further, and what is read is an address or nothing.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.1 4660 5432\r\nrest"))
	f.Add([]byte("PROXY UNKNOWN\r\nrest"))
	f.Add([]byte(inBytes(1, 0x11, forwarded4...) + "rest"))
	f.Add([]byte(inBytes(0, 0) + "rest"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bytes.NewReader(text)
		from, said, err := readProxyHeader(r)
		if err != nil && !errors.Is(err, errProxyHeader) {
			t.Fatal(err)
		}
		if said != from.IsValid() || said && err != nil {
			t.Fatalf("%v %v %v", from, said, err)
		}
		if err != nil {
			return
		}
		header := text[:len(text)-r.Len()]
		if bytes.HasPrefix(header, []byte("PROXY ")) {
			if len(header) > proxyWords || bytes.Index(header, []byte("\r\n")) != len(header)-2 {
				t.Fatalf("read %q", header)
			}
			return
		}
		if want := 16 + int(binary.BigEndian.Uint16(header[14:])); len(header) != want {
			t.Fatalf("read %d bytes, want %d", len(header), want)
		}
	})
}
