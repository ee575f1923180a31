package pgwire

import (
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/pgtest"
)

// nameError matches errors about names. In an aborted transaction the server may complain of that first where we complain
// of the name; either refuses.
var nameError = regexp.MustCompile(`^ErrorResponse ERROR (26000|34000|25P02|55000) .*`)

// TestRandomConversations sends random pipelines to the gateway and to the server itself: the answers must be the same,
// message by message. It covers what no script thinks of: names that are taken, errors in odd places, missing Syncs.
func TestRandomConversations(t *testing.T) {
	t.Parallel()
	c := pgtest.Default(t)
	through, direct := newRig(t, c, open), newRig(t, c, open)
	a, b := through.wire(t), direct.direct(t)
	for seed := range uint64(600) {
		list := randomPipeline(rand.New(rand.NewPCG(seed, 1)))
		mark := fmt.Sprintf("end %d", seed)
		list = append(list, &pgproto3.Sync{}, &pgproto3.Query{String: "rollback"}, &pgproto3.Query{String: "select '" + mark + "' as mark"})
		got, want := a.converse(t, list, mark), b.converse(t, list, mark)
		if got != want || !strings.HasSuffix(want, "ReadyForQuery I") {
			var sent []string
			for _, m := range list {
				sent = append(sent, fmt.Sprintf("%T %+v", m, m))
			}
			t.Fatalf("seed %d\nsent:\n%s\n\nthrough the gateway:\n%s\n\ndirectly:\n%s", seed, strings.Join(sent, "\n"), got, want)
		}
	}
}

// converse sends a pipeline and reads up to the mark.
func (p *peer) converse(t *testing.T, list []pgproto3.FrontendMessage, mark string) string {
	t.Helper()
	p.deadline(t)
	p.send(t, list...)
	var out []string
	for seen := false; ; {
		m, err := p.frontend.Receive()
		if err != nil {
			return strings.Join(append(out, err.Error()), "\n")
		}
		if _, status := m.(*pgproto3.ParameterStatus); status {
			continue
		}
		line := strings.ReplaceAll(render(m), " D=Event #.", "")
		out = append(out, nameError.ReplaceAllString(line, "ErrorResponse about a name"))
		seen = seen || line == "DataRow "+mark
		if _, ready := m.(*pgproto3.ReadyForQuery); ready && seen {
			return strings.Join(out, "\n")
		}
	}
}

// nameless are statements that use no name that may be missing. Those that do are refused before anything of their string
// runs (PRO-49), which the server alone would not do. Savepoints are not among them: by EXECUTE outside a transaction they end
// the server's session.
var nameless = []string{
	"select 1 as one", "select generate_series(1, 3) as g", "select 1/0 as zero", "begin", "commit", "rollback",
	"prepare s1 as select 11 as eleven", "prepare s2 as select 22 as twentytwo", "deallocate s1", "deallocate all",
	"declare c1 cursor for select generate_series(1, 4) as g", "declare c1 cursor with hold for select 7 as seven",
	"close c1", "close all", "discard all", "", "insert into notes values (1, 'x')", "delete from notes",
}

func anyOf(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }

