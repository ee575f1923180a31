package pgwire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/pgtest"
)

// TestCopyIn is PRO-78 and 79: the states of COPY FROM, against a real server, behind a guard that lets it pass.
func TestCopyIn(t *testing.T) {
	t.Parallel()
	c := pgtest.Default(t)
	script := []pgproto3.FrontendMessage{
		&pgproto3.Query{String: "copy public.notes from stdin"}, nil,
		&pgproto3.CopyData{Data: []byte("1\tone\n")}, &pgproto3.Sync{}, &pgproto3.CopyData{Data: []byte("2\ttwo\n")}, &pgproto3.CopyDone{}, nil,
		&pgproto3.Query{String: "copy public.notes from stdin"}, nil,
		&pgproto3.CopyFail{Message: "mine"}, nil,
		&pgproto3.Query{String: "copy public.notes from stdin"}, nil,
		&pgproto3.CopyData{Data: []byte("not a number\n")}, &pgproto3.CopyData{Data: []byte("more\n")}, &pgproto3.CopyDone{}, nil,
		&pgproto3.Query{String: "select 1 as a"}, nil,
		&pgproto3.Parse{Query: "copy public.notes from stdin"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}, nil,
		&pgproto3.CopyData{Data: []byte("3\tthree\n")}, &pgproto3.CopyDone{}, &pgproto3.Sync{}, nil,
		&pgproto3.Query{String: "select count(*) as n from public.notes"}, nil,
	}
	// What is awaited after each pause: messages, counted on the server itself.
	counts := []int{1, 2, 1, 2, 1, 2, 4, 3, 2, 4}
	play := func(p *peer) string {
		var all []string
		i := 0
		for _, m := range script {
			if m != nil {
				p.frontend.Send(m)
				continue
			}
			if err := p.frontend.Flush(); err != nil {
				t.Fatal(err)
			}
			all = append(all, p.listen(t, counts[i])...)
			i++
		}
		return strings.Join(all, "\n")
	}
	through := newRig(t, c, withGuard(lenient{}), open)
	direct := newRig(t, c, open)
	if a, b := play(through.wire(t)), play(direct.direct(t)); a != b || !strings.HasSuffix(a, "DataRow 3\nCommandComplete SELECT 1\nReadyForQuery I") {
		t.Errorf("through the gateway:\n%s\n\ndirectly:\n%s", a, b)
	}
	p := through.wire(t)
	p.send(t, &pgproto3.Query{String: "copy public.notes from stdin"})
	p.listen(t, 1)
	p.send(t, &pgproto3.Query{String: "select 1"})
	if got := strings.Join(p.listen(t, 3), "\n"); !strings.Contains(got, "FATAL 08P01") || !strings.HasSuffix(got, "Closed") {
		t.Errorf("a Query inside COPY: %s", got)
	}
}

