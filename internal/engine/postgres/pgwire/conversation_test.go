package pgwire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/pgtest"
)

var update = flag.Bool("update", false, "rewrite the expected halves of testdata/wire")

// TestConversations plays the scripts in testdata/wire: what a client sends, "----", and every message that comes back. A
// script whose first comment says "same" is also played directly to the server, where the answers must be the same: the
// gateway must not be noticed.
func TestConversations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pgtest.Default(t))
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := r.play(t, r.wire(t), string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(text) {
				t.Errorf("%s\ngot:\n%s", file, got)
			}
		})
	}
}

// TestSameAsServer plays the scripts marked "same" on every major, through the gateway and directly.
func TestSameAsServer(t *testing.T) {
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		through, direct := newRig(t, c, open), newRig(t, c, open)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			if !strings.HasSuffix(first, ". same") {
				continue
			}
			t.Run(filepath.Base(file), func(t *testing.T) {
				a := through.play(t, through.wire(t), string(text))
				b := direct.play(t, direct.direct(t), string(text))
				// Ours names the event that refused, which is all that may tell them apart.
				if a = strings.ReplaceAll(a, " D=Event #.", ""); a != b {
					t.Errorf("through the gateway:\n%s\ndirectly:\n%s", a, b)
				}
			})
		}
	})
}

// open is a world that masks nothing, so that errors keep their text.
func open(r *rig, _ *gateway.Config, _ *Config) { r.world.Masked = false }

// peer is a hand-driven connection.
type peer struct {
	conn     net.Conn
	frontend *pgproto3.Frontend
	key      []byte
	pid      uint32
	params   map[string]string
}

// wire logs in through the gateway and leaves the rest to the test.
func (r *rig) wire(t testing.TB) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", r.plain)
	if err != nil {
		t.Fatal(err)
	}
	return r.login(t, conn, map[string]string{"user": "ana", "database": "shop"}, anaPassword)
}

// direct logs in to the server as the identity role.
func (r *rig) direct(t testing.TB) *peer {
	t.Helper()
	conn, err := net.Dial("unix", r.upstream.Address)
	if err != nil {
		t.Fatal(err)
	}
	return r.login(t, conn, map[string]string{"user": r.role, "database": r.db.Name, "search_path": "wall, public"}, pgtest.PasswordOf(r.role))
}

func (r *rig) login(t testing.TB, conn net.Conn, params map[string]string, password string) *peer {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{conn: conn, frontend: pgproto3.NewFrontend(conn, conn), params: map[string]string{}}
	p.deadline(t)
	p.frontend.Send(&pgproto3.StartupMessage{ProtocolVersion: version30, Parameters: params})
	if err := p.frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	authenticate(t, p, password)
	for {
		switch m := p.receive(t).(type) {
		case *pgproto3.ParameterStatus:
			p.params[m.Name] = m.Value
		case *pgproto3.BackendKeyData:
			p.pid, p.key = m.ProcessID, bytes.Clone(m.SecretKey)
		case *pgproto3.ReadyForQuery:
			return p
		default:
			t.Fatalf("during login: %#v", m)
		}
	}
}

func (p *peer) deadline(t testing.TB) {
	t.Helper()
	if err := p.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
}

func (p *peer) receive(t testing.TB) pgproto3.BackendMessage {
	t.Helper()
	m, err := p.frontend.Receive()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return m
}

func (p *peer) send(t testing.TB, messages ...pgproto3.FrontendMessage) {
	t.Helper()
	for _, m := range messages {
		p.frontend.Send(m)
	}
	if err := p.frontend.Flush(); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// until renders what comes, up to n ReadyForQuery.
func (p *peer) until(t testing.TB, n int) []string {
	t.Helper()
	p.deadline(t)
	var out []string
	for n > 0 {
		m := p.receive(t)
		out = append(out, render(m))
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			n--
		}
	}
	return out
}

