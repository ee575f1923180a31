package hunt

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// patience is how long an endpoint may take to answer a batch.
const patience = 3 * time.Minute

// maxMessage bounds one message of an endpoint.
const maxMessage = 64 << 20

// conn is a client that sends many statements before it reads, and keeps every byte of the answers.
type conn struct {
	net      net.Conn
	in       *bufio.Reader
	frontend *pgproto3.Frontend // for sending only
	close    func()
}

// connect logs in.
func connect(ctx context.Context, config *pgconn.Config) (*conn, error) {
	// pgconn may have begun to read ahead while it logged in: what it has read comes out of its own reader only.
	var in io.Reader
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		in = r
		return pgproto3.NewFrontend(r, w)
	}
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, errors.Join(err, c.Close(ctx))
	}
	return &conn{net: h.Conn, in: bufio.NewReaderSize(in, 64<<10), frontend: h.Frontend, close: func() { _ = h.Conn.Close() }}, nil
}

// reply is what came back for one text.
type reply struct {
	bytes   []byte   // bodies of all messages but those without content
	states  []string // SQLSTATE of each error
	message string   // of the first error
	rows    int
	fatal   bool
}

// way is how a text is sent.
type way uint8

const (
	simple way = iota
	extended
	extendedBinary
)

// send writes a text without waiting for the answer.
func (c *conn) send(text string, w way) {
	if w == simple {
		c.frontend.Send(&pgproto3.Query{String: text})
		if strings.Contains(text, "FROM STDIN") {
			c.frontend.Send(&pgproto3.CopyFail{Message: "nothing to send"}) // means nothing where no COPY is under way
		}
		return
	}
	bind := &pgproto3.Bind{}
	if w == extendedBinary {
		bind.ResultFormatCodes = []int16{1}
	}
	c.frontend.Send(&pgproto3.Parse{Query: text})
	c.frontend.Send(&pgproto3.Describe{ObjectType: 'S'})
	c.frontend.Send(bind)
	c.frontend.Send(&pgproto3.Execute{})
	c.frontend.Send(&pgproto3.Sync{})
}

func (c *conn) flush() error {
	if err := c.net.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return c.frontend.Flush()
}

// receive reads to the end of the answer to one text, with or without the notices.
func (c *conn) receive(r *reply, noNotices bool) error {
	r.bytes, r.states, r.message, r.rows, r.fatal = r.bytes[:0], r.states[:0], "", 0, false
	var head [5]byte
	for {
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head[1:])) - 4
		if n < 0 || n > maxMessage {
			return fmt.Errorf("a message %q of %d bytes", head[0], n)
		}
		at := len(r.bytes)
		r.bytes = append(r.bytes, make([]byte, n)...)
		body := r.bytes[at:]
		if _, err := io.ReadFull(c.in, body); err != nil {
			return err
		}
		switch head[0] {
		case 'Z':
			r.bytes = r.bytes[:at]
			return nil
		case 'N':
			if noNotices {
				r.bytes = r.bytes[:at]
			}
		case 'D':
			r.rows++
		case 'T':
			r.bytes = append(r.bytes[:at], columnNames(body)...)
		case 'E':
			if err := r.failed(body); err != nil {
				return err
			}
		}
	}
}

// failed notes an error.
func (r *reply) failed(body []byte) error {
	var e pgproto3.ErrorResponse
	if err := e.Decode(body); err != nil {
		return err
	}
	r.states = append(r.states, e.Code)
	if r.message == "" {
		r.message = e.Message
	}
	r.fatal = r.fatal || e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC"
	return nil
}

// columnNames keeps the names of a RowDescription and leaves out its numbers: OIDs differ between worlds, and mean nothing.
func columnNames(body []byte) []byte {
	var d pgproto3.RowDescription
	if err := d.Decode(body); err != nil {
		return body
	}
	var out []byte
	for _, f := range d.Fields {
		out = append(append(out, f.Name...), '|')
	}
	return out
}
