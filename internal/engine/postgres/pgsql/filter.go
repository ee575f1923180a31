package pgsql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
	"google.golang.org/protobuf/proto"
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
	// Rows says which rows of other tables the filter's subqueries may see: the texts of the same rule's filters. Row security shows
	// a profile of several rules the rows of all of them, and a filter that read those would admit rows that none of its rules
	// admits alone (ENF-33). A table that is not here is read as row security shows it.
	Rows map[Name]string
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

// filterPrefix makes a statement of an expression. The expression stands in no parentheses, so that text which closes one
// and opens another does not parse, and whatever adds a clause is seen as that clause.
const filterPrefix = "SELECT 1 FROM t WHERE "

// CompileFilter compiles a row filter of table. Errors are *SyntaxError.
func CompileFilter(sql string, table FilterTable, opts FilterOptions) (Filter, error) {
	c := &filterCompiler{table: table, opts: opts, strict: true, reads: map[Name]map[string]bool{}}
	return c.compile(sql)
}

// CompileMaskExpression compiles the text of an expression("…") mask: the word value is replaced by ref, which is SQL for
// the column, such as a quoted name. Errors are *SyntaxError.
func CompileMaskExpression(sql, ref string) (string, error) {
	text, used, err := substitute(sql, map[string]string{"value": ref}, "a mask expression may refer to value only, which stands for the column; %s is something else")
	if err == nil && !used {
		err = &SyntaxError{Offset: -1, Message: `the expression does not use the word value, which stands for the column; write constant("…") for a fixed text`}
	}
	return text, err
}

// CompileDerived rewrites the expression of a generated column, as pg_get_expr prints it, over other forms of its inputs
// (ENF-19). forms maps each column to SQL. It fails on functions that are not on the list of masks: such a column needs a mask of its own.
func CompileDerived(expression string, forms map[string]string) (string, error) {
	text, _, err := substitute(expression, forms, "the expression refers to %s, which has no form")
	return text, err
}

// substitute checks an expression and puts forms in the place of names. used tells whether any name occurred.
func substitute(sql string, forms map[string]string, foreign string) (text string, used bool, err error) {
	c := &filterCompiler{values: map[string]*pgquery.Node{}, foreign: foreign}
	for name, form := range forms {
		if c.values[name], err = parseExpression(form); err != nil {
			return "", false, err
		}
	}
	node, err := parseExpression(sql)
	if err != nil {
		return "", false, err
	}
	if node, err = c.expr(node, filterPlace{}); err != nil {
		return "", false, err
	}
	text, err = deparseExpression(node)
	return text, c.valueUsed, err
}

// filterCompiler carries one compilation.
type filterCompiler struct {
	table  FilterTable
	opts   FilterOptions
	strict bool // relations and columns must be known; false where there is no catalog

	values    map[string]*pgquery.Node // set for expressions over given forms: what a name stands for
	foreign   string                   // the complaint about any other name
	valueUsed bool

	reading []Name // tables whose own filters are being compiled, outermost first

	scopes  []*filterScope
	reads   map[Name]map[string]bool // relation -> columns; a "*" entry means all
	columns map[string]bool
	attrs   map[string]bool
	guards  map[string]bool // attributes whose absence must be excluded explicitly
	current bool
}

// compile is CompileFilter without its options.
func (c *filterCompiler) compile(sql string) (Filter, error) {
	node, err := parseExpression(sql)
	if err != nil {
		return Filter{}, err
	}
	c.columns, c.attrs, c.guards = map[string]bool{}, map[string]bool{}, map[string]bool{}
	if node, err = c.expr(node, filterPlace{positive: true, required: true}); err != nil {
		return Filter{}, err
	}
	for _, key := range filterKeys(c.guards) {
		node = andNode(node, attributeExists(key))
	}
	text, err := deparseExpression(node)
	if err != nil {
		return Filter{}, err
	}
	f := Filter{
		SQL: text, Attributes: filterKeys(c.attrs), Columns: filterKeys(c.columns), CurrentUser: c.current,
		ReadColumns: map[Name][]string{},
	}
	for name, cols := range c.reads {
		f.Reads = append(f.Reads, name)
		f.ReadColumns[name] = nil
		if len(cols) > 0 && !cols["*"] {
			f.ReadColumns[name] = filterKeys(cols)
		}
	}
	slices.SortFunc(f.Reads, func(a, b Name) int {
		return strings.Compare(a.Schema+"\x00"+a.Name, b.Schema+"\x00"+b.Name)
	})
	return f, nil
}

