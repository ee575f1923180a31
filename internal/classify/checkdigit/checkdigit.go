// Package checkdigit holds the check-digit rules of the identifiers that Postern knows: pure functions of a string, without
// tables that change and without I/O. Every function expects the bare identifier (separators already dropped by the caller),
// refuses everything else, never panics and needs time linear in its input. What a number means, how it is written and
// whether a date inside it is plausible is the classifier's business; here only the arithmetic stands.
package checkdigit

// digits reports whether s consists of n decimal digits; n < 0 means any positive number up to 40.
func digits(s string, n int) bool {
	if n >= 0 && len(s) != n || n < 0 && (len(s) == 0 || len(s) > 40) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// allEqual reports a run of one repeated character: such numbers pass many sums and belong to nobody.
func allEqual(s string) bool {
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			return false
		}
	}
	return true
}

// weighted is the sum of the first len(w) digits of s times their weights.
func weighted(s string, w ...int) int {
	sum := 0
	for i, x := range w {
		sum += int(s[i]-'0') * x
	}
	return sum
}

// mod is the decimal number s modulo m.
func mod(s string, m int) int {
	r := 0
	for i := 0; i < len(s); i++ {
		r = (r*10 + int(s[i]-'0')) % m
	}
	return r
}

// Weighted is the generic rule of custom classifiers: the weighted sum over the digits, modulo m, is zero.
func Weighted(s string, weights []int, m int) bool {
	if m < 2 || len(weights) == 0 || !digits(s, len(weights)) {
		return false
	}
	return weighted(s, weights...)%m == 0
}

// Luhn is ISO/IEC 7812-1 annex B over any number of digits.
func Luhn(s string) bool {
	if !digits(s, -1) || len(s) < 2 {
		return false
	}
	return luhnSum(s)%10 == 0
}

func luhnSum(s string) int {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum
}

// Verhoeff checks the dihedral rule over any number of digits.
func Verhoeff(s string) bool {
	if !digits(s, -1) || len(s) < 2 {
		return false
	}
	rows := [10]string{
		"0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
		"5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
	}
	perm := [8]string{"0123456789", "1576283094"}
	for i := 2; i < 8; i++ {
		row := make([]byte, 10)
		for j := range row {
			row[j] = perm[i-1][perm[1][j]-'0']
		}
		perm[i] = string(row)
	}
	c := byte('0')
	for i := range len(s) {
		d := s[len(s)-1-i]
		c = rows[c-'0'][perm[i%8][d-'0']-'0']
	}
	return c == '0'
}

// mod97 is the ISO 7064 mod 97-10 remainder of an alphanumeric string, letters counting A=10 … Z=35; -1 for other characters.
func mod97(s string) int {
	r := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case digit(c):
			r = (r*10 + int(c-'0')) % 97
		case upper(c):
			r = (r*100 + int(c-'A') + 10) % 97
		default:
			return -1
		}
	}
	return r
}

// IBAN checks ISO 13616: the first four characters moved to the end, the number modulo 97 is 1.
func IBAN(s string) bool {
	if len(s) < 15 || len(s) > 34 || !upper(s[0]) || !upper(s[1]) || !digit(s[2]) || !digit(s[3]) {
		return false
	}
	return mod97(s[4:]+s[:4]) == 1
}

// LEI checks ISO 17442: 20 characters modulo 97 is 1.
func LEI(s string) bool {
	return len(s) == 20 && digit(s[18]) && digit(s[19]) && mod97(s) == 1
}

// Mod1110 checks ISO 7064 mod 11,10 (German tax id, German VAT id).
func Mod1110(s string) bool {
	if !digits(s, -1) || len(s) < 2 {
		return false
	}
	q := 10
	for i := range len(s) - 1 {
		q = (q + int(s[i]-'0')) % 10
		if q == 0 {
			q = 10
		}
		q = 2 * q % 11
	}
	return (11-q)%10 == int(s[len(s)-1]-'0')
}

// EAN13 checks the GS1 rule over 13 digits.
func EAN13(s string) bool {
	return digits(s, 13) && weighted(s, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1)%10 == 0
}

// ISBN10 checks the weighted mod 11 rule of older book numbers.
func ISBN10(s string) bool {
	if len(s) != 10 || !digits(s[:9], 9) {
		return false
	}
	sum := weighted(s, 10, 9, 8, 7, 6, 5, 4, 3, 2)
	switch c := s[9]; {
	case c == 'X':
		sum += 10
	case digit(c):
		sum += int(c - '0')
	default:
		return false
	}
	return sum%11 == 0
}

// VIN checks the ninth character of a vehicle identification number; binding for North America only.
func VIN(s string) bool {
	if len(s) != 17 || allEqual(s) {
		return false
	}
	w := [17]int{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2}
	sum := 0
	for i := range 17 {
		v := vinValue(s[i])
		if v < 0 {
			return false
		}
		sum += v * w[i]
	}
	return "0123456789X"[sum%11] == s[8]
}

func vinValue(c byte) int {
	switch {
	case digit(c):
		return int(c - '0')
	case c >= 'A' && c <= 'H':
		return int(c-'A') + 1
	case c >= 'J' && c <= 'N':
		return int(c-'J') + 1
	case c == 'P':
		return 7
	case c == 'R':
		return 9
	case c >= 'S' && c <= 'Z':
		return int(c-'S') + 2
	}
	return -1
}

// MRZField checks a machine-readable field whose last character is its check digit (ICAO 9303, weights 7 3 1).
func MRZField(s string) bool {
	if len(s) < 2 || len(s) > 44 || !digit(s[len(s)-1]) {
		return false
	}
	c := mrzSum(s[:len(s)-1])
	return c >= 0 && c%10 == int(s[len(s)-1]-'0')
}

func mrzSum(s string) int {
	w, sum := [3]int{7, 3, 1}, 0
	for i := range len(s) {
		v := 0
		switch c := s[i]; {
		case c == '<':
		case digit(c):
			v = int(c - '0')
		case upper(c):
			v = int(c-'A') + 10
		default:
			return -1
		}
		sum += v * w[i%3]
	}
	return sum
}

// MRZ checks the second line of a TD3 passport (44), a TD2 document (36) or the first line of a TD1 card (30).
func MRZ(s string) bool {
	switch len(s) {
	case 44:
		composite := s[0:10] + s[13:20] + s[21:43] + s[43:44]
		return MRZField(s[0:10]) && MRZField(s[13:20]) && MRZField(s[21:28]) && MRZField(composite)
	case 36:
		composite := s[0:10] + s[13:20] + s[21:35] + s[35:36]
		return MRZField(s[0:10]) && MRZField(s[13:20]) && MRZField(s[21:28]) && MRZField(composite)
	case 30:
		return upper(s[0]) && MRZField(s[5:15])
	}
	return false
}
