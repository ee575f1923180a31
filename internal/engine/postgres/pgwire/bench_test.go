package pgwire

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/pgtest"
)

// BenchmarkRoundTrip compares a point select through the gateway with the same one made directly. Only the ratio within one
// run means anything.
func BenchmarkRoundTrip(b *testing.B) {
	r := newRig(b, pgtest.Default(b))
	for _, c := range []struct {
		name string
		peer *peer
		sql  string
	}{
		{"direct", r.direct(b), "select id, body from notes where id = 2"},
		{"open table", r.wire(b), "select id, body from notes where id = 2"},
		{"masked", r.wire(b), "select id, email from customers where id = 2"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.peer.send(b, &pgproto3.Query{String: c.sql})
				c.peer.skip(b)
			}
		})
	}
}

// BenchmarkBulk compares a result of 100,000 rows.
func BenchmarkBulk(b *testing.B) {
	r := newRig(b, pgtest.Default(b))
	sql := fmt.Sprintf("select g, 'some text of a usual length' as t from generate_series(1, %d) g", 100_000)
	for name, p := range map[string]*peer{"direct": r.direct(b), "gateway": r.wire(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.send(b, &pgproto3.Query{String: sql})
				p.skip(b)
			}
		})
	}
}

// skip reads up to ReadyForQuery.
func (p *peer) skip(b *testing.B) {
	p.deadline(b)
	for {
		if _, ok := p.receive(b).(*pgproto3.ReadyForQuery); ok {
			return
		}
	}
}
