package pgsql

import (
	"errors"
)

// FilterTable is what the filter compiler knows of one application table.
type FilterTable struct {
	Name    Name
	Columns []FilterColumn
}

// FilterColumn is a column of a FilterTable. Type is format_type() of the column, or of the type below it for a domain.
type FilterColumn struct{ Name, Type string }

// FilterOptions says what a filter may refer to.
type FilterOptions struct {
	Schemas []string             // the store's schemas: where unqualified relations are looked up, in this order
	Tables  map[Name]FilterTable // every application table or view that a subquery may read
	Types   map[Name]bool        // types outside pg_catalog that may be named in a cast
	// CurrentUser admits current_user: only where every identity role is the subject's own name (ENF-90).
	CurrentUser bool
}

// Filter is a compiled row filter: one boolean expression that means the same in a policy of its table and in a CASE of a
// view that selects from it. It must be put in parentheses, and created under a search_path that starts with pg_catalog.
type Filter struct {
	SQL         string
	Reads       []Name            // application relations its subqueries read, sorted
	ReadColumns map[Name][]string // the columns of those, sorted; nil means all
	Attributes  []string          // keys of postern.attribute it depends on, sorted; "name" for subject.name
	Columns     []string          // columns of the table itself, sorted
	CurrentUser bool              // current_user is used
}

// SyntaxError is what is wrong with a filter or mask expression.
type SyntaxError struct {
	Offset  int // byte offset in the text, -1 when unknown
	Message string
}

// Error implements error.
func (e *SyntaxError) Error() string { return e.Message }

// CompileFilter compiles a row filter of table. Errors are *SyntaxError.
func CompileFilter(sql string, table FilterTable, opts FilterOptions) (Filter, error) {
	return Filter{}, errors.New("not compiled")
}

// CompileMaskExpression compiles the text of an expression("…") mask: the word value is replaced by ref, which is SQL for
// the column, such as a quoted name. Errors are *SyntaxError.
func CompileMaskExpression(sql, ref string) (string, error) {
	return "", errors.New("not compiled")
}
