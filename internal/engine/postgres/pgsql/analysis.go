package pgsql

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// analysis judges one text. It rewrites the tree in place; the first refusal stands, and the walk goes on behind it without
// effect.
type analysis struct {
	w         *World
	text      string
	functions *functionTable
	nodes     *nodeTable
	refusal   *Refusal
	rewrote   bool
	top       *pg.SelectStmt // of the current statement, when it is a query

	statementCount int

	// judged holds every node of a kind that can reach an object by name. The coverage check refuses one that is not
	// here: whatever place of the tree it stands in, the walk has not seen it.
	judged map[proto.Message]struct{}

	regs map[*pg.Node]string // what the place of an expression makes of a reg* value, where that is not text

	limited []*Relation        // under min_group, read by the FROM at hand
	grouped map[*Relation]bool // under min_group, read by a query that was judged

	touches   []*touching // of the current statement
	effects   []Effect    // of functions in the current statement
	rows      int         // how many whole rows were read as values so far, whose type is the view's
	stored    bool        // an expression is read that the server keeps and runs for others
	own       bool        // what is being written is a temporary table, which may keep masks
	setting   bool        // the value of a SET is being read: a mask must not be stored over real data
	answering bool        // RETURNING is being read: 18 knows OLD and NEW there
	masks     int         // how many masked columns were read so far, to see whether an expression shows one
	location  int32       // the last byte offset passed, for refusals that have none of their own
}

func newAnalysis(g *Guard, w *World, text string) *analysis {
	return &analysis{w: w, text: text, functions: g.functions, nodes: g.nodes, judged: map[proto.Message]struct{}{}, regs: map[*pg.Node]string{}}
}

// refuse notes a refusal, unless there is one already.
func (a *analysis) refuse(at int32, r Refusal) {
	if a.refusal != nil {
		return
	}
	if r.SQLState == "" {
		r.SQLState = statePrivilege
	}
	if at < 0 {
		at = a.location
	}
	r.Position = characterPosition(a.text, at)
	a.refusal = &r
}

// construct refuses a part of a statement.
func (a *analysis) construct(at int32, message, hint string) {
	a.refuse(at, Refusal{Reason: ReasonConstruct, Message: message, Hint: hint})
}

// misplaced refuses a node in a place where the grammar never puts it.
func (a *analysis) misplaced(m proto.Message) {
	a.refuse(-1, Refusal{
		SQLState: stateUnsupported, Reason: ReasonConstruct, Object: string(m.ProtoReflect().Descriptor().Name()),
		Message: fmt.Sprintf("this use of %s is not understood", m.ProtoReflect().Descriptor().Name()),
	})
}

func (a *analysis) mark(m proto.Message) { a.judged[m] = struct{}{} }

// unwrap returns the message inside a Node, nil when there is none.
func unwrap(n *pg.Node) proto.Message {
	if n == nil {
		return nil
	}
	m := n.ProtoReflect()
	fd := m.WhichOneof(nodeOneof)
	if fd == nil {
		return nil
	}
	return m.Get(fd).Message().Interface()
}

var nodeOneof = (&pg.Node{}).ProtoReflect().Descriptor().Oneofs().Get(0)

func (a *analysis) nodeList(list []*pg.Node, sc *scope) {
	for _, n := range list {
		a.node(n, sc)
	}
}

// node judges an expression, or whatever else may stand inside one.
func (a *analysis) node(n *pg.Node, sc *scope) {
	if n == nil || a.refusal != nil {
		return
	}
	switch x := n.Node.(type) {
	case nil:
	case *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_AStar, *pg.Node_SetToDefault, *pg.Node_String_, *pg.Node_Integer, *pg.Node_Float,
		*pg.Node_Boolean, *pg.Node_BitString:
	case *pg.Node_ColumnRef:
		if !a.catalogTableOID(n, x.ColumnRef, sc) {
			a.columnRef(x.ColumnRef, sc)
		}
	case *pg.Node_FuncCall:
		a.funcCall(n, x.FuncCall, sc)
	case *pg.Node_TypeCast:
		a.typeCast(n, x.TypeCast, sc)
	case *pg.Node_SqlvalueFunction:
		a.valueFunction(n, x.SqlvalueFunction)
	case *pg.Node_AIndirection:
		a.indirection(x.AIndirection, sc)
	case *pg.Node_SelectStmt:
		a.selectStmt(x.SelectStmt, sc)
	default:
		a.message(unwrap(n), sc)
	}
}

