package postgres

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// numberMasks says which values and masks each type is tried with.
var numberMasks = []struct {
	typ    string
	values []string
	masks  []string
}{
	{"smallint", []string{"0", "1", "-1", "32767", "-32768", "1234"}, []string{"bucket(1000)", "bucket(7)", "round(-2)", "round(-9)", "noise(500)", "noise(10%)"}},
	{"integer", []string{"0", "-7", "2147483647", "-2147483648", "99999"}, []string{"bucket(0.5)", "bucket(1000000)", "round(-3)", "noise(3)", "noise(0.1%)"}},
	{"bigint", []string{"9223372036854775807", "-9223372036854775808", "5"}, []string{"bucket(1000000000000)", "round(-15)", "noise(1000)", "noise(50%)"}},
	{
		"numeric(12,2)",
		[]string{"9999999999.99", "-9999999999.99", "0", "12.34", "-0.01", "NaN"},
		[]string{"bucket(100)", "bucket(0.25)", "round(0)", "round(1)", "round(-4)", "noise(5)", "noise(12.5%)"},
	},
	{"numeric(3,3)", []string{"0.999", "-0.999", "0"}, []string{"bucket(0.1)", "round(1)", "noise(0.5)"}},
	{"numeric", []string{"123456789012345678901234567890.1234567", "-0.000000001", "0", "1e40", "NaN", "3"}, []string{"bucket(0.07)", "bucket(1000)", "round(2)", "round(-5)", "noise(2.5)", "noise(1%)"}},
	{"double precision", []string{"0", "1.5", "-1.5", "1e300", "-1e-10", "NaN", "Infinity", "-Infinity", "123456.789", "0.1"}, []string{"bucket(10)", "bucket(0.25)", "round(0)", "round(2)", "noise(3)", "noise(5%)"}},
	{"real", []string{"0", "1.5", "-2.25", "3e38", "NaN", "Infinity", "12345.6"}, []string{"bucket(10)", "round(1)", "noise(3)", "noise(5%)"}},
	{"date", []string{"2024-02-29", "1999-12-31", "0001-01-01", "9999-12-31", "4714-11-24 BC", "infinity", "-infinity", "1969-07-20"}, []string{"noise(30)", "noise(36500)", "noise(0.5)"}},
	{"timestamp without time zone", []string{"2024-02-29 23:59:59.999999", "1969-07-20 20:17:40", "infinity", "294276-12-31 23:59:59", "1950-01-01 00:00:00.000001"}, []string{"noise(7)", "noise(0.001)", "noise(36500)"}},
	{"timestamp(3) without time zone", []string{"2024-02-29 23:59:59.999", "1969-07-20 20:17:40.5"}, []string{"noise(7)"}},
	{"timestamp with time zone", []string{"2024-02-29 23:59:59.999999+00", "-infinity", "1969-07-20 20:17:40+00"}, []string{"noise(1)"}},
	{"inet", []string{"10.1.2.3", "10.1.2.3/8", "0.0.0.0/0", "2001:db8:1:2:3:4:5:6", "::1", "2001:db8::/20"}, []string{"ip_prefix(24)", "ip_prefix(1)", "ip_prefix(32)"}},
	{"cidr", []string{"10.1.2.0/24", "10.0.0.0/8", "192.168.1.1", "2001:db8::/96"}, []string{"ip_prefix(16)"}},
}

