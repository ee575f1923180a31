package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/policy"
)

// This file writes the SQL of masks over numbers, addresses and times. Arithmetic is done in numeric, exactly, and the result is kept
// within what the column's type holds: an error would tell that a value is near the end.

// floatMost is the size from which a floating-point number is shown as NULL: its digits before the point are not all known.
const floatMost = "1e15"

// nullIf shows the value where the condition is false. Unknown counts as true.
func (m maskWriter) nullIf() (string, error) {
	if notNullDomain(m.col) {
		return "", m.misfit(`the domain does not allow NULL: write expression("CASE … END") with a value that it allows`)
	}
	condition, err := pgsql.CompileMaskExpression(m.mask.Args[0], m.ref)
	if err != nil {
		return "", m.misfit("%v", err)
	}
	return exactly(fmt.Sprintf("(CASE WHEN NOT (%s) THEN %s END)", condition, m.ref), m.col), nil
}

// coarse writes bucket and round.
func (m maskWriter) coarse() (string, error) {
	if err := m.isNumber(); err != nil {
		return "", err
	}
	n, arg := m.numeric(), m.mask.Args[0]
	if m.mask.Name == policy.Bucket {
		width := literal(arg) + `::pg_catalog."numeric"`
		rest := fmt.Sprintf("pg_catalog.mod(%s, %s)", n, width) // exact, where a division would not be
		return m.within(fmt.Sprintf("%s - %s - (CASE WHEN %s < 0 THEN %s ELSE 0 END)", n, rest, rest, width)), nil
	}
	digits, err := strconv.Atoi(arg)
	if err != nil {
		return "", m.misfit("%v", err)
	}
	if _, scale, limited := precision(m.col.BaseType, m.col.Type); m.family == integerFamily && digits >= 0 || limited && digits >= scale {
		return "", m.misfit("the type has no more digits behind the point than that, so nothing would be taken away")
	}
	return m.within(fmt.Sprintf("pg_catalog.round(%s, %d)", n, digits)), nil
}

func (m maskWriter) isNumber() error {
	switch m.family {
	case integerFamily, numericFamily:
		return nil
	case floatFamily:
		if notNullDomain(m.col) {
			return m.misfit("the domain does not allow NULL, which stands for numbers from %s on", floatMost)
		}
		return nil
	default:
		return m.misfit("it is for numbers")
	}
}

// numeric is the raw value in exact arithmetic.
func (m maskWriter) numeric() string { return m.ref + `::pg_catalog."numeric"` }

// precision reads the modifier of numeric(p,s). limited is false where there is none.
func precision(base, typ string) (p, s int, limited bool) {
	if base != "" {
		typ = base
	}
	rest, ok := strings.CutPrefix(typ, "numeric(")
	if !ok {
		return 0, 0, false
	}
	first, second, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ",")
	p, err := strconv.Atoi(first)
	if err != nil {
		return 0, 0, false
	}
	s, _ = strconv.Atoi(second) // none is 0
	return p, s, true
}

// bounds are the smallest and largest value of the column's type, as SQL; "" where there are none that matter.
func (m maskWriter) bounds() (low, high string) {
	switch name, _ := splitType(underlying(m.col)); name {
	case "smallint":
		return "-32768", "32767"
	case "integer":
		return "-2147483648", "2147483647"
	case "bigint":
		return "-9223372036854775808", "9223372036854775807"
	}
	p, s, limited := precision(m.col.BaseType, m.col.Type)
	switch {
	case !limited:
		return "", ""
	case s <= 0:
		high = strings.Repeat("9", p) + strings.Repeat("0", -s)
	case s >= p:
		high = "0." + strings.Repeat("0", s-p) + strings.Repeat("9", p)
	default:
		high = strings.Repeat("9", p-s) + "." + strings.Repeat("9", s)
	}
	return "-" + high, high
}

// within makes an expression in numeric one of the column's type. What is no number stays as it is.
func (m maskWriter) within(expr string) string {
	if low, high := m.bounds(); high != "" {
		// GREATEST and LEAST pass over NULL, and would show a bound in its place.
		expr = fmt.Sprintf(`(CASE WHEN %s IS NOT NULL THEN GREATEST(LEAST(%s, %s::pg_catalog."numeric"), %s::pg_catalog."numeric") END)`, m.ref, expr, literal(high), literal(low))
	}
	if m.family == integerFamily {
		return exactly("("+expr+")", m.col)
	}
	odd := fmt.Sprintf("%s::pg_catalog.text IN ('NaN', 'Infinity', '-Infinity')", m.ref)
	if m.family == floatFamily {
		fits := fmt.Sprintf("pg_catalog.abs(%s) < %s", m.ref, literal(floatMost))
		return exactly(fmt.Sprintf("(CASE WHEN %s THEN %s WHEN %s THEN %s END)", odd, m.ref, fits, exactly("("+expr+")", m.col)), m.col)
	}
	return exactly(fmt.Sprintf("(CASE WHEN %s THEN %s ELSE %s END)", odd, m.numeric(), expr), m.col)
}

