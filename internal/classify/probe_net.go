package classify

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

func networkProbes(d *dictionaries) []probe {
	return []probe{
		{class: "net.ip", how: byShape, p0: 0.002, limit: 10, test: ipText},
		{class: "net.ip", how: byShape, p0: 0.0001, fams: "I", test: func(*value) verdict { return passed }},
		{class: "net.mac", how: byShape, p0: 0.001, test: func(v *value) verdict { return shapeOnly(mac(v.raw)) }},
		{class: "net.mac", how: byShape, p0: 0.0001, fams: "m", test: func(*value) verdict { return passed }},
		{class: "net.mac", how: byWeak, named: true, test: func(v *value) verdict { return shapeOnly(len(v.raw) == 12 && isHex(v.raw)) }},
		{class: "net.imei", how: byChecksum, p0: 0.1, fams: "tin", test: func(v *value) verdict {
			s := v.digits
			if len(s) != 15 || s != strings.ReplaceAll(v.raw, "-", "") {
				return misfit
			}
			switch s[:2] {
			case "01", "10", "30", "33", "35", "44", "45", "49", "50", "51", "52", "53", "86", "91", "98", "99":
				return check(checkdigit.Luhn(s))
			}
			return misfit
		}},
		{class: "net.imei", how: byWeak, fams: "tin", named: true, test: func(v *value) verdict { return shapeOnly(inRange(len(v.digits), 14, 16)) }},
		{class: "net.imsi", how: byChecksum, p0: 0.25, limit: 4.5, fams: "tin", test: imsi},
		{class: "net.iccid", how: byChecksum, p0: 0.1, fams: "tn", test: func(v *value) verdict {
			s := strings.TrimSuffix(v.compact, "F")
			if !inRange(len(s), 18, 20) || !isDigits(s) || s[:2] != "89" {
				return misfit
			}
			if len(s) == 18 {
				return fits
			}
			return check(checkdigit.Luhn(s))
		}},
		{class: "net.device_id", how: byWeak, test: func(v *value) verdict {
			return shapeOnly(v.nSpace == 0 && inRange(v.runes, 8, 64) && v.nDigit >= 2)
		}},
		{class: "net.device_id", how: byWeak, fams: "u", test: func(*value) verdict { return passed }},
		{class: "net.advertising_id", how: byWeak, test: func(v *value) verdict { return shapeOnly(uuidLike(v.raw)) }},
		{class: "net.advertising_id", how: byWeak, fams: "u", test: func(*value) verdict { return passed }},
		{class: "net.user_agent", how: byShape, p0: 0.0005, test: userAgent},
		{class: "loc.geo", how: byWeak, fams: "nt", limit: 4, test: func(v *value) verdict { return coordinate(v.raw) }},
		{class: "loc.geo", how: byShape, p0: 0.002, test: func(v *value) verdict { return shapeOnly(geoPoint(v.raw)) }},
		{class: "loc.geo", how: byShape, p0: 0.01, fams: "g", limit: 6.5, test: func(v *value) verdict { return shapeOnly(!geoPath(v.raw)) }},
		{class: "loc.geo", how: byWeak, named: true, test: func(v *value) verdict {
			return shapeOnly(inRange(v.runes, 5, 12) && only(v.raw, "0123456789bcdefghjkmnpqrstuvwxyz"))
		}},
		{class: "loc.trace", how: byShape, p0: 0.002, fams: "tg", test: func(v *value) verdict { return shapeOnly(geoPath(v.raw)) }},
		{class: "loc.trace", how: byWeak, named: true, test: func(v *value) verdict { return shapeOnly(v.runes > 10 && (v.nSpace == 0 || v.nDigit > v.runes/3)) }},
		{class: "loc.cell", how: byWeak, fams: "ti", test: func(v *value) verdict { return shapeOnly(v.nDigit >= 3 && v.nLower == 0) }},
		{class: "loc.cell", how: byShape, p0: 0.01, limit: 6, test: func(v *value) verdict {
			f := strings.FieldsFunc(v.raw, func(r rune) bool { return r == '-' || r == ':' || r == '.' || r == '_' })
			if len(f) != 4 || len(f[0]) != 3 || len(f[1]) < 2 || len(f[1]) > 3 {
				return misfit
			}
			for _, x := range f {
				if !isDigits(x) || len(x) > 9 {
					return misfit
				}
			}
			return shapeOnly(f[0][0] >= '2' && f[0][0] <= '7')
		}},
		{class: "bio.face", how: byWeak, fams: "at", limit: 3, test: vector},
		{class: "bio.voice", how: byWeak, fams: "at", limit: 3, test: vector},
		{class: "bio.face", how: byWeak, fams: "y", test: func(v *value) verdict { return shapeOnly(len(v.raw) > 8) }},
		{class: "bio.voice", how: byWeak, fams: "y", limit: 3, test: func(v *value) verdict { return shapeOnly(audioMagic(v.raw)) }},
		{class: "bio.voice", how: byWeak, named: true, test: func(v *value) verdict {
			return shapeOnly(strings.Contains(v.low, ".wav") || strings.Contains(v.low, ".mp3") || strings.Contains(v.low, ".ogg") || strings.Contains(v.low, ".flac") || v.runes > 20)
		}},
		{class: "bio.fingerprint", how: byShape, p0: 0.0001, fams: "yt", test: func(v *value) verdict { return shapeOnly(fingerMagic(v.raw)) }},
		{class: "bio.fingerprint", how: byWeak, fams: "yt", test: func(v *value) verdict {
			return shapeOnly(len(v.raw) >= 16 && !strings.Contains(v.raw, ":") && !digestText(v.raw))
		}},
		{class: "bio.dna", how: byShape, p0: 0.001, test: dna},
	}
}

