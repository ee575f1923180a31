package checkdigit

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"math/big"
	"strings"

	"golang.org/x/crypto/sha3"
)

const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// Base58Check decodes s and compares the last four bytes with the double SHA-256 of the rest. Longer inputs than an
// extended key (112 characters) are refused before any arithmetic.
func Base58Check(s string) bool {
	if len(s) < 25 || len(s) > 112 {
		return false
	}
	n, base := new(big.Int), big.NewInt(58)
	for i := range len(s) {
		d := strings.IndexByte(base58Alphabet, s[i])
		if d < 0 {
			return false
		}
		n.Mul(n, base).Add(n, big.NewInt(int64(d)))
	}
	zeros := 0
	for zeros < len(s) && s[zeros] == '1' {
		zeros++
	}
	raw := append(make([]byte, zeros), n.Bytes()...)
	if len(raw) < 21 {
		return false
	}
	first := sha256.Sum256(raw[:len(raw)-4])
	second := sha256.Sum256(first[:])
	return bytes.Equal(second[:4], raw[len(raw)-4:])
}

// Bech32 checks a BIP-173 or BIP-350 string of at most 90 characters, in one case.
func Bech32(s string) bool {
	if len(s) < 8 || len(s) > 90 || strings.ToLower(s) != s && strings.ToUpper(s) != s {
		return false
	}
	s = strings.ToLower(s)
	sep := strings.LastIndexByte(s, '1')
	if sep < 1 || sep+7 > len(s) {
		return false
	}
	values := make([]int, 0, len(s)*2)
	for i := range sep {
		if s[i] < 33 || s[i] > 126 {
			return false
		}
		values = append(values, int(s[i]>>5))
	}
	values = append(values, 0)
	for i := range sep {
		values = append(values, int(s[i]&31))
	}
	for i := sep + 1; i < len(s); i++ {
		d := strings.IndexByte("qpzry9x8gf2tvdw0s3jn54khce6mua7l", s[i])
		if d < 0 {
			return false
		}
		values = append(values, d)
	}
	c := polymod(values)
	return c == 1 || c == 0x2bc830a3
}

func polymod(values []int) int {
	gen := [5]int{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	c := 1
	for _, v := range values {
		b := c >> 25
		c = (c&0x1ffffff)<<5 ^ v
		for i := range 5 {
			if b>>i&1 == 1 {
				c ^= gen[i]
			}
		}
	}
	return c
}

// EIP55 reports whether the 40 hex digits after 0x are well formed: in one case, or with the mixed-case checksum.
func EIP55(s string) bool {
	if len(s) != 42 || s[:2] != "0x" {
		return false
	}
	body := s[2:]
	if _, err := hex.DecodeString(body); err != nil {
		return false
	}
	lower := strings.ToLower(body)
	if body == lower || body == strings.ToUpper(body) {
		return true
	}
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(lower))
	sum := h.Sum(nil)
	for i := range 40 {
		nibble := sum[i/2] >> 4
		if i%2 == 1 {
			nibble = sum[i/2] & 15
		}
		c := lower[i]
		if c >= 'a' && nibble >= 8 {
			c -= 'a' - 'A'
		}
		if c != body[i] {
			return false
		}
	}
	return true
}

// bip39Words is the English list of BIP-39, words in order, one a line.
//
//go:embed bip39.txt
var bip39Words string

// Mnemonics checks BIP-39 phrases. It is read-only after NewMnemonics and safe for concurrent use.
type Mnemonics struct{ index map[string]int }

// NewMnemonics indexes the English word list.
func NewMnemonics() *Mnemonics {
	words := strings.Fields(bip39Words)
	m := &Mnemonics{index: make(map[string]int, len(words))}
	for i, w := range words {
		m.index[w] = i
	}
	return m
}

// Check reports whether the words form a phrase with a valid checksum.
func (m *Mnemonics) Check(phrase string) bool {
	if len(phrase) > 300 {
		return false
	}
	words := strings.Fields(phrase)
	if n := len(words); n < 12 || n > 24 || n%3 != 0 {
		return false
	}
	bits := make([]byte, 0, len(words)*11)
	for _, w := range words {
		i, ok := m.index[w]
		if !ok {
			return false
		}
		for b := 10; b >= 0; b-- {
			bits = append(bits, byte(i>>b&1))
		}
	}
	check := len(bits) / 33
	entropy := make([]byte, (len(bits)-check)/8)
	for i := range entropy {
		for b := range 8 {
			entropy[i] = entropy[i]<<1 | bits[i*8+b]
		}
	}
	sum := sha256.Sum256(entropy)
	for i := range check {
		if bits[len(bits)-check+i] != sum[i/8]>>(7-i%8)&1 {
			return false
		}
	}
	return true
}