// TestSyncInFailingCopy: a Sync that comes while a COPY FROM fails is read by the server as part of the data, or after it. Whichever it
// is, no answer may be taken for another statement's: here that of an EXPLAIN, of which only the shape may be shown.
func TestSyncInFailingCopy(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t), withGuard(lenient{}), open)
	r.db.Exec(t, `create function refuse() returns trigger language plpgsql as $$begin raise 'not now'; end$$;
		create table barred (id int); create trigger barred before insert on barred execute function refuse();
		grant insert on barred to `+r.role)
	bad := &pgproto3.CopyData{Data: []byte(strings.Repeat("not a number\n", 10000))}
	begin := map[string][]pgproto3.FrontendMessage{
		"simple":   {&pgproto3.Query{String: "copy public.notes from stdin"}, bad},
		"extended": {&pgproto3.Parse{Query: "copy public.notes from stdin"}, &pgproto3.Bind{}, &pgproto3.Execute{}, bad},
		// Fails when it has asked for data, and before it has read any.
		"simple, by a trigger":   {&pgproto3.Query{String: "copy public.barred from stdin"}},
		"extended, by a trigger": {&pgproto3.Parse{Query: "copy public.barred from stdin"}, &pgproto3.Bind{}, &pgproto3.Execute{}},
	}
	for name, first := range begin {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				p := r.wire(t)
				p.send(t, append(slices.Clone(first), &pgproto3.Sync{}, &pgproto3.CopyDone{}, &pgproto3.Sync{},
					&pgproto3.Query{String: "select 1 as a"}, &pgproto3.Query{String: "select 2 as b"}, &pgproto3.Query{String: "select 3 as c"})...)
				got := p.listen(t, 1)
				for len(got) < 40 && got[len(got)-1] != "Closed" && (len(got) < 2 || got[len(got)-2] != "CommandComplete SELECT 1" || !slices.Contains(got, "DataRow 3")) {
					got = append(got, p.listen(t, 1)...)
				}
				all := strings.Join(got, "\n")
				if !strings.Contains(all, "DataRow 1") || !strings.Contains(all, "DataRow 2") || !strings.HasSuffix(all, "DataRow 3\nCommandComplete SELECT 1\nReadyForQuery I") {
					t.Fatalf("got %s", all)
				}
			}
		})
		t.Run(name+", and nothing but a Sync", func(t *testing.T) {
			p := r.wire(t)
			p.send(t, append(slices.Clone(first), &pgproto3.Sync{})...)
			var got []string
			for len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "ReadyForQuery") && got[len(got)-1] != "Closed" {
				got = append(got, p.listen(t, 1)...)
			}
			if all := strings.Join(got, "\n"); !strings.Contains(all, "ErrorResponse ERROR") || !strings.HasSuffix(all, "ReadyForQuery I") {
				t.Fatalf("got %s", all)
			}
		})
	}
	t.Run("in the middle of data", func(t *testing.T) {
		p := r.wire(t)
		data, err := (&pgproto3.CopyData{Data: []byte("2\ttwo\n")}).Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		p.send(t, begin["extended"][:3]...)
		p.send(t, &pgproto3.Sync{}, bad)
		if _, err := p.conn.Write(data[:6]); err != nil {
			t.Fatal(err)
		}
		p.listen(t, 4) // up to the error
		if _, err := p.conn.Write(data[6:]); err != nil {
			t.Fatal(err)
		}
		p.send(t, &pgproto3.CopyDone{}, &pgproto3.Sync{})
		if got := p.listen(t, 1); got[0] != "ReadyForQuery I" {
			t.Errorf("got %s", got)
		}
		p.send(t, &pgproto3.Query{String: "select 1 as a"})
		if got := strings.Join(p.listen(t, 4), "\n"); !strings.Contains(got, "DataRow 1") {
			t.Errorf("got %s", got)
		}
	})
	if got := r.db.Query(t, "select count(*) from notes"); got != "0" {
		t.Errorf("%s rows of failed COPYs", got)
	}
}

