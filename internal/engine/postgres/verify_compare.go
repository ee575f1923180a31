package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// maxUnordered bounds the rows of a table without a visible key: a sample of it could not be the same on both sides.
const maxUnordered = 1_000_000

// comparedRule is a rule that admits a table, as the policy says it.
type comparedRule struct {
	rule      *plan.Rule
	says      *plan.RuleTable
	active    bool
	condition string
}

// comparison compares one table as one subject sees it with what the policy says.
type comparison struct {
	run     *verifyRun
	pair    *snapshotPair
	profile string
	table   catalog.Name // the base
	target  catalog.Name // what the subject reads
	source  *catalog.Relation
	subject verifySubject
	when    string
	rules   []comparedRule // in file order
	raw     []string       // set for a rule alone: just these columns, unmasked

	columns []int // indexes of the columns compared
	masks   map[maskKey]*expectedMask
	key     []string
	keyed   bool
}

type maskKey struct{ rule, column int }

// row is one row as text; nil is NULL.
type textRow []*string

// tally counts rows by hash, the subject's against the expected ones, and sums the values of each column.
type tally struct {
	rows    map[[16]byte]int
	columns []uint64
	seen    int
	wanted  int
}

func (t *tally) add(row textRow, by int) {
	h := sha256.New()
	for i, v := range row {
		cell := sha256.New()
		if v != nil {
			cell.Write([]byte{1})
			cell.Write([]byte(*v))
		}
		sum := cell.Sum(nil)
		h.Write(sum)
		if by > 0 {
			t.columns[i] += binary.BigEndian.Uint64(sum)
		} else {
			t.columns[i] -= binary.BigEndian.Uint64(sum)
		}
	}
	var id [16]byte
	copy(id[:], h.Sum(nil))
	if t.rows[id] += by; t.rows[id] == 0 {
		delete(t.rows, id)
	}
	if by > 0 {
		t.wanted++
	} else {
		t.seen++
	}
}

// carryOut makes the comparison.
func (c *comparison) carryOut(ctx context.Context) error {
	err := c.compare(ctx)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && saysOfStatement(pg.Code) || errors.As(err, &pg) && pg.Code == pgerrNoPrivilege {
		// A message of the server's may hold a value; its code does not.
		c.run.incomplete("%s, %s as %s%s: SQLSTATE %s", c.profile, c.table, c.subject.name, c.when, pg.Code)
		return nil
	}
	var se *pgsql.SyntaxError
	if errors.As(err, &se) {
		c.run.incomplete("%s, %s as %s%s: %v", c.profile, c.table, c.subject.name, c.when, err)
		return nil
	}
	return err
}

func (c *comparison) compare(ctx context.Context) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	limit := ""
	if c.keyed {
		limit = fmt.Sprintf(" ORDER BY %s LIMIT %d", strings.Join(c.key, ", "), c.run.opts.Rows+1)
	}
	t := &tally{rows: map[[16]byte]int{}, columns: make([]uint64, len(c.columns))}
	if err := c.expected(ctx, t, limit); err != nil {
		return err
	}
	err := c.stream(ctx, c.pair.probe, c.probeSQL()+limit, func(row textRow) error {
		t.add(row, -1)
		return c.bounded(t.seen)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		c.run.found(FindRows, c.table.String(), c.profile, "%s cannot read it%s (SQLSTATE %s)", c.subject.name, c.when, pg.Code)
		return nil
	}
	if errors.Is(err, errTooMany) {
		return nil
	}
	if err != nil {
		return err
	}
	sampled := c.keyed && t.wanted > c.run.opts.Rows
	c.run.out.Compared = append(c.run.out.Compared, VerifyCompared{
		Profile: c.profile, Table: c.table.String(), Subject: c.subject.name + c.when, Rows: t.wanted, Sampled: sampled,
	})
	c.judge(t)
	return nil
}

