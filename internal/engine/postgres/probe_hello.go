package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// hello is a ClientHello made by hand, since crypto/tls cannot offer what it would not use. The connection ends at the server's answer.
type hello struct {
	version uint16 // the highest that is offered
	suites  []uint16
	groups  []uint16
	host    string
	random  []byte
}

const (
	versionSSL3  = 0x0300
	versionTLS12 = 0x0303
	versionTLS13 = 0x0304
)

// answerHello is what the server chose.
type answerHello struct {
	version, suite, group uint16
	dhBits                int
}

// errRefused says that the server would have none of what was offered.
var errRefused = errors.New("the server refuses the handshake")

func u16(b []byte, v int) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) } // #nosec G115 -- lengths of what is built here

// block puts a length of two bytes before some bytes.
func block(b []byte) []byte { return append(u16(nil, len(b)), b...) }

func extension(kind int, body []byte) []byte { return append(u16(nil, kind), block(body)...) }

func ids(list []uint16) []byte {
	var b []byte
	for _, v := range list {
		b = u16(b, int(v))
	}
	return b
}

// signatures are the algorithms that the probe says it knows, old ones too, so that none is refused for them.
var signatures = []uint16{0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201}

// bytes is the record to send.
func (h *hello) bytes() []byte {
	legacy := min(h.version, versionTLS12)
	body := u16(nil, int(legacy))
	body = append(body, h.random...)
	body = append(body, 0) // no session
	body = append(body, block(ids(h.suites))...)
	body = append(body, 1, 0) // no compression
	var ext []byte
	if _, err := netip.ParseAddr(h.host); err != nil && h.host != "" && h.version > versionSSL3 {
		ext = append(ext, extension(0, block(append([]byte{0}, block([]byte(h.host))...)))...)
	}
	if h.version > versionSSL3 {
		ext = append(ext, extension(10, block(ids(h.groups)))...)
		ext = append(ext, extension(11, []byte{1, 0})...)
		ext = append(ext, extension(13, block(ids(signatures)))...)
		ext = append(ext, extension(23, nil)...)
	}
	if h.version == versionTLS13 {
		ext = append(ext, extension(43, []byte{2, 3, 4})...)
		// An empty list of key shares makes the server name the group it wants.
		ext = append(ext, extension(51, []byte{0, 0})...)
	}
	if len(ext) > 0 {
		body = append(body, block(ext)...)
	}
	message := append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	record := u16([]byte{22}, int(min(legacy, 0x0301)))
	return append(append(record, u16(nil, len(message))...), message...)
}

// mostHandshake bounds what is read of a server's answer; a chain of certificates is some kilobytes.
const mostHandshake = 256 << 10

// ask sends the hello over a new connection and reads what the server chose.
func (p *prober) ask(ctx context.Context, h *hello) (*answerHello, error) {
	h.host = p.host
	h.random = make([]byte, 32)
	copy(h.random, p.Random) // it only has to be there
	conn, answer, err := p.request(ctx, probeSSL)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // what was to be seen was seen
	if answer != "S" {
		return nil, fmt.Errorf("answered %q to SSLRequest", answer)
	}
	if _, err := conn.Write(h.bytes()); err != nil {
		return nil, err
	}
	return readAnswer(conn)
}

// readAnswer reads handshake messages until all that is wanted was seen.
func readAnswer(conn net.Conn) (*answerHello, error) {
	var pending []byte
	var out *answerHello
	for total := 0; total < mostHandshake; {
		head := make([]byte, 5)
		if _, err := io.ReadFull(conn, head); err != nil {
			return ended(out, err)
		}
		n := int(binary.BigEndian.Uint16(head[3:]))
		body := make([]byte, n)
		if _, err := io.ReadFull(conn, body); err != nil {
			return ended(out, err)
		}
		if head[0] == 21 {
			return ended(out, errRefused)
		}
		if head[0] != 22 {
			return ended(out, fmt.Errorf("record %d in place of a handshake", head[0]))
		}
		total += n
		pending = append(pending, body...)
		for len(pending) >= 4 {
			size := int(pending[1])<<16 | int(pending[2])<<8 | int(pending[3])
			if len(pending) < 4+size {
				break
			}
			done, err := takeHandshake(&out, pending[0], pending[4:4+size])
			if done || err != nil {
				return out, err
			}
			pending = pending[4+size:]
		}
	}
	return nil, errors.New("the answer is too long")
}

func ended(out *answerHello, err error) (*answerHello, error) {
	if out != nil {
		return out, nil // the choice was seen, and nothing more came
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errRefused
	}
	return nil, err
}

// takeHandshake reads one message of the server; done when nothing more is wanted.
func takeHandshake(out **answerHello, kind byte, b []byte) (done bool, err error) {
	switch kind {
	case 2:
		if *out, err = serverHello(b); err != nil {
			return true, err
		}
		return (*out).version == versionTLS13, nil
	case 12:
		if *out != nil {
			(*out).keyExchange(b)
		}
		return true, nil
	case 14:
		return true, nil
	}
	return false, nil
}

func serverHello(b []byte) (*answerHello, error) {
	broken := errors.New("a ServerHello that ends early")
	if len(b) < 35 || len(b) < 35+int(b[34])+3 {
		return nil, broken
	}
	a := &answerHello{version: binary.BigEndian.Uint16(b)}
	b = b[35+int(b[34]):]
	a.suite = binary.BigEndian.Uint16(b)
	if b = b[3:]; len(b) < 2 {
		return a, nil
	}
	for b = b[2:]; len(b) >= 4; {
		kind, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			return nil, broken
		}
		if body := b[4 : 4+n]; n >= 2 && kind == 43 {
			a.version = binary.BigEndian.Uint16(body)
		} else if n >= 2 && kind == 51 {
			a.group = binary.BigEndian.Uint16(body)
		}
		b = b[4+n:]
	}
	return a, nil
}

// keyExchange reads the group of a ServerKeyExchange: a named curve, or the prime of a DH group.
func (a *answerHello) keyExchange(b []byte) {
	switch s := suiteOf(a.suite); {
	case s == nil:
	case s.ecdhe() && len(b) >= 3 && b[0] == 3:
		a.group = binary.BigEndian.Uint16(b[1:])
	case s.dhe() && len(b) >= 2:
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			return
		}
		prime := b[2 : 2+n]
		for len(prime) > 0 && prime[0] == 0 {
			prime = prime[1:]
		}
		if a.dhBits = len(prime) * 8; len(prime) > 0 {
			for bit := byte(0x80); prime[0]&bit == 0; bit >>= 1 {
				a.dhBits--
			}
		}
	}
}