// TestSyncBehindExecute: clients that send a Sync behind every Execute, as PQexecParams does, send another behind the end of the data. The
// server has read over the first by then, so there is one ReadyForQuery also where the COPY fails: a second would pass for that of the
// next statement.
func TestSyncBehindExecute(t *testing.T) {
	t.Parallel()
	c := pgtest.Default(t)
	begin := []pgproto3.FrontendMessage{
		&pgproto3.Parse{Query: "copy public.notes from stdin"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{},
	}
	bad := &pgproto3.CopyData{Data: []byte("not a number\n")}
	through, direct := newRig(t, c, withGuard(lenient{}), open), newRig(t, c, open)
	for name, script := range map[string][]struct {
		send []pgproto3.FrontendMessage
		n    int // messages awaited then
	}{
		"bad data":                {{begin, 3}, {[]pgproto3.FrontendMessage{bad}, 1}, {[]pgproto3.FrontendMessage{bad, &pgproto3.CopyDone{}, &pgproto3.Sync{}}, 1}},
		"bad data, and a failure": {{begin, 3}, {[]pgproto3.FrontendMessage{bad}, 1}, {[]pgproto3.FrontendMessage{&pgproto3.CopyFail{}, &pgproto3.Sync{}}, 1}},
		"bad data, and no end":    {{begin, 3}, {[]pgproto3.FrontendMessage{bad}, 1}, {[]pgproto3.FrontendMessage{&pgproto3.Sync{}}, 1}},
		"the client's failure":    {{begin, 3}, {[]pgproto3.FrontendMessage{&pgproto3.CopyFail{}, &pgproto3.Sync{}}, 2}},
		"good data":               {{begin, 3}, {[]pgproto3.FrontendMessage{&pgproto3.CopyData{Data: []byte("1\tx\n")}, &pgproto3.CopyDone{}, &pgproto3.Sync{}}, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			play := func(p *peer) string {
				var got []string
				for _, step := range script {
					p.send(t, step.send...)
					got = append(got, p.listen(t, step.n)...)
				}
				p.send(t, &pgproto3.Query{String: "select 1 as a"}, &pgproto3.Query{String: "select 2 as b"})
				return strings.Join(append(got, p.listen(t, 8)...), "\n")
			}
			a, b := play(through.wire(t)), play(direct.direct(t))
			if a != b || !strings.HasSuffix(a, "DataRow 2\nCommandComplete SELECT 1\nReadyForQuery I") {
				t.Errorf("through the gateway:\n%s\n\ndirectly:\n%s", a, b)
			}
		})
	}
}

// TestRandomCopies sends random messages around COPY FROM to the gateway and to the server itself: the answers must be the same, and none
// may fail to come.
func TestRandomCopies(t *testing.T) {
	t.Parallel()
	c := pgtest.Default(t)
	through, direct := newRig(t, c, withGuard(lenient{}), open), newRig(t, c, open)
	a, b := through.wire(t), direct.direct(t)
	for seed := range uint64(150) {
		list := randomCopies(rand.New(rand.NewPCG(seed, 3)), int(seed))
		mark := fmt.Sprintf("end %d", seed)
		list = append(list, &pgproto3.Sync{}, &pgproto3.Query{String: "select '" + mark + "' as mark"})
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

// randomCopies makes COPYs with and without errors, Syncs in odd places among them, and other statements between them. No Sync stands
// between bad data and the end: what it means there hangs on when the error comes, see TestSyncInFailingCopy.
func randomCopies(r *rand.Rand, seed int) (list []pgproto3.FrontendMessage) {
	bad := false
	data := func() pgproto3.FrontendMessage {
		if r.IntN(3) == 0 {
			bad = true
			return &pgproto3.CopyData{Data: []byte("not a number\n")}
		}
		return &pgproto3.CopyData{Data: fmt.Appendf(nil, "%d\tx\n", seed*1000+len(list))}
	}
	for range 1 + r.IntN(4) {
		query := []string{"copy public.notes from stdin", "copy public.notes from stdin", "copy public.absent from stdin"}[r.IntN(3)]
		extended := r.IntN(3) > 0
		bad = false
		if extended {
			list = append(list, &pgproto3.Parse{Query: query}, &pgproto3.Bind{}, &pgproto3.Execute{})
		} else {
			list = append(list, &pgproto3.Query{String: query})
		}
		for range r.IntN(5) {
			switch n := r.IntN(4); {
			case n == 0 && extended && !bad:
				list = append(list, &pgproto3.Sync{})
			case n == 1:
				list = append(list, &pgproto3.Flush{})
			default:
				list = append(list, data())
			}
		}
		if r.IntN(3) == 0 {
			list = append(list, &pgproto3.CopyFail{Message: "mine"})
		} else {
			list = append(list, &pgproto3.CopyDone{})
		}
		if extended && r.IntN(3) > 0 {
			list = append(list, &pgproto3.Sync{})
		}
		switch r.IntN(4) {
		case 0:
			list = append(list, &pgproto3.Query{String: "select 1 as a"})
		case 1:
			list = append(list, &pgproto3.Parse{Query: "select 2 as b"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
		case 2:
			list = append(list, &pgproto3.CopyDone{}, &pgproto3.Sync{})
		}
	}
	return list
}
