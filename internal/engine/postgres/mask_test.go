package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// maskTable has a column of every family, with domains, modifiers and collations.
const maskTable = `
CREATE EXTENSION IF NOT EXISTS citext SCHEMA public;
CREATE SCHEMA app AUTHORIZATION mask_owner;
SET ROLE mask_owner;
CREATE TYPE app.tier AS ENUM ('basic', 'gold');
CREATE DOMAIN app.pin4 AS text NOT NULL CHECK (VALUE ~ '^[0-9]{4}$');
CREATE DOMAIN app.short AS varchar(20);
CREATE DOMAIN app.born AS date CHECK (VALUE > '1800-01-01');
CREATE TABLE app.people (
  id int PRIMARY KEY, t text NOT NULL, v40 varchar(40), v3 varchar(3), c10 char(10), c1 char, n name, ci public.citext, tc text COLLATE "C", vc varchar(30) COLLATE "POSIX",
  pin app.pin4, short app.short, born app.born,
  num numeric(12,2), numplain numeric, i2 smallint, i8 bigint, r real, b boolean, d date, ts timestamp, ts3 timestamp(3), tz timestamptz, tz0 timestamptz(0), tm time(2), iv interval,
  u uuid, by bytea, j json, jb jsonb, inet inet, tier app.tier, ta text[], va varchar(5)[], mo money, bi bit(3), oddcase text, "Odd ""Name" text);
INSERT INTO app.people (id, t, v40, v3, c10, c1, n, ci, tc, vc, pin, short, born, num, numplain, i2, i8, r, b, d, ts, ts3, tz, tz0, tm, iv, u, by, j, jb, inet, tier, ta, va, mo, bi, "Odd ""Name") VALUES
 (1, 'ann@x.test', 'bob@y.test', 'abc', 'cyd', 'z', 'dan@z.test', 'Eve@W.test', 'fay@x.test', 'gus@y.test', '1234', '+33 1 23 45', '1980-05-17', 10.25, 3, 4, 5, 6, true, '1980-05-17',
  '1980-05-17 13:14:15', '1980-05-17 13:14:15.678', '1980-12-31 23:30:00-05', '1980-05-17 13:14:15+02', '01:02:03.45', '1 day', '12345678-9abc-def0-1234-56789abcdef0', '\x0102', '{"a":1}', '{"a":1}',
  '10.0.0.1', 'gold', '{a,b}', '{a,b}', 1, B'101', 'o'),
 (2, '', '', '', '', '', '', '', '', '', '0000', '', '1999-01-01', 0, 0, 0, 0, 0, false, 'infinity', '-infinity', 'infinity', '-infinity', 'infinity', '00:00', '0', '00000000-0000-0000-0000-000000000000',
  '', 'null', 'null', '::/0', 'basic', '{}', '{NULL}', 0, B'000', '');
INSERT INTO app.people (id, t, pin) VALUES (3, 'no at sign', '9999');
RESET ROLE;`

