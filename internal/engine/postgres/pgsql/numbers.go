package pgsql

import (
	"math/big"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// PostgreSQL 16 brought 0xFF, 0o17, 0b101 and 1_000. A server before it reads each as two tokens, 0 and xFF: a number and the name of its
// column, which is another statement than the one that was judged. The parser gives small ones as numbers; those beyond 32 bits, and
// fractions, it keeps as they were written.

// hasOddNumber tells whether a text may hold a number of such a form, or a name that looks like one.
func hasOddNumber(text string) bool {
	for i := 1; i < len(text); i++ {
		if digit := text[i-1]; digit < '0' || digit > '9' {
			continue
		} else if text[i] == '_' || digit == '0' && strings.IndexByte("xXoObB", text[i]) >= 0 {
			return true
		}
	}
	return false
}

// plainNumbers writes every number of a tree in the form that all servers read as one.
func plainNumbers(m protoreflect.Message) {
	if f, ok := m.Interface().(*pg.Float); ok {
		f.Fval = plainNumber(f.Fval)
		return
	}
	each(m, plainNumbers)
}

// each visits what a node of a tree has below it, one level down.
func each(m protoreflect.Message, visit func(protoreflect.Message)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				visit(v.List().Get(i).Message())
			}
		default:
			visit(v.Message())
		}
		return true
	})
}

// plainNumber writes a number with decimal digits only.
func plainNumber(s string) string {
	s = strings.ReplaceAll(s, "_", "")
	digits := strings.TrimLeft(s, "+-")
	if len(digits) < 3 || digits[0] != '0' || strings.IndexByte("xXoObB", digits[1]) < 0 {
		return s
	}
	if n, ok := new(big.Int).SetString(s, 0); ok {
		return n.String()
	}
	return s
}
