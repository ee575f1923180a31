package classify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// until draws from a pattern until the published rule accepts; the rules themselves are held to their vectors elsewhere.
func (g *generator) until(ok func(string) bool, draw func() string) string {
	for {
		if s := draw(); ok(s) {
			return s
		}
	}
}

func (g *generator) yymmdd() string {
	return fmt.Sprintf("%02d%02d%02d", g.between(0, 99), g.between(1, 12), g.between(1, 28))
}

func (g *generator) ddmmyy() string {
	return fmt.Sprintf("%02d%02d%02d", g.between(1, 28), g.between(1, 12), g.between(0, 99))
}

func (g *generator) number(name, arg string) (string, bool) {
	pat := func(p string) func() string { return func() string { return g.code(p) } }
	switch name {
	case "card":
		return g.until(checkdigit.Luhn, pat(g.pick(w("4ddddddddddddddd 52dddddddddddddd 37ddddddddddddd 6011dddddddddddd")))), true
	case "track2":
		return ";" + g.until(checkdigit.Luhn, pat("4ddddddddddddddd")) + "=2911" + g.digits(10) + "?", true
	case "expiry":
		return fmt.Sprintf("%02d/%02d", g.between(1, 12), g.between(25, 32)), true
	case "iban":
		lengths := map[string]int{"DE": 18, "FR": 23, "ES": 20, "PL": 24}
		body := g.digits(lengths[arg])
		for i := 2; i < 99; i++ {
			if s := fmt.Sprintf("%s%02d%s", arg, i, body); checkdigit.IBAN(s) {
				return s, true
			}
		}
		return "", false
	case "bic":
		return g.code("AAAA") + g.pick(w("DE FR US GB")) + g.code("AdXXX"[:2]), true
	case "aba":
		return g.until(checkdigit.ABA, pat("0Nddddddd")), true
	case "sort":
		return g.code("dd-dd-dd"), true
	case "siret":
		return g.until(func(s string) bool { return checkdigit.SIREN(s[:9]) && checkdigit.SIRET(s) }, pat("Ndddddddddddddd"[:14])), true
	case "nip":
		return g.until(checkdigit.NIP, pat("Nddddddddd")), true
	case "vatfr":
		return "FR" + g.until(checkdigit.FRVAT, pat("ddNdddddddd")), true
	case "abn":
		return g.until(checkdigit.ABN, pat("Ndddddddddd")), true
	case "clabe":
		return g.until(checkdigit.CLABE, pat("012ddddddddddddddd")), true
	case "eth":
		return "0x" + g.hex(40), true
	case "btc":
		return g.bitcoin(), true
	case "bip39":
		return g.phrase(), true
	case "ean":
		return g.until(checkdigit.EAN13, pat("40ddddddddddd")), true
	case "isbn":
		return g.until(checkdigit.EAN13, pat("978dddddddddd")), true
	case "imei":
		return g.until(checkdigit.Luhn, pat("35ddddddddddddd")), true
	case "imsi":
		return "310410" + g.digits(9), true
	case "iccid":
		return g.until(checkdigit.Luhn, pat("8901ddddddddddddddd")), true
	case "vin":
		return g.until(checkdigit.VIN, func() string {
			return g.from("1234", 1) + g.from("ABCDEFGHJKLMNPRSTUVWXYZ", 2) + g.from("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", 10) + g.digits(4)
		}), true
	case "plate":
		return g.pick(w("HH B M KA OHZ GT")) + "-" + g.code("AA d") + g.pick([]string{"", g.digits(2)}), true
	case "icd":
		return g.pick(w("E11.9 I10 J45.909 M54.5 F41.1 K21.9 N39.0 R51 H10.9 L20.9 E78.5 I48.91 J06.9 G43.909 M17.11 F32.9 K80.20 N18.3 S93.401 T78.40 Z00.00 C50.919 D50.9 B37.0 A09 O80 Q21.1 R07.9 E03.9 I25.10")), true
	case "npi":
		return g.until(checkdigit.NPI, pat("1ddddddddd")), true
	case "dea":
		return g.until(checkdigit.DEA, func() string { return g.from("ABFM", 1) + g.code("Addddddd") }), true
	case "loinc":
		return g.until(func(s string) bool { return checkdigit.Luhn(strings.ReplaceAll(s, "-", "")) }, pat("Ndddd-d")), true
	case "mbi":
		return g.from("123456789", 1) + g.code("A") + g.digits(2) + g.from("ACDEFGHJKMNPQRTUVWXY", 1) + g.digits(2) + g.from("ACDEFGHJKMNPQRTUVWXY", 2) + g.digits(2), true
	case "kvnr":
		return g.until(checkdigit.KVNR, pat("Addddddddd")), true
	case "bp":
		return fmt.Sprintf("%d/%d", g.between(95, 165), g.between(55, 94)), true
	}
	return g.national(name)
}

