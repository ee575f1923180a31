package pgwire

import (
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestPlanByName: of a plan only the shape is shown, whichever way its rows are asked for (ENF-65). Execute of the EXPLAIN itself shows
// it; EXECUTE and FETCH, which reach the same statement by its name, would show the row filter.
func TestPlanByName(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t), func(r *rig, _ *gateway.Config, _ *Config) { r.world.Explain = true })
	p := r.wire(t)
	script := `
Parse s "explain select name from customers where id = 3"
Bind p s
Execute p 0
Sync
----
ParseComplete
BindComplete
DataRow Index Scan using customers_pkey on customers
CommandComplete EXPLAIN
ReadyForQuery I

Query "execute s"
----
ErrorResponse ERROR 0A000 prepared statement "s" cannot be run by EXECUTE D=It shows a plan, of which only the shape may be seen. Event #. H=run it directly, or by Bind and Execute
ReadyForQuery I

Query "begin"
----
CommandComplete BEGIN
ReadyForQuery T

Bind p s
Sync
----
BindComplete
ReadyForQuery T

Query "fetch all from p"
----
ErrorResponse ERROR 0A000 portal "p" cannot be fetched from D=It shows a plan, of which only the shape may be seen. Event #. H=run it by Execute
ReadyForQuery E

Query "rollback"
----
CommandComplete ROLLBACK
ReadyForQuery I

# a plain statement is reached both ways
Parse q "select name from customers where id = 4"
Sync
----
ParseComplete
ReadyForQuery I

Query "begin; execute q"
----
CommandComplete BEGIN
RowDescription name:25:0
DataRow name 4
CommandComplete SELECT 1
ReadyForQuery T

Bind p q
Sync
----
BindComplete
ReadyForQuery T

Query "fetch all from p"
----
RowDescription name:25:0
DataRow name 4
CommandComplete FETCH 1
ReadyForQuery T
`
	script = strings.TrimPrefix(script, "\n")
	if got := r.play(t, p, script); got != script {
		t.Errorf("got:\n%s", got)
	}
}
