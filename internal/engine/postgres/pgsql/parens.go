package pgsql

import (
	"errors"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// The deparser leaves out parentheses that some expressions cannot do without: (ARRAY(SELECT 1))[1], (a OR b) IS NULL, (CASE … END).f,
// a BETWEEN (b IN (1)) AND c. What it writes then is another statement or none, which the comparison with the judged tree finds out.
// Such a tree is written once more with operands as arguments of a function that stands for parentheses, and its name is taken out of
// the text. Nothing rests on that: the result has to read back as the judged tree as well.

// errUnfaithful is why a tree cannot be sent: no text is known that reads back as it.
var errUnfaithful = errors.New("the text does not read back as the same statement")

// maxParens bounds how many operands get parentheses: each is one more level for the parser.
const maxParens = 1000

// faithful writes a tree as a text that reads back as the same tree (ENF-84). Its locations are lost.
func faithful(r reader, tree *pg.ParseResult) (string, error) {
	plain, err := r.deparse(tree)
	if err != nil {
		return "", err
	}
	clearLocations(tree.ProtoReflect())
	err = readsAs(r, plain, tree)
	if err == nil || !errors.Is(err, errUnfaithful) {
		return plain, err
	}
	name := "postern_parens"
	for strings.Contains(plain, name) {
		name += "_"
	}
	wrapped := proto.Clone(tree).(*pg.ParseResult)
	if n := parenthesise(wrapped, name); n == 0 || n > maxParens {
		return "", errUnfaithful
	}
	out, err := r.deparse(wrapped)
	if err != nil {
		return "", err
	}
	out = strings.ReplaceAll(out, name+"(", "(")
	if err := readsAs(r, out, tree); err != nil {
		return "", err
	}
	return out, nil
}

// limited is the parser of this process behind the limits of client text: what was put together from several texts may be too deep for it.
type limited struct{ inProcess }

func (l limited) parse(text string) (*pg.ParseResult, error) {
	if err := CheckLimits(text); err != nil {
		return nil, err
	}
	return l.inProcess.parse(text)
}

// readsAs says whether a text reads back as a tree without locations. Errors other than errUnfaithful are of the parser's process or of
// the limits.
func readsAs(r reader, text string, tree *pg.ParseResult) error {
	again, err := r.parse(text)
	if err != nil {
		down, limit := (*parserDown)(nil), (*LimitError)(nil)
		if errors.As(err, &down) || errors.As(err, &limit) {
			return err
		}
		return errUnfaithful
	}
	clearLocations(again.ProtoReflect())
	if !proto.Equal(tree, again) {
		return errUnfaithful
	}
	return nil
}

// parenthesise puts the operands of a tree into calls of name, and returns how many. These are the places where the grammar takes any
// expression in parentheses, and the deparser writes none for some.
func parenthesise(tree *pg.ParseResult, name string) int {
	count := 0
	wrap := func(list ...*pg.Node) {
		for _, n := range list {
			if needsParens(n) {
				n.Node = &pg.Node_FuncCall{FuncCall: &pg.FuncCall{
					Funcname: nameNodes(name), Args: []*pg.Node{{Node: n.Node}}, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL,
				}}
				count++
			}
		}
	}
	eachNode(tree.ProtoReflect(), func(n *pg.Node) {
		switch x := n.GetNode().(type) {
		case *pg.Node_AIndirection:
			if c := x.AIndirection.Arg.GetAConst(); c != nil {
				x.AIndirection.Arg = &pg.Node{Node: &pg.Node_FuncCall{FuncCall: &pg.FuncCall{
					Funcname: nameNodes(name), Args: []*pg.Node{x.AIndirection.Arg}, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL,
				}}}
				count++
			}
			wrap(x.AIndirection.Arg)
		case *pg.Node_AExpr:
			wrap(x.AExpr.Lexpr, x.AExpr.Rexpr)
			switch x.AExpr.Kind {
			case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
				wrap(x.AExpr.Rexpr.GetList().GetItems()...)
			}
		case *pg.Node_NullTest:
			wrap(x.NullTest.Arg)
		case *pg.Node_BooleanTest:
			wrap(x.BooleanTest.Arg)
		case *pg.Node_CollateClause:
			wrap(x.CollateClause.Arg)
		case *pg.Node_JsonIsPredicate:
			wrap(x.JsonIsPredicate.Expr)
		case *pg.Node_XmlExpr:
			if x.XmlExpr.Op == pg.XmlExprOp_IS_DOCUMENT {
				wrap(x.XmlExpr.Args...)
			}
		case *pg.Node_SubLink:
			wrap(x.SubLink.Testexpr)
		case *pg.Node_FuncCall:
			if x.FuncCall.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX {
				wrap(x.FuncCall.Args...)
			}
		case *pg.Node_RangeTableFunc:
			wrap(x.RangeTableFunc.Docexpr, x.RangeTableFunc.Rowexpr)
		case *pg.Node_RangeTableFuncCol:
			wrap(x.RangeTableFuncCol.Colexpr, x.RangeTableFuncCol.Coldefexpr)
		}
	})
	return count
}

// needsParens says whether an operand may have to stand in parentheses: names, constants, rows and calls never do, and the parser would
// tell some of them from their like in parentheses.
func needsParens(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case nil, *pg.Node_ColumnRef, *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_RowExpr, *pg.Node_List, *pg.Node_AStar, *pg.Node_SetToDefault:
		return false
	case *pg.Node_FuncCall:
		return x.FuncCall.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX
	}
	return true
}
