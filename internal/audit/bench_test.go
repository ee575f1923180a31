package audit

import (
	"context"
	"os"
	"testing"
	"time"
)

// benchEvent is a decision as the gateway records it.
func benchEvent() Event {
	return Event{
		Kind: Decision, Session: "01hv3m2k9q8w7e6r", Subject: "ana", Groups: []string{"analysts"}, Role: "postern_ana",
		Store: "shop", Profile: "p_3f9a2c71", Rules: []string{"analysts-eu"}, Policy: "sha256:0f3a", Address: "10.0.0.7:51234",
		TLS: "TLS 1.3", Method: "SCRAM-SHA-256-PLUS", App: "psql", Verdict: "rewrite", Command: "SELECT",
		Statement: "SELECT id, name, email FROM customers WHERE region = $1 ORDER BY id LIMIT $2",
		Touches: []Touch{{
			Relation: "shop.public.customers", Action: "read", Columns: []string{"id", "name", "email", "region"},
			Labels: []string{"contact.email", "person.name"}, Masked: true,
		}},
	}
}

// BenchmarkRecord measures Record in duration mode: onto a file, and onto /dev/null for what Postern itself costs beside the
// system call.
func BenchmarkRecord(b *testing.B) {
	for _, name := range []string{"file", "devnull"} {
		b.Run(name, func(b *testing.B) {
			trail := benchTrail(b, 100*time.Millisecond)
			if name == "devnull" {
				devNull(b, trail)
			}
			e, ctx := benchEvent(), context.Background()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := trail.Record(ctx, e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRecordPair is what a statement costs: its decision, and its completion with the next one's write.
func BenchmarkRecordPair(b *testing.B) {
	trail := benchTrail(b, 100*time.Millisecond)
	e, ctx := benchEvent(), context.Background()
	done := Event{Kind: Completion, Session: e.Session, Subject: "ana", Rows: 1, Bytes: 120, DurationUS: 300}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		id, err := trail.Record(ctx, e)
		if err != nil {
			b.Fatal(err)
		}
		done.Ref = id
		if err := trail.RecordSoon(done); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecordAlways measures the group commit: the more writers, the fewer fsyncs for each.
func BenchmarkRecordAlways(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run("writers="+string(rune('0'+writers/10))+string(rune('0'+writers%10)), func(b *testing.B) {
			trail := benchTrail(b, 0)
			e, ctx := benchEvent(), context.Background()
			b.SetParallelism(writers)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := trail.Record(ctx, e); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkVerify measures reading a trail back.
func BenchmarkVerify(b *testing.B) {
	cfg := config(b, b.TempDir())
	trail := open(b, cfg)
	for range 20_000 {
		record(b, trail, benchEvent())
	}
	closeTrail(b, trail)
	b.SetBytes(int64(len(readAll(b, cfg.Folder))))
	b.ResetTimer()
	for range b.N {
		if r := verify(b, cfg); r.Status != Intact {
			b.Fatal(r.Problems)
		}
	}
}

func benchTrail(b *testing.B, sync time.Duration) *Trail {
	b.Helper()
	cfg := config(b, b.TempDir())
	cfg.Sync = sync
	cfg.State = nil
	return open(b, cfg)
}

// devNull makes the trail write to nowhere; it never rotates.
func devNull(b *testing.B, trail *Trail) {
	b.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	trail.mu.Lock()
	defer trail.mu.Unlock()
	_ = trail.file.Close()
	trail.file = null
	trail.cfg.RotateSize = 1 << 62
	trail.durable.Store(1 << 62) // /dev/null has no fsync
}

func TestRecordAllocatesOnlyItsID(t *testing.T) {
	trail := open(t, config(t, t.TempDir()))
	e, ctx := benchEvent(), context.Background()
	record(t, trail, e)
	n := testing.AllocsPerRun(500, func() {
		if _, err := trail.Record(ctx, e); err != nil {
			t.Fatal(err)
		}
	})
	// The event escapes once, the identifier is a string.
	if n > 3 {
		t.Errorf("%v allocations for each event", n)
	}
}
