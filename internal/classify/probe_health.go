package classify

import (
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

func healthProbes(d *dictionaries) []probe {
	return []probe{
		{class: "health.mrn", how: byWeak, fams: "ti", test: codeLike},
		{class: "health.condition", how: byList, p0: 0.02, test: d.condition},
		{class: "health.icd10", how: byChecksum, p0: 0.55, limit: 7, test: func(v *value) verdict { return d.icd10(v.raw) }},
		{class: "health.medication", how: byList, p0: 0.02, test: d.medication},
		{class: "health.ndc", how: byShape, p0: 0.05, limit: 6.5, test: func(v *value) verdict {
			return shapeOnly(outlineAny(v.raw, "dddd-dddd-dd", "ddddd-ddd-dd", "ddddd-dddd-d", "ddddd-dddd-dd"))
		}},
		{class: "health.ndc", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict {
			return shapeOnly(inRange(len(v.digits), 6, 13) || strings.HasPrefix(v.low, "pzn"))
		}},
		{class: "health.lab", how: byWeak, fams: "nit", test: func(v *value) verdict { return shapeOnly(v.nDigit > 0 && v.runes <= 24 || v.runes <= 40) }},
		{class: "health.lab", how: byList, p0: 0.02, test: func(v *value) verdict {
			if v.runes > 50 || v.nLower+v.nUpper+v.nOther < 2 {
				return misfit
			}
			return check(d.has("analyte", v.low))
		}},
		{class: "health.loinc", how: byChecksum, p0: 0.1, test: func(v *value) verdict {
			a, b, ok := strings.Cut(v.raw, "-")
			if !ok || len(b) != 1 || len(a) < 1 || len(a) > 5 || !isDigits(a) || !isDigits(b) {
				return misfit
			}
			return check(checkdigit.Luhn(a + b))
		}},
		{class: "health.blood_type", how: bySet, limit: 9, named: true, test: func(v *value) verdict { return shapeOnly(bloodType(v.low)) }},
		{class: "health.blood_type", how: bySet, limit: 9, test: func(v *value) verdict {
			return shapeOnly(bloodType(v.low) && v.runes > 1) // A and B alone are grades, shelves and answers
		}},
		{class: "health.vitals", how: byWeak, fams: "nit", test: vitals},
		{class: "health.vitals", how: byShape, p0: 0.05, limit: 5, test: func(v *value) verdict {
			a, b, ok := strings.Cut(strings.TrimSuffix(v.raw, " mmHg"), "/")
			if !ok || !isDigits(a) || !isDigits(b) || len(a) > 3 || len(b) > 3 {
				return misfit
			}
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			return shapeOnly(inRange(x, 60, 260) && inRange(y, 30, 160) && x > y)
		}},
		{class: "health.insurance_id", how: byWeak, fams: "ti", test: codeLike},
		{class: "health.insurance_id", how: byChecksum, p0: 0.1, region: "DE", test: func(v *value) verdict {
			if !outline(v.compact, "Addddddddd") {
				return misfit
			}
			return check(checkdigit.KVNR(v.compact))
		}},
		{class: "health.mbi", how: byShape, p0: 0.001, region: "US", test: mbi},
		{class: "health.npi", how: byChecksum, p0: 0.1, fams: "tin", region: "US", test: func(v *value) verdict {
			if len(v.digits) != 10 || v.digits != v.raw || v.raw[0] != '1' && v.raw[0] != '2' {
				return misfit
			}
			return check(checkdigit.NPI(v.raw))
		}},
		{class: "health.dea", how: byChecksum, p0: 0.1, region: "US", test: func(v *value) verdict {
			s := v.raw
			if len(s) != 9 || !outline(s[2:], "ddddddd") || !strings.ContainsRune("ABCDEFGHJKLMPRSTUX", rune(s[0])) || !outline(s[1:2], "X") {
				return misfit
			}
			return check(checkdigit.DEA(s))
		}},
		{class: "health.rx_number", how: byWeak, fams: "ti", test: codeLike},
		{class: "health.service_date", how: byWeak, fams: "tds", test: func(v *value) verdict { return shapeOnly(yearOf(v) >= 1940) }},
		{class: "health.disability", how: byWeak, fams: "tinb", test: func(v *value) verdict { return shapeOnly(v.runes > 0 && v.runes <= 80) }},
	}
}

// condition looks for a disease: a dictionary phrase, one inside the value, or a word with a disease's ending.
func (d *dictionaries) condition(v *value) verdict {
	if v.runes < 3 || v.runes > 160 || v.nLower+v.nUpper+v.nOther < 3 || len(v.words) > 20 {
		return misfit
	}
	if d.has("condition", v.low) {
		return passed
	}
	words := d.termWords["condition"]
	for i, w := range v.words {
		if words[w] || i+1 < len(v.words) && d.has("condition", w+" "+v.words[i+1]) {
			return passed
		}
		if len(w) >= 7 {
			for _, s := range []string{"itis", "osis", "emia", "aemia", "pathy", "algia", "oma", "plegia", "rrhea", "uria", "ectomy", "itide", "osi", "patia", "emie", "algie", "itid", "ose", "allergy", "allergie", "insuffizienz", "disease", "disorder", "syndrome", "infection", "krankheit", "fraktur"} {
				if strings.HasSuffix(w, s) && w != "diploma" && w != "purpose" && w != "roma" {
					return passed
				}
			}
		}
		switch w {
		case "disease", "disorder", "syndrome", "infection", "pain", "fracture", "cancer", "failure", "injury", "deficiency", "chronic", "acute", "syndrom", "maladie", "douleur", "dolor", "enfermedad", "infeccion", "fractura", "dor", "doenca", "malattia", "dolore", "choroba", "zapalenie", "bol", "hastaligi", "agrisi", "schmerzen", "akute", "chronische":
			return passed
		}
	}
	return failed
}

// medication looks for an active substance, a brand, an INN stem or a dose.
func (d *dictionaries) medication(v *value) verdict {
	if v.runes < 4 || v.runes > 120 || len(v.words) == 0 || len(v.words) > 14 || v.nLower+v.nUpper+v.nOther < 4 {
		return misfit
	}
	words := d.termWords["drug"]
	dose, drug := false, d.has("drug", v.low)
	for i, w := range v.words {
		drug = drug || words[w] || i+1 < len(v.words) && d.has("drug", w+" "+v.words[i+1])
		if !drug && len(w) >= 7 {
			for _, s := range d.stems {
				if len(s) >= 4 && strings.HasSuffix(w, s) {
					drug = true
					break
				}
			}
		}
		switch w {
		case "mg", "mcg", "ml", "iu", "ie", "ug", "tablet", "tablets", "capsule", "capsules", "tabletten", "comprime", "comprimes", "comprimido", "compresse", "inhaler", "tabl", "cp", "ui":
			dose = dose || v.nDigit > 0
		}
		if n := strings.TrimLeft(w, "0123456789"); n != w && (n == "mg" || n == "mcg" || n == "ml" || n == "iu" || n == "ui" || n == "ie") {
			dose = true
		}
	}
	return check(drug || dose && v.nLower+v.nUpper >= 5 && v.runes <= 60)
}

// icd10 checks letter, two characters and the ranges in use.
func (d *dictionaries) icd10(s string) verdict {
	if len(s) < 3 || len(s) > 8 || s[0] < 'A' || s[0] > 'Z' || s[1] < '0' || s[1] > '9' {
		return misfit
	}
	if c := s[2]; (c < '0' || c > '9') && c != 'A' && c != 'B' {
		return misfit
	}
	if len(s) > 3 {
		rest := s[3:]
		if rest[0] == '.' {
			rest = rest[1:]
		} else if len(s) == 3 {
			return misfit
		}
		if len(rest) > 2 && rest == s[3:] {
			return fits // without the point, a letter and many digits are any number
		}
		if len(rest) < 1 || len(rest) > 4 || !outline(rest, strings.Repeat("X", len(rest))) {
			return misfit
		}
	}
	if s[2] > '9' {
		return passed
	}
	return check(d.icd[s[0]][atoi2(s[1:])])
}

// bloodSpelling folds the ways to write a blood group; read-only.
var bloodSpelling = strings.NewReplacer(" ", "", "rh", "", "(", "", ")", "", "positive", "+", "negative", "-", "pos.", "+", "neg.", "-", "pos", "+", "neg", "-", "positif", "+", "negatif", "-", "positivo", "+", "negativo", "-", "−", "-", "_", "", "+ve", "+", "-ve", "-", "d", "", "^", "")

func bloodType(s string) bool {
	if len(s) == 0 || len(s) > 20 {
		return false
	}
	s = bloodSpelling.Replace(s)
	s = strings.Replace(s, "zero", "0", 1)
	base := strings.TrimRight(s, "+-")
	switch base {
	case "a", "b", "ab", "o", "0":
		return len(s)-len(base) <= 1
	}
	return false
}

func vitals(v *value) verdict {
	f, _, _ := strings.Cut(v.raw, " ")
	f = strings.TrimRight(f, "%kgcm°CFbpH")
	n, err := strconv.ParseFloat(strings.Replace(f, ",", ".", 1), 64)
	if err == nil {
		return shapeOnly(n >= 0 && n <= 400)
	}
	return shapeOnly(strings.Contains(v.raw, "/") && v.nDigit >= 4 && v.nDigit <= 6)
}

// mbi checks the eleven positions of an American Medicare number.
func mbi(v *value) verdict {
	s := strings.ReplaceAll(strings.ToUpper(v.raw), "-", "")
	if len(s) != 11 {
		return misfit
	}
	const letters = "ACDEFGHJKMNPQRTUVWXY"
	for i, want := range "1LXdLXdLLdd" {
		c := rune(s[i])
		isD, isL := c >= '0' && c <= '9', strings.ContainsRune(letters, c)
		ok := want == '1' && isD && c != '0' || want == 'L' && isL || want == 'd' && isD || want == 'X' && (isD || isL)
		if !ok {
			return misfit
		}
	}
	return passed
}
