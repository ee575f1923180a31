package pgsql

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// functions.txt lists every function name of pg_catalog on PostgreSQL 13 to 18 with its class; types.txt the types. They
// are made by test/pgfunctions and reviewed; see the heads of the files.
//
//go:embed functions.txt
var functionsText string

//go:embed types.txt
var typesText string

const (
	firstMajor = 13
	lastMajor  = 18
	allMajors  = 1<<(lastMajor-firstMajor+1) - 1
)

// functionTable is the list of functions and types of pg_catalog. It is immutable.
type functionTable struct {
	functions map[string]functionInfo
	types     map[string]uint8
	oids      map[uint32]string // of types and of their arrays -> the type
}

type functionInfo struct {
	majors    uint8    // where the name may be called, one bit each from firstMajor on
	aggregate bool     // every overload is an aggregate
	out       []string // names of the OUT columns
	unknown   bool     // the result may be a row of any type
}

var builtinFunctions = sync.OnceValue(func() *functionTable {
	return parseFunctions(functionsText, typesText)
})

// parseFunctions reads the lists. A function's line is: name, class, majors, then agg, any, out=a,b. The majors of a name
// that may not be called are "-". A type's line is: name, majors, its OID and its array's.
func parseFunctions(functions, types string) *functionTable {
	t := &functionTable{functions: map[string]functionInfo{}, types: map[string]uint8{}, oids: map[uint32]string{}}
	for line := range strings.Lines(functions) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(line, "#") {
			continue
		}
		info := functionInfo{}
		if f[1] != "refused" {
			info.majors = parseMajors(f[2])
		}
		for _, word := range f[3:] {
			switch {
			case word == "agg":
				info.aggregate = true
			case word == "any":
				info.unknown = true
			case strings.HasPrefix(word, "out="):
				info.out = strings.Split(word[4:], ",")
			}
		}
		t.functions[f[0]] = info
	}
	for line := range strings.Lines(types) {
		f := strings.Fields(line)
		if len(f) != 4 || strings.HasPrefix(line, "#") {
			continue
		}
		t.types[f[0]] = parseMajors(f[1])
		for _, text := range f[2:] {
			if oid, err := strconv.ParseUint(text, 10, 32); err == nil && oid != 0 {
				t.oids[uint32(oid)] = f[0]
			}
		}
	}
	return t
}

// parseMajors reads 13-18 or 16.
func parseMajors(text string) uint8 {
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		to = from
	}
	first, last := majorBit(from), majorBit(to)
	var set uint8
	for bit := first; first != 0 && bit != 0 && bit <= last; bit <<= 1 {
		set |= bit
	}
	return set
}

func majorBit(text string) uint8 {
	if len(text) != 2 || text[0] != '1' || text[1] < '3' || text[1] > '8' {
		return 0
	}
	return 1 << (text[1] - '3')
}

// in tells whether a set holds a major; an unknown major has what all of them have (ENF-52).
func in(set uint8, major int) bool {
	if major < firstMajor || major > lastMajor {
		return set == allMajors
	}
	return set&(1<<(major-firstMajor)) != 0
}

// known tells whether some release has a function of that name.
func (t *functionTable) known(name string) bool {
	_, ok := t.functions[name]
	return ok
}

func (t *functionTable) allowed(name string, major int) bool {
	return in(t.functions[name].majors, major)
}

func (t *functionTable) aggregate(name string) bool { return t.functions[name].aggregate }

// result is the shape of a function's result.
func (t *functionTable) result(name string) shape {
	info, ok := t.functions[name]
	switch {
	case !ok || info.unknown:
		return shape{}
	case info.out != nil:
		return shapeOf(info.out...)
	}
	return shapeOf(name)
}

func (t *functionTable) hasType(name string, major int) bool {
	if in(t.types[name], major) {
		return true
	}
	rest, array := strings.CutPrefix(name, "_")
	return array && in(t.types[rest], major)
}

// typeAlias tells whether a text is one of SQL's names for a built-in type, which only the grammar knows.
func (t *functionTable) typeAlias(word string) bool {
	switch word {
	case "int", "integer", "smallint", "bigint", "real", "double precision", "decimal", "boolean", "character", "char",
		"character varying", "bit varying", "time", "time with time zone", "time without time zone", "timestamp",
		"timestamp with time zone", "timestamp without time zone", "interval":
		return true
	}
	return false
}
