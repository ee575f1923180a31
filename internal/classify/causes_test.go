package classify

import (
	"fmt"
	"strings"
	"testing"
)

func dates(n int, form func(y, m, d int) string) []string {
	return series(n, func(i int) string { return form(2019+i%6, 1+i%12, 1+i%28) })
}

// Each cause of a wrong reading with the column that it hid, and beside it the same thing where it means nothing.
func TestCausesInTheirTables(t *testing.T) {
	c := newClassifier(t)
	iso := dates(60, func(y, m, d int) string { return fmt.Sprintf("%d-%02d-%02d", y, m, d) })
	stamps := dates(60, func(y, m, d int) string { return fmt.Sprintf("%d%02d%02d%02d%02d", y, m, d, d%24, (d*2)%60) })
	loincs := []string{"2345-7", "718-7", "2160-0", "4548-4", "2951-2", "2823-3", "6690-2", "777-3", "789-8"}
	icd := []string{"E11.9", "I10", "J45.909", "M54.5", "F41.1", "K21.9", "N39.0", "H10.9", "L20.9", "E78.5"}
	numbers := series(60, func(i int) string { return fmt.Sprintf("%d.%d", 3+i*2, i%10) })
	four := series(60, func(i int) string { return fmt.Sprintf("%d.%04d", 1+i%9, (i*7919)%10000) })
	six := func(base int) []string {
		return series(60, func(i int) string { return fmt.Sprintf("%d.%06d", base+i%9, (i*791911+base)%1000000) })
	}
	longs := series(60, func(i int) string { return fmt.Sprint(700000 + (i*7919)%90000) })
	codes := series(60, func(i int) string { return fmt.Sprintf("D-%06d", (i*79193)%1000000) })
	phones := series(60, func(i int) string { return fmt.Sprintf("+91 98%03d %05d", i*13%1000, (i*7919)%100000) })
	from := func(first int) []string { return series(60, func(i int) string { return fmt.Sprint(first + i) }) }
	finger := series(40, func(i int) string { return fmt.Sprintf(`\x464d5200203230%060x`, uint64(i+3)*0x9e3779b97f4a7c15) })
	for _, x := range []struct {
		why, table, column string
		fields             []field
		want               Class
	}{
		{"a time without separators", "pv1", "admit_dt", []field{{"mrn", "text", nil}, {"dx", "text", icd}, {"admit_dt", "varchar(14)", stamps}}, "health.service_date"},
		{"numbers of the same length", "pv1", "admit_dt", []field{{"mrn", "text", nil}, {"dx", "text", icd}, {"admit_dt", "varchar(14)", series(60, func(i int) string { return fmt.Sprint(779900000000 + i*7919) })}}, ""},

		{"a date between codes of health", "facts", "seance_dato", []field{{"code", "text", loincs}, {"icd", "text", icd}, {"seance_dato", "date", iso}}, "health.service_date"},
		{"when the row was made", "facts", "created_date", []field{{"code", "text", loincs}, {"icd", "text", icd}, {"created_date", "date", iso}}, ""},
		{"until when something holds", "facts", "valid_until_date", []field{{"code", "text", loincs}, {"icd", "text", icd}, {"valid_until_date", "date", iso}}, ""},
		{"a date beside nothing of health", "facts", "seance_dato", []field{{"code", "text", nil}, {"seance_dato", "date", iso}}, ""},

		{"a number beside its unit and its code", "facts", "value_as_number", []field{{"code", "text", loincs}, {"unit", "text", []string{"mg/dL", "mmol/L", "%"}}, {"value_as_number", "numeric", numbers}}, "health.lab"},
		{"the same beside nothing of health", "facts", "value_as_number", []field{{"code", "text", nil}, {"unit", "text", []string{"kg", "m"}}, {"value_as_number", "numeric", numbers}}, ""},

		{"a temperature of a body", "obs", "temp", []field{{"heart_rate", "int", from(60)[:25]}, {"systolic_bp", "int", from(90)[:25]}, {"spo2", "int", from(40)[:25]}, {"resp_rate", "int", from(9)[:25]}, {"temp", "numeric", numbers[:15]}}, "health.vitals"},
		{"a temperature of a room", "obs", "temp", []field{{"room", "text", nil}, {"humidity", "int", from(40)}, {"temp", "numeric", numbers[:15]}}, ""},

		{"a factor with four decimals", "auctions", "floor", []field{{"lat", "numeric", six(40)}, {"lon", "numeric", six(7)}, {"floor", "numeric", four}}, ""},
		{"a rate beside another", "rates", "bid", []field{{"bid", "numeric", six(1)}, {"ask", "numeric", six(2)}}, ""},
		{"coordinates without a name", "load", "c7", []field{{"c7", "numeric", six(40)}, {"c8", "numeric", six(7)}}, "loc.geo"},
		{"coordinates by name", "rates", "lat", []field{{"lat", "numeric", six(40)}, {"lon", "numeric", six(7)}}, "loc.geo"},

		{"three codes that pass a check", "pid", "kind", []field{{"mrn", "text", nil}, {"dx", "text", icd}, {"kind", "text", []string{"2106-3", "2054-5", "2345-7"}}}, ""},
		{"codes of races", "pid", "race", []field{{"race", "text", []string{"2106-3", "2054-5", "2028-9"}}}, "special.ethnicity"},
		{"many codes that pass", "facts", "kind", []field{{"mrn", "text", nil}, {"kind", "text", loincs}}, "health.loinc"},

		{"the mobile of who sells", "vendors", "mobile_no", []field{{"vendor_code", "text", nil}, {"mobile_no", "text", phones}}, "contact.phone"},
		{"the phone of a vendor", "vendors", "phone", []field{{"vendor_code", "text", nil}, {"phone", "text", phones}}, ""},

		{"a payment", "transfers", "txid", []field{{"txid", "bigint", longs}, {"amount", "numeric", numbers}}, "fin.transaction"},
		{"a transaction of the database", "row_changes", "txid", []field{{"txid", "bigint", longs}, {"statement", "text", nil}}, ""},

		{"the file of a patient", "patients", "numero_dossier", []field{{"diagnostic", "text", nil}, {"icd", "text", icd}, {"numero_dossier", "text", codes}}, "health.mrn"},
		{"the file of an office", "dossiers", "numero_dossier", []field{{"prenom", "text", nil}, {"numero_dossier", "text", codes}}, ""},

		{"a key that counts from a thousand", "trabajadores", "id_trabajador", []field{{"nombre", "text", nil}, {"id_trabajador", "integer", from(1000)}}, ""},
		{"numbers of staff in a row", "trabajadores", "numero_empleado", []field{{"nombre", "text", nil}, {"numero_empleado", "integer", from(1000)}}, "hr.employee_id"},

		{"a word of two languages among German names", "zutritt", "personal_nr", []field{{"nachname", "text", nil}, {"geburtsdatum", "date", nil}, {"personal_nr", "text", codes}}, "hr.employee_id"},
		{"the same among English names", "entries", "personal_no", []field{{"surname", "text", nil}, {"birth_date", "date", nil}, {"personal_no", "text", codes}}, "id.national_id"},

		{"a finger's template", "access", "fingerprint_template", []field{{"fingerprint_template", "bytea", finger}}, "bio.fingerprint"},
		{"what prints a finger's form", "access", "fingerprint_format", []field{{"fingerprint_format", "text", []string{"ISO", "ANSI", "WSQ"}}}, ""},

		{"the year of a card", "payments", "cc_exp_year", []field{{"cc_last4", "text", nil}, {"cc_exp_year", "varchar(4)", []string{"2025", "2026", "2027", "2028", "2029"}}}, "fin.card_expiry"},
		{"another card", "drivers", "medical_card_exp", []field{{"full_name", "text", nil}, {"medical_card_exp", "date", iso}}, ""},
		{"a licence that expires", "drivers", "licence_expiry", []field{{"full_name", "text", nil}, {"licence_expiry", "date", iso}}, ""},
		{"a card that expires", "cards", "card_expiry", []field{{"card_expiry", "date", iso}}, "fin.card_expiry"},

		{"who sends", "shipments", "absender", []field{{"strasse", "text", nil}, {"absender", "text", series(40, func(i int) string { return "Anna Berger" + string(rune('a'+i%26)) })}}, "person.name"},
		{"the firm that sends", "shipments", "absender_firma", []field{{"strasse", "text", nil}, {"absender_firma", "text", []string{"Nordbau", "Holzwerk Lindau", "Feinkost Ost"}}}, ""},
	} {
		t.Run(x.why, func(t *testing.T) {
			fields := x.fields
			tab := Table{Schema: "public", Name: x.table, Rows: 400}
			at := -1
			for i, f := range fields {
				col := Column{Name: f.name, Type: f.typ}
				distinct := float64(len(f.values))
				if len(f.values) == 60 {
					distinct = -1
				}
				tab.Columns = append(tab.Columns, MeasuredColumn{col, c.Measure(&col, Values{Texts: f.values, Rows: 400, Distinct: distinct})})
				if f.name == x.column {
					at = i
				}
			}
			got := c.Judge([]Table{tab}, Options{})[0][at]
			if got.Class != x.want {
				t.Errorf("%s.%s is %q, want %q", x.table, x.column, got.Class, x.want)
				for _, s := range got.Sums[:min(2, len(got.Sums))] {
					t.Log(s.Class, s.Total)
					for _, e := range s.Terms {
						t.Log("   ", e.Weight, e.Source, e.What, e.Matched, e.Tested)
					}
				}
			}
		})
	}
}

