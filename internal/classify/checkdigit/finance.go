package checkdigit

// ABA checks an American routing number: prefix table and weights 3 7 1.
func ABA(s string) bool {
	if !digits(s, 9) || allEqual(s) {
		return false
	}
	p := int(s[0]-'0')*10 + int(s[1]-'0')
	if p > 12 && (p < 21 || p > 32) && (p < 61 || p > 72) && p != 80 {
		return false
	}
	return weighted(s, 3, 7, 1, 3, 7, 1, 3, 7, 1)%10 == 0
}

// CLABE checks a Mexican bank account: each product modulo 10, weights 3 7 1.
func CLABE(s string) bool {
	if !digits(s, 18) || allEqual(s) {
		return false
	}
	w, sum := [3]int{3, 7, 1}, 0
	for i := range 17 {
		sum += int(s[i]-'0') * w[i%3] % 10
	}
	return (10-sum%10)%10 == int(s[17]-'0')
}

// CBU checks an Argentine bank account: two blocks with weights 7 1 3 9 … each.
func CBU(s string) bool {
	if !digits(s, 22) || allEqual(s) {
		return false
	}
	a := weighted(s[:7], 7, 1, 3, 9, 7, 1, 3)
	b := weighted(s[8:21], 3, 9, 7, 1, 3, 9, 7, 1, 3, 9, 7, 1, 3)
	return (10-a%10)%10 == int(s[7]-'0') && (10-b%10)%10 == int(s[21]-'0')
}

// SIREN checks a French company number: Luhn over nine digits.
func SIREN(s string) bool { return digits(s, 9) && !allEqual(s) && Luhn(s) }

// SIRET checks a French establishment number: Luhn over fourteen, with the exception of La Poste.
func SIRET(s string) bool {
	if !digits(s, 14) || allEqual(s) {
		return false
	}
	if s[:9] == "356000000" && weighted(s, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)%5 == 0 {
		return true
	}
	return Luhn(s)
}

// FRVAT checks the two digits after FR: (12 + 3·(SIREN mod 97)) mod 97. Expects key and SIREN, eleven digits.
func FRVAT(s string) bool {
	return digits(s, 11) && mod(s[:2], 97) == (12+3*mod(s[2:], 97))%97 && SIREN(s[2:])
}

// GBVAT checks nine digits (or twelve with a branch) by mod 97, old and new style.
func GBVAT(s string) bool {
	if len(s) == 12 {
		s = s[:9]
	}
	if !digits(s, 9) || allEqual(s) {
		return false
	}
	r := weighted(s, 8, 7, 6, 5, 4, 3, 2, 10, 1) % 97
	return r == 0 || s[:3] >= "100" && (r == 42 || r == 55)
}

// NIP checks a Polish tax number.
func NIP(s string) bool {
	if !digits(s, 10) || allEqual(s) {
		return false
	}
	return weighted(s, 6, 5, 7, 2, 3, 4, 5, 6, 7)%11 == int(s[9]-'0')
}

// CIF checks a Spanish company number: letter, seven digits, control digit or letter.
func CIF(s string) bool {
	if len(s) != 9 || !upper(s[0]) || !digits(s[1:8], 7) {
		return false
	}
	switch s[0] {
	case 'I', 'K', 'L', 'M', 'O', 'T', 'X', 'Y', 'Z':
		return false
	}
	c := (10 - luhnSum(s[1:8]+"0")%10) % 10
	return s[8] == byte('0'+c) || s[8] == "JABCDEFGHI"[c]
}

// ABN checks an Australian business number.
func ABN(s string) bool {
	if !digits(s, 11) || s[0] == '0' {
		return false
	}
	return (weighted(s, 10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)-10)%89 == 0
}

// NLVAT checks a Dutch VAT number without its country prefix (123456789B01): the old 11-test or, since 2020, mod 97.
func NLVAT(s string) bool {
	if len(s) != 12 || !digits(s[:9], 9) || s[9] != 'B' || !digits(s[10:], 2) {
		return false
	}
	return BSN(s[:9]) || mod97("NL"+s) == 1
}

// BEVAT checks a Belgian enterprise number: ten digits, the last two are 97 − n mod 97.
func BEVAT(s string) bool {
	return digits(s, 10) && (s[0] == '0' || s[0] == '1') && !allEqual(s) && 97-mod(s[:8], 97) == mod(s[8:], 97)
}

// CNPJ checks a Brazilian company number; letters count as their code minus 48.
func CNPJ(s string) bool {
	if len(s) != 14 || allEqual(s) || !digits(s[12:], 2) {
		return false
	}
	v := make([]int, 14)
	for i := range 14 {
		if !digit(s[i]) && !upper(s[i]) {
			return false
		}
		v[i] = int(s[i]) - 48
	}
	return brCheck(v, 12, 9) == v[12] && brCheck(v, 13, 9) == v[13]
}

// brCheck is the Brazilian rule: weights rise from 2 to top from the right end of the first n digits, then start over.
func brCheck(v []int, n, top int) int {
	sum, w := 0, 2
	for i := n - 1; i >= 0; i-- {
		sum += v[i] * w
		if w++; w > top {
			w = 2
		}
	}
	if r := sum % 11; r >= 2 {
		return 11 - r
	}
	return 0
}

// REGON checks a Polish statistical number of nine digits.
func REGON(s string) bool {
	return digits(s, 9) && !allEqual(s) && weighted(s, 8, 9, 2, 3, 4, 5, 6, 7)%11%10 == int(s[8]-'0')
}

// RUINN checks a Russian taxpayer number of ten (firms) or twelve digits (people).
func RUINN(s string) bool {
	switch {
	case allEqual(s):
		return false
	case digits(s, 10):
		return weighted(s, 2, 4, 10, 3, 5, 9, 4, 6, 8)%11%10 == int(s[9]-'0')
	case digits(s, 12):
		return weighted(s, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)%11%10 == int(s[10]-'0') &&
			weighted(s, 3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)%11%10 == int(s[11]-'0')
	}
	return false
}
