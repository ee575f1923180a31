package postgres

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/policy"
)

// This file writes the SQL of masks. Every mask is deterministic, keeps NULL as NULL, has exactly the column's type, typmod
// and collation, and calls functions of pg_catalog only (ENF-13, 14, 28, 29). It does not depend on a setting that a session
// can change: times are cut in UTC, since a mask that followed TimeZone would give its value away shift by shift.
//
// What each mask leaves is the policy's choice (ENF-30): partial masks leave a part, equal hashes and pseudonyms can be
// counted and joined, and the hash of a value from a small set, such as a phone number, falls to a dictionary;
// pseudonym does not, because it is keyed.

// stars replace what a partial mask takes away. A value of which nothing would be taken away becomes just this.
const stars = "***"

// MaskError is a mask that does not fit a column's type.
type MaskError struct {
	Mask   policy.Mask
	Column string
	Type   string
	Why    string
	Fits   []string // masks that fit
}

// Error names the column, the reason and the masks that fit.
func (e *MaskError) Error() string {
	return fmt.Sprintf("mask %s does not fit column %s of type %s: %s; masks that fit: %s", e.Mask, e.Column, e.Type, e.Why, strings.Join(e.Fits, ", "))
}

// MaskSQL returns the SQL of mask for a column: an expression of exactly the column's type, typmod and collation.
// ref is SQL for the raw value, such as the quoted column name. Errors are *MaskError and name the masks that fit the column.
// The expression is to be created under a search_path that starts with pg_catalog.
func MaskSQL(mask policy.Mask, col catalog.Column, ref string) (string, error) {
	m := maskWriter{mask: mask, col: col, ref: ref, family: familyOf(col)}
	switch mask.Name {
	case policy.Keep:
		return ref, nil
	case policy.Hidden:
		return m.hidden()
	case policy.Constant:
		return m.constant()
	case policy.Expression:
		return m.expression()
	case policy.Partial, policy.KeepLast, policy.PartialEmail, policy.EmailDomainOnly:
		return m.partial()
	case policy.Hash, policy.Pseudonym:
		return m.digest()
	case policy.Year, policy.Month:
		return m.truncated()
	case policy.NullIf:
		return m.nullIf()
	case policy.Bucket, policy.Round:
		return m.coarse()
	case policy.IPPrefix:
		return m.ipPrefix()
	case policy.Noise:
		return m.noise()
	}
	return "", m.misfit("there is no such mask")
}

// HiddenSQL returns a typed NULL, which is the strongest form of any column but one whose domain is NOT NULL: for that it is an error.
func HiddenSQL(col catalog.Column) (string, error) {
	return MaskSQL(policy.Mask{Name: policy.Hidden}, col, "")
}

// MaskReadsKey says whether the mask's SQL reads postern.key.
func MaskReadsKey(mask policy.Mask) bool {
	return mask.Name == policy.Pseudonym || mask.Name == policy.Noise
}

// DerivedSQL recomputes a stored generated column from other forms of its inputs (ENF-19); forms maps columns to SQL.
func DerivedSQL(col catalog.Column, forms map[string]string) (string, error) {
	sql, err := pgsql.CompileDerived(col.Default, forms)
	if err != nil {
		return "", fmt.Errorf("column %s is generated from masked columns and cannot be recomputed (%w): give it a mask of its own, such as hidden", col.Name, err)
	}
	return exactly("("+sql+")", col), nil
}

// family groups types by the masks that fit them.
type family int

const (
	otherFamily family = iota
	textFamily
	dateFamily
	timestampFamily
	timestamptzFamily
	uuidFamily
	byteaFamily
	integerFamily
	numericFamily
	floatFamily
	addressFamily
)

