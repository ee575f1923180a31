package hunt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/pgtest"
)

// smithSample is how many statements sqlsmith makes with every change, for one subject at each wall. `make sqlsmith N=…` asks for more,
// as all of them, and for the planted value, which takes thousands to be found: of what sqlsmith makes most is refused or answers nothing.
const (
	smithSample  = 60
	smithPlanted = 3000
)

// TestSQLsmith lets a second generator, which knows nothing of this product, go at both walls: sqlsmith reads the catalog that the
// subject sees and makes statements of what it finds. Between it and the endpoint stands a tap that reads every byte of the answers.
func TestSQLsmith(t *testing.T) {
	n := number(t, "POSTERN_SQLSMITH", smithSample)
	long, people := os.Getenv("POSTERN_SQLSMITH") != "", subjects()
	if !long {
		people = people[:1]
	}
	first, _ := Worlds()
	s := newSite(t, pgtest.DefaultMajor, first)
	s.Serve(t)
	for _, e := range []Endpoint{gateway(s, first), wall(t, s, first)} {
		for i, subject := range people {
			t.Run(e.Name+" as "+subject, func(t *testing.T) {
				r := smith(t, e, subject, n, number(t, "POSTERN_SQLSMITH_SEED", 1)+uint64(i))
				t.Log(r)
				for _, f := range r.findings {
					t.Errorf("%s", f)
				}
				if r.sent < n || r.answered == 0 {
					t.Errorf("too little to mean something: %s", r)
				}
			})
		}
	}
	if log := s.DB.Log(); strings.Contains(log, "terminated by signal") || strings.Contains(log, "PANIC") {
		t.Errorf("the server crashed:\n%s", log[max(0, len(log)-4000):])
	}
	if !long {
		return
	}
	t.Run("a planted value", func(t *testing.T) {
		s.DB.Exec(t, first.Fill("UPDATE products SET sku = '[A]-SKU-' || id; UPDATE people SET name = '[A]-NAME-' || id; UPDATE orders SET memo = '[A]-MEMO-' || id; UPDATE parent SET word = '[A]-WORD'"))
		if r := smith(t, gateway(s, first), "ana", smithPlanted, 1); len(r.findings) == 0 {
			t.Errorf("what must not be read stands in tables that are read, and is not found: %s", r)
		}
	})
}

// smithReport is what came of a run.
type smithReport struct {
	mu                      sync.Mutex
	sent, answered, refused uint64
	failed                  map[string]uint64
	findings                []string
}

func (r *smithReport) String() string {
	var states []string
	for s, n := range r.failed {
		states = append(states, fmt.Sprintf("%s %d", s, n))
	}
	slices.Sort(states)
	return fmt.Sprintf("%d statements, %d answered, %d refused, failed: %s; %d findings", r.sent, r.answered, r.refused, strings.Join(states, ", "), len(r.findings))
}

// smith runs sqlsmith through a tap.
func smith(t *testing.T, e Endpoint, subject string, n, seed uint64) *smithReport {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &smithReport{failed: map[string]uint64{}}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed below
			}
			sessions.Go(func() {
				defer func() { _ = client.Close() }()
				if err := r.tap(e, subject, client); err != nil {
					t.Errorf("the tap: %v", err)
				}
			})
		}
	})
	port := l.Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Hour)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sqlsmith", fmt.Sprintf("--target=host=127.0.0.1 port=%d user=x dbname=shop sslmode=disable gssencmode=disable", port),
		"--max-queries="+strconv.FormatUint(n, 10), "--seed="+strconv.FormatUint(seed, 10), "--exclude-catalog")
	cmd.Env = append(os.Environ(), "PGOPTIONS=")
	out, err := cmd.CombinedOutput()
	_ = l.Close()
	sessions.Wait()
	if err != nil {
		t.Errorf("sqlsmith: %v\n%.2000s", err, out)
	}
	return r
}

// tap logs in to the endpoint as the subject, plays the server's part of the start towards the client, and then passes on what both
// say, reading the server's words.
func (r *smithReport) tap(e Endpoint, subject string, client net.Conn) error {
	backend := pgproto3.NewBackend(client, client)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return err
	}
	config, err := e.Config(subject)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var in io.Reader
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		in = r
		return pgproto3.NewFrontend(r, w)
	}
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	h, err := c.Hijack()
	if err != nil {
		return err
	}
	defer func() { _ = h.Conn.Close() }()
	backend.Send(&pgproto3.AuthenticationOk{})
	for name, value := range h.ParameterStatuses {
		backend.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	backend.Send(&pgproto3.BackendKeyData{ProcessID: h.PID, SecretKey: h.SecretKey})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := backend.Flush(); err != nil {
		return err
	}
	asked := &lastQuery{from: client}
	go func() {
		_, _ = io.Copy(h.Conn, asked) // ends with the client, and ends the other direction
		_ = h.Conn.Close()
	}()
	return r.read(e, in, client, asked)
}

// lastQuery remembers the newest message that passes, for a finding to name it.
type lastQuery struct {
	from io.Reader
	mu   sync.Mutex
	text []byte
}

func (q *lastQuery) Read(b []byte) (int, error) {
	n, err := q.from.Read(b)
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > 0 && b[0] == 'Q' {
		q.text = q.text[:0]
	}
	if len(q.text) < 1<<16 {
		q.text = append(q.text, b[:n]...)
	}
	return n, err
}

func (q *lastQuery) last() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return string(q.text)
}

// read passes the server's messages on, and looks at each statement's answer as a whole.
func (r *smithReport) read(e Endpoint, in io.Reader, client io.Writer, asked *lastQuery) error {
	oracle := e.World.oracle()
	var answer, message []byte
	state := ""
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(in, head); err != nil {
			return nil // the client is done: what was not answered is counted by nobody
		}
		n := int(binary.BigEndian.Uint32(head[1:])) - 4
		if n < 0 || n > maxMessage {
			return fmt.Errorf("a message %q of %d bytes", head[0], n)
		}
		message = slices.Grow(message[:0], n)[:n]
		if _, err := io.ReadFull(in, message); err != nil {
			return err
		}
		switch head[0] {
		case 'E':
			var er pgproto3.ErrorResponse
			if err := er.Decode(message); err != nil {
				return err
			}
			state = er.Code
			answer = append(answer, message...)
		case 'Z':
			r.note(oracle.Find(answer, false), state, asked)
			answer, state = answer[:0], ""
		case 'N':
			if !e.NoNotices {
				answer = append(answer, message...)
			}
		default:
			answer = append(answer, message...)
		}
		if _, err := client.Write(append(head, message...)); err != nil {
			return nil // as above
		}
	}
}

// note counts an answer.
func (r *smithReport) note(found, state string, asked *lastQuery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
	switch state {
	case "":
		r.answered++
	case "42501", "0A000":
		r.refused++
	default:
		r.failed[state]++
	}
	if found != "" && len(r.findings) < 20 {
		r.findings = append(r.findings, fmt.Sprintf("%s\n\t%.3000s", found, bytes.TrimSpace([]byte(asked.last()))))
	}
}
