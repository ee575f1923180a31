package classify

import (
	_ "embed"
	"fmt"
	"strings"
)

// Class is the name of what a column holds, such as contact.email: one of the taxonomy or of a custom classifier.
type Class string

// Tag is a property of a class that policies and reports group by.
type Tag string

// The tags of the taxonomy.
const (
	TagPII    Tag = "pii"
	TagQuasi  Tag = "quasi"
	TagPHI    Tag = "phi"
	TagPCI    Tag = "pci"
	TagArt9   Tag = "art9"
	TagArt10  Tag = "art10"
	TagSecret Tag = "secret"
)

// family is what kind of values a column's type can hold.
type family byte

const (
	famText    family = 't'
	famInt     family = 'i'
	famNumber  family = 'n'
	famDate    family = 'd'
	famTime    family = 's'
	famBool    family = 'b'
	famUUID    family = 'u'
	famInet    family = 'I'
	famMAC     family = 'm'
	famBytes   family = 'y'
	famGeo     family = 'g'
	famVector  family = 'a'
	famJSON    family = 'j'
	famXML     family = 'x'
	famHstore  family = 'h'
	famOther   family = 'o'
	famRecord  family = 'r' // composite type
	famRange   family = 'R'
	famUnknown family = 0
)

// kind is one class of the taxonomy as the model uses it.
type kind struct {
	class     Class
	prior     float64
	tags      []Tag
	mask      string
	families  string
	person    bool // weak outside of a person's context
	byName    bool // values alone never decide
	keyLike   bool // a surrogate key may be one
	health    bool // health context helps
	countries []string
	custom    *custom // scope and siblings of a custom classifier
}

//go:embed taxonomy.tsv
var taxonomyText string

// loadTaxonomy parses the embedded table. It cannot fail on a tested build; a malformed line is an error of this package.
func loadTaxonomy() ([]*kind, error) {
	var out []*kind
	for n, line := range strings.Split(taxonomyText, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 6 {
			return nil, fmt.Errorf("taxonomy.tsv line %d: want 6 fields, have %d", n+1, len(f))
		}
		k := &kind{class: Class(f[0]), mask: f[3], families: strings.ReplaceAll(f[4], ",", "")}
		switch f[1] {
		case "c":
			k.prior = model.priorCommon
		case "s":
			k.prior = model.priorSpecific
		case "r":
			k.prior = model.priorRare
		}
		for _, t := range strings.Split(f[2], ",") {
			k.tags = append(k.tags, Tag(t))
		}
		flags, countries, _ := strings.Cut(f[5], "C:")
		if countries != "" {
			k.countries = strings.Split(countries, ",")
		}
		k.person = strings.Contains(flags, "P")
		k.byName = strings.Contains(flags, "N")
		k.keyLike = strings.Contains(flags, "K")
		k.health = strings.Contains(flags, "H")
		out = append(out, k)
	}
	return out, nil
}

// allows reports whether values of the family can be of the class at all.
func (k *kind) allows(f family) bool {
	switch f {
	case famUnknown, famOther, famRecord, famRange, famJSON, famXML, famHstore:
		return f == famUnknown
	}
	return strings.IndexByte(k.families, byte(f)) >= 0
}

func (c Class) group() string {
	g, _, _ := strings.Cut(string(c), ".")
	return g
}

// Group is the part of a class's name before the dot.
func (c Class) Group() string { return c.group() }

// familyOf maps a type's name as PostgreSQL writes it to a family; element is true for the element type of an array.
func familyOf(typ string) (f family, array bool) {
	t := strings.ToLower(strings.TrimSpace(typ))
	for strings.HasSuffix(t, "[]") {
		t, array = t[:len(t)-2], true
	}
	if i := strings.IndexByte(t, '('); i >= 0 {
		rest := ""
		if j := strings.IndexByte(t, ')'); j > i {
			rest = t[j+1:]
		}
		t = strings.TrimSpace(t[:i] + rest)
	}
	if i := strings.LastIndexByte(t, '.'); i >= 0 {
		t = strings.Trim(t[i+1:], `"`)
	}
	switch t {
	case "text", "character varying", "varchar", "character", "bpchar", "char", `"char"`, "name", "citext", "nvarchar", "string":
		return famText, array
	case "smallint", "integer", "bigint", "int", "int2", "int4", "int8", "serial", "bigserial", "oid":
		return famInt, array
	case "numeric", "decimal", "real", "double precision", "float4", "float8", "money":
		return famNumber, array
	case "date":
		return famDate, array
	case "timestamp", "timestamp without time zone", "timestamp with time zone", "timestamptz":
		return famTime, array
	case "boolean", "bool":
		return famBool, array
	case "uuid":
		return famUUID, array
	case "inet", "cidr":
		return famInet, array
	case "macaddr", "macaddr8":
		return famMAC, array
	case "bytea":
		return famBytes, array
	case "json", "jsonb", "jsonpath":
		return famJSON, array
	case "xml":
		return famXML, array
	case "hstore":
		return famHstore, array
	case "point", "geometry", "geography", "lseg", "path", "polygon", "line", "box", "circle":
		return famGeo, array
	case "vector", "halfvec":
		return famVector, array
	case "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange",
		"int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange":
		return famRange, array
	}
	return famOther, array
}