// parseExpression parses text that must be exactly one expression.
func parseExpression(sql string) (*pgquery.Node, error) {
	if strings.TrimSpace(sql) == "" {
		return nil, &SyntaxError{Offset: 0, Message: "the expression is empty"}
	}
	if len(sql) > maxExpression {
		return nil, &SyntaxError{Offset: maxExpression, Message: fmt.Sprintf("the expression is longer than %d bytes", maxExpression)}
	}
	if i := strings.IndexByte(sql, 0); i >= 0 || !utf8.ValidString(sql) {
		return nil, &SyntaxError{Offset: i, Message: "the expression holds bytes that are not UTF-8 text"}
	}
	text := filterPrefix + sql + "\n"
	if err := CheckLimits(text); err != nil {
		return nil, &SyntaxError{Offset: -1, Message: "the expression is too deep: " + err.Error()}
	}
	tree, err := pgquery.Parse(text)
	if err != nil {
		return nil, filterParseError(text, err)
	}
	if len(tree.Stmts) != 1 {
		return nil, &SyntaxError{Offset: strings.IndexByte(sql, ';'), Message: "one boolean expression is wanted, without a semicolon"}
	}
	sel := tree.Stmts[0].Stmt.GetSelectStmt()
	if sel == nil || sel.WhereClause == nil || !bareSelect(sel) {
		return nil, &SyntaxError{Offset: -1, Message: "one boolean expression is wanted, without clauses that follow a WHERE"}
	}
	if tree.Stmts[0].StmtLen != 0 && strings.TrimSpace(text[tree.Stmts[0].StmtLen:]) != "" {
		return nil, &SyntaxError{Offset: int(tree.Stmts[0].StmtLen) - len(filterPrefix), Message: "one boolean expression is wanted, without a semicolon"}
	}
	return sel.WhereClause, nil
}

// maxExpression bounds a filter or mask expression; ENF-80 allows a whole statement 256 kB.
const maxExpression = 32 << 10

// bareSelect reports whether nothing but the WHERE clause was added to the statement that filterPrefix begins.
func bareSelect(sel *pgquery.SelectStmt) bool {
	rest := proto.Clone(sel).(*pgquery.SelectStmt)
	rest.TargetList, rest.FromClause, rest.WhereClause = nil, nil, nil
	rest.LimitOption, rest.Op = 0, 0
	return proto.Size(rest) == 0 && len(sel.TargetList) == 1 && len(sel.FromClause) == 1 &&
		sel.FromClause[0].GetRangeVar().GetRelname() == "t" && sel.FromClause[0].GetRangeVar().GetAlias() == nil &&
		sel.Op == pgquery.SetOperation_SETOP_NONE && sel.LimitOption == pgquery.LimitOption_LIMIT_OPTION_DEFAULT
}

// filterParseError turns the parser's error into one whose offset counts bytes of the expression.
func filterParseError(text string, err error) error {
	var pe *parser.Error
	if !errors.As(err, &pe) {
		return &SyntaxError{Offset: -1, Message: err.Error()}
	}
	offset := -1
	if pe.Cursorpos > 0 {
		offset = 0
		for n := 1; n < pe.Cursorpos && offset < len(text); n++ { // Cursorpos counts characters
			_, size := utf8.DecodeRuneInString(text[offset:])
			offset += size
		}
		offset = max(0, min(offset, len(text)-1)-len(filterPrefix))
	}
	return &SyntaxError{Offset: offset, Message: pe.Message}
}

// deparseExpression writes an expression as text and proves that the text reads back as the same tree (ENF-84).
func deparseExpression(node *pgquery.Node) (string, error) {
	tree, err := pgquery.Parse(filterPrefix + "true")
	if err != nil {
		return "", &SyntaxError{Offset: -1, Message: err.Error()}
	}
	tree.Stmts[0].Stmt.GetSelectStmt().WhereClause = node
	text, err := faithful(limited{}, tree)
	if limit := (*LimitError)(nil); errors.As(err, &limit) {
		return "", &SyntaxError{Offset: -1, Message: "the expression is too deep: " + err.Error()}
	}
	if errors.Is(err, errUnfaithful) {
		return "", &SyntaxError{Offset: -1, Message: "the expression cannot be written back faithfully; write it more plainly"}
	}
	if err != nil {
		return "", &SyntaxError{Offset: -1, Message: "write the expression back: " + err.Error()}
	}
	expr, ok := strings.CutPrefix(text, filterPrefix)
	if !ok {
		return "", &SyntaxError{Offset: -1, Message: "the expression cannot be written back faithfully; write it more plainly"}
	}
	return expr, nil
}

func filterKeys(m map[string]bool) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