// What marks a field as added by a site, or as a copy of a load, is no part of its name.
func TestEndingsOfSystems(t *testing.T) {
	c := newClassifier(t)
	for _, x := range []struct{ plain, marked string }{
		{"duns", "DUNS__c"},
		{"birthdate", "Birthdate__pc"},
		{"passport_number", "Passport_Number__c"},
		{"latitude", "Location__Latitude__s"},
		{"iban", "iban_stg"},
		{"ssn", "ssn_raw"},
		{"email", "email_v1"},
		{"last_name", "last_name_x"},
		{"ssn", "u_ssn"},
		{"iban", "zz_iban"},
		{"dob", "dob_orig"},
	} {
		want, got := c.lex.readName(x.plain, nil), c.lex.readName(x.marked, nil)
		if want.strong == "" || got.strong != want.strong || got.classes[got.strong].weight < model.nameStrong {
			t.Errorf("%s is read as %q (%.1f), %s as %q", x.marked, got.strong, got.classes[got.strong].weight, x.plain, want.strong)
		}
	}
	for _, name := range []string{"is_deleted__c", "email__count", "__c", "Account_Tier__c"} {
		if got := c.lex.readName(name, nil); got.strong != "" {
			t.Errorf("%s is read as %s", name, got.strong)
		}
	}
}