// maskFixture makes the table in a database of its own and returns its columns and a connection of the provisioner.
func maskFixture(t *testing.T, c *pgtest.Cluster) (map[string]catalog.Column, *pgx.Conn, *pgtest.DB) {
	t.Helper()
	c.Role(t, "mask_owner", "NOLOGIN")
	db := c.NewDatabase(t)
	db.Provisioner(t, "mask_admin", "mask_owner")
	db.Exec(t, maskTable)
	server, err := Open(t.Context(), Config{Host: c.SocketDir, Port: uint16(c.Port), Database: db.Name, User: "mask_admin", Password: secret.New(pgtest.PasswordOf("mask_admin"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	snap, err := server.Inspect(t.Context(), []string{"app"})
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]catalog.Column{}
	for _, r := range snap.Relations {
		if r.Name == (catalog.Name{Schema: "app", Name: "people"}) {
			for _, col := range r.Columns {
				columns[col.Name] = col
			}
		}
	}
	if len(columns) < 30 {
		t.Fatalf("inspected %d columns", len(columns))
	}
	return columns, server.Conn(), db
}

func mask(text string) policy.Mask {
	m, err := policy.ParseMask(text)
	if err != nil {
		panic(err) // a mistake in the test's own table
	}
	return m
}

// TestMaskValues: what each mask makes of the first row, the empty one and the one of NULLs.
func TestMaskValues(t *testing.T) {
	const null = "NULL"
	hash := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	keyed := func(b []byte) string {
		h := hmac.New(sha256.New, []byte("test key"))
		h.Write(b)
		return hex.EncodeToString(h.Sum(nil))
	}
	uuid := func(h string) string {
		return h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
	}
	ann, uu := []byte("ann@x.test"), []byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}
	zero := make([]byte, 16)
	cases := []struct {
		column, mask string
		want         [3]string
	}{
		{"t", "keep", [3]string{"ann@x.test", "", "no at sign"}},
		{"t", "hidden", [3]string{null, null, null}},
		{"t", `constant("a'b\\c")`, [3]string{`a'b\c`, `a'b\c`, `a'b\c`}},
		{"t", "partial(2, 3)", [3]string{"an***est", "***", "no***ign"}},
		{"t", "partial(0, 2)", [3]string{"***st", "***", "***gn"}},
		{"t", "partial(1, 0)", [3]string{"a***", "***", "n***"}},
		{"t", "partial(5, 5)", [3]string{"***", "***", "***"}}, // 10 characters: nothing would be taken away
		{"t", "keep_last(4)", [3]string{"***test", "***", "***sign"}},
		{"t", "partial_email", [3]string{"a***@x.test", "***", "***"}},
		{"t", "email_domain_only", [3]string{"x.test", "***", "***"}},
		{"t", "hash", [3]string{hash(ann), hash(nil), hash([]byte("no at sign"))}},
		{"t", "pseudonym", [3]string{keyed(ann), keyed(nil), keyed([]byte("no at sign"))}},
		{"t", `expression("upper(left(value, 2))")`, [3]string{"AN", "", "NO"}},
		{"v40", "partial_email", [3]string{"b***@y.test", "***", null}},
		{"v40", "hash", [3]string{hash([]byte("bob@y.test"))[:40], hash(nil)[:40], null}},
		{"v3", "hidden", [3]string{null, null, null}},
		{"v3", `constant("xyz")`, [3]string{"xyz", "xyz", "xyz"}},
		{"c10", "keep_last(2)", [3]string{"***yd     ", "***       ", null}},
		{"c10", `constant("ab")`, [3]string{"ab        ", "ab        ", "ab        "}},
		{"c1", `constant("x")`, [3]string{"x", "x", "x"}},
		{"n", "partial_email", [3]string{"d***@z.test", "***", null}},
		{"n", "pseudonym", [3]string{keyed([]byte("dan@z.test"))[:63], keyed(nil)[:63], null}},
		{"ci", "partial_email", [3]string{"E***@W.test", "***", null}},
		{"ci", "email_domain_only", [3]string{"W.test", "***", null}},
		{"tc", "partial_email", [3]string{"f***@x.test", "***", null}},
		{"vc", "keep_last(3)", [3]string{"***est", "***", null}},
		{"pin", `constant("0000")`, [3]string{"0000", "0000", "0000"}},
		{"pin", `expression("left(value, 1) || '999'")`, [3]string{"1999", "0999", "9999"}},
		{"short", "keep_last(2)", [3]string{"***45", "***", null}},
		{"short", "hidden", [3]string{null, null, null}},
		{"born", "year", [3]string{"1980-01-01", "1999-01-01", null}},
		{"num", "hidden", [3]string{null, null, null}},
		{"num", `constant("0")`, [3]string{"0.00", "0.00", "0.00"}},
		{"num", `expression("round(value, -1)")`, [3]string{"10.00", "0.00", null}},
		{"i2", `constant("7")`, [3]string{"7", "7", "7"}},
		{"b", `constant("false")`, [3]string{"false", "false", "false"}},
		{"d", "year", [3]string{"1980-01-01", "infinity", null}},
		{"d", "month", [3]string{"1980-05-01", "infinity", null}},
		{"ts", "month", [3]string{"1980-05-01 00:00:00", "-infinity", null}},
		{"ts3", "year", [3]string{"1980-01-01 00:00:00", "infinity", null}},
		{"tz", "year", [3]string{"1981-01-01 00:00:00+00", "-infinity", null}}, // 23:30-05 is the next year in UTC
		{"tz0", "month", [3]string{"1980-05-01 00:00:00+00", "infinity", null}},
		{"u", "hash", [3]string{uuid(hash(uu)), uuid(hash(zero)), null}},
		{"u", "pseudonym", [3]string{uuid(keyed(uu)), uuid(keyed(zero)), null}},
		{"by", "hash", [3]string{`\x` + hash([]byte{1, 2}), `\x` + hash(nil), null}},
		{"jb", `constant("{}")`, [3]string{"{}", "{}", "{}"}},
		{"tier", `constant("basic")`, [3]string{"basic", "basic", "basic"}},
		{"ta", `constant("{}")`, [3]string{"{}", "{}", "{}"}},
		{"va", "hidden", [3]string{null, null, null}},
		{`Odd "Name`, "keep_last(1)", [3]string{"***", "***", null}},
	}
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		columns, conn, db := maskFixture(t, c)
		db.Exec(t, "CREATE SCHEMA postern AUTHORIZATION mask_admin; SET ROLE mask_admin; "+KeyTable)
		ipad, opad := PseudonymKeys([]byte("test key"))
		if _, err := conn.Exec(t.Context(), "INSERT INTO postern.key VALUES (1, $1, $2)", ipad, opad); err != nil {
			t.Fatal(err)
		}
		for _, zone := range []string{"UTC", "Pacific/Kiritimati"} {
			if _, err := conn.Exec(t.Context(), "SET DateStyle = 'ISO'; SET search_path = pg_catalog; SET TimeZone = '"+zone+"'"); err != nil {
				t.Fatal(err)
			}
			for _, tc := range cases {
				col := columns[tc.column]
				sql, err := MaskSQL(mask(tc.mask), col, pgx.Identifier{tc.column}.Sanitize())
				if err != nil {
					t.Errorf("%s of %s: %v", tc.mask, tc.column, err)
					continue
				}
				value := sql
				if strings.HasPrefix(tc.column, "tz") {
					value = "(" + sql + ") AT TIME ZONE 'UTC'"
				}
				if tc.column == "c10" {
					value = "convert_from(bpcharsend(" + sql + "), 'UTF8')" // ::text would cut the padding
				}
				rows, err := conn.Query(t.Context(), fmt.Sprintf("SELECT coalesce((%s)::text, 'NULL') FROM app.people ORDER BY id", value))
				if err != nil {
					t.Errorf("%s of %s: %v\n%s", tc.mask, tc.column, err, sql)
					continue
				}
				got, err := pgx.CollectRows(rows, pgx.RowTo[string])
				want := tc.want
				for i := range want {
					want[i] = strings.TrimSuffix(want[i], "+00")
				}
				if err != nil || !slices.Equal(got, want[:]) {
					t.Errorf("%s of %s: %q, want %q (%v)\n%s", tc.mask, tc.column, got, want, err, sql)
				}
			}
		}
	})
}