// judge turns what does not cancel out into a finding.
func (c *comparison) judge(t *tally) {
	missing, extra := 0, 0
	for _, n := range t.rows {
		if n > 0 {
			missing += n
		} else {
			extra -= n
		}
	}
	if missing+extra == 0 {
		return
	}
	if t.seen != t.wanted {
		c.run.found(FindRows, c.table.String(), c.profile, "%s should see %d rows%s and sees %d: %d that it should not, %d missing",
			c.subject.name, t.wanted, c.when, t.seen, extra, missing)
		return
	}
	var names []string
	for i, sum := range t.columns {
		if sum != 0 {
			names = append(names, c.source.Columns[c.columns[i]].Name)
		}
	}
	kind, what := FindMask, "other values in "+strings.Join(names, ", ")
	if len(names) == 0 {
		what = "values that belong to other rows"
	}
	c.run.found(kind, c.table.String(), c.profile, "%s sees %d of %d rows%s otherwise than the policy says: %s", c.subject.name, extra, t.wanted, c.when, what)
}

var errTooMany = errors.New("too many rows")

// bounded stops at a table that is too large to be compared whole and has no key to sample by.
func (c *comparison) bounded(rows int) error {
	if !c.keyed && rows > maxUnordered {
		c.run.incomplete("%s, %s as %s: more than %d rows and no visible key to sample by", c.profile, c.table, c.subject.name, maxUnordered)
		return errTooMany
	}
	return nil
}

// prepare works out conditions, masks, columns and the key to sample by.
func (c *comparison) prepare(ctx context.Context) error {
	for i := range c.rules {
		condition, err := c.condition(c.rules[i].rule, c.table, c.rules[i].active)
		if err != nil {
			return err
		}
		c.rules[i].condition = condition
	}
	c.masks = map[maskKey]*expectedMask{}
	for i, col := range c.source.Columns {
		if c.raw != nil && !slices.Contains(c.raw, col.Name) {
			continue
		}
		c.columns = append(c.columns, i)
		for r, rule := range c.rules {
			if c.raw != nil {
				c.masks[maskKey{r, i}] = &expectedMask{form: plan.Form{Mask: policy.Mask{Name: policy.Keep}}, column: col}
				continue
			}
			m, err := c.run.expectMask(ctx, c.pair.base, rule.says.Forms[i], col)
			if err != nil {
				return err
			}
			c.masks[maskKey{r, i}] = m
		}
	}
	for _, k := range c.source.Keys {
		if !k.Primary {
			continue
		}
		c.keyed = true
		for _, name := range k.Columns {
			c.keyed = c.keyed && c.shownRaw(name)
			c.key = append(c.key, quoteIdent(name))
		}
	}
	return nil
}

// shownRaw says whether a column is raw in every row of every rule.
func (c *comparison) shownRaw(name string) bool {
	for i, col := range c.source.Columns {
		if col.Name != name {
			continue
		}
		if c.raw != nil {
			return slices.Contains(c.raw, name)
		}
		return !slices.ContainsFunc(c.rules, func(r comparedRule) bool { return !r.says.Forms[i].Raw() })
	}
	return false
}

// condition is which rows of a table a rule admits, from the policy's own text.
func (c *comparison) condition(rule *plan.Rule, table catalog.Name, active bool) (string, error) {
	says := rule.Table(table)
	switch {
	case says == nil || !active:
		return "false", nil
	case says.Filter == nil:
		return "true", nil
	}
	snap := c.run.result.Snapshot
	e := pgsql.Expectation{
		Schemas: c.run.result.Wanted.Schemas, Tables: map[pgsql.Name]bool{}, Types: map[pgsql.Name]bool{},
		Attributes: c.subject.attributes, User: c.run.probe.role,
		Restrict: func(n pgsql.Name) (string, bool, error) { return c.restrict(rule, catalog.Name(n)) },
	}
	for _, rel := range snap.Relations {
		e.Tables[pgsql.Name(rel.Name)] = len(rel.Columns) > 0
	}
	for _, typ := range snap.Types {
		e.Types[pgsql.Name(typ.Name)] = true
	}
	sql, missing, err := pgsql.ExpectFilter(says.Filter.Text, e)
	if err != nil {
		return "", fmt.Errorf("the row filter of %s in rule %s: %w", table, rule.Name, err)
	}
	if len(missing) > 0 {
		return "false", nil // a missing attribute shows nothing (ENF-90)
	}
	return "(" + sql + ")", nil
}

