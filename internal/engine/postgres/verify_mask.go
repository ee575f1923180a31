package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// This file computes masks in Go, from values as text. It is written from what the masks promise and shares nothing with the SQL of
// mask.go, or a wrong mask would prove itself.

// expectedMask is one mask of one column.
type expectedMask struct {
	form       plan.Form
	column     catalog.Column
	constant   *string // what constant shows, as the server prints it
	expression string  // SQL of an expression mask, evaluated on the base
	at         int     // where its value stands in the raw row
	key        []byte  // of pseudonyms
}

// expectMask prepares a mask.
func (r *verifyRun) expectMask(ctx context.Context, tx pgx.Tx, form plan.Form, col catalog.Column) (*expectedMask, error) {
	m := &expectedMask{form: form, column: col}
	if form.Derived {
		return m, nil
	}
	switch form.Mask.Name {
	case policy.Constant:
		var text string
		if err := tx.QueryRow(ctx, "SELECT "+quoteLiteral(form.Mask.Args[0])+"::"+castType(col.Type)+"::text").Scan(&text); err != nil {
			return nil, fmt.Errorf("the constant of column %s: %w", col.Name, err)
		}
		m.constant = &text
	case policy.Expression:
		sql, err := pgsql.ExpectExpression(form.Mask.Args[0], col.Name)
		if err != nil {
			return nil, fmt.Errorf("the expression of column %s: %w", col.Name, err)
		}
		m.expression = "(" + sql + ")::" + castType(col.Type)
	case policy.NullIf:
		sql, err := pgsql.ExpectExpression(form.Mask.Args[0], col.Name)
		if err != nil {
			return nil, fmt.Errorf("the condition of column %s: %w", col.Name, err)
		}
		m.expression = "(CASE WHEN (" + sql + ") IS FALSE THEN " + quoteIdent(col.Name) + " END)"
	case policy.Pseudonym, policy.Noise:
		m.key = pseudonymKey(r.result.Wanted)
	}
	return m, nil
}

// value is what the mask makes of a raw row's column.
func (m *expectedMask) value(raw textRow, column int) *string {
	switch m.form.Mask.Name {
	case policy.Hidden:
		return nil
	case policy.Constant:
		return m.constant
	case policy.Expression, policy.NullIf:
		return raw[m.at]
	}
	if raw[column] == nil {
		return nil
	}
	out := m.shown(*raw[column])
	return out
}

// shown is what the other masks make of a value that is not NULL.
func (m *expectedMask) shown(v string) *string {
	runes := []rune(v)
	out := v
	switch m.form.Mask.Name {
	case policy.Partial:
		prefix, suffix := argument(m.form.Mask, 0), argument(m.form.Mask, 1)
		out = "***"
		if len(runes) > prefix+suffix {
			out = string(runes[:prefix]) + "***" + string(runes[len(runes)-suffix:])
		}
	case policy.KeepLast:
		n := argument(m.form.Mask, 0)
		out = "***"
		if len(runes) > n {
			out += string(runes[len(runes)-n:])
		}
	case policy.PartialEmail:
		out = "***"
		if at := strings.LastIndexByte(v, '@'); at >= 0 {
			first := ""
			if runes[0] != '@' {
				first = string(runes[:1])
			}
			out = first + "***@" + v[at+1:]
		}
	case policy.EmailDomainOnly:
		out = "***"
		if at := strings.LastIndexByte(v, '@'); at >= 0 {
			out = v[at+1:]
		}
	case policy.Hash, policy.Pseudonym:
		return m.digest(v)
	case policy.Year, policy.Month:
		return cutDate(v, m.form.Mask.Name == policy.Month)
	case policy.Bucket, policy.Round, policy.Noise:
		return m.moved(v)
	case policy.IPPrefix:
		return cutAddress(v, argument(m.form.Mask, 0))
	default: // keep
		return &out
	}
	out = m.fit(out)
	return &out
}

func argument(m policy.Mask, i int) int {
	n, err := strconv.Atoi(m.Args[i])
	if err != nil {
		return 0
	}
	return n
}

// fit cuts a text to what the column's type holds.
func (m *expectedMask) fit(v string) string {
	name, room := splitType(underlying(m.column))
	switch {
	case name == "name":
		for len(v) > 63 {
			runes := []rune(v)
			v = string(runes[:len(runes)-1])
		}
	case name == "character" && room < 0:
		room = 1
		fallthrough
	case room >= 0:
		if runes := []rune(v); len(runes) > room {
			v = string(runes[:room])
		}
	}
	if name == "character" {
		v = strings.TrimRight(v, " ")
	}
	return v
}

