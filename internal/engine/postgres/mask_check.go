package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
)

// Conn is what the checks of masks and walls need of a connection; *pgx.Conn and pgx.Tx both are one.
type Conn interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

var (
	_ Conn = (*pgx.Conn)(nil)
	_ Conn = pgx.Tx(nil)
)

// maskSample bounds the rows over which a mask is tried at plan time.
const maskSample = 10_000

// MaskUse is one mask on one column, to be tried on the server.
type MaskUse struct {
	Table  catalog.Name
	Column catalog.Column
	Mask   policy.Mask
	SQL    string // the mask as compiled for this column; empty: MaskSQL's
}

// MaskProblem is a mask that does not fit its column.
type MaskProblem struct {
	Use     MaskUse
	Message string // what is wrong, and which masks fit; never a value of the table
}

// FilterUse is one compiled row filter, to be tried on the server.
type FilterUse struct {
	Table catalog.Name
	SQL   string
}

// CheckMasks runs each mask on the server against the column's real type, domain and typmod (ENF-29): it compares the
// shapes of the two, and evaluates the mask over a sample of real rows and over the edge values of the type. It changes nothing;
// what it tries, it tries inside savepoints. A pseudonym is tried with a key of its own, so postern.key need not exist.
func CheckMasks(ctx context.Context, conn Conn, uses []MaskUse) ([]MaskProblem, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("check masks: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return nil, fmt.Errorf("check masks: %w", err)
	}
	var problems []MaskProblem
	for _, use := range uses {
		why, err := tryMask(ctx, tx, use)
		if err != nil {
			return nil, fmt.Errorf("check mask %s of %s.%s.%s: %w", use.Mask, use.Table.Schema, use.Table.Name, use.Column.Name, err)
		}
		if why != "" {
			e := MaskError{Mask: use.Mask, Column: use.Column.Name, Type: use.Column.Type, Why: why, Fits: MasksFor(use.Column)}
			problems = append(problems, MaskProblem{Use: use, Message: e.Error()})
		}
	}
	return problems, nil
}

// CheckFilter has the server parse and type a compiled filter, without running it. It returns what is wrong, or "".
func CheckFilter(ctx context.Context, conn Conn, use FilterUse) (string, error) {
	sql := fmt.Sprintf("SELECT 1 FROM %s WHERE (%s) LIMIT 0", quoteName(use.Table), use.SQL)
	why, err := try(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql)
		return err
	}, func(e *pgconn.PgError) string { return e.Message })
	if err != nil {
		return "", fmt.Errorf("check the row filter of %s.%s: %w", use.Table.Schema, use.Table.Name, err)
	}
	return why, nil
}

// try runs f in a savepoint. An error of the server's becomes text by say; any other error, a timeout included, is one.
func try(ctx context.Context, conn Conn, f func(pgx.Tx) error, say func(*pgconn.PgError) string) (string, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return "", err
	}
	err = f(tx)
	if rollback := tx.Rollback(ctx); rollback != nil {
		return "", errors.Join(err, rollback)
	}
	var pe *pgconn.PgError
	switch {
	case err == nil:
		return "", nil
	case errors.As(err, &pe) && saysOfStatement(pe.Code):
		return say(pe), nil
	}
	return "", err
}

// tryMask returns why a mask does not fit, or "".
func tryMask(ctx context.Context, tx pgx.Tx, use MaskUse) (string, error) {
	sql := use.SQL
	if sql == "" {
		var err error
		if sql, err = MaskSQL(use.Mask, use.Column, pgx.Identifier{use.Column.Name}.Sanitize()); err != nil {
			var me *MaskError
			if errors.As(err, &me) {
				return me.Why, nil
			}
			return "", err
		}
	}
	if MaskReadsKey(use.Mask) {
		sql = withoutKeyTable(sql)
	}
	for _, attempt := range []func(context.Context, pgx.Tx, MaskUse, string) (string, error){maskShape, maskRows, maskEdges} {
		if why, err := attempt(ctx, tx, use, sql); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

// withoutKeyTable replaces the two reads of postern.key by a constant of the same length.
func withoutKeyTable(sql string) string {
	key := "'\\x" + strings.Repeat("5a", 64) + "'::pg_catalog.bytea"
	return strings.NewReplacer("(SELECT key.ipad FROM postern.key)", key, "(SELECT key.opad FROM postern.key)", key).Replace(sql)
}

// maskShape compares type, typmod and collation of the mask with the column's.
func maskShape(ctx context.Context, tx pgx.Tx, use MaskUse, sql string) (string, error) {
	column, table := pgx.Identifier{use.Column.Name}.Sanitize(), quoteName(use.Table)
	why := ""
	failed, err := try(ctx, tx, func(tx pgx.Tx) error {
		var sameType, sameCollation bool
		// The outer join yields one row without evaluating the mask, and keeps a domain a domain.
		row := tx.QueryRow(ctx, fmt.Sprintf(`SELECT pg_typeof(q.mask) = pg_typeof(q.raw),
			CASE WHEN $1 THEN pg_collation_for(q.mask) IS NOT DISTINCT FROM pg_collation_for(q.raw) ELSE true END
			FROM (SELECT 1) one LEFT JOIN (SELECT %s AS mask, %s AS raw FROM %s WHERE false) q ON true`, sql, column, table), use.Column.Collation.Name != "")
		if err := row.Scan(&sameType, &sameCollation); err != nil {
			return err
		}
		shape, err := tx.Prepare(ctx, "", fmt.Sprintf("SELECT %s, %s FROM %s LIMIT 0", sql, column, table))
		if err != nil {
			return err
		}
		sameModifier := shape.Fields[0].TypeModifier == shape.Fields[1].TypeModifier
		if !sameType || !sameCollation || !sameModifier {
			why = "its result is not of exactly this type, modifier and collation"
		}
		return nil
	}, func(e *pgconn.PgError) string { return e.Message })
	if failed != "" {
		why = failed
	}
	return why, err
}

// maskRows evaluates the mask over real rows. The server's message may hold a value of the table, so it is not repeated.
func maskRows(ctx context.Context, tx pgx.Tx, use MaskUse, sql string) (string, error) {
	return try(ctx, tx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf("SELECT count(q.mask) FROM (SELECT %s AS mask FROM %s LIMIT %d) q", sql, quoteName(use.Table), maskSample))
		return err
	}, func(e *pgconn.PgError) string {
		return fmt.Sprintf("it fails on a row of the table (SQLSTATE %s)", e.Code)
	})
}