// familyOf looks at the column's type, or at the one below its domain.
func familyOf(col catalog.Column) family {
	switch name, _ := splitType(underlying(col)); name {
	case "text", "character varying", "character", "bpchar", "name":
		return textFamily
	case "date":
		return dateFamily
	case "timestamp without time zone":
		return timestampFamily
	case "timestamp with time zone":
		return timestamptzFamily
	case "uuid":
		return uuidFamily
	case "bytea":
		return byteaFamily
	case "smallint", "integer", "bigint":
		return integerFamily
	case "numeric":
		return numericFamily
	case "real", "double precision":
		return floatFamily
	case "inet", "cidr":
		return addressFamily
	default:
		if name == "citext" || strings.HasSuffix(name, ".citext") {
			return textFamily
		}
	}
	return otherFamily
}

// underlying is the column's type, or the type below its domain.
func underlying(col catalog.Column) string {
	if col.BaseType != "" {
		return col.BaseType
	}
	return col.Type
}

// splitType takes the modifier out of a type as format_type prints it: "timestamp(3) with time zone" is "timestamp with
// time zone" and 3. The modifier is -1 when there is none; of several, the first.
func splitType(typ string) (name string, modifier int) {
	open := strings.IndexByte(typ, '(')
	if open < 0 || strings.HasPrefix(typ, `"`) {
		return typ, -1
	}
	end := strings.IndexByte(typ[open:], ')')
	if end < 0 {
		return typ, -1
	}
	first, _, _ := strings.Cut(typ[open+1:open+end], ",")
	modifier, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		modifier = -1
	}
	return typ[:open] + typ[open+end+1:], modifier
}

// notNullDomain says that the column's type itself refuses NULL. A column that is NOT NULL may still be shown as NULL.
func notNullDomain(col catalog.Column) bool { return col.TypeKind == 'd' && col.DomainNotNull }

// maskWriter writes one mask.
type maskWriter struct {
	mask   policy.Mask
	col    catalog.Column
	ref    string
	family family
}

// misfit is the error for this mask and column.
func (m maskWriter) misfit(format string, args ...any) error {
	return &MaskError{Mask: m.mask, Column: m.col.Name, Type: m.col.Type, Why: fmt.Sprintf(format, args...), Fits: MasksFor(m.col)}
}

// MasksFor lists the masks that fit a column's type, as the policy file writes them.
func MasksFor(col catalog.Column) []string {
	fits := []string{policy.Keep}
	if !notNullDomain(col) {
		fits = append(fits, policy.Hidden)
	}
	fits = append(fits, `constant("…")`)
	switch familyOf(col) {
	case textFamily:
		room := textRoom(col)
		for _, f := range []struct {
			usage string
			needs int
		}{{"keep_last(n)", 4}, {"partial(prefix, suffix)", 4}, {policy.PartialEmail, 8}, {policy.EmailDomainOnly, 3}, {policy.Hash, 16}, {policy.Pseudonym, 16}} {
			if room < 0 || room >= f.needs {
				fits = append(fits, f.usage)
			}
		}
	case dateFamily, timestampFamily, timestamptzFamily:
		fits = append(fits, policy.Year, policy.Month, "noise(days)")
	case integerFamily, numericFamily, floatFamily:
		if !notNullDomain(col) || familyOf(col) != floatFamily {
			fits = append(fits, "bucket(width)", "round(digits)", "noise(amount)", "noise(percent%)")
		}
	case addressFamily:
		fits = append(fits, "ip_prefix(bits)")
	case uuidFamily, byteaFamily:
		fits = append(fits, policy.Hash, policy.Pseudonym)
	case otherFamily:
	}
	if !notNullDomain(col) {
		fits = append(fits, `null_if("… value …")`)
	}
	return append(fits, `expression("… value …")`)
}

// textRoom is how many characters fit a text column, -1 for any number.
func textRoom(col catalog.Column) int {
	name, n := splitType(underlying(col))
	switch {
	case name == "name":
		return 63
	case name == "character" && n < 0:
		return 1
	}
	return n
}

// exactly casts an expression to the column's type, typmod and collation.
func exactly(expr string, col catalog.Column) string {
	return withCollation(expr+"::"+castType(col.Type), col)
}