// ipText is an address as text; versions look alike and are told apart over the whole column (see judgeIP).
func ipText(v *value) verdict {
	s := v.raw
	if len(s) < 3 || len(s) > 45 {
		return misfit
	}
	if p := strings.IndexByte(s, '/'); p > 0 {
		s = s[:p]
	}
	if h, port, ok := strings.Cut(s, ":"); ok && isDigits(port) && strings.Count(h, ".") == 3 {
		s = h
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return misfit
	}
	return shapeOnly(a.Is4() || strings.Count(s, ":") >= 2)
}

func mac(s string) bool {
	if len(s) == 17 {
		sep := s[2]
		if sep != ':' && sep != '-' {
			return false
		}
		for i := range 17 {
			if i%3 == 2 && s[i] != sep || i%3 != 2 && !isHex(s[i:i+1]) {
				return false
			}
		}
		return true
	}
	return len(s) == 14 && s[4] == '.' && s[9] == '.' && isHex(s[:4]) && isHex(s[5:9]) && isHex(s[10:])
}

func imsi(v *value) verdict {
	s := v.digits
	if s != v.raw || len(s) != 15 && len(s) != 14 || s[0] < '2' || s[0] > '7' {
		return misfit
	}
	mcc, _ := strconv.Atoi(s[:3])
	ok := inRange(mcc, 202, 297) || inRange(mcc, 302, 376) || inRange(mcc, 400, 470) || inRange(mcc, 502, 555) || inRange(mcc, 602, 659) || inRange(mcc, 702, 750)
	return check(ok)
}

func uuidLike(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && isHex(strings.ReplaceAll(s, "-", ""))
}

func userAgent(v *value) verdict {
	s := v.raw
	for _, p := range []string{"Mozilla/", "Opera/", "curl/", "okhttp/", "Dalvik/", "PostmanRuntime/", "python-requests/", "Wget/", "Googlebot", "Java/", "Go-http-client/", "axios/", "CFNetwork/", "Apache-HttpClient/", "node-fetch/", "Safari/"} {
		if strings.HasPrefix(s, p) {
			return passed
		}
	}
	if strings.Contains(s, "CFNetwork/") || strings.Contains(s, "Darwin/") || strings.Contains(s, "; Android ") || strings.Contains(s, "(iPhone; ") || strings.Contains(s, "; iOS ") || strings.Contains(s, "AppleWebKit/") {
		return passed
	}
	name, rest, ok := strings.Cut(s, "/")
	return shapeOnly(ok && len(name) >= 3 && len(name) <= 30 && !strings.Contains(name, " ") && len(rest) > 1 && rest[0] >= '0' && rest[0] <= '9' && strings.ContainsAny(rest, "( ") && strings.Contains(rest, "."))
}

// coordinate is one number in ±180 with at least three decimals.
func coordinate(s string) verdict {
	i := strings.IndexByte(s, '.')
	if i < 0 || len(s) > 24 || len(s)-i-1 < 3 {
		return misfit
	}
	f, err := strconv.ParseFloat(s, 64)
	return shapeOnly(err == nil && f >= -180 && f <= 180)
}

