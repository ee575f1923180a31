package classify

import (
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// digitID makes the probe of a number with n digits whose structure (dates, prefixes) must hold before its check digit counts:
// structured decoys share the structure, so only numbers with it are tested.
func digitID(class Class, region string, p0 float64, n int, structure func(string) bool, ok func(string) bool) probe {
	return probe{class: class, how: byChecksum, p0: p0, fams: "tin", region: region, test: func(v *value) verdict {
		s := v.digits
		if s == "" {
			if v.nDigit != n || v.nLower+v.nUpper+v.nOther > 0 {
				return misfit
			}
			s = bareDigits(v.compact)
		}
		if isDigits(v.raw) {
			for len(s) < n && len(s) >= n-1 {
				s = "0" + s // lost by an integer column
			}
		}
		if len(s) != n || !isDigits(s) || v.runes > n+6 || structure != nil && !structure(s) {
			return misfit
		}
		return check(ok(s))
	}}
}

// textID makes the probe of an identifier with letters.
func textID(class Class, region string, p0 float64, shape func(string) bool, ok func(string) bool) probe {
	return probe{class: class, how: byChecksum, p0: p0, region: region, test: func(v *value) verdict {
		if v.runes > 24 || !shape(v.compact) {
			return misfit
		}
		return check(ok(v.compact))
	}}
}

func yymmdd(s string) bool { return monthDay(atoi2(s[2:]), atoi2(s[4:])) }

func ddmmyy(s string) bool { return monthDay(atoi2(s[2:]), atoi2(s)) }

func idProbes() []probe {
	out := americasIDs()
	out = append(out, europeIDs()...)
	out = append(out, nordicIDs()...)
	out = append(out, asiaPacificIDs()...)
	return append(out, documentIDs()...)
}

func americasIDs() []probe {
	return []probe{
		{class: "id.us_ssn", how: byShape, p0: 0.05, limit: 10, region: "US", test: func(v *value) verdict {
			if !outlineAny(v.raw, "ddd-dd-dddd", "ddd dd dddd") {
				return misfit
			}
			return ssn(compact(v.raw))
		}},
		{class: "id.us_ssn", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict {
			s := padded(v, 9)
			if len(s) != 9 || !isDigits(s) {
				return misfit
			}
			return ssn(s)
		}},
		{class: "id.us_itin", how: byShape, p0: 0.03, limit: 11, region: "US", test: func(v *value) verdict {
			if !outlineAny(v.raw, "ddd-dd-dddd", "ddd dd dddd") {
				return misfit
			}
			return itin(compact(v.raw))
		}},
		{class: "id.us_itin", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict {
			if len(v.digits) != 9 {
				return misfit
			}
			return itin(v.digits)
		}},
		{class: "id.us_ein", how: byShape, p0: 0.03, limit: 8, region: "US", test: func(v *value) verdict {
			return check2(outline(v.raw, "dd-ddddddd"), einPrefix(v.digits))
		}},
		{class: "id.us_ein", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict { return check2(len(v.digits) == 9, einPrefix(v.digits)) }},
		digitID("id.ca_sin", "CA", 0.1, 9, func(s string) bool { return s[0] != '0' && s[0] != '8' }, checkdigit.Luhn),
		digitID("id.br_cpf", "BR", 0.0103, 11, nil, checkdigit.CPF),
		textID("id.br_cnpj", "BR", 0.0103, func(s string) bool { return len(s) == 14 && isDigits(s[12:]) && isAlnum(s) }, checkdigit.CNPJ),
		digitID("id.br_cnpj", "BR", 0.0103, 14, nil, checkdigit.CNPJ),
		textID("id.mx_curp", "MX", 0.05, func(s string) bool {
			s = strings.ReplaceAll(s, "Ñ", "N")
			return len(s) == 18 && outline(s[:10], "AAAAdddddd") && yymmdd(s[4:]) && (s[10] == 'H' || s[10] == 'M' || s[10] == 'X') && outline(s[11:17], "AAAAAX")
		}, checkdigit.CURP),
		digitID("id.ar_cuit", "AR", 0.1, 11, func(s string) bool {
			switch s[:2] {
			case "20", "23", "24", "25", "26", "27", "30", "33", "34":
				return true
			}
			return false
		}, checkdigit.CUIT),
	}
}

func check2(shape, ok bool) verdict {
	if !shape {
		return misfit
	}
	return check(ok)
}

func ssn(s string) verdict {
	switch s {
	case "078051120", "219099999", "123456789", "457555462":
		return example
	}
	return check(s[:3] != "000" && s[:3] != "666" && s[0] != '9' && s[3:5] != "00" && s[5:] != "0000")
}

func itin(s string) verdict {
	g := atoi2(s[3:])
	return check(s[0] == '9' && (inRange(g, 50, 65) || inRange(g, 70, 88) || inRange(g, 90, 92) || inRange(g, 94, 99)))
}

func einPrefix(s string) bool {
	if len(s) != 9 {
		return false
	}
	p := atoi2(s)
	return inRange(p, 1, 6) || inRange(p, 10, 16) || inRange(p, 20, 27) || inRange(p, 30, 48) || inRange(p, 50, 68) || inRange(p, 71, 77) || inRange(p, 80, 88) || inRange(p, 90, 95) || p >= 98
}

func europeIDs() []probe {
	return []probe{
		{class: "id.uk_nino", how: byShape, p0: 0.002, region: "GB", test: func(v *value) verdict { return nino(v.compact) }},
		digitID("id.uk_nhs", "GB", 0.091, 10, nil, checkdigit.NHS),
		digitID("id.de_tax_id", "DE", 0.0032, 11, func(s string) bool { return s[0] != '0' }, checkdigit.DETaxID),
		textID("id.de_social_security", "DE", 0.1, func(s string) bool {
			if !outline(s, "ddddddddAddd") {
				return false
			}
			d := atoi2(s[2:])
			return monthDay(atoi2(s[4:]), d) || d > 50 && monthDay(atoi2(s[4:]), d-50)
		}, checkdigit.RVNR),
		textID("id.fr_nir", "FR", 0.0103, func(s string) bool {
			if len(s) != 15 || !isDigits(s[:5]) || !isDigits(s[7:]) || strings.IndexByte("123478", s[0]) < 0 {
				return false
			}
			m := atoi2(s[3:])
			return inRange(m, 1, 12) || inRange(m, 20, 42) || inRange(m, 50, 99)
		}, checkdigit.NIR),
		digitID("id.fr_nir", "FR", 0.0103, 15, func(s string) bool { return strings.IndexByte("123478", s[0]) >= 0 && inRange(atoi2(s[3:]), 1, 99) }, checkdigit.NIR),
		{class: "id.fr_nir", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict {
			return shapeOnly(len(v.compact) == 13 && strings.IndexByte("12", v.compact[0]) >= 0 && inRange(atoi2(v.compact[3:]), 1, 99))
		}},
		textID("id.es_nif", "ES", 0.043, func(s string) bool {
			return outlineAny(s, "ddddddddA", "AdddddddA") && (s[0] <= '9' || strings.IndexByte("XYZKLM", s[0]) >= 0)
		}, checkdigit.ESNIF),
		textID("id.it_codice_fiscale", "IT", 0.038, func(s string) bool {
			return len(s) == 16 && outline(s[:6], "AAAAAA") && strings.IndexByte("ABCDEHLMPRST", s[8]) >= 0 && upperAlpha(s[11:12]) && upperAlpha(s[15:])
		}, checkdigit.CodiceFiscale),
		digitID("id.nl_bsn", "NL", 0.091, 9, nil, checkdigit.BSN),
		digitID("id.be_nrn", "BE", 0.0206, 11, func(s string) bool {
			m := atoi2(s[2:])
			return (inRange(m, 0, 12) || inRange(m, 20, 32) || inRange(m, 40, 52)) && atoi2(s[4:]) <= 31
		}, checkdigit.BENRN),
		digitID("id.pl_pesel", "PL", 0.1, 11, func(s string) bool { return inRange(atoi2(s[2:])%20, 1, 12) && inRange(atoi2(s[4:]), 1, 31) }, checkdigit.PESEL),
		{class: "id.ch_ahv", how: byChecksum, p0: 0.1, fams: "tin", region: "CH", test: func(v *value) verdict {
			if len(v.digits) != 13 || v.digits[:3] != "756" {
				return misfit
			}
			return check(checkdigit.EAN13(v.digits))
		}},
		digitID("id.pt_nif", "PT", 0.1, 9, func(s string) bool { return s[0] >= '1' && s[0] <= '3' || s[:2] == "45" }, checkdigit.PTNIF),
		digitID("id.tr_tckn", "TR", 0.0103, 11, func(s string) bool { return s[0] != '0' }, checkdigit.TCKN),
	}
}

func upperAlpha(s string) bool { return outline(s, strings.Repeat("A", len(s))) }

func nino(s string) verdict {
	if !outlineAny(s, "AAddddddA", "AAdddddd") {
		return misfit
	}
	if strings.IndexByte("DFIQUV", s[0]) >= 0 || strings.IndexByte("DFIQUVO", s[1]) >= 0 {
		return failed
	}
	switch s[:2] {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return failed
	}
	if len(s) == 8 {
		return fits
	}
	return check(s[8] <= 'D')
}

func nordicIDs() []probe {
	century := func(v *value) string { // personal numbers with the century in front
		s := v.digits
		if s == "" {
			s = strings.ReplaceAll(v.compact, "+", "")
		}
		if len(s) == 12 && (s[:2] == "19" || s[:2] == "20") {
			return s[2:]
		}
		return s
	}
	return []probe{
		{class: "id.se_personnummer", how: byChecksum, p0: 0.1, fams: "tin", region: "SE", test: func(v *value) verdict {
			s := century(v)
			if len(s) != 10 || !isDigits(s) || !inRange(atoi2(s[2:]), 1, 12) || !inRange(atoi2(s[4:])%60, 1, 31) {
				return misfit
			}
			return check(checkdigit.Luhn(s))
		}},
		{class: "id.fi_hetu", how: byChecksum, p0: 0.032, region: "FI", test: func(v *value) verdict {
			s := strings.ToUpper(v.raw)
			if len(s) != 11 || !outline(s[:6], "dddddd") || !ddmmyy(s) || !outline(s[7:], "dddX") || strings.IndexByte("+-ABCDEFUVWXY", s[6]) < 0 {
				return misfit
			}
			return check(checkdigit.HETU(s))
		}},
		{class: "id.dk_cpr", how: byChecksum, p0: 0.091, fams: "ti", soft: true, region: "DK", test: func(v *value) verdict {
			if len(v.digits) != 10 || !ddmmyy(v.digits) {
				return misfit
			}
			return check(checkdigit.CPR(v.digits))
		}},
		digitID("id.no_fnr", "NO", 0.0083, 11, func(s string) bool { return monthDay(atoi2(s[2:])%40, atoi2(s)%40) }, checkdigit.FNR),
	}
}

func asiaPacificIDs() []probe {
	return []probe{
		digitID("id.in_aadhaar", "IN", 0.1, 12, func(s string) bool { return s[0] >= '2' }, checkdigit.Verhoeff),
		{class: "id.in_pan", how: byShape, p0: 0.01, region: "IN", test: func(v *value) verdict {
			s := v.raw
			return check2(outline(s, "AAAAAddddA"), len(s) == 10 && strings.IndexByte("ABCFGHLJPT", s[3]) >= 0 && s[5:9] != "0000")
		}},
		textID("id.cn_rid", "CN", 0.091, func(s string) bool {
			return len(s) == 18 && isDigits(s[:17]) && s[0] != '0' && (s[6:8] == "19" || s[6:8] == "20") && monthDay(atoi2(s[10:]), atoi2(s[12:]))
		}, checkdigit.CNResident),
		{class: "id.kr_rrn", how: byChecksum, p0: 0.1, fams: "ti", soft: true, region: "KR", test: func(v *value) verdict {
			if len(v.digits) != 13 || !yymmdd(v.digits) || v.digits[6] == '9' || v.digits[6] == '0' {
				return misfit
			}
			return check(checkdigit.RRN(v.digits))
		}},
		{class: "id.kr_rrn", how: byShape, p0: 0.08, limit: 8, region: "KR", test: func(v *value) verdict {
			return check2(outline(v.raw, "dddddd-ddddddd"), len(v.digits) == 13 && yymmdd(v.digits) && v.digits[6] >= '1' && v.digits[6] <= '8')
		}},
		digitID("id.jp_mynumber", "JP", 0.1, 12, nil, checkdigit.MyNumber),
		digitID("id.au_tfn", "AU", 0.091, 9, nil, checkdigit.TFN),
		{class: "id.au_medicare", how: byChecksum, p0: 0.1, fams: "ti", region: "AU", test: func(v *value) verdict {
			s := v.digits
			if len(s) != 10 && len(s) != 11 || s[0] < '2' || s[0] > '6' {
				return misfit
			}
			return check(checkdigit.AUMedicare(s))
		}},
		digitID("id.za_id", "ZA", 0.1, 13, func(s string) bool { return yymmdd(s) && s[10] <= '2' && s[11] >= '8' }, checkdigit.Luhn),
		textID("id.sg_nric", "SG", 0.038, func(s string) bool { return outline(s, "AdddddddA") && strings.IndexByte("STFGM", s[0]) >= 0 }, checkdigit.NRIC),
	}
}

func documentIDs() []probe {
	return []probe{
		{class: "id.national_id", how: byWeak, fams: "tin", test: codeLike},
		{class: "id.national_id", how: byChecksum, p0: 0.0103, fams: "tin", region: "RU", named: true, test: digitCheck(11, checkdigit.SNILS)},
		{class: "id.national_id", how: byChecksum, p0: 0.02, fams: "tin", region: "RU", named: true, test: digitCheck(12, checkdigit.RUINN)},
		{class: "id.passport", how: byWeak, test: func(v *value) verdict {
			return shapeOnly(v.runes >= 6 && v.runes <= 12 && v.nDigit >= 2 && v.nLower == 0 && v.nOther == 0)
		}},
		{class: "id.passport", how: byChecksum, p0: 0.0003, test: func(v *value) verdict {
			for _, line := range strings.Fields(v.raw) {
				if len(line) == 44 || len(line) == 36 || len(line) == 30 {
					if strings.Contains(line, "<") && checkdigit.MRZ(line) {
						return passed
					}
				}
			}
			return misfit
		}},
		{class: "id.drivers_license", how: byWeak, fams: "tin", test: codeLike},
		{class: "id.drivers_license", how: byShape, p0: 0.002, region: "GB", test: func(v *value) verdict {
			s := v.compact
			return shapeOnly(len(s) >= 16 && len(s) <= 18 && upperAlpha(s[:1]) && isDigits(s[5:11]) && outline(s[:5], "XXXXX") && inRange(atoi2(s[6:])%50, 1, 12))
		}},
		{class: "id.professional_license", how: byWeak, fams: "ti", test: codeLike},
		{class: "id.vin", how: byChecksum, p0: 0.091, soft: true, test: vin},
		{class: "id.vin", how: byShape, p0: 0.02, limit: 5.5, test: func(v *value) verdict { return shapeOnly(vin(v) != misfit) }},
		{class: "id.vehicle_plate", how: byWeak, limit: 3, test: plate},
	}
}

func vin(v *value) verdict {
	s := v.raw
	if len(s) != 17 || v.nUpper < 2 || v.nDigit < 4 || !outline(s, "XXXXXXXXXXXXXXXXX") || strings.ContainsAny(s, "IOQ") || !outline(s[13:], "dddd") {
		return misfit
	}
	return check(checkdigit.VIN(s))
}

func plate(v *value) verdict {
	s := v.compact
	if len(s) < 4 || len(s) > 10 || v.nDigit == 0 || v.nUpper+v.nOther == 0 || v.nLower > 0 {
		return misfit
	}
	return passed
}

// bareDigits drops brackets and plus signs.
func bareDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '+' || r == '(' || r == ')' {
			return -1
		}
		return r
	}, s)
}
