package pgsql

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// questionFunctions may be called by a site's own question besides those of subjects' statements: they tell what the catalog says, and change,
// read and reach nothing else.
var questionFunctions = strings.Fields(`acldefault current_setting format_type has_any_column_privilege has_column_privilege has_database_privilege
	has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_parameter_privilege has_schema_privilege has_sequence_privilege
	has_server_privilege has_table_privilege has_tablespace_privilege has_type_privilege col_description obj_description shobj_description
	pg_encoding_to_char pg_get_constraintdef pg_get_expr pg_get_function_arguments pg_get_function_identity_arguments pg_get_functiondef pg_get_indexdef
	pg_get_partkeydef pg_get_ruledef pg_get_serial_sequence pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role pg_is_in_recovery
	pg_relation_is_publishable pg_size_pretty pg_table_is_visible pg_tablespace_location to_regclass to_regnamespace to_regrole version`)

// CheckQuestion says what is wrong with a question that a site's own check asks: it must be one SELECT that calls no function but harmless
// ones of the server itself, locks nothing and writes nothing. The server's read-only transaction stands behind it.
func CheckQuestion(sql string) error {
	wrong := func(format string, args ...any) error {
		return &SyntaxError{Offset: -1, Message: fmt.Sprintf(format, args...)}
	}
	if len(sql) > maxExpression || !utf8.ValidString(sql) || strings.IndexByte(sql, 0) >= 0 {
		return wrong("the question is longer than %d bytes, or no UTF-8 text", maxExpression)
	}
	if err := CheckLimits(sql); err != nil {
		return wrong("the question is too deep: %v", err)
	}
	tree, err := pgquery.Parse(sql)
	if err != nil {
		return wrong("%v", err)
	}
	if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		return wrong("one SELECT is wanted")
	}
	return questionNode(tree.Stmts[0].Stmt.ProtoReflect(), wrong)
}

// questionNode judges a message of the tree and all below it.
func questionNode(m protoreflect.Message, wrong func(string, ...any) error) error {
	switch n := m.Interface().(type) {
	case *pgquery.InsertStmt, *pgquery.UpdateStmt, *pgquery.DeleteStmt, *pgquery.MergeStmt:
		return wrong("it writes")
	case *pgquery.IntoClause:
		return wrong("SELECT INTO makes a table")
	case *pgquery.LockingClause:
		return wrong("FOR UPDATE and its kin lock rows")
	case *pgquery.FuncCall:
		if err := questionCall(n, wrong); err != nil {
			return err
		}
	case *pgquery.TypeName:
		if s := firstOfTwo(n.Names); s != "" && s != "pg_catalog" {
			return wrong("a type outside pg_catalog can run code: %s", s)
		}
	case *pgquery.A_Expr:
		if s := firstOfTwo(n.Name); s != "" && s != "pg_catalog" {
			return wrong("an operator outside pg_catalog runs code: %s", s)
		}
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = questionNode(v.List().Get(i).Message(), wrong)
			}
		default:
			err = questionNode(v.Message(), wrong)
		}
		return err == nil
	})
	return err
}

// questionCall admits functions of pg_catalog that are on one of the lists.
func questionCall(n *pgquery.FuncCall, wrong func(string, ...any) error) error {
	if s := firstOfTwo(n.Funcname); s != "" && s != "pg_catalog" {
		return wrong("functions outside pg_catalog are not called: %s", s)
	}
	name := n.Funcname[len(n.Funcname)-1].GetString_().GetSval()
	if builtinFunctions().functions[name].majors == 0 && !slices.Contains(questionFunctions, name) {
		return wrong("the function %s is not on the list of harmless ones", name)
	}
	return nil
}

// firstOfTwo is the schema of a qualified name, or "".
func firstOfTwo(names []*pgquery.Node) string {
	if len(names) < 2 {
		return ""
	}
	return names[0].GetString_().GetSval()
}
