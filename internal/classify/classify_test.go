package classify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func newClassifier(t testing.TB, customs ...Custom) *Classifier {
	t.Helper()
	c, err := New(customs...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// field is one column of a table under test.
type field struct {
	name, typ string
	values    []string
}

// judgeTable runs one table through both steps.
func judgeTable(c *Classifier, table string, fields ...field) map[string]Finding {
	tab := Table{Schema: "public", Name: table, Rows: 1000}
	for _, f := range fields {
		col := Column{Name: f.name, Type: f.typ}
		tab.Columns = append(tab.Columns, MeasuredColumn{col, c.Measure(&col, Values{Texts: f.values, Rows: 1000, Distinct: float64(len(f.values))})})
	}
	out := map[string]Finding{}
	for i, f := range c.Judge([]Table{tab}, Options{})[0] {
		out[fields[i].name] = f
	}
	return out
}

func TestTaxonomyIsWhole(t *testing.T) {
	c := newClassifier(t)
	if n := len(c.Classes()); n != 137 {
		t.Fatalf("%d classes, want 137", n)
	}
	groups := map[string]int{}
	for _, k := range c.Classes() {
		groups[k.Class.Group()]++
		if len(k.Tags) == 0 || k.Mask == "" {
			t.Errorf("%s has no tags or mask", k.Class)
		}
	}
	want := map[string]int{"person": 12, "hr": 1, "contact": 8, "fin": 20, "health": 16, "id": 40, "secret": 15, "net": 8, "loc": 3, "bio": 4, "special": 8, "text": 1, "json": 1}
	for g, n := range want {
		if groups[g] != n {
			t.Errorf("group %s has %d classes, want %d", g, groups[g], n)
		}
	}
}

func TestEveryClassHasWordsAndEveryWordAClass(t *testing.T) {
	c := newClassifier(t)
	named := map[Class]bool{}
	for phrase, entries := range c.lex.phrases {
		for _, e := range entries {
			named[e.class] = true
			if c.byClass[e.class] == nil && e.class != noteClass && e.class != noneClass && e.class != "secret.password" {
				t.Errorf("phrase %q speaks for unknown class %s", phrase, e.class)
			}
		}
	}
	for _, k := range c.kinds {
		if !named[k.class] && !isPassword(k.class) && k.class != "text.pii" && k.class != "json.pii" {
			t.Errorf("no word for %s", k.class)
		}
	}
}

func TestNamesInManyLanguagesAndStyles(t *testing.T) {
	c := newClassifier(t)
	for name, want := range map[string]Class{
		"birthDate": "person.birth_date", "geburtsdatum": "person.birth_date", "fecha_nacimiento": "person.birth_date", "DataDiNascita": "person.birth_date",
		"dogum_tarihi": "person.birth_date", "doğum_tarihi": "person.birth_date", "дата_рождения": "person.birth_date", "cust_email_addr": "contact.email", "telefoonnummer": "contact.phone",
		"txt_vorname": "person.first_name", "addrLine1": "contact.street_address", "kundenemailadresse": "contact.email", "Straße": "contact.street_address", "strasse": "contact.street_address",
		"phoneNo": "contact.phone", "numero_de_telefono_del_padre": "contact.phone", "security_code": "fin.card_cvv", "lname": "person.last_name", "PostalCode": "contact.postal_code",
		"身份证号": "id.cn_rid", "主民": "", "adres_email": "contact.email", "credit_card_number": "fin.card_number", "nr_telefonu": "contact.phone", "passnummer": "id.passport",
		"compass": "", "passenger_id": "", "bypass": "", "first": "", "steuer-id": "id.de_tax_id", "guarantor_phone": "contact.phone", "codice_fiscale": "id.it_codice_fiscale",
	} {
		r := c.lex.readName(name, nil)
		if r.strong != want {
			t.Errorf("%s reads as %q, want %q (%v)", name, r.strong, want, r.classes)
		}
	}
}

func TestNegativeWordsDescribeTheThingAboutTheDatum(t *testing.T) {
	c := newClassifier(t)
	for _, stem := range []string{"email", "password", "phone_number", "card_number", "passport_number", "birth_date"} {
		for _, neg := range strings.Fields("verified confirmed count attempts enabled required type format pattern status version policy source provider placeholder length valid bounced changed_at updated_at template") {
			name := stem + "_" + neg
			if r := c.lex.readName(name, nil); r.strong != "" {
				t.Errorf("%s still reads as %s", name, r.strong)
			}
		}
	}
	for _, name := range []string{"is_email", "has_phone", "company_name", "file_password_sha", "image_checksum", "token_count", "key_id", "ip_version", "state_machine", "race_condition", "session_duration", "memory_address"} {
		if r := c.lex.readName(name, nil); r.strong != "" {
			t.Errorf("%s reads as %s", name, r.strong)
		}
	}
}

// No type that leaves the package may have a field that could hold a value of the data.
func TestFindingsCannotHoldValues(t *testing.T) {
	allowed := map[string]bool{"Class": true, "Tag": true, "Mask": true, "Ident": true, "Shape": true}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, path string) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.String:
			if !allowed[typ.Name()] {
				t.Errorf("%s is a %s, which can hold a value", path, typ)
			}
		case reflect.Interface, reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128:
			t.Errorf("%s is a %s", path, typ)
		case reflect.Slice, reflect.Array, reflect.Pointer:
			walk(typ.Elem(), path+"[]")
			if typ.Elem().Kind() == reflect.Uint8 && typ.Elem().PkgPath() == "" {
				t.Errorf("%s is bytes", path)
			}
		case reflect.Map:
			walk(typ.Key(), path+"{}")
			walk(typ.Elem(), path+"{}")
		case reflect.Struct:
			if typ.Name() == "Shape" {
				return
			}
			for i := range typ.NumField() {
				walk(typ.Field(i).Type, path+"."+typ.Field(i).Name)
			}
		}
	}
	walk(reflect.TypeOf(Finding{}), "Finding")
	if len(seen) < 10 {
		t.Error("the walk saw too little")
	}
}