// national says how the number of a country's register is drawn, which rule decides, and how it is written.
type national struct {
	pattern string                  // drawn as code does
	draw    func(*generator) string // instead of a pattern
	check   func(string) bool       // drawn again until it holds; nil: everything does
	layout  string                  // each # takes a character of the number; empty: as it is
}

var nationals = map[string]national{
	"ssn": {draw: func(g *generator) string {
		return fmt.Sprintf("%03d-%02d-%04d", g.between(1, 665), g.between(1, 99), g.between(1, 9999))
	}},
	"itin": {draw: func(g *generator) string {
		return fmt.Sprintf("9%02d-%02d-%04d", g.between(0, 99), g.between(70, 88), g.between(1, 9999))
	}},
	"ein": {draw: func(g *generator) string { return fmt.Sprintf("%02d-%07d", g.between(20, 27), g.between(1, 9999999)) }},
	"nino": {draw: func(g *generator) string {
		return g.from("ABCEGHJKLMNPRSTWXYZ", 1) + g.from("AECEHJLMPRSTWXY", 1) + g.digits(6) + g.from("ABCD", 1)
	}},
	"nhs":   {pattern: "4ddddddddd", check: checkdigit.NHS, layout: "### ### ####"},
	"detax": {pattern: "Ndddddddddd", check: checkdigit.DETaxID},
	"rvnr":  {draw: func(g *generator) string { return g.digits(2) + g.ddmmyy() + g.code("Addd") }, check: checkdigit.RVNR},
	"nir": {draw: func(g *generator) string {
		body := fmt.Sprintf("%d%02d%02d%02d%03d%03d", g.between(1, 2), g.between(30, 99), g.between(1, 12), g.between(1, 95), g.between(1, 900), g.between(1, 900))
		n, _ := strconv.ParseInt(body, 10, 64)
		return fmt.Sprintf("%s%02d", body, 97-n%97)
	}},
	"dni": {pattern: "ddddddddA", check: checkdigit.ESNIF},
	"cf": {draw: func(g *generator) string {
		return g.code("AAAAAA") + fmt.Sprintf("%02d", g.between(30, 99)) + g.from("ABCDEHLMPRST", 1) + fmt.Sprintf("%02d", g.between(1, 28)) + g.code("AdddA")
	}, check: checkdigit.CodiceFiscale},
	"bsn":   {pattern: "Ndddddddd", check: checkdigit.BSN},
	"benrn": {draw: func(g *generator) string { return g.yymmdd() + g.digits(5) }, check: checkdigit.BENRN},
	"pesel": {draw: func(g *generator) string { return g.yymmdd() + g.digits(5) }, check: checkdigit.PESEL},
	"sepnr": {draw: func(g *generator) string { return g.yymmdd() + g.digits(4) }, check: checkdigit.Luhn, layout: "######-####"},
	"hetu": {draw: func(g *generator) string {
		return g.ddmmyy() + "-" + fmt.Sprintf("%03d", g.between(2, 899)) + g.from("0123456789ABCDEFHJKLMNPRSTUVWXY", 1)
	}, check: checkdigit.HETU},
	"cpr":     {draw: func(g *generator) string { return g.ddmmyy() + g.digits(4) }, check: checkdigit.CPR, layout: "######-####"},
	"fnr":     {draw: func(g *generator) string { return g.ddmmyy() + g.digits(5) }, check: checkdigit.FNR},
	"ahv":     {pattern: "756dddddddddd", check: checkdigit.EAN13, layout: "###.####.####.##"},
	"ptnif":   {pattern: "2dddddddd", check: checkdigit.PTNIF},
	"cpf":     {pattern: "ddddddddddd", check: checkdigit.CPF, layout: "###.###.###-##"},
	"cnpj":    {pattern: "dddddddd0001dd", check: checkdigit.CNPJ, layout: "##.###.###/####-##"},
	"aadhaar": {pattern: "Nddddddddddd", check: checkdigit.Verhoeff, layout: "#### #### ####"},
	"inpan": {draw: func(g *generator) string {
		return g.code("AAA") + "P" + g.code("A") + fmt.Sprintf("%04d", g.between(1, 9999)) + g.code("A")
	}},
	"cnrid": {draw: func(g *generator) string {
		return g.code("Nddddd") + strings.ReplaceAll(g.date(1950, 2004), "-", "") + g.digits(3) + g.from("0123456789X", 1)
	}, check: checkdigit.CNResident},
	"rrn":      {draw: func(g *generator) string { return g.yymmdd() + g.from("1234", 1) + g.digits(6) }, check: checkdigit.RRN, layout: "######-#######"},
	"mynumber": {pattern: "dddddddddddd", check: checkdigit.MyNumber},
	"sin":      {pattern: "4dddddddd", check: checkdigit.Luhn, layout: "###-###-###"},
	"tfn":      {pattern: "Ndddddddd", check: checkdigit.TFN},
	"aumed":    {pattern: "2ddddddddd", check: checkdigit.AUMedicare},
	"zaid":     {draw: func(g *generator) string { return g.yymmdd() + g.digits(4) + "08" + g.digits(1) }, check: checkdigit.Luhn},
	"nric":     {pattern: "SdddddddA", check: checkdigit.NRIC},
	"tckn":     {draw: func(g *generator) string { return g.ended(g.code("Ndddddddd"), checkdigit.TCKN) }},
	"curp": {draw: func(g *generator) string {
		return g.code("AAAA") + g.yymmdd() + g.from("HM", 1) + "NE" + g.code("AAAdd")
	}, check: checkdigit.CURP},
	"cuit": {pattern: "20ddddddddd", check: checkdigit.CUIT, layout: "##-########-#"},
	"mrz":  {draw: (*generator).machineReadable},
}