func withCollation(expr string, col catalog.Column) string {
	switch {
	case col.Type == "name": // the one type whose collation is not the database's
		return "(" + expr + `) COLLATE pg_catalog."C"`
	case col.Collation.Name == "":
		return expr
	}
	return "(" + expr + ") COLLATE " + pgx.Identifier{col.Collation.Schema, col.Collation.Name}.Sanitize()
}

// castType spells a type so that a cast to it adds no modifier: "character" alone would mean character(1).
func castType(typ string) string {
	if typ == "character" {
		return "pg_catalog.bpchar"
	}
	return typ
}

// literal quotes a text constant; standard_conforming_strings is on.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (m maskWriter) hidden() (string, error) {
	if notNullDomain(m.col) {
		return "", m.misfit(`the domain does not allow NULL: write constant("…") with a value that it allows`)
	}
	return exactly("NULL", m.col), nil
}

func (m maskWriter) constant() (string, error) {
	value := m.mask.Args[0]
	if room := textRoom(m.col); m.family == textFamily && room >= 0 && utf8.RuneCountInString(value) > room {
		return "", m.misfit("it has %d characters and the type has room for %d", utf8.RuneCountInString(value), room)
	}
	return exactly(literal(value), m.col), nil
}

func (m maskWriter) expression() (string, error) {
	sql, err := pgsql.CompileMaskExpression(m.mask.Args[0], m.ref)
	if err != nil {
		return "", m.misfit("%v", err)
	}
	return exactly("("+sql+")", m.col), nil
}

// text is the raw value as text. A collation of the column's own may be one that refuses to search, so work is done in "C".
func (m maskWriter) text() string {
	v := m.ref
	if underlying(m.col) != "text" || m.col.Type != "text" {
		v += "::pg_catalog.text"
	}
	if m.col.Collation.Name != "" {
		v = "(" + v + ` COLLATE pg_catalog."C")`
	}
	return v
}