// restrict says which rows of another table a rule's subqueries see: those the rule itself admits, where the table has row security.
func (c *comparison) restrict(rule *plan.Rule, table catalog.Name) (string, bool, error) {
	if !c.run.rls[table] {
		return "", false, nil
	}
	condition, err := c.condition(rule, table, true)
	return condition, true, err
}

// probeSQL reads what the subject sees, as text.
func (c *comparison) probeSQL() string {
	items := make([]string, len(c.columns))
	for i, n := range c.columns {
		items[i] = quoteIdent(c.source.Columns[n].Name) + "::text"
	}
	if len(items) == 0 {
		items = []string{"1"}
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM " + quoteName(c.target)
}

// expected adds to the tally what the subject should see.
func (c *comparison) expected(ctx context.Context, t *tally, limit string) error {
	items := make([]string, 0, len(c.source.Columns))
	for _, col := range c.source.Columns {
		items = append(items, quoteIdent(col.Name)+"::text")
	}
	var any []string
	for _, r := range c.rules {
		items = append(items, r.condition+" IS TRUE")
		any = append(any, r.condition)
	}
	for r, rule := range c.rules {
		for i := range c.source.Columns {
			if m := c.masks[maskKey{r, i}]; m != nil && m.expression != "" {
				m.at = len(items)
				items = append(items, "CASE WHEN "+rule.condition+" THEN ("+m.expression+")::text END")
			}
		}
	}
	sql := "SELECT " + strings.Join(items, ", ") + " FROM " + quoteName(c.table) + " WHERE " + strings.Join(any, " OR ")
	derived := c.newDerived()
	err := c.stream(ctx, c.pair.base, sql+limit, func(raw textRow) error {
		row, later := c.expectedRow(raw)
		if later != nil {
			derived.add(row, later)
		} else {
			t.add(row, 1)
		}
		return c.bounded(t.wanted)
	})
	if err != nil {
		return err
	}
	return derived.resolve(ctx, c.pair.base, func(row textRow) { t.add(row, 1) })
}

// expectedRow is the union of the rules that admit a row: for each column the least masked of their forms, the earlier rule's on a tie
// (ENF-34, ENF-36). later tells which columns are generated ones, to be computed from what stands in the row's inputs.
func (c *comparison) expectedRow(raw textRow) (row textRow, later map[int]derivedCell) {
	n := len(c.source.Columns)
	row = make(textRow, len(c.columns))
	for at, i := range c.columns {
		best := -1
		for r := range c.rules {
			if admits := raw[n+r]; admits == nil || *admits != "t" {
				continue
			}
			if best < 0 || c.rank(r, i) < c.rank(best, i) {
				best = r
			}
		}
		m := c.masks[maskKey{best, i}]
		if m == nil {
			continue // no rule admits it: the WHERE clause leaves no such row
		}
		if m.form.Derived {
			if later == nil {
				later = map[int]derivedCell{}
			}
			later[at] = c.derivedCell(best, i, raw)
			continue
		}
		row[at] = m.value(raw, i)
	}
	return row, later
}

func (c *comparison) rank(rule, column int) int {
	m := c.masks[maskKey{rule, column}]
	if m.form.Derived {
		return m.form.Rank
	}
	return int(m.form.Mask.Strength())
}

// stream runs a query and hands every row on as text. A query that fails leaves the snapshot as it was.
func (c *comparison) stream(ctx context.Context, tx pgx.Tx, sql string, each func(textRow) error) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	err = streamRows(ctx, inner, sql, each)
	return errors.Join(err, inner.Rollback(ctx))
}

func streamRows(ctx context.Context, tx pgx.Tx, sql string, each func(textRow) error) error {
	result := tx.Conn().PgConn().ExecParams(ctx, sql, nil, nil, nil, nil)
	var failed error
	for result.NextRow() {
		if failed != nil {
			continue
		}
		values := result.Values()
		row := make(textRow, len(values))
		for i, v := range values {
			if v != nil {
				s := string(v)
				row[i] = &s
			}
		}
		failed = each(row)
	}
	_, err := result.Close()
	return errors.Join(failed, err)
}