func (g *generator) national(name string) (string, bool) {
	n, ok := nationals[name]
	if !ok {
		return "", false
	}
	draw := func() string { return g.code(n.pattern) }
	if n.draw != nil {
		draw = func() string { return n.draw(g) }
	}
	s := draw()
	for n.check != nil && !n.check(s) {
		s = draw()
	}
	return laidOut(s, n.layout), true
}

// laidOut writes a number as its layout says.
func laidOut(s, layout string) string {
	if layout == "" {
		return s
	}
	b := []byte(layout)
	at := 0
	for i, c := range b {
		if c == '#' {
			b[i] = s[at]
			at++
		}
	}
	return string(b)
}

// ended adds the two digits that a rule accepts.
func (g *generator) ended(body string, ok func(string) bool) string {
	for i := range 100 {
		if s := fmt.Sprintf("%s%02d", body, i); ok(s) {
			return s
		}
	}
	return body
}

// machineReadable is the second line of a passport.
func (g *generator) machineReadable() string {
	num := g.digits(9)
	dob, exp := g.yymmdd(), "31"+g.yymmdd()[2:]
	c := func(s string) string {
		for i := range 10 {
			if checkdigit.MRZField(s + strconv.Itoa(i)) {
				return strconv.Itoa(i)
			}
		}
		return "0"
	}
	line := num + c(num) + "GBR" + dob + c(dob) + "F" + exp + c(exp) + "<<<<<<<<<<<<<<0"
	return line + c(line[0:10]+line[13:20]+line[21:43])
}

func (g *generator) bitcoin() string {
	raw := append([]byte{0}, []byte(g.from("\x01\x7f\x3c\xa0\xee\x55\x90\x12\x44\xd1", 20))...)
	a := sha256.Sum256(raw)
	b := sha256.Sum256(a[:])
	n := new(big.Int).SetBytes(append(raw, b[:4]...))
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	out, m := "", new(big.Int)
	for n.Sign() > 0 {
		n.DivMod(n, big.NewInt(58), m)
		out = alphabet[m.Int64():m.Int64()+1] + out
	}
	return "1" + out
}

// phrase draws from the sixteen valid endings of the standard's test phrases.
func (g *generator) phrase() string {
	return g.pick(l("legal winner thank year wave sausage worth useful legal winner thank yellow|letter advice cage absurd amount doctor acoustic avoid letter advice cage above|zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong|abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about|scheme spot photo card baby mountain device kick cradle pact join borrow|cat swing flag economy stadium alone churn speed unique patch report train"))
}

