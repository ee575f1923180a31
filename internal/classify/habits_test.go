package classify

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

// How systems store things: each with what must be found, and the same thing where it must not.
func TestHabitsOfStoring(t *testing.T) {
	c := newClassifier(t)
	hexed := series(40, func(i int) string { return fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i)})) })
	for _, x := range []struct {
		name, column, typ string
		values            []string
		rows              int
		want              Class
		state             State
	}{
		{"bands of age", "age_band", "text", []string{"18-25", "26-35", "36-50", "51+"}, 400, "person.age", StatePlain},
		{"an ethnic category", "ethnic_category", "text", []string{"white", "black", "asian", "mixed"}, 400, "special.ethnicity", StatePlain},
		{"a party that no list has", "partido_politico", "text", []string{"Liga do Vale", "Frente Azul", "Nova Via"}, 400, "special.political", StatePlain},
		{"a counter is nobody's number", "kundennummer", "bigint", series(120, func(i int) string { return fmt.Sprint(i + 1) }), 120, "", StatePlain},
		{"a number of customers", "kundennummer", "bigint", series(120, func(i int) string { return fmt.Sprint(70310000 + i*7919) }), 120, "fin.customer_id", StatePlain},
		{"prose is no address", "c4", "text", series(60, func(i int) string { return fmt.Sprintf("suite à la demande %d la place reste libre en ville", i) }), 60, "", StatePlain},
		{"encrypted by the application", "ssn_encrypted", "text", hexed, 40, "id.us_ssn", StateEncrypted},
		{"elements inside text", "payload", "text", series(40, func(i int) string { return fmt.Sprintf("<m><email>p%d@box.example</email><n>%d</n></m>", i, i) }), 40, "json.pii", StatePlain},
		{"markup without data", "payload", "text", series(40, func(i int) string { return fmt.Sprintf("<m><size>%d</size></m>", i) }), 40, "", StatePlain},
		{"fields between semicolons", "line", "text", series(40, func(i int) string { return fmt.Sprintf("item;%d;p%d@box.example;shipped;colour red;ok", i, i) }), 40, "text.pii", StatePlain},
		{"a certificate's thumb", "thumbprint", "text", series(40, func(i int) string { return fmt.Sprintf("%040x", uint64(i+3)*0x9e3779b97f4a7c15) }), 40, "", StatePlain},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := c.One(&Column{Name: x.column, Type: x.typ}, Values{Texts: x.values, Rows: x.rows, Distinct: float64(len(x.values))})
			if f.Class != x.want || f.State != x.state {
				t.Errorf("got %q %s", f.Class, f.State)
				for _, s := range f.Sums[:min(2, len(f.Sums))] {
					t.Log(s.Class, s.Total)
					for _, e := range s.Terms {
						t.Log("   ", e.Weight, e.Source, e.What)
					}
				}
			}
		})
	}
}
