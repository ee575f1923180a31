package differ

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
	"github.com/postern-sec/postern/test/sqlgen"
)

func TestMain(m *testing.M) { site.Main(m) }

// sample is how many queries run with every change; perPolicy how many each policy gets when `make differ N=…` asks for more.
const (
	sample    = 800
	perPolicy = 4000
)

// minCompared is the share of queries, in per cent, that both sides must have answered.
const minCompared = 80

// TestDiffer compares. POSTERN_DIFFER is the number of queries, POSTERN_DIFFER_SEED the first policy.
func TestDiffer(t *testing.T) {
	n, seed := number(t, "POSTERN_DIFFER", sample), number(t, "POSTERN_DIFFER_SEED", 1)
	var sum tally
	for i := range (n + perPolicy - 1) / perPolicy {
		t.Run(fmt.Sprintf("policy %d", seed+i), func(t *testing.T) {
			// A server each: what a policy leaves behind belongs to an installation that the next one's is not.
			one := testPolicy(t, pgtest.Start(t, pgtest.DefaultMajor), seed+i, min(perPolicy, n-i*perPolicy))
			sum.add(one)
		})
	}
	t.Logf("%d queries, %d compared with %d rows, %d refused, %d failed on both sides, %d out of time, %d differences", sum.asked, sum.compared, sum.rows, sum.refused, sum.failed, sum.late, sum.different)
}

// tally is what became of the queries.
type tally struct {
	asked, compared, rows, refused, failed, late, different uint64
}

func (t *tally) add(o tally) {
	t.asked, t.compared, t.rows = t.asked+o.asked, t.compared+o.compared, t.rows+o.rows
	t.refused, t.failed, t.late, t.different = t.refused+o.refused, t.failed+o.failed, t.late+o.late, t.different+o.different
}

// newSite applies a world's policy and returns the site, and the database of what each subject may see by another's: a
// schema each.
func newSite(t *testing.T, c *pgtest.Cluster, w, meant *World) (*site.Site, *pgtest.DB) {
	t.Helper()
	c.Role(t, "app_owner", "NOLOGIN")
	db := c.NewDatabaseNamed(t, "shop")
	db.Exec(t, "GRANT CREATE, USAGE ON SCHEMA public TO app_owner; SET ROLE app_owner; "+SQL(w.Tables))
	s := site.New(t, db, w.Policy())
	s.Apply(t)
	copies := c.NewDatabase(t)
	for _, subject := range subjects() {
		copies.Exec(t, "CREATE SCHEMA "+subject+"; SET search_path = "+subject+"; "+SQL(meant.Seen(subject, keys(t, db))))
	}
	return s, copies
}

// keys reads the keys of pseudonyms. Without a pseudonym in the policy there are none.
func keys(t *testing.T, db *pgtest.DB) Keys {
	t.Helper()
	if db.Query(t, "SELECT to_regclass('postern.key')") == "" {
		return Keys{}
	}
	inner, outer, _ := strings.Cut(db.Query(t, "SELECT encode(ipad, 'hex'), encode(opad, 'hex') FROM postern.key"), "|")
	in, err1 := hex.DecodeString(inner)
	out, err2 := hex.DecodeString(outer)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return Keys{in, out}
}

func testPolicy(t *testing.T, c *pgtest.Cluster, seed, n uint64) tally {
	t.Helper()
	w := NewWorld(seed)
	s, copies := newSite(t, c, w, w)
	s.Serve(t)
	var sum tally
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, subject := range subjects() {
		wg.Go(func() {
			one, complaints := compare(s, copies, subject, seed, uint64(i), n, sqlgen.Options{Stable: true})
			mu.Lock()
			defer mu.Unlock()
			sum.add(one)
			for i, c := range complaints {
				if i < 5 {
					t.Errorf("%s", c)
				}
			}
		})
	}
	wg.Wait()
	if 100*sum.compared < minCompared*sum.asked {
		t.Errorf("only %d of %d queries could be compared: %d refused, %d failed on both sides", sum.compared, sum.asked, sum.refused, sum.failed)
	}
	if t.Failed() {
		t.Logf("the policy:\n%s", w.Policy())
	}
	return sum
}

// compare asks every len(subjects())th query from first on as a subject, and over what it may see.
func compare(s *site.Site, copies *pgtest.DB, subject string, seed, first, n uint64, o sqlgen.Options) (sum tally, complaints []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Hour)
	defer cancel()
	gw, err1 := pgconn.Connect(ctx, s.DSN(subject, "shop"))
	ref, err2 := pgconn.Connect(ctx, copies.DSN(pgtest.SuperUser))
	if err := errors.Join(err1, err2); err != nil {
		return sum, []string{err.Error()}
	}
	defer gw.Close(ctx)
	defer ref.Close(ctx)
	_, err1 = ref.Exec(ctx, "SET search_path = "+subject+"; SET TimeZone = 'UTC'; SET statement_timeout = '30s'").ReadAll()
	_, err2 = gw.Exec(ctx, "SET statement_timeout = '30s'").ReadAll() // a join of everything with everything may go on for hours
	if err := errors.Join(err1, err2); err != nil {
		return sum, []string{err.Error()}
	}
	schema := schema(s.DB.Major)
	for i := first; i < n; i += uint64(len(subjects())) {
		sql := schema.Make(seed, i, o).Texts[0]
		sum.asked++
		want, wantErr := answer(ctx, ref, sql)
		got, gotErr := answer(ctx, gw, sql)
		if gw.IsClosed() || ref.IsClosed() {
			return sum, append(complaints, fmt.Sprintf("%s: a session ended: %v %v\n\t%s", subject, gotErr, wantErr, sql))
		}
		switch {
		case late(wantErr) || late(gotErr):
			sum.late++
		case wantErr != nil && gotErr != nil:
			sum.failed++
		case gotErr != nil && refused(gotErr):
			sum.refused++
		case wantErr != nil || gotErr != nil:
			sum.different++
			complaints = append(complaints, fmt.Sprintf("query %d of policy %d as %s: through the gateway %v, over the copy %v\n\t%s", i, seed, subject, gotErr, wantErr, sql))
		case !got.same(want):
			sum.different++
			complaints = append(complaints, fmt.Sprintf("query %d of policy %d as %s: %s\n\t%s", i, seed, subject, difference(got, want), sql))
		default:
			sum.compared++
			sum.rows += uint64(got.n)
		}
	}
	return sum, complaints
}