func (g *generator) technical(name, arg string) (string, bool) {
	const b64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	switch name {
	case "ip":
		return fmt.Sprintf("%d.%d.%d.%d", g.between(23, 210), g.between(0, 255), g.between(0, 255), g.between(1, 254)), true
	case "ipv6":
		return fmt.Sprintf("2001:db8:%x:%x::%x", g.between(1, 65535), g.between(1, 65535), g.between(1, 65535)), true
	case "mac":
		h := g.hex(12)
		return strings.Join([]string{h[:2], h[2:4], h[4:6], h[6:8], h[8:10], h[10:]}, ":"), true
	case "version":
		return fmt.Sprintf("%d.%d.%d.%d", g.between(1, 9), g.between(0, 20), g.between(0, 99), g.between(0, 200)), true
	case "ua":
		return g.pick(l("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36|Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X)|okhttp/4.12.0|curl/8.4.0|Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/12")) + strconv.Itoa(g.r.IntN(50)), true
	case "url":
		return "https://static.acme-cdn.net/p/" + g.hex(8) + "/index", true
	case "avatar":
		return "https://cdn.acme.net/avatars/" + g.hex(10) + ".png", true
	case "filename":
		return g.pick(wordsList()) + "_" + g.digits(4) + g.pick(w(".pdf .csv .png")), true
	case "path":
		return g.pick(wordsList()) + "." + g.pick(wordsList()) + "." + g.pick(wordsList()), true
	case "lat":
		return strconv.FormatFloat(35+g.r.Float64()*20, 'f', 6, 64), true
	case "lon":
		return strconv.FormatFloat(-5+g.r.Float64()*30, 'f', 6, 64), true
	case "point":
		return fmt.Sprintf("(%.5f,%.5f)", -5+g.r.Float64()*30, 35+g.r.Float64()*20), true
	case "geohash":
		return "u" + g.from("0123456789bcdefghjkmnpqrstuvwxyz", 7), true
	case "polyline":
		return g.polyline(), true
	case "linkedin":
		return "https://www.linkedin.com/in/" + strings.ToLower(g.code("aaaa")) + g.hex(6), true
	case "athandle":
		return "@" + g.pick(wordsList()) + g.digits(2), true
	case "word":
		return g.pick(wordsList()), true
	case "bcrypt":
		return "$2b$12$" + g.from(b64+"./", 53), true
	case "md5":
		return g.hex(32), true
	case "pass":
		return g.pick(wordsList()) + g.pick(w("! 123 2024 _x # 99")) + g.digits(g.between(0, 3)), true
	case "b32":
		return g.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32), true
	case "apikey":
		return "sk_live_" + g.from(b64, 24), true
	case "awsid":
		return "AKIA" + g.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16), true
	case "awssec":
		return g.from(b64+"+/", 40), true
	case "jwt":
		enc := base64.RawURLEncoding.EncodeToString
		return enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc([]byte(`{"sub":"`+g.digits(6)+`"}`)) + "." + g.from(b64, 43), true
	case "dsn":
		return "postgres://svc_" + g.hex(4) + ":" + g.from(b64, 12) + "@db" + g.digits(1) + ".internal:5432/app", true
	case "pem":
		return "-----BEGIN RSA PRIVATE KEY-----\n" + g.from(b64, 64) + "\n" + g.from(b64, 40) + "\n-----END RSA PRIVATE KEY-----", true
	case "pubkey":
		return "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + g.from(b64, 43), true
	case "dna":
		return g.from("ACGT", 60), true
	case "jpeg":
		return `\xffd8ffe000104a464946` + g.hex(40), true
	case "fmr":
		return `\x` + hex.EncodeToString([]byte("FMR\x00 20\x00")) + g.hex(60), true
	case "vector":
		n, _ := strconv.Atoi(arg)
		out := make([]string, n)
		for i := range out {
			out[i] = strconv.FormatFloat(g.r.Float64()*0.3-0.15, 'f', 5, 64)
		}
		return "{" + strings.Join(out, ",") + "}", true
	}
	return "", false
}

// polyline encodes a short walk.
func (g *generator) polyline() string {
	var b strings.Builder
	put := func(v int) {
		u := v << 1
		if v < 0 {
			u = ^u
		}
		for u >= 32 {
			b.WriteByte(byte(u&31|32) + 63)
			u >>= 5
		}
		b.WriteByte(byte(u) + 63)
	}
	put(5200000 + g.r.IntN(90000))
	put(2100000 + g.r.IntN(90000))
	for range 14 {
		put(g.between(-400, 400))
		put(g.between(-400, 400))
	}
	return b.String()
}