func TestShapesHoldNoLettersOfTheValue(t *testing.T) {
	for v, want := range map[string]string{"Ab3-x": "Aad-a", "12345678901": "d+", "Zoë": "Aax", "a@b.de": "a@a.aa", "": ""} {
		if got := shapeOf(v).String(); got != want {
			t.Errorf("shape of %q is %q, want %q", v, got, want)
		}
	}
}

func series(n int, f func(i int) string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

// valid makes n numbers of a pattern that a check accepts, or refuses.
func valid(n int, want bool, ok func(string) bool, draw func(i int) string) []string {
	var out []string
	for i := 0; len(out) < n; i++ {
		if s := draw(i); ok(s) == want {
			out = append(out, s)
		}
	}
	return out
}

func TestAFailedChecksumOutvotesTheName(t *testing.T) {
	c := newClassifier(t)
	luhn := func(s string) bool { return luhnOK(s) }
	good := valid(60, true, luhn, func(i int) string { return fmt.Sprintf("4539%012d", i*7919+13) })
	bad := valid(60, false, luhn, func(i int) string { return fmt.Sprintf("4539%012d", i*7919+13) })
	if f := judgeTable(c, "t", field{"card_number", "text", good})["card_number"]; f.Class != "fin.card_number" {
		t.Errorf("valid numbers are %q", f.Class)
	}
	if f := judgeTable(c, "t", field{"x", "text", good})["x"]; f.Class != "fin.card_number" {
		t.Errorf("valid numbers without a name are %q", f.Class)
	}
	if f := judgeTable(c, "t", field{"card_number", "text", bad})["card_number"]; f.Class != "" {
		t.Errorf("numbers that all fail are %q", f.Class)
	}
	masked := series(60, func(i int) string { return fmt.Sprintf("****-****-****-%04d", i) })
	if f := judgeTable(c, "t", field{"card_number", "text", masked})["card_number"]; f.Class != "fin.card_number" || f.State != StateMasked {
		t.Errorf("masked numbers are %q, %s", f.Class, f.State)
	}
}

func luhnOK(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			d = d*2/10 + d*2%10
		}
		sum += d
	}
	return sum%10 == 0
}

func TestTokenisedKeepsTheClassWithACap(t *testing.T) {
	c := newClassifier(t)
	draws := series(200, func(i int) string { return fmt.Sprintf("4%015d", (i*2654435761+12345)%1000000000000000) })
	tab := Table{Schema: "public", Name: "cards", Rows: 200}
	col := Column{Name: "card_number", Type: "text", Unique: true}
	tab.Columns = append(tab.Columns, MeasuredColumn{col, c.Measure(&col, Values{Texts: draws, Rows: 200, Distinct: 200})})
	f := c.Judge([]Table{tab}, Options{})[0][0]
	if f.Class != "fin.card_number" || f.State != StateTokenised || f.Confidence > model.tokenisedCap {
		t.Errorf("%q %s %.2f", f.Class, f.State, f.Confidence)
	}
}

func TestCollisions(t *testing.T) {
	c := newClassifier(t)
	for _, tc := range []struct {
		what string
		f    field
		want Class
	}{
		{"versions", field{"v", "text", series(50, func(i int) string { return fmt.Sprintf("%d.%d.%d.%d", 1+i%9, i%20, i, i*3) })}, ""},
		{"addresses", field{"v", "text", series(50, func(i int) string { return fmt.Sprintf("%d.%d.%d.%d", 20+i*4, i, i*2, i*3) })}, "net.ip"},
		{"named version", field{"firmware_version", "text", series(50, func(i int) string { return fmt.Sprintf("%d.%d.%d.%d", 20+i*4, i, i*2, i*3) })}, ""},
		{"epochs", field{"phone", "bigint", series(50, func(i int) string { return fmt.Sprint(1650000000 + i*99991) })}, ""},
		{"isbn", field{"code", "text", series(50, func(i int) string { return fmt.Sprintf("978%010d", i*991) })}, ""},
		{"dashes of no ssn", field{"part", "text", series(50, func(i int) string { return fmt.Sprintf("9%02d-%02d-%04d", i, 10+i%30, i) })}, ""},
		{"order numbers", field{"order_number", "text", series(50, func(i int) string { return fmt.Sprintf("%09d", 123000000+i*7) })}, ""},
		{"file checksums", field{"sha256", "text", series(50, func(i int) string { return strings.Repeat(fmt.Sprintf("%08x", i*2654435761), 8)[:64] })}, ""},
		{"uuid key", field{"request_id", "uuid", series(50, func(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i) })}, ""},
		{"advertising", field{"idfa", "uuid", series(50, func(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i) })}, "net.advertising_id"},
		{"boolean", field{"password", "boolean", []string{"t", "f"}}, ""},
		{"boolean of special", field{"is_disabled_person", "boolean", []string{"t", "f"}}, "health.disability"},
		{"union", field{"union_member", "boolean", []string{"t", "f"}}, "special.trade_union"},
	} {
		if f := judgeTable(c, "things_x", tc.f)[tc.f.name]; f.Class != tc.want {
			t.Errorf("%s: %q, want %q", tc.what, f.Class, tc.want)
		}
	}
}

