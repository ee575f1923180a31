package checkdigit

import "strings"

// NHS checks a British health number.
func NHS(s string) bool {
	if !digits(s, 10) || allEqual(s) {
		return false
	}
	c := 11 - weighted(s, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11
	if c == 11 {
		c = 0
	}
	return c == int(s[9]-'0')
}

// DETaxID checks a German tax identification number: the repeat rule and mod 11,10.
func DETaxID(s string) bool {
	if !digits(s, 11) || s[0] == '0' {
		return false
	}
	var count [10]int
	for i := range 10 {
		count[s[i]-'0']++
	}
	repeated := 0
	for _, n := range count {
		if n > 3 {
			return false
		}
		if n > 1 {
			repeated++
		}
	}
	return repeated == 1 && Mod1110(s)
}

func digitSums(s string, w ...int) int {
	sum := 0
	for i, x := range w {
		p := int(s[i]-'0') * x
		sum += p/10 + p%10
	}
	return sum
}

// letterPair is A=01 … Z=26.
func letterPair(c byte) string {
	n := int(c-'A') + 1
	return string([]byte{byte('0' + n/10), byte('0' + n%10)})
}

// RVNR checks a German pension number: eight digits, a letter, three digits.
func RVNR(s string) bool {
	if len(s) != 12 || !digits(s[:8], 8) || !upper(s[8]) || !digits(s[9:], 3) {
		return false
	}
	n := s[:8] + letterPair(s[8]) + s[9:11]
	return digitSums(n, 2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)%10 == int(s[11]-'0')
}

// KVNR checks a German health insurance number: a letter and nine digits.
func KVNR(s string) bool {
	if len(s) != 10 || !upper(s[0]) || !digits(s[1:], 9) {
		return false
	}
	n := letterPair(s[0]) + s[1:9]
	return digitSums(n, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2)%10 == int(s[9]-'0')
}

// NIR checks a French social security number of 13 characters and its key.
func NIR(s string) bool {
	if len(s) != 15 {
		return false
	}
	body := s[:13]
	switch s[5:7] {
	case "2A":
		body = s[:5] + "19" + s[7:13]
	case "2B":
		body = s[:5] + "18" + s[7:13]
	}
	return digits(body, 13) && digits(s[13:], 2) && 97-mod(body, 97) == mod(s[13:], 100)
}

// ESNIF checks the letter of a Spanish DNI, NIE or K/L/M number.
func ESNIF(s string) bool {
	if len(s) != 9 || !upper(s[8]) {
		return false
	}
	n := s[:8]
	switch s[0] {
	case 'X', 'Y', 'Z':
		n = string(s[0]-'X'+'0') + s[1:8]
	case 'K', 'L', 'M':
		n = s[1:8]
	}
	return digits(n, len(n)) && "TRWAGMYFPDXBNJZSQVHLCKE"[mod(n, 23)] == s[8]
}

// CodiceFiscale checks the last letter of an Italian tax code.
func CodiceFiscale(s string) bool {
	if len(s) != 16 {
		return false
	}
	odd := [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i := range 15 {
		v := 0
		switch c := s[i]; {
		case digit(c):
			v = int(c - '0')
		case upper(c):
			v = int(c - 'A')
		default:
			return false
		}
		if i%2 == 0 {
			v = odd[v]
		}
		sum += v
	}
	return s[15] == byte('A'+sum%26)
}

// BSN checks a Dutch citizen number of nine digits, or eight padded on the left.
func BSN(s string) bool {
	if len(s) == 8 {
		s = "0" + s
	}
	if !digits(s, 9) || allEqual(s) {
		return false
	}
	return weighted(s, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0
}

// BENRN checks a Belgian national number, born before or since 2000.
func BENRN(s string) bool {
	if !digits(s, 11) || allEqual(s) {
		return false
	}
	check := mod(s[9:], 100)
	return 97-mod(s[:9], 97) == check || 97-mod("2"+s[:9], 97) == check
}

// PESEL checks a Polish personal number.
func PESEL(s string) bool {
	if !digits(s, 11) || allEqual(s) {
		return false
	}
	return (10-weighted(s, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == int(s[10]-'0')
}

// HETU checks the last character of a Finnish personal code, written ddmmyy, sign, number, check.
func HETU(s string) bool {
	if len(s) != 11 || !digits(s[:6], 6) || !digits(s[7:10], 3) || !strings.ContainsRune("+-ABCDEFUVWXY", rune(s[6])) {
		return false
	}
	return "0123456789ABCDEFHJKLMNPRSTUVWXY"[mod(s[:6]+s[7:10], 31)] == s[10]
}

// CPR checks a Danish personal number; numbers issued since 2007 may fail.
func CPR(s string) bool {
	return digits(s, 10) && !allEqual(s) && weighted(s, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0
}

// FNR checks both control digits of a Norwegian birth number.
func FNR(s string) bool {
	return digits(s, 11) && !allEqual(s) && weighted(s, 3, 7, 6, 1, 8, 9, 4, 5, 2, 1)%11 == 0 &&
		weighted(s, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0
}

// PTNIF checks a Portuguese tax number.
func PTNIF(s string) bool {
	if !digits(s, 9) || allEqual(s) || s[0] == '0' {
		return false
	}
	c := 11 - weighted(s, 9, 8, 7, 6, 5, 4, 3, 2)%11
	if c >= 10 {
		c = 0
	}
	return c == int(s[8]-'0')
}

// CPF checks a Brazilian personal number.
func CPF(s string) bool {
	if !digits(s, 11) || allEqual(s) {
		return false
	}
	v := make([]int, 11)
	for i := range 11 {
		v[i] = int(s[i] - '0')
	}
	return brCheck(v, 9, 11) == v[9] && brCheck(v, 10, 11) == v[10]
}

// CNResident checks a Chinese resident number of 18 characters, ISO 7064 mod 11-2.
func CNResident(s string) bool {
	if len(s) != 18 || !digits(s[:17], 17) {
		return false
	}
	return "10X98765432"[weighted(s, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11] == s[17]
}

// RRN checks a Korean resident number; numbers issued since October 2020 may fail.
func RRN(s string) bool {
	if !digits(s, 13) || allEqual(s) {
		return false
	}
	return (11-weighted(s, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)%11)%10 == int(s[12]-'0')
}

// MyNumber checks a Japanese individual number.
func MyNumber(s string) bool {
	if !digits(s, 12) || allEqual(s) {
		return false
	}
	r, c := weighted(s, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11, 0
	if r >= 2 {
		c = 11 - r
	}
	return c == int(s[11]-'0')
}

// TFN checks an Australian tax file number of nine digits, or the older eight.
func TFN(s string) bool {
	switch {
	case allEqual(s):
		return false
	case digits(s, 9):
		return weighted(s, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0
	case digits(s, 8):
		return weighted(s, 10, 7, 8, 4, 6, 3, 5, 1)%11 == 0
	}
	return false
}

// AUMedicare checks the ninth digit of an Australian health card of ten digits, or eleven with the reference.
func AUMedicare(s string) bool {
	if len(s) == 11 {
		s = s[:10]
	}
	if !digits(s, 10) || s[0] < '2' || s[0] > '6' {
		return false
	}
	return weighted(s, 1, 3, 7, 9, 1, 3, 7, 9)%10 == int(s[8]-'0')
}

// NRIC checks the last letter of a Singaporean identity number.
func NRIC(s string) bool {
	if len(s) != 9 || !digits(s[1:8], 7) {
		return false
	}
	sum := weighted(s[1:8], 2, 7, 6, 5, 4, 3, 2)
	letters := ""
	switch s[0] {
	case 'S':
		letters = "JZIHGFEDCBA"
	case 'T':
		sum, letters = sum+4, "JZIHGFEDCBA"
	case 'F':
		letters = "XWUTRQPNMLK"
	case 'G':
		sum, letters = sum+4, "XWUTRQPNMLK"
	case 'M':
		sum, letters = sum+3, "XWUTRQPNJLK"
	default:
		return false
	}
	return letters[sum%11] == s[8]
}

// TCKN checks both control digits of a Turkish identity number.
func TCKN(s string) bool {
	if !digits(s, 11) || s[0] == '0' || allEqual(s) {
		return false
	}
	odd := weighted(s, 1, 0, 1, 0, 1, 0, 1, 0, 1)
	even := weighted(s, 0, 1, 0, 1, 0, 1, 0, 1)
	d10 := ((7*odd-even)%10 + 10) % 10
	return d10 == int(s[9]-'0') && (odd+even+d10)%10 == int(s[10]-'0')
}

// CURP checks the last digit of a Mexican population code.
func CURP(s string) bool {
	v := make([]int, 0, 18)
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			v = append(v, int(r-'0'))
		case r >= 'A' && r <= 'N':
			v = append(v, int(r-'A')+10)
		case r == 'Ñ':
			v = append(v, 24)
		case r >= 'O' && r <= 'Z':
			v = append(v, int(r-'O')+25)
		default:
			return false
		}
		if len(v) > 18 {
			return false
		}
	}
	if len(v) != 18 || v[17] > 9 {
		return false
	}
	sum := 0
	for i := range 17 {
		sum += v[i] * (18 - i)
	}
	return (10-sum%10)%10 == v[17]
}

// CUIT checks an Argentine tax number.
func CUIT(s string) bool {
	if !digits(s, 11) || allEqual(s) {
		return false
	}
	c := 11 - weighted(s, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11
	switch c {
	case 11:
		c = 0
	case 10:
		c = 9
	}
	return c == int(s[10]-'0')
}

// NPI checks an American provider number: Luhn over 80840 and the ten digits.
func NPI(s string) bool {
	return digits(s, 10) && (s[0] == '1' || s[0] == '2') && Luhn("80840"+s)
}

// DEA checks an American prescriber number: two letters (or letter and 9) and seven digits.
func DEA(s string) bool {
	if len(s) != 9 || !upper(s[0]) || !upper(s[1]) && s[1] != '9' || !digits(s[2:], 7) {
		return false
	}
	n := s[2:]
	return (weighted(n, 1, 0, 1, 0, 1)+2*weighted(n, 0, 1, 0, 1, 0, 1))%10 == int(n[6]-'0')
}

// SNILS checks a Russian pension number of eleven digits.
func SNILS(s string) bool {
	if !digits(s, 11) || allEqual(s) {
		return false
	}
	return weighted(s, 9, 8, 7, 6, 5, 4, 3, 2, 1)%101%100 == mod(s[9:], 100)
}
