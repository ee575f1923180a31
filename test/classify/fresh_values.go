package classify

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// ascii writes a name as addresses and logins have it.
func ascii(s string) string {
	s = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "è", "e", "ë", "e", "á", "a", "ã", "a", "â", "a", "í", "i", "ó", "o", "ú", "u", "ñ", "n", "ç", "c", "ł", "l", "ś", "s", "ę", "e", "ą", "a", "ğ", "g", "ı", "i", "ş", "s", "å", "a", "ø", "o", "š", "s", "ř", "r", "ž", "z").Replace(strings.ToLower(s))
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, s)
}

// fresh makes the values that only the fresh set uses.
func (g *generator) fresh(name, arg string, row int) (string, bool) {
	if v, ok := g.freshPerson(name, arg); ok {
		return v, true
	}
	if v, ok := g.freshNumber(name, arg, row); ok {
		return v, true
	}
	if v, ok := g.freshHealth(name); ok {
		return v, true
	}
	return g.freshSecret(name, arg)
}

func (g *generator) freshPerson(name, arg string) (string, bool) {
	given, sur := ascii(g.pick(g.loc.given)), ascii(g.pick(g.loc.sur))
	switch name {
	case "fmail":
		local := g.pick([]string{given + "." + sur, given[:1] + sur, given + strconv.Itoa(g.between(1, 99)), sur + "_" + given, given + "." + sur[:1]})
		return local + "@" + g.pick([]string{"brightmail.com", "mailbird.net", "myfreemail." + g.loc.tld, "posthorn." + g.loc.tld, "example.org", sur + "." + g.loc.tld}), true
	case "workmail":
		return given + "." + sur + "@" + g.pick(w("northgate harper-group silverline quartzsys")) + "." + g.loc.tld, true
	case "infomail": // of a firm, not of a person
		return g.pick(w("info office sales contact support bestellung hello einkauf")) + "@" + sur + g.pick(w("-gmbh -trading foods logistics")) + "." + g.loc.tld, true
	case "fuser":
		return g.pick([]string{given + "." + sur, given[:1] + sur, sur + given[:1], given + strconv.Itoa(g.between(60, 99)), given + "_" + sur[:1]}), true
	case "fphone":
		p := g.code(g.loc.phone)
		switch g.r.IntN(4) {
		case 0:
			return strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "").Replace(p), true
		case 1:
			return strings.NewReplacer(" ", "-", ".", "-").Replace(p), true
		}
		return p, true
	case "namemi": // as people type it
		a, b, c := g.pick(g.loc.given), g.pick(g.loc.sur), g.code("A")
		return g.pick([]string{a + " " + b, a + " " + c + ". " + b, b + ", " + a, a + " " + b}), true
	case "firm":
		return g.pick(freshCompanies(arg)), true
	case "goods":
		return g.pick(freshProducts()), true
	case "talk": // talk:language:share of texts with somebody in them
		lang, share, _ := strings.Cut(arg, ":")
		p, _ := strconv.ParseFloat(share, 64)
		return g.talk(lang, p), true
	}
	return "", false
}

// talk is prose with somebody in a share of the texts.
func (g *generator) talk(lang string, share float64) string {
	out := make([]string, g.between(9, 18))
	for i := range out {
		out[i] = g.pick(freshFiller(lang))
	}
	s := strings.Join(out, " ")
	if g.r.Float64() >= share {
		return s
	}
	call, mail := "call him on", "write to"
	switch lang {
	case "de":
		call, mail = "Tel.", "bitte an"
	case "fr":
		call, mail = "tél.", "écrire à"
	case "es", "pt", "it":
		call, mail = "tel.", "e-mail"
	}
	if g.r.IntN(3) == 0 {
		return s + ", " + call + " " + g.code(g.loc.phone)
	}
	address, _ := g.freshPerson("fmail", "")
	return s + ", " + mail + " " + address
}

