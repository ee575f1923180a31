package classify

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// combined makes values out of others: how data of a real system is stored, cut, mixed and spoilt.
func (g *generator) combined(name, arg string, row int) (string, bool, error) {
	inner := func(spec string) (string, error) { return g.value(spec, row) }
	var v string
	var err error
	switch name {
	case "tmpl": // text with <generators>
		v, err = g.template(arg, row)
	case "mix": // mix:share:first;;second
		share, rest, _ := strings.Cut(arg, ":")
		first, second, _ := strings.Cut(rest, ";;")
		if p, _ := strconv.ParseFloat(share, 64); g.r.Float64() >= p {
			first = second
		}
		v, err = inner(first)
	case "bare": // without separators
		v, err = inner(arg)
		v = strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, v)
	case "low":
		v, err = inner(arg)
		v = strings.ToLower(v)
	case "up":
		v, err = inner(arg)
		v = strings.ToUpper(v)
	case "pad": // as CHAR(n) columns of old systems: blanks behind
		v, err = inner(arg)
		v += "   "
	case "space4":
		v, err = inner(arg)
		v = grouped(v, ' ')
	case "dash4":
		v, err = inner(arg)
		v = grouped(v, '-')
	case "stars": // all but the last four hidden
		v, err = inner(arg)
		if n := len(v) - 4; n > 0 {
			v = strings.Repeat("*", n) + v[n:]
		}
	case "off": // a digit changed: check digits as good as by chance
		v, err = inner(arg)
		v = g.spoil(v)
	default:
		return "", false, nil
	}
	return v, true, err
}

func (g *generator) template(s string, row int) (string, error) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i:], '>')
		if j < 0 {
			break
		}
		v, err := g.value(s[i+1:i+j], row)
		if err != nil {
			return "", err
		}
		b.WriteString(s[:i] + v)
		s = s[i+j+1:]
	}
	return b.String() + s, nil
}

func grouped(s string, sep byte) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(sep)
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (g *generator) spoil(s string) string {
	b := []byte(s)
	for n := 0; n < 2; {
		i := g.r.IntN(len(b))
		if b[i] >= '0' && b[i] <= '9' {
			b[i] = byte('0' + g.r.IntN(10))
			n++
		}
	}
	return string(b)
}

// stored makes values that the development set has no generator for.
func (g *generator) stored(name, arg string) (string, bool) {
	switch name {
	case "day": // day:layout:from:to
		f := strings.Split(arg, ":")
		a, _ := strconv.Atoi(f[1])
		b, _ := strconv.Atoi(f[2])
		y, m, d := g.between(a, b), g.between(1, 12), g.between(1, 28)
		return strings.NewReplacer("YYYY", fmt.Sprintf("%04d", y), "YY", fmt.Sprintf("%02d", y%100), "MM", fmt.Sprintf("%02d", m), "DD", fmt.Sprintf("%02d", d)).Replace(f[0]), true
	case "words": // words:language:n
		lang, n, _ := strings.Cut(arg, ":")
		k, _ := strconv.Atoi(n)
		out := make([]string, k)
		for i := range out {
			out[i] = g.pick(filler(lang))
		}
		return strings.Join(out, " "), true
	case "initials":
		return g.code("A. ") + g.pick(g.loc.sur), true
	case "nick":
		return g.pick(w("silver blue mad night iron lazy tiny super old pixel")) + g.pick(w("fox panda wolf rider coder storm hawk otter duck")) + g.digits(g.between(0, 4)), true
	case "mail2": // other shapes of address
		host := g.pick(w("fernpost webmail quickbox letterbox familie-net uni-campus stadtwerk-mail")) + "." + g.loc.tld
		return g.pick(w("info office j m.k the.real sales+ x_")) + g.code("dd") + strings.ToLower(g.code("AAA")) + "@" + host, true
	case "fake":
		return g.pick(l("test|n/a|xxx|asdf|-|unknown|TBD|dummy")), true
	case "lt":
		return "<", true
	case "devat":
		return g.until(checkdigit.Mod1110, func() string { return g.code("Ndddddddd") }), true
	case "opaque2":
		return g.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 14), true
	case "lot":
		return g.code("AAdddd/dd"), true
	case "opaque":
		return g.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 43), true
	case "animal":
		return g.pick(w("Labrador Siamese Holstein Merino Beagle Persian Angus Leghorn Dachshund Shetland")), true
	case "ship":
		return g.pick(l("MV Charlotte|SS Wilhelmina|MS Georg Ritter|Ever Anna|Star of Mary|Queen Victoria|HMS Edward")), true
	case "song":
		return g.pick(l("Letter to Elise|Maria Maria|Oh Carol|Jolene (live)|Roxanne|Michelle|Angie|Layla|Peggy Sue|Barbara Ann")), true
	case "religion":
		return g.pick(l("katholisch|evangelisch|muslimisch|jüdisch|ohne|buddhistisch")), true
	case "party":
		return g.pick(l("Partido Verde|Coligação Popular|União Democrática|Independente")), true
	case "rx":
		return g.pick(l("Ramipril 5mg|Bisoprolol 2,5 mg|Torasemid|Apixaban 5mg|Metoprolol|Duloxetin 60 mg|Tamsulosin|Allopurinol 300|Simvastatin|Prednisolon 5 mg|Citalopram|L-Thyroxin 75")), true
	case "dx":
		return g.pick(l("Arterielle Hypertonie|Diabetes mellitus Typ 2|Akute Bronchitis|Gonarthrose rechts|Depressive Episode|Vorhofflimmern|Hypothyreose|COPD|Kreuzschmerz|Migräne|Rheumatoide Arthritis|Asthma bronchiale")), true
	case "argon":
		b := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
		return "$argon2id$v=19$m=65536,t=3,p=4$" + g.from(b, 22) + "$" + g.from(b, 43), true
	case "ghp":
		return "ghp_" + g.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 36), true
	case "semver":
		return fmt.Sprintf("v%d.%d.%d-rc%d", g.between(0, 9), g.between(0, 30), g.between(0, 50), g.between(1, 9)), true
	case "oid":
		return fmt.Sprintf("1.3.6.1.4.1.%d.%d", g.between(100, 50000), g.between(1, 9)), true
	case "cron":
		return fmt.Sprintf("%d %d * * %d", g.between(0, 59), g.between(0, 23), g.between(0, 6)), true
	case "lang":
		return g.pick(w("en-US de-DE fr-FR es-MX pt-BR")), true
	}
	return "", false
}