// TestMaskMatrix: every mask on every type either is refused with masks that fit, or passes the server's check and keeps
// type, modifier and collation in a view; and every mask that a refusal names does fit.
func TestMaskMatrix(t *testing.T) {
	masks := []string{
		"keep", "hidden", "partial(1, 1)", "keep_last(4)", "partial_email", "email_domain_only", "hash", "pseudonym", "year", "month",
		"bucket(10)", "round(-1)", "ip_prefix(16)", "noise(5)", "noise(5%)", `null_if("value IS NULL")`,
		`expression("value")`, `expression("CASE WHEN value IS NULL THEN NULL ELSE value END")`,
	}
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		columns, conn, db := maskFixture(t, c)
		table := catalog.Name{Schema: "app", Name: "people"}
		var uses []MaskUse
		fitted := map[string][]string{}
		for _, col := range columns {
			for _, text := range masks {
				_, err := MaskSQL(mask(text), col, pgx.Identifier{col.Name}.Sanitize())
				var me *MaskError
				switch {
				case err == nil:
					uses = append(uses, MaskUse{Table: table, Column: col, Mask: mask(text)})
					fitted[col.Name] = append(fitted[col.Name], mask(text).Name)
				case !errors.As(err, &me) || len(me.Fits) == 0:
					t.Errorf("%s of %s: %v", text, col.Name, err)
				}
			}
			for _, usage := range MasksFor(col) {
				name, _, _ := strings.Cut(usage, "(")
				if name != policy.Constant && name != policy.Expression && !slices.Contains(fitted[col.Name], name) && name != policy.KeepLast && name != policy.Partial {
					t.Errorf("%s is said to fit column %s and does not", usage, col.Name)
				}
			}
		}
		problems, err := CheckMasks(t.Context(), conn, uses)
		if err != nil {
			t.Fatal(err)
		}
		bad := map[string]bool{}
		for _, p := range problems {
			bad[p.Use.Column.Name+" "+p.Use.Mask.String()] = true
			if p.Use.Column.Name != "pin" && p.Use.Column.Name != "born" { // domains with a CHECK, which only the server knows
				t.Errorf("%s: %s", p.Use.Column.Name, p.Message)
			}
		}
		if !bad["pin keep_last(4)"] && !bad["pin partial(1, 1)"] {
			t.Error("a mask that breaks its domain's CHECK was let through")
		}
		for _, p := range problems {
			for _, canary := range []string{"1234", "9999", "ann@"} {
				if strings.Contains(strings.SplitN(p.Message, "value ", 2)[0], canary) {
					t.Errorf("the message shows a value: %s", p.Message)
				}
			}
		}
		viewShapes(t, db, conn, columns, uses, bad)
	})
}

