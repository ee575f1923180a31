package pgsql

import (
	"errors"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// placeholder stands in the tree for a literal; quoted in any way it becomes a plain ? in the text.
const placeholder = "?"

// redact writes the client's statements for the trail: deparsed, so that comments are gone, and without one literal. The
// text is for people; it is never sent. "" means that it could not be written.
func redact(from reader, tree *pg.ParseResult) string {
	parts := make([]string, 0, len(tree.Stmts))
	for _, raw := range tree.Stmts {
		part := redactStatement(from, raw.Stmt, tree.Version)
		if part == "" {
			return ""
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

func redactStatement(from reader, n *pg.Node, version int32) string {
	switch n.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt, *pg.Node_CopyStmt,
		*pg.Node_DeclareCursorStmt, *pg.Node_FetchStmt, *pg.Node_ClosePortalStmt, *pg.Node_PrepareStmt, *pg.Node_ExecuteStmt,
		*pg.Node_DeallocateStmt, *pg.Node_VariableSetStmt, *pg.Node_VariableShowStmt, *pg.Node_TransactionStmt, *pg.Node_DiscardStmt,
		*pg.Node_ConstraintsSetStmt, *pg.Node_ExplainStmt, *pg.Node_LockStmt, *pg.Node_TruncateStmt, *pg.Node_CreateTableAsStmt, *pg.Node_AlterTableStmt,
		*pg.Node_IndexStmt:
	default:
		return redactOther(n)
	}
	n, ok := proto.Clone(n).(*pg.Node)
	if !ok {
		return ""
	}
	r := redactor{}
	r.message(n.ProtoReflect())
	out, err := from.deparse(&pg.ParseResult{Version: version, Stmts: []*pg.RawStmt{{Stmt: n}}})
	if err != nil {
		return redactOther(n)
	}
	return strings.NewReplacer(`'?'`, placeholder, `"?"`, placeholder).Replace(out)
}

// redactOther tells of other kinds what they are and which relations they name: their options hold passwords, connection
// strings and bodies of code.
func redactOther(n *pg.Node) string {
	out := statementTag(n)
	m := unwrap(n)
	if m == nil {
		return out
	}
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil || fd.IsList() {
			return true
		}
		if rv, ok := v.Message().Interface().(*pg.RangeVar); ok && rv.Relname != "" {
			out += " " + Name{rv.Schemaname, rv.Relname}.String()
		}
		return true
	})
	return out
}

// redactor replaces literals in place. Nodes keep the type that the deparser expects in their place.
type redactor struct {
	keepType bool // inside a type or a call in SQL's own syntax: a number stays a number
}

func (r redactor) message(m protoreflect.Message) {
	switch x := m.Interface().(type) {
	case *pg.A_Const:
		r.constant(x)
		return
	case *pg.TypeName:
		r.keepType = true
	case *pg.FuncCall:
		r.keepType = x.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX
	case *pg.TransactionStmt:
		switch x.Kind {
		case pg.TransactionStmtKind_TRANS_STMT_PREPARE, pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED,
			pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
			x.Gid = placeholder // also where it is empty: the deparser would read through a null pointer
		}
		return
	case *pg.VariableSetStmt:
		if x.Kind == pg.VariableSetKind_VAR_SET_MULTI {
			r.modes(x)
			return
		}
	case *pg.CopyStmt:
		x.Filename = blank(x.Filename)
	case *pg.DefElem:
		if s := x.Arg.GetString_(); s != nil && x.Defname != "format" && x.Defname != "header" {
			s.Sval = placeholder
			return
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len(); i++ {
				r.message(v.List().Get(i).Message())
			}
		default:
			r.message(v.Message())
		}
		return true
	})
}

// modes keeps the words of SET TRANSACTION, and hides a snapshot's name.
func (r redactor) modes(s *pg.VariableSetStmt) {
	if s.Name == "TRANSACTION SNAPSHOT" {
		for _, n := range s.Args {
			r.message(n.ProtoReflect())
		}
	}
}

func (r redactor) constant(c *pg.A_Const) {
	switch v := c.Val.(type) {
	case *pg.A_Const_Sval:
		v.Sval.Sval = placeholder
	case *pg.A_Const_Ival:
		if !r.keepType {
			c.Val = &pg.A_Const_Sval{Sval: &pg.String{Sval: placeholder}}
		}
	case *pg.A_Const_Fval:
		if r.keepType {
			v.Fval.Fval = "0"
		} else {
			c.Val = &pg.A_Const_Sval{Sval: &pg.String{Sval: placeholder}}
		}
	case *pg.A_Const_Bsval:
		c.Val = &pg.A_Const_Sval{Sval: &pg.String{Sval: placeholder}}
	}
}

func blank(s string) string {
	if s == "" {
		return ""
	}
	return placeholder
}

// Replayable makes of a statement as the trail holds it, without its literals, one that can be judged again: a text stands where
// each literal stood. The error says why that cannot be done. Whether the literals played a part in the verdict is not to be seen
// from the text.
func Replayable(redacted string) (string, error) {
	const operators = "+-*/<>=~!@#%^&|`?"
	var b strings.Builder
	for i := 0; i < len(redacted); i++ {
		c := redacted[i]
		if c == '"' {
			end := i + 1
			for end < len(redacted) && redacted[end] != '"' {
				end++
			}
			b.WriteString(redacted[i:min(end+1, len(redacted))])
			i = end
			continue
		}
		if c != '?' {
			b.WriteByte(c)
			continue
		}
		if i > 0 && strings.IndexByte(operators, redacted[i-1]) >= 0 || i+1 < len(redacted) && strings.IndexByte(operators, redacted[i+1]) >= 0 {
			return "", errors.New("it has an operator that looks like a literal")
		}
		b.WriteString(`'?'`)
	}
	out := b.String()
	if err := CheckLimits(out); err != nil {
		return "", err
	}
	if _, err := pg.Parse(out); err != nil {
		return "", errors.New("without its literals it is no statement")
	}
	return out, nil
}
