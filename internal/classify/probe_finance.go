package classify

import (
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

func financeProbes(d *dictionaries) []probe {
	amount := func(v *value) verdict { return shapeOnly(isAmount(v)) }
	ibans := ibanLengths()
	return []probe{
		{class: "fin.card_number", how: byChecksum, p0: 0.1, fams: "tiny", test: cardNumber},
		{class: "fin.card_cvv", how: byWeak, fams: "ti", test: func(v *value) verdict { return shapeOnly(isDigits(v.raw) && len(v.raw) <= 4) }},
		{class: "fin.card_expiry", how: byWeak, limit: 3, test: cardExpiry},
		{class: "fin.card_expiry", how: byWeak, fams: "i", test: func(v *value) verdict {
			n, err := strconv.Atoi(v.raw)
			return shapeOnly(err == nil && (inRange(n, 1, 12) || inRange(n, 20, 45) || inRange(n, 2015, 2050) || inRange(n/100, 1, 12)))
		}},
		{class: "fin.card_expiry", how: byWeak, named: true, test: func(v *value) verdict { // a month or a year by itself
			if !isDigits(v.raw) || len(v.raw) > 4 {
				return misfit
			}
			n, _ := strconv.Atoi(v.raw)
			return shapeOnly(len(v.raw) <= 2 && (inRange(n, 1, 12) || inRange(n, 20, 60)) || inRange(n, 2015, 2060))
		}},
		{class: "fin.card_expiry", how: byWeak, fams: "ds", test: func(v *value) verdict { return shapeOnly(yearOf(v) >= 2000) }},
		{class: "fin.card_track", how: byChecksum, p0: 0.01, test: cardTrack},
		{class: "fin.card_last4", how: byWeak, fams: "ti", test: func(v *value) verdict {
			s := v.raw
			return shapeOnly(len(s) == 4 && isDigits(s) || v.nDigit >= 4 && v.nDigit <= 10 && masked(s) && isDigits(s[max(0, len(s)-4):]) || v.nDigit <= 4 && v.nDigit > 0 && isDigits(s))
		}},
		{class: "fin.iban", how: byChecksum, p0: 0.0105, test: func(v *value) verdict {
			c := strings.ReplaceAll(v.compact, " ", "")
			if len(c) < 15 || len(c) > 34 || !outline(c[:4], "AAdd") {
				return misfit
			}
			if n := ibans[c[:2]]; n == 0 || n != len(c) {
				return misfit
			}
			return check(checkdigit.IBAN(c))
		}},
		{class: "fin.bank_account", how: byWeak, fams: "tin", test: func(v *value) verdict {
			return shapeOnly(v.nDigit >= 5 && v.nDigit <= 26 && v.nLower == 0 && v.nUpper <= 6 && v.nOther == 0)
		}},
		{class: "fin.bank_account", how: byChecksum, p0: 0.1, fams: "ti", region: "MX", test: digitCheck(18, checkdigit.CLABE)},
		{class: "fin.bank_account", how: byChecksum, p0: 0.01, region: "AR", test: digitCheck(22, checkdigit.CBU)},
		{class: "fin.aba_routing", how: byChecksum, p0: 0.1, fams: "ti", region: "US", test: func(v *value) verdict {
			s := padded(v, 9)
			if !isDigits(s) || len(s) != 9 {
				return misfit
			}
			return check(checkdigit.ABA(s))
		}},
		{class: "fin.sort_code", how: byShape, p0: 0.15, limit: 4, test: func(v *value) verdict {
			if outline(v.raw, "dd-dd-dd") {
				return check(yearOf(v) == 0 || atoi2(v.raw[3:]) > 12)
			}
			return shapeOnly(outline(v.raw, "ddd-ddd"))
		}},
		{class: "fin.sort_code", how: byWeak, fams: "ti", named: true, test: func(v *value) verdict { return shapeOnly(inRange(len(v.digits), 5, 6)) }},
		{class: "fin.bank_code", how: byWeak, fams: "ti", test: func(v *value) verdict {
			return shapeOnly(inRange(len(v.digits), 3, 10) || outline(v.raw, "AAAA0XXXXXX"))
		}},
		{class: "fin.bank_code", how: byShape, p0: 0.01, region: "IN", test: func(v *value) verdict { return shapeOnly(outline(v.raw, "AAAA0XXXXXX")) }},
		{class: "fin.bic", how: byChecksum, p0: 0.35, limit: 9, test: func(v *value) verdict {
			s := v.raw
			if len(s) != 8 && len(s) != 11 || !outline(s[:8], "AAAAAAXX") || len(s) == 11 && !outline(s[8:], "XXX") {
				return misfit
			}
			return check(d.alpha2[s[4:6]])
		}},
		{class: "fin.crypto_wallet", how: byShape, p0: 0.0001, test: wallet},
		{class: "fin.salary", how: byWeak, fams: "nit", test: amount},
		{class: "fin.income", how: byWeak, fams: "nit", test: func(v *value) verdict {
			return shapeOnly(isAmount(v) || v.nDigit > 0 && strings.ContainsAny(v.raw, "-–<>+kK"))
		}},
		{class: "fin.balance", how: byWeak, fams: "nit", test: amount},
		{class: "fin.credit_score", how: byWeak, fams: "nit", test: func(v *value) verdict {
			n, err := strconv.ParseFloat(v.raw, 64)
			return shapeOnly(err == nil && n >= 0 && n <= 1000)
		}},
		{class: "fin.vat_id", how: byChecksum, p0: 0.05, test: vatID},
		{class: "fin.vat_id", how: byChecksum, p0: 0.1, fams: "ti", named: true, test: bareVAT},
		{class: "fin.vat_id", how: byWeak, named: true, test: func(v *value) verdict {
			return shapeOnly(v.nDigit >= 7 && v.nDigit <= 15 && v.runes <= 20 && v.nOther == 0)
		}},
		{class: "fin.company_id", how: byChecksum, p0: 0.1, fams: "ti", region: "FR", test: digitCheck(14, checkdigit.SIRET)},
		{class: "fin.company_id", how: byChecksum, p0: 0.1, fams: "ti", region: "FR", test: func(v *value) verdict {
			if strings.Contains(v.raw, "-") {
				return misfit // it is written in groups with blanks
			}
			return digitCheck(9, checkdigit.SIREN)(v)
		}},
		{class: "fin.company_id", how: byChecksum, p0: 0.011, fams: "ti", region: "AU", test: digitCheck(11, checkdigit.ABN)},
		{class: "fin.company_id", how: byChecksum, p0: 0.0103, test: func(v *value) verdict {
			if len(v.raw) != 20 || !outline(v.raw[18:], "dd") || !outline(v.raw, strings.Repeat("X", 20)) || v.nUpper == 0 {
				return misfit
			}
			return check(checkdigit.LEI(v.raw))
		}},
		{class: "fin.company_id", how: byWeak, fams: "tin", named: true, test: codeLike},
		{class: "fin.customer_id", how: byWeak, fams: "ti", test: codeLike},
		{class: "fin.transaction", how: byWeak, fams: "tiu", test: func(v *value) verdict {
			return shapeOnly(v.runes >= 4 && v.runes <= 80 && v.nDigit >= 1)
		}},
	}
}

// digitCheck makes a probe of exactly n digits, separators dropped.
func digitCheck(n int, ok func(string) bool) func(v *value) verdict {
	return func(v *value) verdict {
		if len(v.digits) != n {
			return misfit
		}
		return check(ok(v.digits))
	}
}

// padded restores leading zeros that an integer column has lost, up to two.
func padded(v *value, n int) string {
	s := v.digits
	for len(s) < n && len(s) >= n-2 && isDigits(v.raw) {
		s = "0" + s
	}
	return s
}

func ibanLengths() map[string]int {
	m := map[string]int{}
	for _, f := range strings.Fields("AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20") {
		n, _ := strconv.Atoi(f[2:])
		m[f[:2]] = n
	}
	return m
}

// cardNumber checks network prefix, its lengths and Luhn; test numbers that every gateway documents count apart.
func cardNumber(v *value) verdict {
	s := v.digits
	if len(s) < 12 || len(s) > 19 || strings.ContainsAny(v.raw, "./") || !cardPrefix(s) {
		return misfit
	}
	switch s {
	case "4111111111111111", "4242424242424242", "5555555555554444", "378282246310005", "4012888888881881", "4000056655665556", "5105105105105100", "6011111111111117", "371449635398431", "30569309025904", "3530111333300000", "4222222222222":
		return example
	}
	return check(checkdigit.Luhn(s))
}

func cardPrefix(s string) bool {
	n := len(s)
	p2, _ := strconv.Atoi(s[:2])
	p3, _ := strconv.Atoi(s[:3])
	p4, _ := strconv.Atoi(s[:4])
	switch {
	case s[0] == '4':
		return n == 13 || n == 16 || n == 19
	case inRange(p2, 51, 55), inRange(p4, 2221, 2720):
		return n == 16
	case p2 == 34 || p2 == 37:
		return n == 15
	case p4 == 6011, inRange(p3, 644, 649), p2 == 65:
		return n >= 16
	case inRange(p3, 300, 305), p2 == 36, p2 == 38:
		return n == 14
	case inRange(p4, 3528, 3589):
		return n >= 16
	case p2 == 62:
		return n >= 16
	case inRange(p4, 2200, 2204):
		return n == 16
	case p2 == 50, inRange(p2, 56, 69):
		return true
	}
	return false
}

func cardExpiry(v *value) verdict {
	s := v.raw
	switch {
	case outlineAny(s, "dd/dd", "dd-dd", "dd/dddd", "dd-dddd", "dddd"), outlineAny(s, "dd.dd", "dd / dd"):
		return shapeOnly(inRange(atoi2(s), 1, 12))
	case outline(s, "dddd-dd"):
		return shapeOnly(inRange(atoi2(s[5:]), 1, 12))
	case len(s) <= 2 && isDigits(s):
		return fits
	case yearOf(v) >= 2000:
		return fits
	}
	return misfit
}

func cardTrack(v *value) verdict {
	s := v.raw
	if len(s) < 20 {
		return misfit
	}
	pan := ""
	switch {
	case strings.HasPrefix(s, "%B"):
		pan, _, _ = strings.Cut(s[2:], "^")
	case s[0] == ';':
		pan, _, _ = strings.Cut(s[1:], "=")
	default:
		if p, rest, ok := strings.Cut(s, "="); ok && len(rest) >= 7 && isDigits(rest[:7]) {
			pan = p
		}
	}
	if len(pan) < 12 || len(pan) > 19 || !isDigits(pan) {
		return misfit
	}
	return check(checkdigit.Luhn(pan))
}

func wallet(v *value) verdict {
	s := v.raw
	switch {
	case len(s) == 42 && strings.HasPrefix(s, "0x"):
		return shapeOnly(checkdigit.EIP55(s))
	case strings.HasPrefix(strings.ToLower(s), "bc1") || strings.HasPrefix(strings.ToLower(s), "tb1") || strings.HasPrefix(s, "ltc1"):
		return shapeOnly(checkdigit.Bech32(s))
	case len(s) >= 26 && len(s) <= 35 && (s[0] == '1' || s[0] == '3' || s[0] == 'L' || s[0] == 'M' || s[0] == 'D' || s[0] == 'T'):
		if checkdigit.Base58Check(s) {
			return passed
		}
		if only(s, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz") && v.nLower > 3 && v.nUpper > 3 && (s[0] == '1' || s[0] == '3') {
			return fits
		}
	}
	return misfit
}

func isAmount(v *value) bool {
	if v.nDigit == 0 || v.runes > 24 {
		return false
	}
	for _, r := range v.raw {
		if (r < '0' || r > '9') && !strings.ContainsRune(".,' -+$€£¥₺₽złkrR", r) && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return v.nUpper <= 3
}

// vatID checks a number with its country prefix.
func vatID(v *value) verdict {
	s := v.compact
	if len(s) < 9 || len(s) > 15 || !outline(s[:2], "AA") {
		return misfit
	}
	n := s[2:]
	switch s[:2] {
	case "DE":
		return vatRule(n, 9, checkdigit.Mod1110)
	case "IT":
		return vatRule(n, 11, checkdigit.Luhn)
	case "FR":
		if len(n) == 11 && !isDigits(n) && isDigits(n[2:]) {
			return check(checkdigit.SIREN(n[2:]))
		}
		return vatRule(n, 11, func(x string) bool { return checkdigit.FRVAT(x) || checkdigit.SIREN(x[2:]) })
	case "ES":
		if len(n) != 9 {
			return misfit
		}
		return check(checkdigit.CIF(n) || checkdigit.ESNIF(n))
	case "GB", "XI":
		return vatRule(n, 9, checkdigit.GBVAT)
	case "PL":
		return vatRule(n, 10, checkdigit.NIP)
	case "NL":
		if len(n) != 12 || n[9] != 'B' {
			return misfit
		}
		return check(checkdigit.NLVAT(n))
	case "BE":
		return vatRule(n, 10, checkdigit.BEVAT)
	case "PT":
		return vatRule(n, 9, checkdigit.PTNIF)
	case "AT":
		return shapeOnly(len(n) == 9 && n[0] == 'U' && isDigits(n[1:]))
	case "SE":
		return vatRule(n, 12, func(x string) bool { return checkdigit.Luhn(x[:10]) })
	case "DK", "FI", "LU", "HU", "SI", "MT":
		return shapeOnly(isDigits(n) && len(n) == 8)
	case "CZ", "EE", "EL", "GR", "HR", "LT", "LV", "RO", "SK", "BG", "NO":
		return shapeOnly(isDigits(n) && len(n) >= 8)
	case "IE":
		return shapeOnly(len(n) >= 8 && len(n) <= 9)
	case "CH":
		return shapeOnly(strings.HasPrefix(n, "E") && v.nDigit == 9)
	}
	return misfit
}

func vatRule(n string, length int, ok func(string) bool) verdict {
	if len(n) != length || !isDigits(n) {
		return misfit
	}
	return check(ok(n))
}

// bareVAT checks numbers without prefix: Polish NIP, Italian partita IVA, German nine digits, Spanish CIF.
func bareVAT(v *value) verdict {
	switch s := v.compact; {
	case len(v.digits) == 10:
		return check(checkdigit.NIP(v.digits) || checkdigit.RUINN(v.digits))
	case len(v.digits) == 11:
		return check(checkdigit.Luhn(v.digits))
	case len(v.digits) == 9:
		return check(checkdigit.Mod1110(v.digits) || checkdigit.GBVAT(v.digits) || checkdigit.PTNIF(v.digits))
	case len(s) == 9 && outline(s[1:8], "ddddddd"):
		return check(checkdigit.CIF(s) || checkdigit.ESNIF(s))
	}
	return misfit
}