// message judges a node that is not wrapped, or has no rule but its parts.
func (a *analysis) message(m proto.Message, sc *scope) {
	if a.refusal != nil {
		return
	}
	switch x := m.(type) {
	case *pg.Node:
		a.node(x, sc)
		return
	case *pg.SelectStmt:
		a.selectStmt(x, sc)
		return
	case *pg.TypeName:
		a.typeName(x, false)
		return
	case *pg.CollateClause:
		a.collation(x.Collname, x.Location)
		a.mark(x)
		a.node(x.Arg, sc)
		return
	case *pg.A_Expr:
		a.location = x.Location
		a.mark(x)
		a.operator(x.Name, x.Kind, x.Location)
		a.wantOperands(x)
	case *pg.SubLink:
		a.mark(x)
		if x.Testexpr != nil {
			a.wantReg(x.Testexpr, regOID)
			a.wantRegs(x.Subselect.GetSelectStmt())
		}
		if len(x.OperName) > 0 {
			a.operator(x.OperName, pg.A_Expr_Kind_AEXPR_OP, x.Location)
		} else if x.SubLinkType == pg.SubLinkType_ANY_SUBLINK {
			a.implied("IN", x.Location, "=")
		}
	case *pg.CaseExpr:
		if x.Arg != nil {
			a.implied("CASE x WHEN", x.Location, "=")
			a.wantCase(x)
		}
	case *pg.ResTarget: // of XMLFOREST and the like
		a.mark(x)
	case *pg.SortBy:
		a.mark(x)
		if len(x.UseOp) > 0 {
			a.operator(x.UseOp, pg.A_Expr_Kind_AEXPR_OP, x.Location)
		}
	case *pg.RangeVar, *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt, *pg.WithClause, *pg.IntoClause,
		*pg.RangeSubselect, *pg.RangeFunction, *pg.RangeTableFunc, *pg.JsonTable, *pg.JoinExpr, *pg.FuncCall, *pg.ColumnRef,
		*pg.TypeCast, *pg.A_Indirection, *pg.SQLValueFunction, *pg.LockingClause, *pg.RangeTableSample:
		a.misplaced(x)
		return
	case *pg.CurrentOfExpr:
		a.construct(-1, "WHERE CURRENT OF is not available", "Use the primary key in WHERE instead.")
		return
	}
	a.parts(m, sc)
}

// parts judges every part of a node.
func (a *analysis) parts(m proto.Message, sc *scope) {
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil {
			return true
		}
		if !fd.IsList() {
			a.message(v.Message().Interface(), sc)
			return a.refusal == nil
		}
		for i := 0; i < v.List().Len(); i++ {
			a.message(v.List().Get(i).Message().Interface(), sc)
		}
		return a.refusal == nil
	})
}

// names returns the strings of a list of names; ok is false when it holds something else.
func names(list []*pg.Node) (out []string, ok bool) {
	for _, n := range list {
		s, is := n.GetNode().(*pg.Node_String_)
		if !is {
			return nil, false
		}
		out = append(out, s.String_.GetSval())
	}
	return out, true
}

func stringNode(s string) *pg.Node { return pg.MakeStrNode(s) }

func nameNodes(parts ...string) []*pg.Node {
	out := make([]*pg.Node, len(parts))
	for i, p := range parts {
		out[i] = stringNode(p)
	}
	return out
}

// quoteIdent writes a name as SQL, quoted where it must be.
func quoteIdent(name string) string {
	plain := name != ""
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && (c >= '0' && c <= '9' || c == '$')) {
			plain = false
		}
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// String writes the name as SQL.
func (n Name) String() string {
	if n.Schema == "" {
		return quoteIdent(n.Name)
	}
	return quoteIdent(n.Schema) + "." + quoteIdent(n.Name)
}
