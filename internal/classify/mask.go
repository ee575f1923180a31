package classify

import "strings"

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
			if f == famNumber && !strings.EqualFold(typ, "money") {
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
