package pgwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// Sizes from PostgreSQL's source (src/include/libpq/pqcomm.h and src/backend/tcop/postgres.c) and our own caps (PRO-100).
const (
	headerSize      = 5
	bufferSize      = 64 << 10
	maxStartup      = 10_000 // after the length word
	maxSASL         = 1_024
	maxSmall        = 10_000
	maxLoginMessage = 1 << 16 // of the store, while logging in
	maxServerStream = 1<<30 - 1
)

// Request codes and versions of the start-up phase.
const (
	codeSSL     = 80877103
	codeGSS     = 80877104
	codeCancel  = 80877102
	version30   = 196608
	version32   = 196610
	firstTLS    = 0x16
	alpn        = "postgresql"
	maxNameSize = 63 // NAMEDATALEN - 1
)

var (
	errFraming  = errors.New("message length is out of bounds")
	errTooSoon  = errors.New("data before the answer to an encryption request")
	errBadIdent = errors.New("unexpected message")
)

// flushMessage asks the server to send what it has.
var flushMessage = []byte{'H', 0, 0, 0, 4}

// counter is a number that only grows.
type counter struct{ n atomic.Int64 }

func (c *counter) add()        { c.n.Add(1) }
func (c *counter) load() int64 { return c.n.Load() }

// message is one message of the start-up phase: its type and what follows the length.
type message struct {
	kind byte
	body []byte
}

// readMessage reads exactly one message and not a byte more, so that nothing is buffered when TLS begins or a session takes
// over. The declared length is checked before anything is allocated.
func readMessage(r io.Reader, limit int) (message, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message{}, err
	}
	size := int64(binary.BigEndian.Uint32(head[1:])) - 4
	if size < 0 || size > int64(limit) {
		return message{}, errFraming
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return message{}, err
	}
	return message{kind: head[0], body: body}, nil
}

// cString cuts a NUL-terminated string off the front of b.
func cString(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// appendHeader begins a message whose body has size bytes.
func appendHeader(dst []byte, kind byte, size int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, kind), uint32(size+4)) //nolint:gosec // callers' sizes are bounded
}

func appendQuery(dst []byte, text string) []byte {
	dst = appendHeader(dst, 'Q', len(text)+1)
	return append(append(dst, text...), 0)
}

// appendParse writes a Parse; rest is what follows the text in the client's own message, the parameter types.
func appendParse(dst []byte, name []byte, text string, rest []byte) []byte {
	dst = appendHeader(dst, 'P', len(name)+1+len(text)+1+len(rest))
	dst = append(append(dst, name...), 0)
	dst = append(append(dst, text...), 0)
	return append(dst, rest...)
}

func appendClose(dst []byte, kind byte, name string) []byte {
	dst = appendHeader(dst, 'C', 1+len(name)+1)
	return append(append(append(dst, kind), name...), 0)
}

// encodable is a message of pgproto3.
type encodable interface {
	Encode(dst []byte) ([]byte, error)
}

// encode appends a message whose parts are ours, so that it always can be encoded.
func encode(dst []byte, m encodable) ([]byte, error) {
	out, err := m.Encode(dst)
	if err != nil {
		return dst, fmt.Errorf("encode %T: %w", m, err)
	}
	return out, nil
}

// prefixed gives back a byte that was read too early.
type prefixed struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