func (g *generator) freshNumber(name, arg string, row int) (string, bool) {
	pat := func(p string) func() string { return func() string { return g.code(p) } }
	switch name {
	case "seq": // seq:from, as keys handed out by a counter
		n, _ := strconv.Atoi(arg)
		return strconv.Itoa(n + row), true
	case "fiban":
		body := map[string]string{"IT": "A0dddddddddddddddddddddd", "NL": "ABNAdddddddddd", "PT": "000ddddddddddddddddddd", "GB": "MIDLdddddddddddddd", "CH": "00ddddddddddddddddd", "SE": "5000dddddddddddddddd", "CZ": "0800dddddddddddddddd", "IE": "AIBKdddddddddddddd"}[arg]
		drawn := strings.Map(func(r rune) rune {
			if r == 'd' {
				return rune('0' + g.r.IntN(10))
			}
			return r
		}, body)
		for i := 2; i < 99; i++ {
			if s := fmt.Sprintf("%s%02d%s", arg, i, drawn); checkdigit.IBAN(s) {
				return s, true
			}
		}
		return "", false
	case "fbic":
		return g.pick(w("BARC LOYD DEUT BNPA UNCR INGB NDEA PKOP CAIX BCIT RZBA")) + g.pick(w("GB DE FR IT NL SE PL ES")) + g.code("dA") + g.pick([]string{"", "XXX", g.digits(3)}), true
	case "piva":
		return g.until(checkdigit.Luhn, pat("0dddddddddd")), true
	case "lei":
		body := g.pick(w("5493 2138 9695 5299")) + g.digits(2) + g.from("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", 12)
		return g.ended(body, checkdigit.LEI), true
	case "regon":
		return g.until(checkdigit.REGON, pat("ddddddddd")), true
	case "nlvat":
		return "NL" + g.until(checkdigit.NLVAT, pat("dddddddddB0d")), true
	case "gbvat":
		return "GB" + g.until(checkdigit.GBVAT, pat("Ndddddddd")), true
	case "iccid2":
		return g.until(checkdigit.Luhn, pat(g.pick(w("8949ddddddddddddddd 8944ddddddddddddddd 8933ddddddddddddddd")))), true
	case "ukdl":
		return strings.ToUpper((ascii(g.pick(g.loc.sur)) + "9999")[:5]) + g.digits(6) + g.code("AAdAA"), true
	case "plate2":
		return g.code(map[string]string{"fr": "AA-ddd-AA", "uk": "AAdd AAA", "es": "dddd AAA", "it": "AA ddd AA", "nl": "A-ddd-AA", "us": "AAA dddd", "tr": "34 AA dddd", "pl": "AA ddddd"}[arg]), true
	case "fua":
		return fmt.Sprintf(g.pick(l("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1%d.0.0.0 Safari/537.36|Mozilla/5.0 (iPad; CPU OS 16_%d like Mac OS X) AppleWebKit/605.1.15|Mozilla/5.0 (Android 13; Mobile; rv:11%[1]d.0) Gecko/11%[1]d.0 Firefox/11%[1]d.0|MyShopApp/4.%d (iOS 17.1; iPhone14,5)")), g.between(10, 29)), true
	case "unitvec":
		return g.unitVector(arg), true
	case "wav":
		return `\x52494646` + g.hex(8) + "57415645666d7420" + g.hex(32), true
	case "png":
		return `\x89504e470d0a1a0a0000000d49484452` + g.hex(40), true
	}
	return "", false
}

func (g *generator) unitVector(dimensions string) string {
	n, _ := strconv.Atoi(dimensions)
	v, sum := make([]float64, n), 0.0
	for i := range v {
		v[i] = g.r.NormFloat64()
		sum += v[i] * v[i]
	}
	out := make([]string, n)
	for i := range v {
		out[i] = strconv.FormatFloat(v[i]/math.Sqrt(sum), 'f', 6, 64)
	}
	return "{" + strings.Join(out, ",") + "}"
}

