package hunt

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
)

// World is one of two databases that are the same in all that a subject may see and differ in all that is hidden.
type World struct {
	Name    string
	stem    string // of hidden texts
	digits  string // of hidden numbers
	year    string // of hidden years
	address string // of hidden addresses
	pin     string
	month   string // of dates of which the year may be seen
	day     string
}

// Worlds returns the world of the hunt and its twin. Their stems have the same length and the same first letter, so that
// what a partial mask leaves is the same in both; PostgreSQL itself has the word canary, in the names of islands.
func Worlds() (World, World) {
	return World{"first", "KANARI", "1777017", "177701", "177.70.17", "777", "11", "23"},
		World{"twin", "KOBALT", "1888018", "188801", "188.80.18", "888", "7", "14"}
}

// Fill puts the world's stems into the text of the schema.
func (w World) Fill(schema string) string {
	return strings.NewReplacer("[A]", w.stem, "[N]", w.digits, "[Y]", w.year, "[I]", w.address, "[P]", w.pin, "[M]", w.month, "[D]", w.day).Replace(schema)
}

// Oracle finds hidden values in bytes that a client received. It is safe for concurrent use.
type Oracle struct {
	folded [][]byte // searched for in lower case
	exact  [][]byte
	stem   []byte // searched for when everything but letters is taken away
	binary []byte // how a hidden int begins on the wire
}

// oracle returns what finds the hidden values of a world.
func (w World) oracle() *Oracle {
	stem := strings.ToLower(w.stem)
	o := &Oracle{stem: []byte(stem)}
	reversed := []byte(stem)
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	fold := func(s string) { o.folded = append(o.folded, []byte(strings.ToLower(s))) }
	fold(stem)
	fold(string(reversed))
	fold(w.digits)
	fold(w.year + "-")
	fold(w.address)
	for _, s := range []string{strings.ToUpper(stem), stem} {
		fold(hex.EncodeToString([]byte(s)))
		fold(strings.ReplaceAll(fmt.Sprintf("% x", s), " ", ","))
		for shift := range 3 {
			// What base64 makes of the stem after 0, 1 or 2 other bytes, without the characters that depend on them.
			padded := append(make([]byte, shift), s...)
			enc := base64.StdEncoding.EncodeToString(padded)
			from := []int{0, 2, 3}[shift]
			o.exact = append(o.exact, []byte(enc[from:len(padded)*8/6]))
		}
		var wide []byte
		for _, u := range utf16.Encode([]rune(s)) {
			wide = binary.LittleEndian.AppendUint16(wide, u)
		}
		o.exact = append(o.exact, wide)
	}
	for _, year := range []int{1981, 1982, 1983, 1987} {
		month, day := w.month, w.day
		if len(month) == 1 {
			month = "0" + month
		}
		fold(fmt.Sprintf("%d-%s-%s", year, month, day))
	}
	number := 0
	for _, d := range w.digits {
		number = number*10 + int(d-'0')
	}
	o.binary = binary.BigEndian.AppendUint32(nil, uint32(number*100))[:3]
	return o
}

// Find returns what of the reply must not be there, or "". binaryFormat says that values came in binary.
func (o *Oracle) Find(reply []byte, binaryFormat bool) string {
	lower := bytes.ToLower(reply)
	for _, p := range o.folded {
		if at := bytes.Index(lower, p); at >= 0 {
			return around(reply, at, len(p))
		}
	}
	for _, p := range o.exact {
		if at := bytes.Index(reply, p); at >= 0 {
			return around(reply, at, len(p))
		}
	}
	letters := lower[:0]
	for _, c := range lower {
		if c >= 'a' && c <= 'z' {
			letters = append(letters, c)
		}
	}
	if bytes.Contains(letters, o.stem) {
		return "the letters of " + string(o.stem) + " one after the other"
	}
	if binaryFormat {
		if at := bytes.Index(reply, o.binary); at >= 0 {
			return around(reply, at, 4)
		}
	}
	return ""
}

// around is a piece of a reply, for a report.
func around(reply []byte, at, n int) string {
	from, to := max(0, at-40), min(len(reply), at+n+40)
	return fmt.Sprintf("%q", reply[from:to])
}
