package checkdigit

import (
	"strings"
	"testing"
)

type rule struct {
	name   string
	check  func(string) bool
	vector string
}

// rules lists every check with a published vector (separators dropped).
func rules() []rule {
	bip := NewMnemonics()
	return []rule{
		{"Luhn", Luhn, "79927398713"},
		{"NPI", NPI, "1234567893"},
		{"Verhoeff", Verhoeff, "234123412346"},
		{"IBAN", IBAN, "GB82WEST12345698765432"},
		{"LEI", LEI, "5493001KJTIIGC8Y1R12"},
		{"Mod1110 IdNr", Mod1110, "36574261809"},
		{"DETaxID", DETaxID, "36574261809"},
		{"Mod1110 VAT", Mod1110, "136695976"},
		{"CNResident", CNResident, "11010519491231002X"},
		{"ABA", ABA, "021000021"},
		{"EAN13", EAN13, "7569217076985"},
		{"NHS", NHS, "9434765919"},
		{"RVNR", RVNR, "15070649C103"},
		{"KVNR", KVNR, "A123456780"},
		{"NIR", NIR, "295109912611193"},
		{"FRVAT", FRVAT, "40303265045"},
		{"SIREN", SIREN, "732829320"},
		{"SIRET", SIRET, "73282932000074"},
		{"ESNIF", ESNIF, "12345678Z"},
		{"ESNIF NIE", ESNIF, "X2482300W"},
		{"CIF", CIF, "A58818501"},
		{"CodiceFiscale", CodiceFiscale, "RSSMRA85T10A562S"},
		{"BSN", BSN, "111222333"},
		{"BENRN", BENRN, "85073003328"},
		{"PESEL", PESEL, "44051401359"},
		{"NIP", NIP, "8567346215"},
		{"HETU", HETU, "131052-308T"},
		{"CPR", CPR, "2110625629"},
		{"FNR", FNR, "15108695088"},
		{"PTNIF", PTNIF, "123456789"},
		{"CPF", CPF, "11144477735"},
		{"CNPJ", CNPJ, "16727230000197"},
		{"RRN", RRN, "9710139019902"},
		{"MyNumber", MyNumber, "123456789018"},
		{"TFN", TFN, "123456782"},
		{"AUMedicare", AUMedicare, "2123456701"},
		{"ABN", ABN, "51824753556"},
		{"NRIC", NRIC, "S1234567D"},
		{"NRIC M", NRIC, "M1234567K"},
		{"TCKN", TCKN, "10000000146"},
		{"CURP", CURP, "BOXW310820HNERXN09"},
		{"CLABE", CLABE, "032180000118359719"},
		{"CUIT", CUIT, "20055361682"},
		{"GBVAT", GBVAT, "980780684"},
		{"VIN", VIN, "1M8GDM9AXKP042788"},
		{"MRZField", MRZField, "L898902C36"},
		{"MRZ TD3", MRZ, "L898902C36UTO7408122F1204159ZE184226B<<<<<10"},
		{"DEA", DEA, "AB1234563"},
		{"Base58Check", Base58Check, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"},
		{"Bech32", Bech32, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"},
		{"Bech32m", Bech32, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"},
		{"EIP55", EIP55, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"},
		{"BIP39", bip.Check, "legal winner thank year wave sausage worth useful legal winner thank yellow"},
		{"BEVAT", BEVAT, "0403019261"},
		{"REGON", REGON, "123456785"},
		{"RUINN", RUINN, "7707083893"},
		{"SNILS", SNILS, "11223344595"},
		{"ISBN10", ISBN10, "0306406152"},
		{"CBU", CBU, "2850590940090418135201"},
	}
}

func TestVectors(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			if !r.check(r.vector) {
				t.Fatalf("%s is refused", r.vector)
			}
		})
	}
}

// broken changes the last digit or letter of s.
func broken(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		switch c := s[i]; {
		case c == '9':
			return s[:i] + "0" + s[i+1:]
		case digit(c):
			return s[:i] + string(c+1) + s[i+1:]
		case c == 'Z' || c == 'z':
			return s[:i] + string(c-1) + s[i+1:]
		case upper(c) || c >= 'a' && c <= 'z':
			return s[:i] + string(c+1) + s[i+1:]
		}
	}
	return ""
}

func TestBrokenCopiesAreRefused(t *testing.T) {
	for _, r := range rules() {
		b := broken(r.vector)
		if r.name == "AUMedicare" { // the tenth digit is the issue, the ninth the check
			b = "2123456711"
		}
		if r.check(b) {
			t.Errorf("%s accepts %s", r.name, b)
		}
	}
}

func TestForeignCharactersAreRefused(t *testing.T) {
	for _, r := range rules() {
		for _, bad := range []string{"", " ", strings.Repeat("\xff", len(r.vector)), r.vector[:len(r.vector)-1] + "!", r.vector + r.vector + r.vector + r.vector} {
			if r.check(bad) && r.name != "EIP55" {
				t.Errorf("%s accepts %q", r.name, bad)
			}
		}
	}
}

func TestWeighted(t *testing.T) {
	if !Weighted("1230", []int{1, 1, 1, 1}, 6) || Weighted("1231", []int{1, 1, 1, 1}, 6) || Weighted("12a0", []int{1, 1, 1, 1}, 6) {
		t.Fatal("weighted sum is wrong")
	}
	if Weighted("12", nil, 10) || Weighted("12", []int{1, 1}, 0) {
		t.Fatal("an empty rule accepts")
	}
}

// FuzzChecks drives every rule with the same input: none may panic, and the numeric ones accept digits only.
func FuzzChecks(f *testing.F) {
	all := rules()
	for _, r := range all {
		f.Add(r.vector)
	}
	numeric := map[string]bool{"Luhn": true, "Verhoeff": true, "PESEL": true, "CPF": true, "NHS": true, "TFN": true, "FNR": true, "EAN13": true}
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range all {
			if r.check(s) && numeric[r.name] && !digits(s, len(s)) {
				t.Fatalf("%s accepts %q", r.name, s)
			}
		}
	})
}