// ipPrefix cuts an address to its network.
func (m maskWriter) ipPrefix() (string, error) {
	if m.family != addressFamily {
		return "", m.misfit("it is for inet and cidr")
	}
	bits := m.count(0)
	v := m.ref + "::pg_catalog.inet"
	cut := func(most int) string {
		return fmt.Sprintf("pg_catalog.network(pg_catalog.set_masklen(%s, LEAST(%d, pg_catalog.masklen(%s))))", v, most, v)
	}
	return exactly(fmt.Sprintf("(CASE pg_catalog.family(%s) WHEN 4 THEN %s ELSE %s END)", v, cut(bits), cut(2*bits)), m.col), nil
}

// maxNoiseDays keeps a moved date within what the type holds.
const maxNoiseDays = 36500

// noise moves a number or a time by up to an amount. The step is one of a thousand million and one from -1 to 1, taken from a keyed hash
// of table, column and value, so that nobody without the key can undo it, and asking again gives the same (ENF-28).
func (m maskWriter) noise() (string, error) {
	amount, percent := strings.CutSuffix(m.mask.Args[0], "%")
	where := literal(m.col.Table.Schema + "." + m.col.Table.Name + "." + m.col.Name + ":")
	step := func(value string) string {
		sum := keyedHash("pg_catalog.convert_to(" + where + ", 'UTF8') || " + value)
		k := fmt.Sprintf(`('x' || pg_catalog.left(pg_catalog.encode(%s, 'hex'), 12))::pg_catalog."bit"(48)::pg_catalog.int8`, sum)
		return fmt.Sprintf(`((%s %% 1000000001 - 500000000)::pg_catalog."numeric" * 0.000000002)`, k)
	}
	switch m.family {
	case integerFamily, numericFamily, floatFamily:
		if err := m.isNumber(); err != nil {
			return "", err
		}
		n := m.numeric()
		most := literal(amount) + `::pg_catalog."numeric"`
		if percent {
			most = n + " * " + most + " * 0.01"
		}
		moved := fmt.Sprintf("%s * %s", most, step("pg_catalog.convert_to(pg_catalog.trim_scale("+n+")::pg_catalog.text, 'UTF8')"))
		return m.within(fmt.Sprintf("%s + pg_catalog.round(%s, %s)", n, moved, m.noiseDigits(n))), nil
	case dateFamily, timestampFamily, timestamptzFamily:
		if days, err := strconv.ParseFloat(amount, 64); percent || err != nil || days > maxNoiseDays {
			return "", m.misfit("of a date or time it takes a number of days, up to %d", maxNoiseDays)
		}
		return m.noiseTime(amount, step), nil
	default:
		return "", m.misfit("it is for numbers, dates and timestamps")
	}
}

// noiseDigits is how many digits behind the point the noise has: those of the type, or a few more than the value's own.
func (m maskWriter) noiseDigits(n string) string {
	if m.family == integerFamily {
		return "0"
	}
	if _, s, limited := precision(m.col.BaseType, m.col.Type); limited {
		return strconv.Itoa(s)
	}
	if m.family == numericFamily {
		return "GREATEST(pg_catalog.scale(" + n + "), 2)"
	}
	return "pg_catalog.scale(" + n + ") + 3"
}

// noiseTime moves times of the years 1 to 9999, by whole days or microseconds. Infinity stays, anything else becomes NULL.
func (m maskWriter) noiseTime(amount string, step func(string) string) string {
	var typ, sent, unit string
	switch m.family {
	case dateFamily:
		typ, sent, unit = "pg_catalog.date", "pg_catalog.date_send(%s)", "1"
	case timestampFamily:
		typ, sent, unit = "pg_catalog.timestamp", "pg_catalog.timestamp_send(%s)", "86400000000"
	default:
		typ, sent, unit = "pg_catalog.timestamptz", "pg_catalog.timestamptz_send(%s)", "86400000000"
	}
	moved := fmt.Sprintf(`pg_catalog.round(%s::pg_catalog."numeric" * %s * %s)`, literal(amount), unit, step(fmt.Sprintf(sent, m.ref)))
	if m.family == dateFamily {
		moved = m.ref + " + " + moved + "::pg_catalog.int4"
	} else {
		moved = m.ref + " + " + moved + "::pg_catalog.float8 * '1 microsecond'::pg_catalog.\"interval\""
	}
	low, high := "'0001-01-01'::"+typ, "'9999-12-31'::"+typ
	if m.family == timestamptzFamily {
		low, high = "'0001-01-02 00:00:00+00'::"+typ, "'9999-12-31 00:00:00+00'::"+typ
	}
	return exactly(fmt.Sprintf("(CASE WHEN %s BETWEEN %s AND %s THEN %s WHEN NOT pg_catalog.isfinite(%s) THEN %s END)", m.ref, low, high, moved, m.ref, m.ref), m.col)
}