// viewShapes makes one view per mask and asks ENF-32's question of each.
func viewShapes(t *testing.T, db *pgtest.DB, conn *pgx.Conn, columns map[string]catalog.Column, uses []MaskUse, bad map[string]bool) {
	t.Helper()
	db.Exec(t, "CREATE SCHEMA postern AUTHORIZATION mask_admin; SET ROLE mask_admin; "+KeyTable+"; CREATE SCHEMA shapes")
	byMask := map[string]map[string]string{}
	for _, u := range uses {
		if bad[u.Column.Name+" "+u.Mask.String()] {
			continue
		}
		sql, err := MaskSQL(u.Mask, u.Column, pgx.Identifier{u.Column.Name}.Sanitize())
		if err != nil {
			t.Fatal(err)
		}
		if byMask[u.Mask.String()] == nil {
			byMask[u.Mask.String()] = map[string]string{}
		}
		byMask[u.Mask.String()][u.Column.Name] = sql
	}
	n := 0
	for name, list := range byMask {
		n++
		var items []string
		for column, sql := range list {
			items = append(items, sql+" AS "+pgx.Identifier{column}.Sanitize())
		}
		if _, err := conn.Exec(t.Context(), fmt.Sprintf("CREATE VIEW shapes.v%d AS SELECT %s FROM app.people", n, strings.Join(items, ", "))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	rows, err := conn.Query(t.Context(), `SELECT v.relname || '.' || b.attname || ': ' || format_type(a.atttypid, a.atttypmod) || ' for ' || format_type(b.atttypid, b.atttypmod)
		|| ' ' || a.attcollation || '/' || b.attcollation
		FROM pg_attribute a JOIN pg_class v ON v.oid = a.attrelid AND v.relnamespace = 'shapes'::regnamespace
		JOIN pg_attribute b ON b.attrelid = 'app.people'::regclass AND b.attname = a.attname
		WHERE (a.atttypid, a.atttypmod, a.attcollation) IS DISTINCT FROM (b.atttypid, b.atttypmod, b.attcollation)`)
	if err != nil {
		t.Fatal(err)
	}
	differ, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(differ) > 0 {
		t.Errorf("shapes differ: %v %q", err, differ)
	}
}

// TestMaskErrors: refusals name alternatives, and what only the server can know is found there.
func TestMaskErrors(t *testing.T) {
	c := pgtest.Default(t)
	columns, conn, _ := maskFixture(t, c)
	table := catalog.Name{Schema: "app", Name: "people"}
	for _, tc := range []struct{ column, mask, message string }{
		{"num", "partial_email", "it is for text; masks that fit: keep, hidden, constant("},
		{"pin", "hidden", "the domain does not allow NULL"},
		{"pin", "keep_last(1)", "it fails on"},
		{"v3", "keep_last(4)", "room for 7 characters"},
		{"v3", "hash", "different values would look the same"},
		{"v3", `constant("abcd")`, "has 4 characters"},
		{"tier", `constant("silver")`, "invalid input value for enum"},
		{"num", `constant("x")`, "invalid input syntax"},
		{"num", `constant("99999999999999")`, "numeric field overflow"},
		{"t", "year", "it is for dates and timestamps; masks that fit: keep, hidden, constant(\"…\"), keep_last(n)"},
		{"t", `expression("value::int")`, "it fails on a row of the table (SQLSTATE 22P02)"},
		{"t", `expression("nothere(value)")`, "nothere is not allowed"},
		{"d", `expression("value || 'x'")`, "it fails on a row"},
		{"i8", "hash", "it is for text, uuid and bytea"},
		{"ta", "hash", "it is for text, uuid and bytea"},
	} {
		problems, err := CheckMasks(t.Context(), conn, []MaskUse{{Table: table, Column: columns[tc.column], Mask: mask(tc.mask)}})
		if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, tc.message) || !strings.Contains(problems[0].Message, "masks that fit: keep") {
			t.Errorf("%s of %s: %+v %v, want %q", tc.mask, tc.column, problems, err, tc.message)
		}
	}
	if why, err := CheckFilter(t.Context(), conn, FilterUse{Table: table, SQL: "people.t"}); err != nil || !strings.Contains(why, "boolean") {
		t.Errorf("a filter of type text: %q, %v", why, err)
	}
	if why, err := CheckFilter(t.Context(), conn, FilterUse{Table: table, SQL: "people.id = 1"}); err != nil || why != "" {
		t.Errorf("a good filter: %q, %v", why, err)
	}
}