// randomPipeline makes up to 25 messages about few names.
func randomPipeline(r *rand.Rand) (list []pgproto3.FrontendMessage) {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	statement := func() string { return pick("", "", "s1", "s2") }
	portal := func() string { return pick("", "", "c1", "p1") }
	sql := func() string {
		if r.IntN(3) == 0 {
			return pick("execute s1", "execute s2", "fetch 1 from c1", "fetch all from c1")
		}
		return anyOf(r, nameless)
	}
	// EXECUTE of what works on names itself is refused, so named statements are plain ones.
	prepare := func(name string) *pgproto3.Parse {
		if name != "" {
			return &pgproto3.Parse{Name: name, Query: pick("select 1 as one", "select generate_series(1, 3) as g", "delete from notes", "")}
		}
		return &pgproto3.Parse{Query: sql()}
	}
	for range 1 + r.IntN(25) {
		switch r.IntN(12) {
		case 0, 1:
			list = append(list, &pgproto3.Query{String: sql()})
		case 2:
			list = append(list, &pgproto3.Query{String: anyOf(r, nameless) + "; " + anyOf(r, nameless) + "; " + anyOf(r, nameless)})
		case 3, 4:
			list = append(list, prepare(statement()))
		case 5, 6:
			list = append(list, &pgproto3.Bind{DestinationPortal: portal(), PreparedStatement: statement()})
		case 7:
			list = append(list, &pgproto3.Execute{Portal: portal(), MaxRows: uint32(r.IntN(3))})
		case 8:
			// Not the unnamed portal: that of a failed Query can still be described, which we do not follow. Nor the unnamed
			// statement: it may be a FETCH whose cursor has gone, and to be asked for that ends the server.
			list = append(list, []pgproto3.FrontendMessage{
				&pgproto3.Describe{ObjectType: 'S', Name: pick("s1", "s2")},
				&pgproto3.Describe{ObjectType: 'P', Name: pick("p1", "c1")},
			}[r.IntN(2)])
		case 9:
			list = append(list, &pgproto3.Close{ObjectType: "SP"[r.IntN(2)], Name: pick("", "s1", "s2", "p1", "c1")})
		case 10:
			list = append(list, &pgproto3.Sync{})
		case 11:
			name := statement()
			list = append(list, prepare(name), &pgproto3.Bind{PreparedStatement: name}, &pgproto3.Execute{}, &pgproto3.Sync{})
		}
	}
	return list
}

// TestUnderChange sends random pipelines while the policy changes and cancels arrive. Whatever the answers are, every
// session must come to the end of each pipeline, and be of use after it.
func TestUnderChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	const sessions, rounds = 5, 40
	peers := make([]*peer, sessions)
	for i := range peers {
		peers[i] = r.wire(t)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			r.nextGeneration()
			if err := r.gw.Reload(); err != nil {
				t.Errorf("reload: %v", err)
			}
			p := peers[i%sessions]
			if b, err := (&pgproto3.CancelRequest{ProcessID: p.pid, SecretKey: p.key}).Encode(nil); err == nil {
				if conn, err := net.Dial("tcp", r.plain); err == nil {
					_, _ = conn.Write(b)
					_ = conn.Close()
				}
			}
		}
	}()
	done := make(chan error, sessions)
	for i, p := range peers {
		go func() { done <- p.rounds(rand.New(rand.NewPCG(uint64(i), 7)), rounds) }()
	}
	for range peers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-stopped
}

// rounds plays random pipelines and after each asks until it is answered.
func (p *peer) rounds(r *rand.Rand, n int) error {
	for round := range n {
		for _, m := range append(randomPipeline(r), &pgproto3.Sync{}, &pgproto3.Query{String: "rollback"}) {
			p.frontend.Send(m)
		}
		mark := fmt.Sprintf("round %d", round)
		for tries := 0; ; tries++ {
			p.frontend.Send(&pgproto3.Query{String: "rollback"})
			p.frontend.Send(&pgproto3.Query{String: "select '" + mark + "' as mark"})
			_ = p.conn.SetDeadline(time.Now().Add(20 * time.Second))
			if err := p.frontend.Flush(); err != nil {
				return err
			}
			found, err := p.seek(mark)
			if err != nil || tries > 50 {
				return fmt.Errorf("%s, try %d: %w", mark, tries, err)
			}
			if found {
				break
			}
		}
	}
	return nil
}

// seek reads until the mark has come, or what stands in its place when it was cancelled: a pause.
func (p *peer) seek(mark string) (bool, error) {
	for {
		_ = p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		m, err := p.frontend.Receive()
		if err != nil {
			return false, err
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			if string(m.Values[0]) == mark {
				return true, nil
			}
		case *pgproto3.ErrorResponse:
			if m.Code == "57014" {
				return false, nil // it may have been the mark: ask again
			}
			if m.Severity == "FATAL" {
				return false, fmt.Errorf("the session ended: %s", m.Message)
			}
		}
	}
}
