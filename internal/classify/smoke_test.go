package classify

import (
	"fmt"
	"testing"
)

func TestSmoke(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	vals := func(s ...string) Values { return Values{Texts: s, Rows: len(s)} }
	tab := Table{Schema: "public", Name: "customers", Rows: 1000}
	add := func(col Column, v Values) {
		tab.Columns = append(tab.Columns, MeasuredColumn{col, c.Measure(&col, v)})
	}
	add(Column{Name: "id", Type: "bigint", Primary: true, Surrogate: true}, vals("1", "2", "3", "4"))
	add(Column{Name: "email", Type: "text"}, vals("anna.k@foo.de", "bob@bar.com", "x.y@z.org", "q@w.fr"))
	add(Column{Name: "vorname", Type: "text"}, vals("Anna", "Peter", "Hans", "Xyloph"))
	add(Column{Name: "nachname", Type: "text"}, vals("Müller", "Schmidt", "Brandt", "Xyz"))
	add(Column{Name: "geburtsdatum", Type: "date"}, vals("1980-01-02", "1955-03-04", "1999-12-12"))
	add(Column{Name: "col7", Type: "text"}, vals("4539578763621486", "4916338506082832", "4024007198964305", "4485275742308327"))
	add(Column{Name: "password_hash", Type: "text"}, vals("$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW"))
	add(Column{Name: "notes", Type: "text"}, vals("Please call the customer back tomorrow at +49 30 1234567 because of the order", "All good here, nothing to see and nothing to do at all"))
	add(Column{Name: "prefs", Type: "jsonb"}, vals(`{"email":"a@b.de","theme":"dark"}`, `{"email":"c@b.de","theme":"light"}`))
	add(Column{Name: "is_active", Type: "boolean"}, vals("t", "f"))
	add(Column{Name: "email_verified", Type: "boolean"}, vals("t", "f"))
	for i, f := range c.Judge([]Table{tab}, Options{})[0] {
		fmt.Println(tab.Columns[i].Name, f.Class, f.Confidence, f.Mask, f.Alternatives)
		if len(f.Sums) > 0 && testing.Verbose() {
			for _, e := range f.Sums[0].Terms {
				fmt.Println("    ", f.Sums[0].Class, e.Source, e.What, e.Weight, e.Tested, e.Matched, e.Shape)
			}
		}
	}
}