// count is a whole-number argument, checked by the policy language before.
func (m maskWriter) count(i int) int {
	n, err := strconv.Atoi(m.mask.Args[i])
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func (m maskWriter) partial() (string, error) {
	if m.family != textFamily {
		return "", m.misfit("it is for text")
	}
	v, room := m.text(), textRoom(m.col)
	var shown string
	var needs int
	condition := ""
	switch m.mask.Name {
	case policy.Partial:
		prefix, suffix := m.count(0), m.count(1)
		needs = prefix + len(stars) + suffix
		condition = fmt.Sprintf("pg_catalog.length(%s) > %d", v, prefix+suffix)
		shown = literal(stars)
		if prefix > 0 {
			shown = fmt.Sprintf("pg_catalog.left(%s, %d) || %s", v, prefix, shown)
		}
		if suffix > 0 {
			shown = fmt.Sprintf("%s || pg_catalog.right(%s, %d)", shown, v, suffix)
		}
	case policy.KeepLast:
		needs = len(stars) + m.count(0)
		condition = fmt.Sprintf("pg_catalog.length(%s) > %d", v, m.count(0))
		shown = fmt.Sprintf("%s || pg_catalog.right(%s, %d)", literal(stars), v, m.count(0))
	case policy.PartialEmail:
		needs = len("a***@b.c")
		condition = fmt.Sprintf("pg_catalog.strpos(%s, '@') > 0", v)
		// The domain is what follows the last @: in "a@b"@c it is c.
		shown = fmt.Sprintf("pg_catalog.left(pg_catalog.split_part(%s, '@', 1), 1) || '***@' || %s", v, m.domain(v))
	default:
		needs = len(stars)
		condition = fmt.Sprintf("pg_catalog.strpos(%s, '@') > 0", v)
		shown = m.domain(v)
	}
	if room >= 0 && needs > room {
		return "", m.misfit("it needs room for %d characters and the type has %d", needs, room)
	}
	sql := fmt.Sprintf("(CASE WHEN %s THEN %s WHEN %s IS NOT NULL THEN %s END)", condition, shown, m.ref, literal(stars))
	return exactly(sql, m.col), nil
}

// domain is what follows the last @ of v.
func (m maskWriter) domain(v string) string {
	return fmt.Sprintf("pg_catalog.reverse(pg_catalog.split_part(pg_catalog.reverse(%s), '@', 1))", v)
}

// digest writes hash and pseudonym: 64 hexadecimal digits, cut to fit; a uuid of the first 32; the 32 bytes themselves.
func (m maskWriter) digest() (string, error) {
	var input string
	switch m.family {
	case textFamily:
		if room := textRoom(m.col); room >= 0 && room < 16 {
			return "", m.misfit("cut to %d characters, different values would look the same", room)
		}
		input = fmt.Sprintf("pg_catalog.convert_to(%s, 'UTF8')", m.text())
	case uuidFamily:
		input = fmt.Sprintf("pg_catalog.uuid_send(%s)", m.ref)
	case byteaFamily:
		input = m.ref
	default:
		return "", m.misfit("it is for text, uuid and bytea")
	}
	sum := fmt.Sprintf("pg_catalog.sha256(%s)", input)
	if m.mask.Name == policy.Pseudonym {
		sum = keyedHash(input)
	}
	switch m.family {
	case uuidFamily:
		sum = fmt.Sprintf("pg_catalog.left(pg_catalog.encode(%s, 'hex'), 32)::pg_catalog.uuid", sum)
	case textFamily:
		sum = fmt.Sprintf("pg_catalog.encode(%s, 'hex')", sum)
	default:
	}
	return exactly("("+sum+")", m.col), nil
}

// keyedHash is HMAC-SHA-256 of RFC 2104, with the padded keys kept ready (ENF-31).
func keyedHash(input string) string {
	inner := fmt.Sprintf("pg_catalog.sha256((SELECT key.ipad FROM postern.key) || %s)", input)
	return fmt.Sprintf("pg_catalog.sha256((SELECT key.opad FROM postern.key) || %s)", inner)
}

// truncated writes year and month. Values that cannot be cut, such as infinity and the first weeks that the type knows, stay as they are or
// become NULL, because an error would tell that they are there.
func (m maskWriter) truncated() (string, error) {
	unit, v := literal(m.mask.Name), m.ref
	var cut, low, high string
	switch m.family {
	case dateFamily:
		cut = fmt.Sprintf("pg_catalog.date_trunc(%s, %s::pg_catalog.timestamp)::pg_catalog.date", unit, v)
		low, high = "'4713-01-01 BC'::pg_catalog.date", "'294276-12-31'::pg_catalog.date"
	case timestampFamily:
		cut = fmt.Sprintf("pg_catalog.date_trunc(%s, %s)", unit, v)
		low, high = "'4713-01-01 BC'::pg_catalog.timestamp", "'infinity'::pg_catalog.timestamp"
	case timestamptzFamily:
		cut = fmt.Sprintf("pg_catalog.timezone('UTC', pg_catalog.date_trunc(%s, pg_catalog.timezone('UTC', %s)))", unit, v)
		low, high = "'4713-01-02 00:00:00+00 BC'::pg_catalog.timestamptz", "'infinity'::pg_catalog.timestamptz"
	default:
		return "", m.misfit("it is for dates and timestamps")
	}
	sql := fmt.Sprintf("(CASE WHEN %s BETWEEN %s AND %s THEN %s WHEN NOT pg_catalog.isfinite(%s) THEN %s END)", v, low, high, cut, v, v)
	return exactly(sql, m.col), nil
}

// PseudonymKeys derives the two padded keys of postern.key from a secret key of any length (RFC 2104, SHA-256).
func PseudonymKeys(key []byte) (ipad, opad []byte) {
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	ipad, opad = make([]byte, sha256.BlockSize), make([]byte, sha256.BlockSize)
	copy(ipad, key)
	copy(opad, key)
	for i := range ipad {
		ipad[i] ^= 0x36
		opad[i] ^= 0x5c
	}
	return ipad, opad
}
