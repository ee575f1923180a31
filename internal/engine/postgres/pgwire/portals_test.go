package pgwire

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestCallEndsCursors: a procedure that commits ends the cursors, of which a server must not be asked to describe a FETCH. In a transaction
// block it cannot, and they stay.
func TestCallEndsCursors(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	r.db.Exec(t, `insert into notes select i, 'x' from generate_series(1, 9) i;
		create procedure public.commits() language plpgsql as $$begin commit; end$$; grant execute on procedure public.commits to `+r.role+`;
		create procedure public.rests() language plpgsql as $$begin end$$; grant execute on procedure public.rests to `+r.role)
	w := *r.world
	w.Callable = map[pgsql.Name]byte{{Schema: "public", Name: "commits"}: 'p', {Schema: "public", Name: "rests"}: 'p'}
	r.world = &w
	r.nextGeneration()
	play := func(before, call string) string {
		p := r.wire(t)
		if before != "" {
			p.send(t, &pgproto3.Query{String: before})
			p.listen(t, 2)
		}
		p.send(t,
			&pgproto3.Parse{Query: "select id from notes"}, &pgproto3.Bind{DestinationPortal: "c"}, &pgproto3.Execute{Portal: "c", MaxRows: 1},
			&pgproto3.Parse{Query: call}, &pgproto3.Bind{}, &pgproto3.Execute{},
			&pgproto3.Parse{Name: "f", Query: "fetch from c"}, &pgproto3.Describe{ObjectType: 'S', Name: "f"}, &pgproto3.Sync{})
		var got []string
		for len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "ReadyForQuery") && got[len(got)-1] != "Closed" {
			got = append(got, p.listen(t, 1)...)
		}
		return strings.Join(got, "\n")
	}
	if got := play("", "call public.commits()"); !strings.Contains(got, "CommandComplete CALL") || !strings.Contains(got, "ERROR 34000") {
		t.Errorf("after a commit: %s", got)
	}
	if got := play("begin", "call public.rests()"); !strings.Contains(got, "CommandComplete CALL") || strings.Count(got, "RowDescription id") != 1 ||
		strings.Contains(got, "ErrorResponse") {
		t.Errorf("in a block: %s", got)
	}
}