func (g *generator) freshHealth(name string) (string, bool) {
	switch name {
	case "fdx":
		return g.pick(l("Acute bronchitis|Type 1 diabetes|Hypertension|Low back pain|Major depression, recurrent|Asthma|Atrial fibrillation|Urinary tract infection|Osteoarthritis of knee|Anemia|Psoriasis|Chronic sinusitis|GERD|Obesity|Epilepsy|Hypothyroidism|COPD exacerbation")), true
	case "fdxfr":
		return g.pick(l("Hypertension artérielle|Diabète de type 2|Asthme|Lombalgie chronique|Angine|Dépression|Insuffisance cardiaque|Otite moyenne|Eczéma|Gastro-entérite|Bronchite aiguë")), true
	case "fdxes":
		return g.pick(l("Hipertensión arterial|Diabetes mellitus tipo 2|Asma bronquial|Lumbalgia|Faringitis aguda|Depresión|Gastritis|Anemia|Artrosis de rodilla|Migraña|Bronquitis")), true
	case "frx":
		return g.pick(l("Metformin 850 mg|Atorvastatin 40 mg|Lisinopril|Amoxicillin 500 mg caps|Salbutamol|Omeprazole 20mg|Sertraline 50 mg|Prednisone 5 mg|Ibuprofen 600 mg|Insulin lispro|Furosemide 40mg|Clopidogrel 75 mg|Paracetamol 1g|Levothyroxine|Ciprofloxacin 250mg|Doxycycline")), true
	case "ficd":
		return g.pick(w("I10 E11.65 J20.9 M54.50 F33.1 N39.0 K21.9 E03.9 J44.1 I48.0 D64.9 L40.0 M17.9 R10.9 G40.909 J32.9 E66.9 Z12.31 S82.001A H66.90")), true
	case "fallergy":
		return g.pick(l("Penicillin|Peanuts|Latex|None known|Shellfish|Sulfa drugs|Bee stings|Pollen|Aspirin")), true
	}
	return "", false
}

func (g *generator) freshSecret(name, arg string) (string, bool) {
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const lower = "abcdefghijklmnopqrstuvwxyz0123456789"
	switch name {
	case "django":
		return "pbkdf2_sha256$720000$" + g.from(alnum, 22) + "$" + base64.StdEncoding.EncodeToString([]byte(g.from(alnum, 32))), true
	case "phpass":
		return "$P$B" + g.from(alnum+"./", 30), true
	case "bcrypt2":
		return "$2y$10$" + g.from(alnum+"./", 53), true
	case "ssha":
		return "{SSHA}" + base64.StdEncoding.EncodeToString([]byte(g.from(alnum, 24))), true
	case "aspnet":
		return "AQAAAAIAAYagAAAAE" + g.from(alnum+"+/", 65) + "==", true
	case "fpass":
		return g.pick(w("Welcome Passw0rd Liverpool charlie monkey Start qwerty Benfica Schalke04 bailey")) + g.pick(w("1 123 ! 2023 #1 _ 99 ?")) + g.pick([]string{"", "", g.digits(2), "!", g.code("A")}), true
	case "fkey":
		switch arg {
		case "sendgrid":
			return "SG." + g.from(alnum, 22) + "." + g.from(alnum+"-_", 43), true
		case "google":
			return "AIza" + g.from(alnum+"-_", 35), true
		case "slack":
			return "xoxb-" + g.digits(12) + "-" + g.digits(12) + "-" + g.from(alnum, 24), true
		}
		return g.from(alnum, 32), true
	case "sess":
		switch arg {
		case "php":
			return g.from(lower, 26), true
		case "express":
			return "s:" + g.from(alnum+"-_", 32) + "." + g.from(alnum+"+/", 43), true
		}
		return g.from(lower, 32), true
	case "recov":
		return g.from(lower, 5) + "-" + g.from(lower, 5), true
	case "jdbc":
		return "jdbc:postgresql://db-" + g.hex(3) + ".internal:5432/app?user=app_rw&password=" + g.from(alnum, 16), true
	case "plainurl": // no password in it
		return "https://api." + g.pick(freshFiller("xx")) + "-service.io/v" + g.digits(1) + "/" + g.hex(6), true
	}
	return "", false
}