// play runs a script and returns it with what really came back. A block is read until the next read would have to wait for
// longer than any answer takes here.
func (r *rig) play(t testing.TB, p *peer, script string) string {
	t.Helper()
	var b strings.Builder
	for i, block := range strings.Split(strings.TrimRight(script, "\n"), "\n\n") {
		if i > 0 {
			b.WriteString("\n")
		}
		input, expected, _ := strings.Cut(block+"\n", "----\n")
		b.WriteString(input + "----\n")
		var out []byte
		for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
			out = r.step(t, p, out, line)
		}
		p.deadline(t)
		if len(out) > 0 {
			if _, err := p.conn.Write(out); err != nil {
				t.Fatalf("send: %v", err)
			}
		}
		want := strings.Count(strings.TrimRight(expected, "\n")+"\n", "\n")
		if strings.TrimSpace(expected) == "" {
			if want = 0; !*update {
				t.Fatalf("a block without an expectation:\n%s", block)
			}
		}
		for _, line := range p.listen(t, want) {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// listen reads want messages, or when updating everything until silence.
func (p *peer) listen(t testing.TB, want int) (out []string) {
	t.Helper()
	for *update || len(out) < want {
		limit := 20 * time.Second
		if *update {
			limit = 700 * time.Millisecond
		}
		_ = p.conn.SetDeadline(time.Now().Add(limit))
		m, err := p.frontend.Receive()
		switch {
		case isTimeout(err) && *update:
			p.frontend = pgproto3.NewFrontend(p.conn, p.conn)
			return out
		case err != nil:
			if !*update {
				out = append(out, "Closed")
			} else if len(out) == 0 || out[len(out)-1] != "Closed" {
				return append(out, "Closed")
			}
			return out
		}
		if _, status := m.(*pgproto3.ParameterStatus); !status { // when they come differs from major to major
			out = append(out, render(m))
		}
	}
	return out
}

// step turns one line of a script into bytes.
func (r *rig) step(t testing.TB, p *peer, out []byte, line string) []byte {
	t.Helper()
	words := splitWords(t, line)
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return out
	}
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	var m pgproto3.FrontendMessage
	switch words[0] {
	case "Query":
		m = &pgproto3.Query{String: arg(1)}
	case "Parse":
		m = &pgproto3.Parse{Name: arg(1), Query: arg(2), ParameterOIDs: oids(words[min(3, len(words)):])}
	case "Bind":
		bind := &pgproto3.Bind{DestinationPortal: arg(1), PreparedStatement: arg(2)}
		for _, w := range words[min(3, len(words)):] {
			if w == "binary" {
				bind.ResultFormatCodes = []int16{1}
				continue
			}
			bind.Parameters = append(bind.Parameters, []byte(w))
		}
		m = bind
	case "Describe":
		m = &pgproto3.Describe{ObjectType: arg(1)[0], Name: arg(2)}
	case "Execute":
		n, _ := strconv.Atoi(arg(2))
		m = &pgproto3.Execute{Portal: arg(1), MaxRows: uint32(n)}
	case "Close":
		m = &pgproto3.Close{ObjectType: arg(1)[0], Name: arg(2)}
	case "Sync":
		m = &pgproto3.Sync{}
	case "Flush":
		m = &pgproto3.Flush{}
	case "Terminate":
		m = &pgproto3.Terminate{}
	case "CopyData":
		m = &pgproto3.CopyData{Data: []byte(arg(1))}
	case "CopyDone":
		m = &pgproto3.CopyDone{}
	case "CopyFail":
		m = &pgproto3.CopyFail{Message: arg(1)}
	case "Function":
		return append(out, 'F', 0, 0, 0, 14, 0, 0, 0, 177, 0, 0, 0, 0, 0, 0)
	case "Raw":
		b, err := hex.DecodeString(arg(1))
		if err != nil {
			t.Fatal(err)
		}
		return append(out, b...)
	case "policy":
		r.nextGeneration()
		if err := r.gw.Reload(); err != nil {
			t.Fatal(err)
		}
		return out
	default:
		t.Fatalf("unknown step %q", line)
	}
	b, err := m.Encode(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func oids(words []string) (out []uint32) {
	for _, w := range words {
		n, _ := strconv.ParseUint(w, 10, 32)
		out = append(out, uint32(n))
	}
	return out
}

// splitWords splits at spaces; double quotes keep a word together.
func splitWords(t testing.TB, line string) (out []string) {
	t.Helper()
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '#' {
			return append(out, "#")
		}
		if line[0] != '"' {
			w, rest, _ := strings.Cut(line, " ")
			out, line = append(out, w), rest
			continue
		}
		end := strings.IndexByte(line[1:], '"')
		if end < 0 {
			t.Fatalf("unclosed quote in %q", line)
		}
		out, line = append(out, line[1:end+1]), line[end+2:]
	}
	return out
}

var eventID = regexp.MustCompile(`Event ev\d+\.`)

func render(m pgproto3.BackendMessage) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
	switch m := m.(type) {
	case *pgproto3.RowDescription:
		var parts []string
		for _, f := range m.Fields {
			parts = append(parts, fmt.Sprintf("%s:%d:%d", f.Name, f.DataTypeOID, f.Format))
		}
		return name + " " + strings.Join(parts, " ")
	case *pgproto3.DataRow:
		var parts []string
		for _, v := range m.Values {
			if v == nil {
				parts = append(parts, "NULL")
			} else {
				parts = append(parts, strings.Trim(strconv.Quote(string(v)), `"`))
			}
		}
		return name + " " + strings.Join(parts, "|")
	case *pgproto3.CommandComplete:
		return name + " " + string(m.CommandTag)
	case *pgproto3.ReadyForQuery:
		return name + " " + string(m.TxStatus)
	case *pgproto3.ParameterStatus:
		return name + " " + m.Name + "=" + m.Value
	case *pgproto3.ParameterDescription:
		return name + " " + fmt.Sprint(m.ParameterOIDs)
	case *pgproto3.CopyData:
		return name + " " + strconv.Quote(string(m.Data))
	case *pgproto3.ErrorResponse:
		return name + " " + renderError(m)
	case *pgproto3.NoticeResponse:
		e := pgproto3.ErrorResponse(*m)
		return name + " " + renderError(&e)
	}
	return name
}

// renderError shows every field that a client could see, but for where in the server's source it was raised.
func renderError(e *pgproto3.ErrorResponse) string {
	s := e.Severity + " " + e.Code + " " + e.Message
	for _, f := range []struct{ name, value string }{
		{"D", e.Detail},
		{"H", e.Hint},
		{"W", e.Where},
		{"q", e.InternalQuery},
		{"s", e.SchemaName},
		{"t", e.TableName},
		{"c", e.ColumnName},
		{"n", e.ConstraintName},
	} {
		if f.value != "" {
			s += " " + f.name + "=" + eventID.ReplaceAllString(f.value, "Event #.")
		}
	}
	return s
}