// digest is hash or pseudonym.
func (m *expectedMask) digest(v string) *string {
	input, typ := []byte(v), underlying(m.column)
	switch typ {
	case "uuid":
		input, _ = hex.DecodeString(strings.ReplaceAll(v, "-", ""))
	case "bytea":
		input, _ = hex.DecodeString(strings.TrimPrefix(v, `\x`))
	}
	h := sha256.New()
	if m.form.Mask.Name == policy.Pseudonym {
		h = hmac.New(sha256.New, m.key)
	}
	h.Write(input)
	out := hex.EncodeToString(h.Sum(nil))
	switch typ {
	case "uuid":
		out = out[0:8] + "-" + out[8:12] + "-" + out[12:16] + "-" + out[16:20] + "-" + out[20:32]
	case "bytea":
		out = `\x` + out
	default:
		out = m.fit(out)
	}
	return &out
}

// cutDate sets the month and day of a date or timestamp to the first, and the time to midnight; the server prints ISO, in UTC. Before 4713 BC
// and, for dates, after the year 294276 there is nothing to cut to, and the mask shows NULL.
func cutDate(v string, keepMonth bool) *string {
	if strings.HasSuffix(v, "infinity") {
		return &v
	}
	era := ""
	if rest, ok := strings.CutSuffix(v, " BC"); ok {
		v, era = rest, " BC"
	}
	date, clock, stamped := strings.Cut(v, " ")
	parts := strings.Split(date, "-")
	if len(parts) != 3 {
		return nil
	}
	year, err := strconv.Atoi(parts[0])
	if err != nil || era != "" && year > 4713 || era == "" && year > 294276 {
		return nil
	}
	out := parts[0]
	if keepMonth {
		out += "-" + parts[1] + "-01"
	} else {
		out += "-01-01"
	}
	if stamped {
		out += " 00:00:00"
		if strings.HasSuffix(clock, "+00") {
			out += "+00"
		}
	}
	out += era
	return &out
}

// derivedCell is a generated column of one row that is recomputed from masked inputs.
type derivedCell struct {
	column int
	inputs []*string // in the order of DependsOn
}

// derivedCell gathers the inputs as the same rule shows them.
func (c *comparison) derivedCell(rule, column int, raw textRow) derivedCell {
	cell := derivedCell{column: column}
	for _, name := range c.source.Columns[column].DependsOn {
		for i, col := range c.source.Columns {
			if col.Name == name {
				cell.inputs = append(cell.inputs, c.masks[maskKey{rule, i}].value(raw, i))
			}
		}
	}
	return cell
}

// derivedRows are rows that wait for the server to compute generated columns.
type derivedRows struct {
	c     *comparison
	rows  []textRow
	cells []map[int]derivedCell
}

func (c *comparison) newDerived() *derivedRows { return &derivedRows{c: c} }

func (d *derivedRows) add(row textRow, cells map[int]derivedCell) {
	d.rows, d.cells = append(d.rows, row), append(d.cells, cells)
}

// derivedBatch bounds how many values one query computes.
const derivedBatch = 500

// resolve has the server compute the generated columns from their inputs, and hands on the rows.
func (d *derivedRows) resolve(ctx context.Context, tx pgx.Tx, each func(textRow)) error {
	for from := 0; from < len(d.rows); from += derivedBatch {
		to := min(from+derivedBatch, len(d.rows))
		for at := range d.c.columns {
			if err := d.resolveColumn(ctx, tx, at, from, to); err != nil {
				return err
			}
		}
		for _, row := range d.rows[from:to] {
			each(row)
		}
	}
	return nil
}

func (d *derivedRows) resolveColumn(ctx context.Context, tx pgx.Tx, at, from, to int) error {
	col := d.c.source.Columns[d.c.columns[at]]
	var values []string
	for i := from; i < to; i++ {
		cell, ok := d.cells[i][at]
		if !ok {
			continue
		}
		items := []string{strconv.Itoa(i)}
		for _, v := range cell.inputs {
			if v == nil {
				items = append(items, "NULL")
			} else {
				items = append(items, quoteLiteral(*v)+"::text")
			}
		}
		values = append(values, "("+strings.Join(items, ", ")+")")
	}
	if len(values) == 0 {
		return nil
	}
	names, casts := []string{"n"}, []string{}
	for i, name := range col.DependsOn {
		names = append(names, fmt.Sprintf("v%d", i))
		casts = append(casts, fmt.Sprintf("x.v%d::text::%s AS %s", i, castType(d.c.source.Column(name).Type), quoteIdent(name)))
	}
	sql := fmt.Sprintf("SELECT x.n::text, (SELECT (%s)::%s::text FROM (SELECT %s) AS %s) FROM (VALUES %s) AS x(%s)",
		col.Default, castType(col.Type), strings.Join(casts, ", "), quoteIdent(d.c.table.Name), strings.Join(values, ", "), strings.Join(names, ", "))
	return d.c.stream(ctx, tx, sql, func(row textRow) error {
		i, err := strconv.Atoi(*row[0])
		if err != nil {
			return err
		}
		d.rows[i][at] = row[1]
		return nil
	})
}
