package classify

import (
	"strconv"
	"strings"
)

// SuggestMask fits the mask of a class to a column's type: what needs text becomes hidden or a mask of the type.
func SuggestMask(m Mask, typ, base string) Mask {
	if base != "" {
		typ = base
	}
	f, array := familyOf(typ)
	name, _, _ := strings.Cut(string(m), "(")
	if array && name != "keep" {
		return "hidden"
	}
	switch f {
	case famText:
		switch name {
		case "year", "bucket", "round", "ip_prefix":
			return "hidden"
		}
		return m
	case famInt, famNumber:
		switch name {
		case "keep", "hidden", "bucket":
			return m
		case "round":
			if f == famNumber && !strings.EqualFold(typ, "money") && takesDigits(m, typ) {
				return m
			}
		}
	case famDate, famTime:
		if name == "keep" || name == "hidden" || name == "year" {
			return m
		}
	case famInet:
		if name == "ip_prefix" {
			return m
		}
	}
	if name == "keep" {
		return m
	}
	return "hidden"
}

// takesDigits says whether round(n) takes digits away from a type: one with no more than n behind the point would keep all of them.
func takesDigits(m Mask, typ string) bool {
	_, precision, declared := strings.Cut(typ, "(")
	if !declared {
		return true
	}
	_, scale, _ := strings.Cut(strings.TrimSuffix(precision, ")"), ",")
	_, digits, _ := strings.Cut(strings.TrimSuffix(string(m), ")"), "(")
	behind, _ := strconv.Atoi(strings.TrimSpace(scale)) // none declared: 0
	left, err := strconv.Atoi(digits)
	return err == nil && behind > left
}
