package classify

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// unseen makes the values that only the blind set uses.
func (g *generator) unseen(name, arg string) (string, bool) {
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	switch name {
	case "oneof":
		return g.pick(strings.Split(arg, "~")), true
	case "prosa": // prosa:language:words
		lang, n, _ := strings.Cut(arg, ":")
		k, _ := strconv.Atoi(n)
		out := make([]string, k)
		for i := range out {
			out[i] = g.pick(blindFiller(lang))
		}
		return strings.Join(out, " "), true
	case "fullcjk":
		return g.pick(g.loc.sur) + g.pick(g.loc.given), true
	case "mail3":
		return g.pick(w("t.brook r_hale kim.lund dora-v p.q.smit zed ulla.f m1ka n.ost frey")) + g.digits(g.between(0, 3)) + "@" + g.pick(w("tarn-labs quayside heron-post mossbank.org fjordnet oakmail")) + "." + g.pick(w("io eu org net dev")), true
	case "ua2":
		return fmt.Sprintf(g.pick(l("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_%d) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15|Mozilla/5.0 (Linux; Android 1%d; Pixel 7) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36|Dalvik/2.1.0 (Linux; U; Android 1%d; SM-A515F)|PostmanRuntime/7.3%d.1|python-requests/2.3%d.0")), g.r.IntN(10)), true
	case "iban2":
		lengths := map[string]int{"AT": 16, "BE": 12, "TR": 22, "RO": 20}
		body := g.digits(lengths[arg])
		if arg == "RO" {
			body = g.pick(w("BTRL RNCB INGB")) + g.digits(16)
		}
		for i := 2; i < 99; i++ {
			if s := fmt.Sprintf("%s%02d%s", arg, i, body); checkdigit.IBAN(s) {
				return s, true
			}
		}
		return "", false
	case "atuid": // U and eight digits, the last from weights 1 2 1 2 1 2 1 and a constant
		d := g.digits(7)
		sum := 0
		for i, c := range []byte(d) {
			n := int(c - '0')
			if i%2 == 1 {
				n *= 2
			}
			sum += n/10 + n%10
		}
		return fmt.Sprintf("ATU%s%d", d, (10-(sum+4)%10)%10), true
	case "gstin": // state, PAN, entity, Z, check
		pan, _ := g.number("inpan", "")
		return fmt.Sprintf("%02d%s1Z", g.between(1, 37), pan) + g.from("0123456789ABCDEFGHJK", 1), true
	case "rx2":
		return g.pick(l("Losartan 50 mg|Enalapril 10mg|Amlodipine 5 MG TAB|Azithromycin 250 mg|Atorvastatina 20 mg|Omeprazol 20 mg cap|Gabapentin 300 MG|Levotiroxina 75 mcg|Escitalopram|Warfarin 2.5mg|Fluticasone nasal spray|Hydrochlorothiazide 25|Acetaminofén 500 mg|Diclofenaco gel|Insulina glargina|Montelukast 10 mg|Tramadol 50mg")), true
	case "dx2":
		return g.pick(l("Hypertension, controlled|History of asthma|None reported|Type II diabetes since 2011|Prior knee surgery|Breast cancer, in remission|Sleep apnea|High cholesterol|Anxiety|Kidney stones 2019|Epilepsy|Crohn's disease")), true
	case "product2":
		return g.pick(l("Rosemary trug basket|Sebastian oak shelf|Monroe sofa 3-seat|Lucy bath towel|Hudson bay coat|Penelope mug 300ml|Morgan floor lamp|Hex bolt M8 zinc|Ball bearing 6204|Copper pipe 15mm|Carter work trousers|Paisley cushion")), true
	case "pass2":
		return g.pick(w("Sommer Dragon hunter Tiger letmein Wifi River sunshine Marzo qwert Galaxy")) + g.pick(w("! @ # 1 7 _ 22")) + g.digits(g.between(1, 4)) + g.pick([]string{"", "x", "!", "Aa"}), true
	case "dsn2":
		return "mysql://app_" + g.hex(3) + ":" + g.from(alnum, 14) + "@10.4." + strconv.Itoa(g.between(1, 200)) + ".7:3306/main", true
	}
	return "", false
}
