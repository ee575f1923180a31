package pgsql

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

//go:embed nodes.txt
var nodesText string

// nodeTable is the allow-list of node types and fields, by message name. It is immutable.
type nodeTable struct {
	fields map[protoreflect.Name]map[protoreflect.Name]bool
}

var grammar = sync.OnceValue(func() *nodeTable {
	t := &nodeTable{fields: map[protoreflect.Name]map[protoreflect.Name]bool{}}
	for line := range strings.Lines(nodesText) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		set := map[protoreflect.Name]bool{}
		for _, w := range words[1:] {
			set[protoreflect.Name(w)] = true
		}
		t.fields[protoreflect.Name(words[0])] = set
	}
	return t
})

// cover walks the whole tree by reflection, and refuses a node type, field or enum value that is not on the list, and a node
// that can reach an object but that the walk has not judged (ENF-83).
func (a *analysis) cover(tree *pg.ParseResult) {
	a.coverMessage(tree.ProtoReflect())
}

func (a *analysis) coverMessage(m protoreflect.Message) {
	name := m.Descriptor().Name()
	wrapper := name == "Node"
	fields, ok := a.nodes.fields[name]
	if !ok && !wrapper {
		a.uncovered(fmt.Sprintf("node %s", name))
		return
	}
	if since := sinceMajor(name); a.w.Major < since {
		a.uncovered(fmt.Sprintf("%s, which PostgreSQL %d does not have", name, a.w.Major))
		return
	}
	if len(m.GetUnknown()) > 0 {
		a.uncovered(fmt.Sprintf("unknown part of node %s", name))
		return
	}
	if mustBeJudged(name) {
		if _, done := a.judged[m.Interface()]; !done {
			a.uncovered(fmt.Sprintf("node %s in this place", name))
			return
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case !wrapper && !fields[fd.Name()] && !isLocation(fd):
			a.uncovered(fmt.Sprintf("field %s of node %s", fd.Name(), name))
		case fd.Message() != nil && fd.IsList():
			for i := 0; i < v.List().Len() && a.refusal == nil; i++ {
				a.coverMessage(v.List().Get(i).Message())
			}
		case fd.Message() != nil:
			a.coverMessage(v.Message())
		case fd.Enum() != nil && !fd.IsList():
			if fd.Enum().Values().ByNumber(v.Enum()) == nil {
				a.uncovered(fmt.Sprintf("value %d of field %s of node %s", v.Enum(), fd.Name(), name))
			}
		}
		return a.refusal == nil
	})
}

func (a *analysis) uncovered(what string) {
	a.refuse(-1, Refusal{
		SQLState: stateUnsupported, Reason: ReasonConstruct, Object: what,
		Message: "this form of statement is not available", Detail: "The guard has no rule for: " + what + ".",
	})
}

// sinceMajor is the first release whose grammar has a node type. Older ones read JSON_VALUE(a, b) or merge_action() as a call
// of a function of that name, wherever the search_path finds one.
func sinceMajor(name protoreflect.Name) int {
	switch name {
	case "JsonFuncExpr", "JsonTable", "JsonParseExpr", "JsonScalarExpr", "JsonSerializeExpr", "MergeSupportFunc":
		return 17
	case "JsonObjectConstructor", "JsonArrayConstructor", "JsonArrayQueryConstructor", "JsonObjectAgg", "JsonArrayAgg", "JsonIsPredicate":
		return 16
	case "MergeStmt":
		return 15
	case "CTESearchClause", "CTECycleClause":
		return 14
	}
	return 0
}

// mustBeJudged names the node types that reach an object by its name. Being on the list of types is not enough for them.
func mustBeJudged(name protoreflect.Name) bool {
	switch name {
	case "RangeVar", "FuncCall", "ColumnRef", "TypeName", "TypeCast", "SelectStmt", "A_Expr", "SubLink", "SortBy", "A_Indirection",
		"CollateClause", "SQLValueFunction", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CommonTableExpr", "WithClause",
		"LockingClause", "RangeSubselect", "RangeFunction", "RangeTableFunc", "JsonTable", "JoinExpr", "InferClause", "IndexElem",
		"ResTarget", "IntoClause", "CreateTableAsStmt", "CreateStmt", "Constraint", "TableLikeClause", "DropStmt", "TruncateStmt", "RangeTableSample",
		"CallStmt", "ExplainStmt", "AlterTableStmt", "AlterTableCmd", "IndexStmt", "CommentStmt":
		return true
	}
	return false
}

// markAll judges a subtree that the guard made itself.
func (a *analysis) markAll(n *pg.Node) {
	if m := unwrap(n); m != nil {
		a.markMessage(m.ProtoReflect())
	}
}

func (a *analysis) markMessage(m protoreflect.Message) {
	a.mark(m.Interface())
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len(); i++ {
				a.markMessage(v.List().Get(i).Message())
			}
		default:
			a.markMessage(v.Message())
		}
		return true
	})
}

// isLocation tells whether a field holds a place in the text.
func isLocation(fd protoreflect.FieldDescriptor) bool {
	if fd.Kind() != protoreflect.Int32Kind {
		return false
	}
	switch fd.Name() {
	case "location", "name_location", "arg_location", "payload_location", "stmt_location", "stmt_len":
		return true
	}
	return false
}

// clearLocations zeroes every place in the text, so that trees of different texts can be compared.
func clearLocations(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isLocation(fd):
			m.Clear(fd)
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len(); i++ {
				clearLocations(v.List().Get(i).Message())
			}
		default:
			clearLocations(v.Message())
		}
		return true
	})
}