func TestPasswordStorage(t *testing.T) {
	c := newClassifier(t)
	for _, tc := range []struct {
		name  string
		value func(i int) string
		want  Class
		note  Note
	}{
		{"bcrypt", func(i int) string { return fmt.Sprintf("$2b$12$%053d", i) }, "secret.password_hash", NotePasswordStrong},
		{"bcrypt low", func(i int) string { return fmt.Sprintf("$2a$08$%053d", i) }, "secret.password_hash", NotePasswordParameters},
		{"bcrypt broken", func(i int) string { return fmt.Sprintf("$2x$12$%053d", i) }, "secret.password_weak_hash", NotePasswordWeak},
		{"argon2id", func(i int) string { return fmt.Sprintf("$argon2id$v=19$m=65536,t=3,p=4$%022d$%043d", i, i) }, "secret.password_hash", NotePasswordStrong},
		{"django", func(i int) string { return fmt.Sprintf("pbkdf2_sha256$260000$salt%d$%044d", i, i) }, "secret.password_hash", NotePasswordParameters},
		{"scram", func(i int) string { return fmt.Sprintf("SCRAM-SHA-256$4096:salt%d==$key:key", i) }, "secret.password_hash", NotePasswordParameters},
		{"sha512crypt", func(i int) string { return fmt.Sprintf("$6$salt$%086d", i) }, "secret.password_hash", NotePasswordMedium},
		{"md5crypt", func(i int) string { return fmt.Sprintf("$1$salt$%022d", i) }, "secret.password_weak_hash", NotePasswordWeak},
		{"ssha", func(i int) string { return fmt.Sprintf("{SSHA}%032d", i) }, "secret.password_weak_hash", NotePasswordWeak},
		{"md5", func(i int) string { return fmt.Sprintf("%032x", i*2654435761) }, "secret.password_weak_hash", NotePasswordUnsalted},
		{"mysql", func(i int) string { return "*" + strings.ToUpper(fmt.Sprintf("%040x", i*2654435761)) }, "secret.password_weak_hash", NotePasswordUnsalted},
		{"plain", func(i int) string { return []string{"hunter", "Sommer", "blue!", "qq"}[i%4] + fmt.Sprint(i) }, "secret.password_plain", NotePasswordPlain},
		{"fernet", func(i int) string { return "gAAAAAB" + fmt.Sprintf("%0120d", i) }, "secret.password_plain", NotePasswordReversible},
		{"armor", func(i int) string { return fmt.Sprintf("-----BEGIN PGP MESSAGE-----\n%d", i) }, "secret.password_plain", NotePasswordReversible},
	} {
		f := judgeTable(c, "accounts", field{"password", "text", series(40, tc.value)})["password"]
		if f.Class != tc.want || f.Note != tc.note {
			t.Errorf("%s: %q %q, want %q %q", tc.name, f.Class, f.Note, tc.want, tc.note)
		}
	}
	digests := series(20, func(i int) string { return fmt.Sprintf("%032x", i*2654435761) })
	if f := judgeTable(c, "files", field{"md5", "text", digests})["md5"]; f.Class != "" {
		t.Errorf("digests of files are %q", f.Class)
	}
	digests[3] = "5f4dcc3b5aa765d61d8327deb882cf99" // MD5 of the commonest password
	if f := judgeTable(c, "t", field{"h", "text", digests})["h"]; f.Class != "secret.password_weak_hash" {
		t.Errorf("a proven digest is %q", f.Class)
	}
}