// Words for the same thing in several systems and languages, each with a neighbour that only looks like it.
func TestWordsOfSystems(t *testing.T) {
	c := newClassifier(t)
	for class, names := range map[Class]string{
		"fin.salary":              "HOURLY_RT bruttoentgelt salaire_horaire salario_hora paga_giornaliera uurloon zarobki_brutto gunluk_ucret timelon tuntipalkka hodinova_mzda oraber salariu_orar satnica 時給",
		"person.username":         "remote_user auth_user anmeldekennung nom_de_connexion usuario_red login_rede account_utente accountnaam login_domenowy oturum_adi inloggningsnamn kirjautumistunnus 登录账号",
		"id.drivers_license":      "cdl_number fahrerlaubnisnummer numero_permis_de_conduire registro_de_conducir registro_cnh carta_conducente bestuurderskaart karta_kierowcy src_no korekortnr ajokorttinumero ridicak 驾驶证",
		"health.service_date":     "indlagt_dato fecha_turno aufnahmetag date_prelevement data_internamento data_prelievo opgenomen_op data_pobrania numune_tarihi innlagt_dato tulopaiva datum_odberu mintavetel_datuma data_internare datum_pregleda tgl_masuk_rs 手術日",
		"person.marital_status":   "status_kawin status_nikah sts_kawin status_perkahwinan",
		"id.professional_license": "matricula_prof mat_prof colegiado numero_barreau hpr_nummer zsr_nr hcpc_number",
		"":                        "status_pesanan tier_rt conversion_rt remote_host auth_method cdl_expires turno_id gemeindebezirk vertriebsgebiet school_district aws_region",
	} {
		for _, name := range strings.Fields(names) {
			got := c.lex.readName(name, nil)
			if got.strong != class {
				t.Errorf("%s is read as %q, want %q", name, got.strong, class)
			}
		}
	}
}