// randomValue makes one more value of a type, as text.
func randomValue(r *rand.Rand, typ string) string {
	switch {
	case typ == "smallint":
		return fmt.Sprint(r.IntN(65536) - 32768)
	case typ == "integer", typ == "bigint":
		return fmt.Sprint(int32(r.Uint32()))
	case typ == "numeric(3,3)":
		return fmt.Sprintf("0.%03d", r.IntN(1000))
	case strings.HasPrefix(typ, "numeric"), typ == "double precision", typ == "real":
		return fmt.Sprintf("%d.%02d", r.IntN(2000000)-1000000, r.IntN(100))
	case typ == "date":
		return fmt.Sprintf("%04d-%02d-%02d", 1+r.IntN(9999), 1+r.IntN(12), 1+r.IntN(28))
	case strings.HasPrefix(typ, "timestamp"):
		text := fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d.%03d", 1900+r.IntN(200), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000))
		if strings.HasSuffix(typ, "with time zone") {
			text += "+00"
		}
		return text
	case typ == "cidr":
		return fmt.Sprintf("%d.%d.%d.0/24", r.IntN(256), r.IntN(256), r.IntN(256))
	}
	return fmt.Sprintf("%d.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256))
}

// TestMaskNumbers: bucket, round, noise and ip_prefix are what Go makes of the same values, on every type and at its ends; a value comes out
// the same however often it is asked for, and another column moves it otherwise (ENF-28, ENF-29).
func TestMaskNumbers(t *testing.T) {
	key := []byte("a key of the test's own")
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		c.Role(t, "number_owner", "NOLOGIN")
		db := c.NewDatabase(t)
		db.Exec(t, "CREATE SCHEMA app; CREATE SCHEMA postern; "+KeyTable)
		conn := db.Connect(t, pgtest.SuperUser)
		ipad, opad := PseudonymKeys(key)
		if _, err := conn.Exec(t.Context(), "INSERT INTO postern.key VALUES (1, $1, $2)", ipad, opad); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "SET DateStyle = 'ISO'; SET TimeZone = 'UTC'; SET search_path = pg_catalog"); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		compared := 0
		for n, set := range numberMasks {
			values := set.values
			for range 25 {
				values = append(values, randomValue(r, set.typ))
			}
			table := fmt.Sprintf("t%d", n)
			var rows []string
			for _, v := range values {
				rows = append(rows, "("+quoteLiteral(v)+"::"+set.typ+")")
			}
			db.Exec(t, "CREATE TABLE app."+table+" (v "+set.typ+"); INSERT INTO app."+table+" VALUES (NULL), "+strings.Join(rows, ", "))
			col := catalog.Column{Table: catalog.Name{Schema: "app", Name: table}, Name: "v", Type: set.typ, TypMod: -1}
			for _, text := range set.masks {
				sql, err := MaskSQL(mask(text), col, `"v"`)
				if err != nil {
					t.Errorf("%s of %s: %v", text, set.typ, err)
					continue
				}
				want := &expectedMask{form: plan.Form{Mask: mask(text)}, column: col, key: key}
				pairs := queryColumn(t, conn, "SELECT v::text || '|' || coalesce(("+sql+")::text, 'NULL') FROM app."+table+" WHERE v IS NOT NULL")
				for _, pair := range pairs {
					raw, got, _ := strings.Cut(pair, "|")
					wanted := "NULL"
					if w := want.shown(raw); w != nil {
						wanted = *w
					}
					if got != wanted {
						t.Errorf("%s of %s %s: the server says %s, Go says %s\n%s", text, set.typ, raw, got, wanted, sql)
					}
					compared++
				}
				if again := queryColumn(t, conn, "SELECT v::text || '|' || coalesce(("+sql+")::text, 'NULL') FROM app."+table+" WHERE v IS NOT NULL"); strings.Join(again, " ") != strings.Join(pairs, " ") {
					t.Errorf("%s of %s is not the same twice", text, set.typ)
				}
				if other := queryColumn(t, conn, "SELECT count(*)::text FROM app."+table+" WHERE v IS NULL AND ("+sql+") IS NOT NULL"); other[0] != "0" {
					t.Errorf("%s of %s shows a value for NULL", text, set.typ)
				}
			}
		}
		if compared < 1000 {
			t.Errorf("%d values compared", compared)
		}
	})
}

// TestNoiseSpreads: noise moves most values, by no more than its amount, up as well as down, and otherwise in another column.
func TestNoiseSpreads(t *testing.T) {
	col := catalog.Column{Table: catalog.Name{Schema: "app", Name: "pay"}, Name: "salary", Type: "integer", TypMod: -1}
	other := col
	other.Name = "bonus"
	var up, down, differ int
	for v := 10_000; v < 11_000; v++ {
		a := &expectedMask{form: plan.Form{Mask: mask("noise(10%)")}, column: col, key: []byte("k")}
		b := &expectedMask{form: a.form, column: other, key: a.key}
		var moved int
		if _, err := fmt.Sscan(*a.shown(fmt.Sprint(v)), &moved); err != nil {
			t.Fatal(err)
		}
		switch {
		case moved > v:
			up++
		case moved < v:
			down++
		}
		if d := moved - v; d > v/10+1 || -d > v/10+1 {
			t.Errorf("%d moved to %d", v, moved)
		}
		if *b.shown(fmt.Sprint(v)) != *a.shown(fmt.Sprint(v)) {
			differ++
		}
	}
	if up < 400 || down < 400 || differ < 950 {
		t.Errorf("%d up, %d down, %d differ between columns", up, down, differ)
	}
}

// TestNumberMaskFits: masks that take nothing away or do not fit are refused at plan time, with masks that do fit.
func TestNumberMaskFits(t *testing.T) {
	for _, x := range []struct{ typ, mask, why string }{
		{"integer", "round(0)", "nothing would be taken away"},
		{"numeric(12,2)", "round(2)", "nothing would be taken away"},
		{"numeric(12,2)", "round(1)", ""},
		{"numeric", "round(20)", ""},
		{"text", "bucket(10)", "it is for numbers"},
		{"money", "noise(5)", "it is for numbers, dates and timestamps"},
		{"date", "noise(10%)", "a number of days"},
		{"date", "noise(99999)", "a number of days"},
		{"date", "noise(30)", ""},
		{"text", "ip_prefix(24)", "it is for inet and cidr"},
		{"text", `null_if("value = ''")`, ""},
		{"integer", `null_if("nothere(value)")`, "nothere is not allowed"},
		{"integer", `null_if("now() > '2020-01-01'")`, "does not use the word value"},
	} {
		m, err := policy.ParseMask(x.mask)
		if err != nil {
			if !strings.Contains(err.Error(), "whole number") {
				t.Errorf("%s: %v", x.mask, err)
			}
			continue
		}
		_, err = MaskSQL(m, catalog.Column{Name: "v", Type: x.typ, TypMod: -1}, `"v"`)
		if x.why == "" && err != nil || x.why != "" && (err == nil || !strings.Contains(err.Error(), x.why)) {
			t.Errorf("%s of %s: %v, want %q", x.mask, x.typ, err, x.why)
		}
	}
	col := catalog.Column{Name: "v", Type: "app.positive", BaseType: "double precision", TypeKind: 'd', DomainNotNull: true}
	if _, err := MaskSQL(mask("bucket(5)"), col, `"v"`); err == nil {
		t.Error("a bucket that may be NULL fits a domain that is not")
	}
}