func TestNestedValues(t *testing.T) {
	c := newClassifier(t)
	docs := series(30, func(i int) string {
		return fmt.Sprintf(`{"user": {"email": "u%d@haus.de", "tags": ["a", "b"]}, "n": %d, "phone": {"number": "+49 30 12345%02d"}, "u%d@haus.de": true}`, i, i, i, i)
	})
	f := judgeTable(c, "t", field{"doc", "jsonb", docs})["doc"]
	if f.Class != "json.pii" {
		t.Fatalf("jsonb is %q", f.Class)
	}
	paths := map[string]Class{}
	for i, p := range pathsOf(&f) {
		paths[p] = f.Paths[i].Class
	}
	if paths["user.email"] != "contact.email" || paths["phone.number"] != "contact.phone" {
		t.Errorf("paths %v", paths)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("haus")) {
		t.Error("a key that is an address got out")
	}
	for what, tc := range map[string]struct {
		f    field
		want Class
	}{
		"hstore": {field{"h", "hstore", series(20, func(i int) string { return fmt.Sprintf(`"email"=>"q%d@haus.de", "x"=>NULL`, i) })}, "json.pii"},
		"xml":    {field{"h", "xml", series(20, func(i int) string { return fmt.Sprintf(`<c><email>q%d@haus.de</email></c>`, i) })}, "json.pii"},
		"array":  {field{"h", "text[]", series(20, func(i int) string { return fmt.Sprintf(`{q%d@haus.de,"r%d@haus.de",NULL}`, i, i) })}, "contact.email"},
		"text":   {field{"h", "text", series(20, func(i int) string { return fmt.Sprintf(`{"email": "q%d@haus.de"}`, i) })}, "json.pii"},
		"range":  {field{"h", "int4range", []string{"[1,5)", "[7,9)"}}, ""},
		"bytea":  {field{"photo", "bytea", []string{`\xffd8ffe000104a46`, `\x89504e470d0a1a0a`}}, "person.photo"},
		"readable bytea": {field{"h", "bytea", series(20, func(i int) string {
			return fmt.Sprintf(`\x%x`, fmt.Sprintf("q%d@haus.de", i))
		})}, "contact.email"},
		"base64": {field{"h", "text", []string{"YW5uYUBoYXVzLmRl", "cGV0ZXJAaGF1cy5kZTE=", "aGFuc0BoYXVzLmRlMTI="}}, ""},
	} {
		if got := judgeTable(c, "t", tc.f)[tc.f.name]; got.Class != tc.want {
			t.Errorf("%s: %q, want %q", what, got.Class, tc.want)
		}
	}
}

// TestEmbeddedAddresses finds addresses in lists and records that are written without blanks, and none in what only looks like one.
func TestEmbeddedAddresses(t *testing.T) {
	c := newClassifier(t)
	for text, want := range map[string]bool{
		"cc anna@haus.de,bert@haus.de":                                 true,
		`sent {"to":"anna@haus.de","ok":true} twice`:                   true,
		"the row (17,'anna@haus.de') was left":                         true,
		`a long one [` + strings.Repeat("1,", 400) + `"anna@haus.de"]`: true,
		"clone git@code.haus.de:shop/app.git,then build":               false,
		`@media(max-width:40em){.a@b{color:red}}`:                      false,
		"see https://anna@haus.de/a,b":                                 false,
		"ratio(3@4,5@6)":                                               false,
	} {
		found := map[Class]bool{}
		scanTokens(c, text, found)
		if found["contact.email"] != want {
			t.Errorf("%s: %v", text, found)
		}
	}
}

