package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
)

// catalogMore adds tables with keys, numbered from and to, to the application and its profile.
const catalogMore = `
SET ROLE cat_owner;
DO $$ BEGIN FOR i IN %[1]d..%[2]d LOOP
	EXECUTE format('CREATE TABLE public.w%%s (id int PRIMARY KEY, a int UNIQUE, b text, c text, d text, e int, up int REFERENCES public.w%%s)', i, greatest(i - 1, 1));
END LOOP; END $$;
SET ROLE cat_admin;
DO $$ BEGIN FOR i IN %[1]d..%[2]d LOOP
	EXECUTE format('CREATE VIEW postern_shop_cat.w%%s AS SELECT * FROM public.w%%s', i, i);
	EXECUTE format('INSERT INTO postern.relation VALUES (''cat_prof'', ''public.w%%s''::regclass, ''postern_shop_cat.w%%s''::regclass, true)', i, i);
END LOOP; END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA postern_shop_cat TO cat_prof;
RESET ROLE;`

// catalogJoin is the question of which columns belong to which key, as tools ask it.
const catalogJoin = `SELECT c.table_name, c.column_name, c.data_type, c.column_default, pk.constraint_type FROM information_schema.columns c LEFT JOIN (
	SELECT tc.constraint_type, tc.table_schema, tc.table_name, kcu.column_name FROM information_schema.table_constraints tc
	JOIN information_schema.key_column_usage kcu ON tc.constraint_name = kcu.constraint_name AND tc.constraint_schema = kcu.constraint_schema AND tc.table_name = kcu.table_name
	) pk ON pk.table_schema = c.table_schema AND pk.table_name = c.table_name AND pk.column_name = c.column_name
	WHERE c.table_schema NOT IN ('pg_catalog', 'information_schema')`

// planNode is a step of an executed plan.
type planNode struct {
	Type    string     `json:"Node Type"`
	Table   string     `json:"Relation Name"`
	Rows    float64    `json:"Actual Rows"`
	Loops   float64    `json:"Actual Loops"`
	Removed float64    `json:"Rows Removed by Filter"`
	Plans   []planNode `json:"Plans"`
}

// read is how many rows the plan takes from tables, those that it drops included. A step that runs for every row of another
// shows in it as the product; what is kept and read again does not.
func (n planNode) read() float64 {
	sum := 0.0
	if n.Table != "" {
		sum = max(1, n.Rows+n.Removed) * n.Loops
	}
	for _, p := range n.Plans {
		sum += p.read()
	}
	return sum
}

// TestCatalogJoinIsLinear: what the join of columns, constraints and keys reads grows with the number of admitted tables, not with
// its square. It counts rows of the executed plan, so that no clock is asked.
func TestCatalogJoinIsLinear(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db, conn := catalogFixture(t, c)
		sql := retarget(catalogJoin, c.Major)
		measure := func(from, to int) float64 {
			db.Exec(t, fmt.Sprintf(catalogMore, from, to))
			db.Exec(t, "ANALYZE pg_catalog.pg_class, pg_catalog.pg_attribute, pg_catalog.pg_constraint, pg_catalog.pg_index, postern.relation")
			if got := queryColumn(t, conn, "SELECT count(*) || ' ' || count(constraint_type) FROM ("+sql+") x WHERE table_name LIKE 'w%'"); got[0] != fmt.Sprintf("%d %d", 7*to, 3*to) {
				t.Errorf("%d tables: columns and keys %s", to, got[0])
			}
			rows, err := conn.Query(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+sql, pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			var plans []struct{ Plan planNode }
			if err := json.Unmarshal([]byte(strings.Join(lines, "\n")), &plans); err != nil || len(plans) != 1 {
				t.Fatalf("plan: %v", err)
			}
			return plans[0].Plan.read()
		}
		few := measure(1, 50)
		many := measure(51, 200)
		t.Logf("rows read: %.0f with 50 tables, %.0f with 200", few, many)
		// About 2000 rows for each table more are read, since a dozen of the conditions look through its columns and indexes; a view that
		// is answered again for each row of another reads every column of the server each time, which is a million for each table.
		if each := (many - few) / 150; each > 6000 {
			t.Errorf("%.0f rows read with 50 tables, %.0f with 200: %.0f for each table more", few, many, each)
		}
	})
}