// keptRows is how many rows of an answer are kept to say what differs. An answer can be larger than memory; all of it is counted and
// summed up.
const keptRows = 20_000

// rows is an answer, whatever its order: no query asks for an order that is total.
type rows struct {
	kept []string // the first ones
	n    int
	sum  [2]uint64 // of the hashes of all of them
}

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func (r *rows) add(row string) {
	if len(r.kept) < keptRows {
		r.kept = append(r.kept, row)
	}
	r.n++
	for i := range r.sum {
		r.sum[i] += maphash.String(seeds[i], row)
	}
}

func (r *rows) same(o *rows) bool { return r.n == o.n && r.sum == o.sum }

// answer reads the rows of an answer.
func answer(ctx context.Context, c *pgconn.PgConn, sql string) (*rows, error) {
	out := &rows{}
	results := c.Exec(ctx, sql)
	for results.NextResult() {
		reader := results.ResultReader()
		for reader.NextRow() {
			var b strings.Builder
			for _, v := range reader.Values() {
				if v == nil {
					b.WriteString("NULL|")
				} else {
					fmt.Fprintf(&b, "%q|", v)
				}
			}
			out.add(b.String())
		}
	}
	return out, results.Close()
}

// late says whether a query ran out of time, which says nothing of its answer.
func late(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "57014"
}

// refused says whether an error is the guard's own.
func refused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "42501" || e.Code == "0A000" || strings.HasPrefix(e.Code, "54"))
}

// difference names a row of each side that only this one has, as far as rows were kept.
func difference(got, want *rows) string {
	out := fmt.Sprintf("%d rows and not %d", got.n, want.n)
	for _, side := range []struct {
		has, lacks *rows
		text       string
	}{{got, want, "only the gateway has"}, {want, got, "the gateway lacks"}} {
		if side.lacks.n > keptRows {
			continue // it may have the row further on
		}
		in := map[string]bool{}
		for _, r := range side.lacks.kept {
			in[r] = true
		}
		for _, r := range side.has.kept {
			if !in[r] {
				out += "; " + side.text + " " + r
				break
			}
		}
	}
	return out
}

// schema describes the tables to the generator.
func schema(major int) *sqlgen.Schema {
	types := map[string]sqlgen.Type{
		"int": sqlgen.Int, "text": sqlgen.Text, "numeric(12,2)": sqlgen.Numeric, "date": sqlgen.Date, "timestamp": sqlgen.Timestamp, "timestamptz": sqlgen.Instant,
		"uuid": sqlgen.UUID, "bytea": sqlgen.Bytea, "boolean": sqlgen.Bool, "jsonb": sqlgen.JSONB, "int[]": sqlgen.Ints, "bigint": sqlgen.Bigint,
	}
	out := &sqlgen.Schema{Major: major}
	for _, t := range NewWorld(0).Tables {
		st := sqlgen.Table{Name: t.Name, Key: "id"}
		for _, c := range t.Columns {
			if c.Type == "varchar(20)" {
				st.Columns = append(st.Columns, sqlgen.Column{Name: c.Name, Type: sqlgen.Text, Cast: "%s::text"})
			} else {
				st.Columns = append(st.Columns, sqlgen.Column{Name: c.Name, Type: types[c.Type]})
			}
		}
		out.Tables = append(out.Tables, st)
	}
	return out
}

// TestPlantedDifference gives the server a policy in which one rule's masks and another's filter are not what this package
// takes them for, and wants the comparison to notice both.
func TestPlantedDifference(t *testing.T) {
	given, meant := NewWorld(1), NewWorld(1)
	for i, rule := range given.Rules {
		if i%2 == 0 {
			rule.Rows["people"] = Filter{Text: "true"}
			continue
		}
		for column := range rule.Masks["people"] {
			rule.Masks["people"][column] = keep()
		}
	}
	c := pgtest.Start(t, pgtest.DefaultMajor)
	s, copies := newSite(t, c, given, meant)
	s.Serve(t)
	for i, subject := range subjects() {
		sum, complaints := compare(s, copies, subject, 1, uint64(i), 200, sqlgen.Options{Stable: true})
		if sum.different == 0 {
			t.Errorf("as %s, a policy that is another one is not noticed: %+v %q", subject, sum, complaints)
		}
	}
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