// maskEdges evaluates the mask over the edge values of the type that the type, and its domain, accept.
func maskEdges(ctx context.Context, tx pgx.Tx, use MaskUse, sql string) (string, error) {
	typ := castType(use.Column.Type)
	from := func(value string) string {
		return fmt.Sprintf("SELECT %s FROM (SELECT %s::%s) AS %s(%s)", sql, value, typ,
			pgx.Identifier{use.Table.Name}.Sanitize(), pgx.Identifier{use.Column.Name}.Sanitize())
	}
	message := func(e *pgconn.PgError) string { return e.Message }
	for _, value := range edgeValues(use.Column) {
		accepted := "SELECT " + value + "::" + typ
		run := func(text string) func(pgx.Tx) error {
			return func(tx pgx.Tx) error { _, err := tx.Exec(ctx, text); return err }
		}
		why, err := try(ctx, tx, run(from(value)), message)
		if err != nil {
			return "", err
		}
		if why == "" {
			continue
		}
		if refused, err := try(ctx, tx, run(accepted), message); err != nil {
			return "", err
		} else if refused == "" {
			return fmt.Sprintf("it fails on the value %s: %s", value, why), nil
		}
	}
	return "", nil
}

// edgeValues are literals that masks trip over, for the family of the column's type.
func edgeValues(col catalog.Column) []string {
	values := []string{"NULL"}
	switch familyOf(col) {
	case textFamily:
		values = append(values, "''", "'a'", "'@'", "'a@'", "'@b'", `'"a@b"@c.test'`, "'äöü@ß.test'", literal(strings.Repeat("x", 70)), `'back\slash''quote'`)
	case dateFamily:
		values = append(values, "'infinity'", "'-infinity'", "'4714-11-24 BC'", "'5874897-12-31'", "'2024-02-29'", "'1999-12-31'")
	case timestampFamily:
		values = append(values, "'infinity'", "'-infinity'", "'4714-11-24 00:00:00 BC'", "'294276-12-31 23:59:59'", "'2024-02-29 23:59:59.999999'")
	case timestamptzFamily:
		values = append(values, "'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'", "'294276-12-31 23:59:59+00'", "'2024-02-29 23:59:59.999999+00'")
	case uuidFamily:
		values = append(values, "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'")
	case byteaFamily:
		values = append(values, `'\x'`, `'\x00'`, `'\xff00ff'`)
	case integerFamily, numericFamily, floatFamily:
		values = append(values, edgeNumbers(col)...)
	case addressFamily:
		values = append(values, "'0.0.0.0/0'", "'10.0.0.0/8'", "'255.255.255.255'", "'::/0'", "'2001:db8::1'", "'::ffff:10.0.0.1'")
	case otherFamily:
	}
	return values
}

func edgeNumbers(col catalog.Column) []string {
	values := []string{"'0'", "'1'", "'-1'", "'32767'"}
	m := maskWriter{col: col, family: familyOf(col)}
	if low, high := m.bounds(); high != "" {
		return append(values, literal(low), literal(high))
	}
	return append(values, "'NaN'", "'Infinity'", "'-Infinity'", "'1e-30'", "'-3.4e38'", "'1.7e308'", "'123456789012345678901234567890.5'")
}

// quoteName quotes a schema-qualified name.
func quoteName(n catalog.Name) string { return pgx.Identifier{n.Schema, n.Name}.Sanitize() }

// saysOfStatement reports whether an SQLSTATE tells about the statement, rather than about rights, resources, locks or the connection.
func saysOfStatement(code string) bool {
	if code == pgerrNoPrivilege {
		return false
	}
	for _, class := range []string{"08", "53", "55", "57", "58", "XX"} {
		if strings.HasPrefix(code, class) {
			return false
		}
	}
	return true
}

const pgerrNoPrivilege = "42501"