func geoPoint(s string) bool {
	u := strings.ToUpper(s)
	if p := strings.IndexByte(u, ';'); p > 0 && strings.HasPrefix(u, "SRID=") {
		u = u[p+1:]
	}
	if strings.HasPrefix(u, "POINT(") || strings.HasPrefix(u, "POINT (") || strings.HasPrefix(u, "GEO:") {
		return true
	}
	if len(s) == 42 && strings.HasPrefix(s, "0101000000") || len(s) == 50 && strings.HasPrefix(s, "0101000020E6100000") {
		return true
	}
	a, b, ok := strings.Cut(strings.Trim(s, "() "), ",")
	if !ok {
		return false
	}
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	return coordinate(a) == passed && coordinate(b) == passed
}

func geoPath(s string) bool {
	u := strings.ToUpper(s)
	if strings.HasPrefix(u, "LINESTRING") || strings.HasPrefix(u, "MULTILINESTRING") || strings.HasPrefix(u, "<GPX") || strings.HasPrefix(u, "SRID=4326;LINESTRING") {
		return true
	}
	if n := strings.Count(s, "("); n >= 3 && (s[0] == '[' || s[0] == '(') && only(s, "0123456789.,-()[] ") {
		return true
	}
	if strings.HasPrefix(s, "[[") && strings.Count(s, "[") >= 3 && only(s, "0123456789.,-[] ") {
		return true
	}
	return encodedPolyline(s)
}

// encodedPolyline decodes the usual compressed form and accepts it when every point is on earth and steps are small.
func encodedPolyline(s string) bool {
	if len(s) < 16 || len(s) > valueLimit || strings.ContainsAny(s, " ") {
		return false
	}
	odd := 0
	for i := 0; i < len(s); i++ {
		if s[i] < 63 || s[i] > 126 {
			return false
		}
		if c := s[i]; c == '`' || c == '|' || c == '~' || c == '{' || c == '}' || c == '^' || c == '?' || c == '@' || c == '\\' {
			odd++
		}
	}
	if odd*20 < len(s) {
		return false
	}
	at, pos := [2]int{}, 0
	for n := 0; pos < len(s); n++ {
		shift, result := 0, 0
		for {
			if pos >= len(s) || shift > 30 {
				return false
			}
			b := int(s[pos]) - 63
			pos++
			result |= (b & 31) << shift
			if shift += 5; b < 32 {
				break
			}
		}
		d := result >> 1
		if result&1 == 1 {
			d = ^d
		}
		at[n%2] += d
		if at[n%2] < -180e5 || at[n%2] > 180e5 || n >= 2 && (d > 5e5 || d < -5e5) {
			return false
		}
	}
	return true
}

// vector is an embedding: a list of many floats.
func vector(v *value) verdict {
	n := strings.Count(v.raw, ",") + 1
	return shapeOnly(n >= 16 && v.nDigit > v.runes/3 && v.nLower+v.nUpper <= n)
}

func bytesOf(raw string, limit int) []byte {
	h, ok := strings.CutPrefix(raw, `\x`)
	if !ok {
		return []byte(raw[:min(len(raw), limit)])
	}
	h = h[:min(len(h), limit*2)&^1]
	b, err := hex.DecodeString(h)
	if err != nil {
		return nil
	}
	return b
}

func fingerMagic(raw string) bool {
	b := bytesOf(raw, 8)
	return len(b) >= 4 && (string(b[:4]) == "FMR\x00" || string(b[:4]) == "FIR\x00" || b[0] == 0xFF && b[1] == 0xA0)
}

func audioMagic(raw string) bool {
	b := bytesOf(raw, 12)
	return len(b) >= 4 && (string(b[:4]) == "OggS" || string(b[:4]) == "fLaC" || string(b[:3]) == "ID3" || len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WAVE")
}

func dna(v *value) verdict {
	s := v.raw
	switch {
	case len(s) >= 20 && only(s, "ACGTNacgtn"):
		return passed
	case len(s) >= 5 && len(s) <= 14 && strings.HasPrefix(s, "rs") && isDigits(s[2:]):
		return passed
	case len(s) == 3 && (s[1] == '/' || s[1] == '|') && only(s[:1]+s[2:], "ACGT-"):
		return passed
	case strings.HasPrefix(s, "##fileformat=VCF"):
		return passed
	case strings.HasPrefix(s, ">"): // FASTA
		_, body, ok := strings.Cut(s, "\n")
		return shapeOnly(ok && len(body) >= 20 && only(strings.ReplaceAll(body, "\n", ""), "ACGTN"))
	}
	return misfit
}

// digestText is hexadecimal of the length of a digest: the fingerprint of a certificate, not of a finger.
func digestText(s string) bool {
	switch len(s) {
	case 32, 40, 64:
		return only(strings.ToLower(s), "0123456789abcdef")
	}
	return false
}
