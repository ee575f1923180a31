package postgres

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/discover"
)

// sample reads a sample on the feed's own server: the whole of a small one, rows drawn over all pages of a middling
// one, blocks of a large one. A reservoir cuts the rest; the first rows of a table are never taken for the sample.
func (f *Feed) sample(ctx context.Context, ask discover.Ask) ([]classify.Values, error) {
	r := &reservoir{ask: ask, longest: f.cfg.StatementTimeout, random: rand.New(rand.NewPCG(uint64(ask.Seed), uint64(ask.Table.OID)))} //nolint:gosec // reproducible, not secret
	err := f.with(ctx, func(tx pgx.Tx) error {
		r.rows, r.nulls, r.seen, r.bytes = nil, nil, 0, 0
		size, err := sizeNow(ctx, tx, ask.Table)
		if err != nil {
			return err
		}
		ask := ask
		ask.Table = size
		for _, share := range shares(ask) {
			if err := r.read(ctx, tx, sampleSQL(ask, share)); err != nil {
				return err
			}
			if len(r.rows) >= ask.Rows/10 || share >= 100 {
				return nil
			}
			r.rows, r.nulls, r.seen = nil, nil, 0 // too few blocks were drawn: once more with more of them
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.values(), nil
}

// sizeNow is the table with the size that it has now, and with rows in proportion.
func sizeNow(ctx context.Context, tx pgx.Tx, t *discover.Table) (*discover.Table, error) {
	if t.Kind == 'v' || t.Kind == 'f' {
		return t, nil
	}
	var pages int64
	if err := tx.QueryRow(ctx, sampleQuestion("pages"), t.OID).Scan(&pages); err != nil {
		return nil, sampleRefusal(err)
	}
	now := *t
	now.Pages = max(t.Pages, pages)
	switch {
	case t.Rows < 0 || t.Pages == 0 && pages > 0:
		now.Rows = -1 // before PostgreSQL 14 a table that was never counted has no rows
	case pages > t.Pages:
		now.Rows = t.Rows * float64(pages) / float64(t.Pages)
	}
	return &now, nil
}

// shares are the percentages of blocks or rows to try, in order.
func shares(ask discover.Ask) []float64 {
	t := ask.Table
	rows := t.Rows
	switch {
	case t.Kind == 'v' || t.Kind == 'f', rows < 0 && t.Pages <= sampleUnknownPages, rows >= 0 && rows <= 2*float64(ask.Rows) && t.Pages <= sampleSmallPages:
		return []float64{100}
	case rows >= 0 && t.Pages <= sampleSmallPages:
		if ask.Sparse {
			return []float64{100}
		}
		p := 150 * float64(ask.Rows) / max(rows, 1)
		return []float64{min(p, 100), 100}
	}
	perPage := max(rows, 1) / float64(t.Pages)
	if rows < 0 {
		perPage = sampleUnknownRows
	}
	pages := max(float64(ask.Rows)/max(perPage, 0.01), 60)
	p := 130 * pages / float64(t.Pages)
	if ask.Sparse {
		p *= 20
	}
	most := 50.0
	if t.Pages <= sampleSmallPages {
		most = 100
	}
	return []float64{min(p, 50), min(10*p, most)}
}

// sampleSQL names its columns, cuts its values on the server and carries no literal taken from data.
func sampleSQL(ask discover.Ask, share float64) string {
	t := ask.Table
	var cols []string
	for _, i := range ask.Columns {
		cols = append(cols, cutColumn(&t.Columns[i], ask.Bytes))
	}
	method := ""
	if share < 100 {
		kind := "SYSTEM"
		if t.Rows >= 0 && t.Pages <= sampleSmallPages {
			kind = "BERNOULLI"
		}
		method = fmt.Sprintf(" TABLESAMPLE %s (%.6f) REPEATABLE (%d)", kind, math.Max(share, 0.000001), ask.Seed)
	}
	where := ""
	if ask.Sparse {
		c := &t.Columns[ask.Columns[0]]
		name := quoteIdent(c.Name)
		where = " WHERE " + name + " IS NOT NULL"
		if isTextType(baseType(c)) {
			where += " AND " + name + "::pg_catalog.text <> ''"
		}
	}
	var parts []string
	for _, from := range sources(ask) {
		parts = append(parts, "SELECT "+strings.Join(cols, ", ")+" FROM "+from+method+where)
	}
	sql := strings.Join(parts, " UNION ALL ")
	if ask.Sparse {
		sql += fmt.Sprintf(" LIMIT %d", ask.Rows)
	}
	return sql
}

// sampleLocals is how many tables of this server stand for one that has foreign partitions: a statement over thousands takes the
// planner longer than the sample.
const sampleLocals = 100

// sources are the relations to read. A table with foreign partitions is read by its local ones, because a condition on the table
// would not keep the server from asking the others; ONLY, because each of them may have foreign children itself.
func sources(ask discover.Ask) []string {
	t := ask.Table
	if !ask.Local {
		return []string{quoteIdent(t.Schema) + "." + quoteIdent(t.Name)}
	}
	step := max(1, (len(t.Local)+sampleLocals-1)/sampleLocals) // spread over all of them: the first are the oldest
	var out []string
	for i := 0; i < len(t.Local); i += step {
		out = append(out, "ONLY "+quoteIdent(t.Local[i].Schema)+"."+quoteIdent(t.Local[i].Table))
	}
	return out
}

// baseType is the type below a domain.
func baseType(c *discover.Column) string {
	if c.Base != "" {
		return c.Base
	}
	return c.Type
}

func isTextType(typ string) bool {
	return typ == "text" || strings.HasPrefix(typ, "character varying") || strings.HasPrefix(typ, "character(")
}

// cutColumn gives a column's text form, cut before it leaves the server; of bytea only the magic number is read.
func cutColumn(c *discover.Column, limit int) string {
	name := quoteIdent(c.Name)
	if baseType(c) == "bytea" {
		return "pg_catalog.substring(" + name + "::pg_catalog.bytea, 1, 64)::pg_catalog.text"
	}
	return fmt.Sprintf(`pg_catalog."left"(%s::pg_catalog.text, %d)`, name, limit)
}

// reservoir keeps a random subset of the rows that stream by.
type reservoir struct {
	ask    discover.Ask
	random *rand.Rand
	rows   [][]string
	nulls  [][]bool
	seen   int
	bytes  int // of all rows that were sent, kept or not

	longest time.Duration // of the whole of a relation of which no blocks can be drawn
}

// enough says whether reading stops. Views and foreign tables can only be read from their beginning, and each FETCH has the time of a
// statement anew: without bounds of their own they would be read to their end.
func (r *reservoir) enough(began time.Time) bool {
	if r.bytes > r.ask.Total {
		return true
	}
	k := r.ask.Table.Kind
	return (k == 'v' || k == 'f') && (r.seen >= sampleSeen*r.ask.Rows || time.Since(began) > r.longest)
}

// read streams the statement through a cursor, so that limits can stop it.
func (r *reservoir) read(ctx context.Context, tx pgx.Tx, sql string) error {
	if _, err := tx.Exec(ctx, "DECLARE postern_sample NO SCROLL CURSOR FOR "+sql); err != nil {
		return sampleRefusal(err)
	}
	began := time.Now()
	for {
		n, err := r.fetch(ctx, tx)
		if err != nil {
			return err
		}
		if n < sampleFetch || r.enough(began) {
			break
		}
	}
	_, err := tx.Exec(ctx, "CLOSE postern_sample")
	return sampleRefusal(err)
}

func (r *reservoir) fetch(ctx context.Context, tx pgx.Tx) (int, error) {
	rows, err := tx.Query(ctx, fmt.Sprintf("FETCH %d FROM postern_sample", sampleFetch))
	if err != nil {
		return 0, sampleRefusal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
		r.seen++
		for _, raw := range rows.RawValues() {
			r.bytes += len(raw)
		}
		at := len(r.rows)
		if at >= r.ask.Rows {
			if at = r.random.IntN(r.seen); at >= r.ask.Rows {
				continue
			}
		}
		row, null := make([]string, len(r.ask.Columns)), make([]bool, len(r.ask.Columns))
		for i, raw := range rows.RawValues() {
			null[i] = raw == nil
			row[i] = validText(raw)
		}
		if at == len(r.rows) {
			r.rows, r.nulls = append(r.rows, row), append(r.nulls, null)
		} else {
			r.rows[at], r.nulls[at] = row, null
		}
	}
	return n, sampleRefusal(rows.Err())
}

// values turns rows into columns of distinct values.
func (r *reservoir) values() []classify.Values {
	out := make([]classify.Values, len(r.ask.Columns))
	for i := range out {
		blank := isTextType(baseType(&r.ask.Table.Columns[r.ask.Columns[i]]))
		seen := map[string]bool{}
		nulls := 0
		for k, row := range r.rows {
			if r.nulls[k][i] || blank && strings.TrimSpace(row[i]) == "" {
				nulls++ // an empty text stands for no value as often as a null does
				continue
			}
			if !seen[row[i]] {
				seen[row[i]] = true
				out[i].Texts = append(out[i].Texts, row[i])
			}
		}
		out[i].Rows = len(r.rows)
		if len(r.rows) > 0 {
			out[i].NullShare = float64(nulls) / float64(len(r.rows))
		}
		out[i].Distinct = float64(len(seen))
	}
	return out
}