// A document that is longer than what is read of a value counts as far as it was read.
func TestCutDocuments(t *testing.T) {
	c := newClassifier(t)
	long := series(30, func(i int) string {
		return fmt.Sprintf(`{"email": "q%d@haus.de", "lines": [{"n": 1}, {"n": 2}], "text": "%s"}`, i, strings.Repeat("x ", valueLimit))
	})
	behind := series(30, func(i int) string {
		return fmt.Sprintf(`{"lines": ["%s"], "email": "q%d@haus.de"}`, strings.Repeat("x ", valueLimit), i)
	})
	f := judgeTable(c, "t", field{"doc", "jsonb", long})["doc"]
	if f.Class != "json.pii" || pathsOf(&f)[0] != "email" {
		t.Errorf("a long document is %q with paths %v", f.Class, pathsOf(&f))
	}
	if f := judgeTable(c, "t", field{"doc", "text", long})["doc"]; f.Class != "json.pii" {
		t.Errorf("a long document that is kept as text is %q", f.Class)
	}
	prose := series(30, func(i int) string {
		return fmt.Sprintf("[%d] %s", i+100000, strings.Repeat("so it goes: ", valueLimit))
	})
	if f := judgeTable(c, "t", field{"doc", "text", prose})["doc"]; f.Class != "" || len(f.Paths) > 0 {
		t.Errorf("long prose that begins with a bracket is %q", f.Class)
	}
	if f := judgeTable(c, "t", field{"doc", "jsonb", behind})["doc"]; f.Class != "" {
		t.Errorf("what stands behind the cut was found: %q", f.Class)
	}
	deep := strings.Repeat(`{"a":`, depthLimit+1) + "1" + strings.Repeat("}", depthLimit+1)
	for text, partial := range map[string]bool{behind[0]: true, deep: true, strings.Repeat("x ", valueLimit): true, deep[5 : len(deep)-1]: false, "short": false} {
		typ := "text"
		if text[0] == '{' {
			typ = "jsonb"
		}
		p := c.Measure(&Column{Name: "doc", Type: typ}, Values{Texts: []string{text}, Rows: 1})
		kept, err := EncodeProfiles([]*Profile{p})
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeProfiles(kept)
		if err != nil || p.Partial() != partial || again[0].Partial() != partial {
			t.Errorf("%.40s of %d bytes is read in part: %v, %v", text, len(text), p.Partial(), err)
		}
	}
	for cut, want := range map[string]string{
		``:                                  ``,
		`{"a": 1`:                           `{}`,
		`{"a": 1, "b`:                       `{"a": 1}`,
		`{"a": {"b": [1, 2`:                 `{"a": {"b": [1]}}`,
		`{"a": "x", "b": "tex`:              `{"a": "x", "b": "tex"}`,
		`["one", "tw`:                       `["one", "tw"]`,
		`[{"a": "\`:                         `[{"a": ""}]`,
		`[{"a": "x\u00e`:                    `[{"a": "x"}]`,
		`[{"a": "say \"hi`:                  `[{"a": "say \"hi"}]`,
		`{"a": "{[,:", "b": [true], "c": t`: `{"a": "{[,:", "b": [true]}`,
	} {
		if got := closedJSON(cut); got != want || want != "" && !json.Valid([]byte(got)) {
			t.Errorf("%s is closed as %s, want %s", cut, got, want)
		}
	}
}

// Keys are data where a map is kept by person or by place, however many rows repeat them. None of the canaries has a digit: those are
// hidden for other reasons.
func TestKeysOfMapsDoNotGetOut(t *testing.T) {
	c := newClassifier(t)
	mail := func(i int) string { return fmt.Sprintf("p%d@haus.de", i) }
	canaries := []string{"Haberkorn", "Quellmalz", "haberkorn", "quellmalz", "Schmidt", "schmidt", "Carroll", "Goldstein", "Bankston", "Katarzyna", "Heidelberg", "Anna", "anna"}
	for what, tc := range map[string]struct {
		typ string
		doc func(i int) string
	}{
		"objects": {"jsonb", func(i int) string {
			return fmt.Sprintf(`{"Haberkorn": {"email": %q}, "Quellmalz": {"email": %q}}`, mail(i), mail(i+50))
		}},
		"optional leaves": {"jsonb", func(i int) string {
			return fmt.Sprintf(`{"Haberkorn": {"email": %q, "phone": "+49 30 12345%02d"}, "Quellmalz": {"email": %q}}`, mail(i), i, mail(i+50))
		}},
		"inside a list": {"jsonb", func(i int) string {
			return fmt.Sprintf(`{"team": [{"Haberkorn": %q}, {"Quellmalz": %q}]}`, mail(i), mail(i+50))
		}},
		"two words": {"jsonb", func(i int) string {
			return fmt.Sprintf(`{"haberkorn_email": %q, "quellmalz_email": %q}`, mail(i), mail(i+50))
		}},
		"one surname":          {"jsonb", func(i int) string { return fmt.Sprintf(`{"schmidt": {"email": %q}}`, mail(i)) }},
		"a name made of words": {"jsonb", func(i int) string { return fmt.Sprintf(`{"Carroll": {"email": %q}}`, mail(i)) }},
		"names made of words": {"jsonb", func(i int) string {
			return fmt.Sprintf(`{"Goldstein": {"email": %q}, "Bankston": {"email": %q}}`, mail(i), mail(i+50))
		}},
		"a given name": {"jsonb", func(i int) string { return fmt.Sprintf(`{"Katarzyna": {"email": %q}}`, mail(i)) }},
		"a place":      {"jsonb", func(i int) string { return fmt.Sprintf(`{"Heidelberg": {"email": %q}}`, mail(i)) }},
		"names and others": {"jsonb", func(i int) string {
			return fmt.Sprintf(`{"Anna": {"email": %q}, "Haberkorn": {"email": %q}}`, mail(i), mail(i+50))
		}},
		"hstore": {"hstore", func(i int) string { return fmt.Sprintf(`"Haberkorn"=>%q, "Quellmalz"=>%q`, mail(i), mail(i+50)) }},
		"xml": {"xml", func(i int) string {
			return fmt.Sprintf(`<c><Haberkorn>%s</Haberkorn><Quellmalz>%s</Quellmalz></c>`, mail(i), mail(i+50))
		}},
	} {
		col := Column{Name: "doc", Type: tc.typ}
		p := c.Measure(&col, Values{Texts: series(30, tc.doc), Rows: 30})
		kept, err := EncodeProfiles([]*Profile{p})
		if err != nil {
			t.Fatal(err)
		}
		f := c.Judge([]Table{{Name: "t", Columns: []MeasuredColumn{{col, p}}}}, Options{})[0][0]
		if f.Class != "json.pii" {
			t.Errorf("%s: %q, so that nothing is shown at all", what, f.Class)
		}
		if out := fmt.Sprintf("%s %+v", kept, f); slices.ContainsFunc(canaries, func(k string) bool { return strings.Contains(out, k) }) {
			t.Errorf("%s: a key that is data got out: %v", what, pathsOf(&f))
		}
	}
}

// What a program calls its own fields is shown, also where no list knows it.
func TestKeysOfProgramsAreShown(t *testing.T) {
	c := newClassifier(t)
	docs := series(30, func(i int) string {
		return fmt.Sprintf(`{"zorpmail": "p%d@haus.de", "blatz": {"email": "q%d@haus.de"}, "quux": %d, "billing": {"email": "r%d@haus.de"}, "shipping": {"email": "s%d@haus.de"}}`, i, i, i, i, i)
	})
	f := judgeTable(c, "t", field{"doc", "jsonb", docs})["doc"]
	if got := pathsOf(&f); !slices.Equal(got, []string{"billing.email", "blatz.email", "shipping.email", "zorpmail"}) {
		t.Errorf("paths %v", got)
	}
	// A map does not take the other fields of its rows along, nor does what is hidden drown an address among remarks.
	docs = series(30, func(i int) string {
		return fmt.Sprintf(`{"email": "p%d@haus.de", "blatz": "nothing to say", "zorp": "nor here", "quux": "q%d@haus.de"}`, i, i)
	})
	f = judgeTable(c, "t", field{"doc", "jsonb", docs})["doc"]
	if got := pathsOf(&f); !slices.Equal(got, []string{"*", "email"}) {
		t.Errorf("paths %v", got)
	}
}

func pathsOf(f *Finding) []string {
	var out []string
	for _, p := range f.Paths {
		var s []string
		for _, i := range p.Path {
			s = append(s, string(i))
		}
		out = append(out, strings.Join(s, "."))
	}
	return out
}

func TestEmptyAndOddColumns(t *testing.T) {
	c := newClassifier(t)
	out := judgeTable(c, "customers",
		field{"email", "text", nil}, field{"ssn", "text", []string{"", " "}}, field{"dob", "date", nil}, field{"a", "tsvector", []string{"'a':1"}}, field{"b", "public.strange", []string{"?"}}, field{"", "", nil})
	if out["email"].Class != "contact.email" || out["email"].State != StateEmpty {
		t.Errorf("an empty column with a name is %q %s", out["email"].Class, out["email"].State)
	}
	if out["a"].Class != "" || out["b"].Class != "" {
		t.Error("odd types are classified")
	}
}

func TestABoxIsNoPlaceByItsType(t *testing.T) {
	c := newClassifier(t)
	boxes := series(30, func(i int) string { return fmt.Sprintf("(%d.5,%d.5),(%d,%d)", i+3, i+4, i+1, i+2) })
	points := series(30, func(i int) string { return fmt.Sprintf("(13.4%d,52.5%d)", i, i) })
	for _, tc := range []struct {
		f    field
		want Class
	}{{field{"extent", "box", boxes}, ""}, {field{"extent", "box[]", boxes}, ""}, {field{"geo_location", "box", boxes}, "loc.geo"}, {field{"extent", "point", points}, "loc.geo"}} {
		got := judgeTable(c, "t", tc.f)[tc.f.name]
		if got.Class != tc.want {
			t.Errorf("%s %s: %q, want %q", tc.f.name, tc.f.typ, got.Class, tc.want)
		}
		if tc.f.typ != "point" && slices.ContainsFunc(got.Evidence, func(e Evidence) bool { return e.What == ValueStrongShape }) {
			t.Errorf("%s %s has an unmistakable shape", tc.f.name, tc.f.typ)
		}
	}
}

// An empty column of passwords says nothing about how they are kept, and must not read as if they were hashed.
func TestNothingIsKnownOfEmptyPasswords(t *testing.T) {
	c := newClassifier(t)
	strong := series(20, func(i int) string { return fmt.Sprintf("$2b$12$%053d", i) })
	for what, tc := range map[string]struct {
		values []string
		want   Note
	}{"empty": {nil, NotePasswordUnknown}, "hashed": {strong, NotePasswordStrong}} {
		f := judgeTable(c, "users", field{"pw", "text", tc.values}, field{"email", "text", nil})["pw"]
		if f.Class != "secret.password_hash" || f.Note != tc.want || f.Severity != SeverityInfo {
			t.Errorf("%s: %q, %s: %s", what, f.Class, f.Severity, f.Note)
		}
	}
	if !strings.Contains(NotePasswordUnknown.String(), "may be plain text") {
		t.Errorf("the note reads %q", NotePasswordUnknown)
	}
}

func TestProfilesSurviveACheckpoint(t *testing.T) {
	c := newClassifier(t)
	col := Column{Name: "doc", Type: "jsonb"}
	p := c.Measure(&col, Values{Texts: series(30, func(i int) string { return fmt.Sprintf(`{"email": "x%d@haus.de", "n": 739184650%d}`, i, i) }), Rows: 30})
	raw, err := EncodeProfiles([]*Profile{p, nil})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("haus")) || bytes.Contains(raw, []byte("739184650")) {
		t.Errorf("a value stands in the checkpoint: %s", raw)
	}
	list, err := DecodeProfiles(raw)
	if err != nil || len(list) != 2 || list[1] != nil {
		t.Fatalf("decode: %v", err)
	}
	tab := func(p *Profile) []Table { return []Table{{Name: "t", Columns: []MeasuredColumn{{col, p}}}} }
	a, _ := json.Marshal(c.Judge(tab(p), Options{}))
	b, _ := json.Marshal(c.Judge(tab(list[0]), Options{}))
	if !bytes.Equal(a, b) {
		t.Errorf("another finding after the checkpoint:\n%s\n%s", a, b)
	}
	if _, err := DecodeProfiles([]byte("{")); err == nil {
		t.Error("a torn checkpoint is accepted")
	}
}

func TestCustomClassifiers(t *testing.T) {
	spec := Custom{
		Class: "acme.loyalty_id", Tags: []Tag{TagPII}, Mask: "hash", Names: map[string][]string{"en": {"bonus wheel"}, "de": {"drehscheibe"}},
		NotNames: []string{"bonus wheel level"}, Types: []string{"text"}, Pattern: `^LC\d{8}$`, Check: &CustomCheck{Algorithm: "luhn"}, Needs: "either",
		Examples: CustomExamples{Match: []string{"LC12345674"}, Reject: []string{"LC12345678"}},
	}
	c := newClassifier(t, spec)
	good := valid(40, true, func(s string) bool { return luhnOK(s[2:]) }, func(i int) string { return fmt.Sprintf("LC%08d", 10000000+i*31) })
	if f := judgeTable(c, "t", field{"zz", "text", good})["zz"]; f.Class != "acme.loyalty_id" || f.Mask != "hash" || f.Tags[0] != TagPII {
		t.Errorf("by value: %q %q %v", f.Class, f.Mask, f.Tags)
	}
	if f := judgeTable(c, "t", field{"bonus_wheel", "text", nil})["bonus_wheel"]; f.Class != "acme.loyalty_id" {
		t.Errorf("by name: %q", f.Class)
	}
	if f := judgeTable(c, "t", field{"bonus_wheel_level", "text", []string{"a"}})["bonus_wheel_level"]; f.Class != "" {
		t.Errorf("not_names: %q", f.Class)
	}
	if n, ok := c.Try("acme.loyalty_id", []string{"LC12345674", "x"}); n != 2 || ok != 1 {
		t.Errorf("try: %d of %d", ok, n)
	}
	spec.Examples.Match = []string{"LC12345678"}
	if _, err := New(spec); err == nil || !strings.Contains(err.Error(), "example 1 of match") || strings.Contains(err.Error(), "12345678") {
		t.Errorf("a classifier that fails its example: %v", err)
	}
	for _, bad := range []Custom{{}, {Class: "nodot"}, {Class: "a.b", Pattern: "("}, {Class: "a.b", Needs: "luck"}, {Class: "contact.email"}, {Extend: "no.such"}, {Class: "a.b", Check: &CustomCheck{}}} {
		if _, err := New(bad); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	off := newClassifier(t, Custom{Class: "contact.email", Off: true})
	if f := judgeTable(off, "t", field{"email", "text", []string{"a@b.de", "c@d.de", "e@f.de"}})["email"]; f.Class == "contact.email" {
		t.Error("a class that is switched off is found")
	}
	scoped := newClassifier(t, Custom{Class: "acme.code", Pattern: `Q\d+`, Scope: []string{"other.*"}})
	if f := judgeTable(scoped, "t", field{"zz", "text", series(20, func(i int) string { return fmt.Sprintf("Q%d", i) })})["zz"]; f.Class != "" {
		t.Errorf("outside of its scope: %q", f.Class)
	}
}

func TestContextOfTables(t *testing.T) {
	c := newClassifier(t)
	cities := []string{"Hamburg", "Bremen", "Kiel", "Essen", "Bonn", "Ulm"}
	if f := judgeTable(c, "warehouses", field{"name", "text", cities}, field{"city", "text", cities})["city"]; f.Class != "" {
		t.Errorf("the city of a warehouse is %q", f.Class)
	}
	people := judgeTable(c, "customers", field{"first_name", "text", []string{"Anna", "Peter", "Hans", "Lena"}}, field{"last_name", "text", []string{"Koch", "Weber", "Wolf"}},
		field{"email", "text", []string{"a@b.de", "b@b.de"}}, field{"city", "text", cities}, field{"created", "date", []string{"1950-01-02", "1980-01-01", "1999-04-04"}})
	if people["city"].Class != "contact.city" {
		t.Errorf("the city of a customer is %q", people["city"].Class)
	}
	if people["created"].Class != "" {
		t.Errorf("an unnamed date is %q", people["created"].Class)
	}
}

func TestSameInputSameBytes(t *testing.T) {
	c, d := newClassifier(t), newClassifier(t)
	fields := []field{{"email", "text", []string{"a@b.de", "c@d.fr", "e@f.it"}}, {"note", "text", series(30, func(i int) string {
		return fmt.Sprintf("please call Anna Weber at +49 30 123456%d about the order number %d of last week", i, i)
	})}, {"doc", "jsonb", []string{`{"b": "x@y.de", "a": 1}`, `{"c": [1, "z@y.de"]}`}}}
	a, _ := json.Marshal(judgeTable(c, "t", fields...))
	b, _ := json.Marshal(judgeTable(d, "t", fields...))
	if !bytes.Equal(a, b) {
		t.Error("two runs differ")
	}
}

func TestTimePerValueIsBounded(t *testing.T) {
	c := newClassifier(t)
	for what, v := range map[string]string{
		"long": strings.Repeat("a", 1<<20), "digits": strings.Repeat("9", 1<<20), "blanks": strings.Repeat(" ", 1<<20), "at": strings.Repeat("a@", 1<<19), "words": strings.Repeat("Anna Koch ", 1<<17),
		"nested": strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19), "quotes": strings.Repeat(`"=>"`, 1<<18), "broken": strings.Repeat("\xff\xfe", 1<<19), "dots": strings.Repeat("1.", 1<<19), "plus": "+" + strings.Repeat("1 ", 1<<19),
	} {
		for _, typ := range []string{"text", "jsonb", "xml", "hstore", "text[]", "bytea", "int4range", "numeric"} {
			col := Column{Name: "x", Type: typ}
			start := time.Now()
			c.Measure(&col, Values{Texts: []string{v, v + "x"}})
			if spent := time.Since(start); spent > 3*time.Second {
				t.Errorf("%s as %s took %s", what, typ, spent)
			}
		}
	}
}

func TestSuggestedMasksFitTheType(t *testing.T) {
	for _, tc := range []struct{ mask, typ, want Mask }{
		{"keep_last(4)", "text", "keep_last(4)"},
		{"keep_last(4)", "bigint", "hidden"},
		{"year", "date", "year"},
		{"year", "text", "hidden"},
		{"ip_prefix(24)", "inet", "ip_prefix(24)"},
		{"ip_prefix(24)", "text", "hidden"},
		{"bucket(1000)", "numeric(10,2)", "bucket(1000)"},
		{"hash", "uuid", "hidden"},
		{"keep", "bigint", "keep"},
		{"pseudonym", "text[]", "hidden"},
		{"round(2)", "money", "hidden"},
		{"round(2)", "numeric(10,2)", "hidden"},
		{"round(2)", "numeric(10)", "hidden"},
		{"round(2)", "numeric(9,6)", "round(2)"},
		{"round(2)", "numeric", "round(2)"},
		{"round(2)", "double precision", "round(2)"},
	} {
		if got := SuggestMask(tc.mask, string(tc.typ), ""); got != tc.want {
			t.Errorf("%s on %s: %s, want %s", tc.mask, tc.typ, got, tc.want)
		}
	}
}

// FuzzMeasure drives every probe, every decoder and the free-text scanner with the same input.
//
//fuzz:cost 20
func FuzzMeasure(f *testing.F) {
	for _, s := range []string{"a@b.de", "+49 30 1234567", "4111111111111111", `{"a":[1,{"b":"c"}]}`, `"k"=>"v"`, "<a b='c'>d</a>", "{a,\"b\",NULL}", "(x,\"y\"\"z\")", "[1,5)", `\xffd8ff`, "$2b$12$x", "_p~iF~ps|U_ulLnnqC_mqNvxq`@", "GB82WEST12345698765432", "\x00\xff", "०१२"} {
		f.Add(s)
	}
	c := newClassifier(f)
	types := []string{"text", "bigint", "numeric", "date", "boolean", "uuid", "inet", "macaddr", "bytea", "jsonb", "xml", "hstore", "text[]", "int4range", "point", "vector", "record"}
	f.Fuzz(func(t *testing.T, s string) {
		tab := Table{Schema: "s", Name: "t", Rows: 10}
		for _, typ := range types {
			col := Column{Name: "col_" + typ, Type: typ}
			if typ == "record" {
				col.Fields = []Column{{Name: "a", Type: "text"}, {Name: "b", Type: "text"}}
			}
			tab.Columns = append(tab.Columns, MeasuredColumn{col, c.Measure(&col, Values{Texts: []string{s, s + "1"}})})
		}
		raw, err := json.Marshal(c.Judge([]Table{tab}, Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if len(s) >= 16 && !strings.ContainsAny(s, "{}[]\"':,.") && c.dict.city[s] == false && bytes.Contains(raw, []byte(s)) && strings.ContainsAny(s, "bcefgBCEFGhkmnpqrstuvwxyz") {
			t.Fatalf("the value %q stands in the finding", s)
		}
	})
}

// FuzzNames reads arbitrary identifiers.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"geburtsDatum", "a_b-c", "ÄÖÜß", "身份证", "strStr1", "", "_", "A1b2C3", strings.Repeat("ab", 100)} {
		f.Add(s)
	}
	c := newClassifier(f)
	f.Fuzz(func(t *testing.T, s string) {
		for class, h := range c.lex.readName(s, []string{"email"}).classes {
			if h.weight > model.nameWhole || h.weight < 0 {
				t.Fatalf("%q gives %s %.2f", s, class, h.weight)
			}
		}
	})
}

func BenchmarkMeasure(b *testing.B) {
	c := newClassifier(b)
	col := Column{Name: "x", Type: "text"}
	texts := series(200, func(i int) string { return fmt.Sprintf("Some value %d of a column", i) })
	b.ReportAllocs()
	for b.Loop() {
		c.Measure(&col, Values{Texts: texts})
	}
	b.ReportMetric(float64(b.N*len(texts))/b.Elapsed().Seconds(), "values/s")
}

func TestOneAddressInEveryRowIsAnAddress(t *testing.T) {
	c := newClassifier(t)
	for value, want := range map[string]Class{"office@haus-am-see.de": "contact.email", "Meyer": "", "Anna Schmidt": "", "12": ""} {
		if f := c.One(&Column{Name: "val", Type: "text"}, Values{Texts: []string{value}, Rows: 5000, Distinct: 1}); f.Class != want {
			t.Errorf("%q in 5,000 rows is %q, want %q", value, f.Class, want)
		}
	}
}
