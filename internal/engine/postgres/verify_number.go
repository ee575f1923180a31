package postgres

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// This file computes the masks over numbers, times and addresses in Go, for the reason at the head of verify_mask.go.

// moved is bucket, round or noise of a value as text.
func (m *expectedMask) moved(v string) *string {
	switch typ, _ := splitType(underlying(m.column)); typ {
	case "date", "timestamp without time zone", "timestamp with time zone":
		return m.movedTime(v, typ)
	case "smallint", "integer", "bigint":
		return m.movedNumber(v, 0)
	case "numeric":
		if _, s, limited := precision(m.column.BaseType, m.column.Type); limited {
			return m.movedNumber(v, s)
		}
		return m.movedNumber(v, max(scaleOf(v), 2))
	case "real":
		return m.movedFloat(v, 32, 6)
	default:
		return m.movedFloat(v, 64, 15)
	}
}

// movedFloat works on the digits of a floating-point number that are certain, as the server does.
func (m *expectedMask) movedFloat(v string, size, digits int) *string {
	f, err := strconv.ParseFloat(v, size)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return &v
	}
	if f >= 1e15 || f <= -1e15 {
		return nil
	}
	text := strconv.FormatFloat(f, 'g', digits, size)
	out := m.movedNumber(text, scaleOf(text)+3)
	if f, err = strconv.ParseFloat(*out, size); err != nil {
		return nil
	}
	short := strconv.FormatFloat(f, 'e', -1, size)
	_, exponent, _ := strings.Cut(short, "e")
	if e, err := strconv.Atoi(exponent); err == nil && e >= -4 && e < digits {
		short = strconv.FormatFloat(f, 'f', -1, size)
	}
	return &short
}

// scaleOf is how many digits a number has behind the point, written out.
func scaleOf(v string) int {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(v), "e")
	_, fraction, _ := strings.Cut(mantissa, ".")
	e, err := strconv.Atoi(exponent)
	if err != nil {
		e = 0
	}
	return max(len(fraction)-e, 0)
}

// movedNumber is exact; noise has so many digits behind the point.
func (m *expectedMask) movedNumber(v string, digits int) *string {
	n, ok := new(big.Rat).SetString(v)
	if !ok {
		return &v // NaN and the infinities
	}
	argument, percent := strings.CutSuffix(m.form.Mask.Args[0], "%")
	arg, _ := new(big.Rat).SetString(argument)
	scale := max(scaleOf(v), scaleOf(argument))
	out := new(big.Rat)
	switch m.form.Mask.Name {
	case policy.Bucket:
		times := new(big.Rat).Quo(n, arg)
		whole := new(big.Int).Div(times.Num(), times.Denom()) // Euclid's, which is the floor: the denominator is positive
		out.Mul(arg, new(big.Rat).SetInt(whole))
	case policy.Round:
		places, err := strconv.Atoi(argument)
		if err != nil {
			return nil
		}
		out, scale = roundTo(n, places), max(places, 0)
	default:
		if percent {
			arg.Mul(arg, n)
			arg.Mul(arg, big.NewRat(1, 100))
		}
		out.Add(n, roundTo(arg.Mul(arg, m.step([]byte(trimmed(v, n)))), digits))
		scale = max(scaleOf(v), digits)
	}
	w := maskWriter{col: m.column, family: familyOf(m.column)}
	if low, high := w.bounds(); high != "" {
		lowest, _ := new(big.Rat).SetString(low)
		highest, _ := new(big.Rat).SetString(high)
		if out.Cmp(highest) > 0 {
			out = highest
		}
		if out.Cmp(lowest) < 0 {
			out = lowest
		}
	}
	switch typ, _ := splitType(underlying(m.column)); {
	case w.family == integerFamily:
		scale = 0
	case typ == "numeric":
		if _, s, limited := precision(m.column.BaseType, m.column.Type); limited {
			scale = max(s, 0)
		}
	}
	text := out.FloatString(scale)
	if strings.Trim(text, "-0.") == "" {
		text = strings.TrimPrefix(text, "-")
	}
	return &text
}

// trimmed writes a number without zeros at the end of its fraction.
func trimmed(v string, n *big.Rat) string {
	text := n.FloatString(scaleOf(v))
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// roundTo rounds half away from zero; negative places are before the point.
func roundTo(n *big.Rat, places int) *big.Rat {
	unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(places, -places))), nil))
	if places < 0 {
		unit.Inv(unit)
	}
	scaled, _ := new(big.Rat).SetString(new(big.Rat).Mul(n, unit).FloatString(0))
	return scaled.Quo(scaled, unit)
}

// step is the share of the amount that a value is moved by, from -1 to 1.
func (m *expectedMask) step(value []byte) *big.Rat {
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte(m.column.Table.Schema + "." + m.column.Table.Name + "." + m.column.Name + ":"))
	mac.Write(value)
	sum := mac.Sum(nil)
	k := int64(binary.BigEndian.Uint64(append([]byte{0, 0}, sum[:6]...)) % 1_000_000_001)
	return big.NewRat(k-500_000_000, 500_000_000)
}

// movedTime moves a date by whole days and a timestamp by microseconds. The server's own form of them counts from 2000 on.
func (m *expectedMask) movedTime(v, typ string) *string {
	if strings.HasSuffix(v, "infinity") {
		return &v
	}
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	form, sent := "2006-01-02", make([]byte, 0, 8)
	if typ != "date" {
		form = "2006-01-02 15:04:05.999999"
	}
	text, zoned := strings.CutSuffix(v, "+00")
	at, err := time.Parse(form, text)
	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	first := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	if zoned {
		first = first.AddDate(0, 0, 1)
	}
	if err != nil || at.Before(first) || at.After(last) {
		return nil
	}
	// Durations reach 292 years; Unix counts reach far enough.
	micros := at.UnixMicro() - epoch.UnixMicro()
	amount, _ := new(big.Rat).SetString(m.form.Mask.Args[0])
	const day = 86_400_000_000
	unit := int64(day)
	if typ == "date" {
		sent = binary.BigEndian.AppendUint32(sent, uint32(int32(micros/day))) //nolint:gosec // the two's complement is meant
		unit = 1
	} else {
		sent = binary.BigEndian.AppendUint64(sent, uint64(micros)) //nolint:gosec // the two's complement is meant
	}
	amount.Mul(amount, big.NewRat(unit, 1))
	by := roundTo(amount.Mul(amount, m.step(sent)), 0).Num().Int64()
	if typ == "date" {
		by *= day
	}
	micros += by
	if _, digits := splitType(underlying(m.column)); typ != "date" && digits >= 0 {
		tick := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(6-digits)), nil).Int64()
		micros = roundTo(big.NewRat(micros, tick), 0).Num().Int64() * tick
	}
	out := time.UnixMicro(micros + epoch.UnixMicro()).UTC()
	shown := out.Format(form)
	if out.Year() <= 0 {
		shown = time.Date(1-out.Year(), out.Month(), out.Day(), out.Hour(), out.Minute(), out.Second(), out.Nanosecond(), time.UTC).Format(form)
	}
	if zoned {
		shown += "+00"
	}
	if out.Year() <= 0 {
		shown += " BC"
	}
	return &shown
}

// cutAddress is ip_prefix of an address as text.
func cutAddress(v string, bits int) *string {
	if !strings.Contains(v, "/") {
		if strings.Contains(v, ":") {
			v += "/128"
		} else {
			v += "/32"
		}
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return nil
	}
	if p.Addr().Is6() {
		bits *= 2
	}
	out := netip.PrefixFrom(p.Addr(), min(bits, p.Bits())).Masked().String()
	return &out
}
