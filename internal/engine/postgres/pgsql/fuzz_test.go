package pgsql

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// checkAccepted looks at an accepted text with nothing of the guard's own walk: every relation, function and type in it,
// wherever it stands, must be one that the world allows to be sent.
func checkAccepted(w *World, text string) error {
	tree, err := pg.Parse(text)
	if err != nil {
		return fmt.Errorf("does not parse: %w", err)
	}
	c := checker{w: w, ctes: map[string]bool{}, locked: map[*pg.RangeVar]bool{}}
	c.collect(tree.ProtoReflect())
	c.check(tree.ProtoReflect())
	return c.err
}

type checker struct {
	w      *World
	ctes   map[string]bool
	locked map[*pg.RangeVar]bool
	err    error
}

func (c *checker) collect(m protoreflect.Message) {
	switch x := m.Interface().(type) {
	case *pg.CommonTableExpr:
		c.ctes[x.Ctename] = true
	case *pg.LockingClause:
		for _, n := range x.LockedRels {
			c.locked[n.GetRangeVar()] = true
		}
	}
	each(m, c.collect)
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// open tells whether a relation is one that is shown whole and may be inserted into.
func (c *checker) open(rv *pg.RangeVar) bool {
	for _, rel := range c.w.Relations {
		if rel.Target == (Name{rv.GetSchemaname(), rv.GetRelname()}) {
			return rel.Open && rel.Insert
		}
	}
	return false
}

func (c *checker) check(m protoreflect.Message) {
	switch x := m.Interface().(type) {
	case *pg.RangeVar:
		if !c.locked[x] && !c.relation(x) {
			c.fail("relation %q.%q", x.Schemaname, x.Relname)
		}
	case *pg.FuncCall:
		parts, _ := names(x.Funcname)
		extract := slices.Equal(parts, []string{"pg_catalog", "extract"}) && spelledOut(x, "extract", c.w.Major) // which 13 reads as date_part
		if !c.function(parts) && !extract {
			c.fail("function %q", parts)
		}
	case *pg.TypeName:
		if parts, _ := names(x.Names); !c.typ(parts) {
			c.fail("type %q", parts)
		}
	case *pg.RawStmt:
		if !slices.Contains(strings.Fields(`SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt TransactionStmt CopyStmt DeclareCursorStmt
			FetchStmt ClosePortalStmt PrepareStmt ExecuteStmt DeallocateStmt VariableSetStmt VariableShowStmt DiscardStmt ConstraintsSetStmt`),
			string(unwrap(x.Stmt).ProtoReflect().Descriptor().Name())) {
			c.fail("statement %T", x.Stmt.Node)
		}
	case *pg.CopyStmt:
		if x.IsFrom && !x.IsProgram && x.Filename == "" && x.Query == nil && x.WhereClause == nil && c.open(x.Relation) {
			break // into a table that is shown whole, from the client
		}
		if x.IsFrom || x.IsProgram || x.Filename != "" || x.Relation != nil {
			c.fail("COPY of something else than a query to the client")
		}
	case *pg.ColumnRef:
		if parts, ok := names(x.Fields); ok && len(parts) > 2 {
			c.fail("column reference of %d parts", len(parts))
		}
	case *pg.VariableSetStmt:
		if name := strings.ToLower(x.Name); x.Kind == pg.VariableSetKind_VAR_SET_VALUE && name == "search_path" {
			c.fail("SET %s", name)
		}
	}
	each(m, c.check)
}

func (c *checker) relation(rv *pg.RangeVar) bool {
	if rv.Catalogname != "" {
		return false
	}
	if rv.Schemaname == "" {
		return c.ctes[rv.Relname]
	}
	name := Name{rv.Schemaname, rv.Relname}
	for _, rel := range c.w.Relations {
		if rel.Target == name {
			return true
		}
	}
	if name.Schema == CatalogSchema {
		schema, relname := "pg_catalog", name.Name
		if rest, ok := strings.CutPrefix(name.Name, "information_schema."); ok {
			schema, relname = "information_schema", rest
		}
		_, verdict := CatalogRelation(schema, relname, c.w.Major)
		return verdict == CatalogRetarget
	}
	_, verdict := CatalogRelation(name.Schema, name.Name, c.w.Major)
	return verdict == CatalogPass
}

func (c *checker) function(parts []string) bool {
	if len(parts) != 2 {
		return false
	}
	switch parts[0] {
	case "pg_catalog":
		return builtinFunctions().allowed(parts[1], c.w.Major) ||
			slices.Contains([]string{"set_config", "current_setting", "nextval", "currval", "to_regclass", "to_regtype", "to_regnamespace", "to_regproc"}, parts[1])
	case CatalogSchema:
		return slices.Contains(CatalogFunctions(c.w.Major), parts[1])
	case "information_schema":
		return parts[1] == "_pg_expandarray"
	}
	return false
}

func (c *checker) typ(parts []string) bool {
	if len(parts) == 1 {
		return parts[0] == "bpchar"
	}
	if len(parts) != 2 {
		return false
	}
	if parts[0] == "pg_catalog" {
		return builtinFunctions().hasType(parts[1], c.w.Major)
	}
	name := Name{parts[0], strings.TrimPrefix(parts[1], "_")}
	for _, target := range c.w.Types {
		if target == name || target == (Name{parts[0], parts[1]}) {
			return true
		}
	}
	for _, rel := range c.w.Relations {
		if rel.Target == (Name{parts[0], parts[1]}) {
			return true
		}
	}
	return false
}

func goldenInputs(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/guard/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	var out []string
	for _, file := range files {
		text := readFile(t, file)
		for i, block := range strings.Split("\n"+text, "\n== ") {
			if i == 0 {
				continue
			}
			_, rest, _ := strings.Cut(block, "\n")
			input, _, _ := strings.Cut(rest, "\n----\n")
			out = append(out, strings.TrimRight(input, "\n"))
		}
	}
	return out
}

// judgeText decides a text for the test world, and checks what must hold of every decision.
func judgeText(g *Guard, text string, major int, mode Mode) error {
	w := shopWorld()
	w.Major = major
	d := g.Decide(w, text, mode)
	switch d.Verdict {
	case Refuse:
		if d.Refusal == nil || d.Refusal.Reason == "" || len(d.Refusal.SQLState) != 5 || d.Text != "" {
			return fmt.Errorf("a refusal without a reason, or with a text: %+v", d)
		}
		if d.Refusal.Reason == ReasonInternal {
			return fmt.Errorf("a defect: %+v", d.Refusal)
		}
	case Empty:
	case Allow, Rewrite:
		if d.Refusal != nil || len(d.Statements) == 0 {
			return fmt.Errorf("accepted with a refusal or without statements: %+v", d)
		}
		if mode == Extended && len(d.Statements) != 1 {
			return fmt.Errorf("%d statements in a Parse", len(d.Statements))
		}
		if err := checkAccepted(w, d.Text); err != nil {
			return fmt.Errorf("%w in %s", err, d.Text)
		}
	}
	return nil
}

// TestGoldenInputsHold runs the independent checker over the golden inputs, for every major.
func TestGoldenInputsHold(t *testing.T) {
	g := NewGuard(-1)
	accepted := 0
	for _, text := range goldenInputs(t) {
		for major := firstMajor; major <= lastMajor+1; major++ {
			if err := judgeText(g, text, major, Simple); err != nil {
				t.Errorf("%d: %s: %v", major, text, err)
			}
		}
		if g.Decide(shopWorld(), text, Simple).Refusal == nil {
			accepted++
		}
	}
	if accepted < 150 {
		t.Errorf("only %d accepted", accepted)
	}
}

// TestCheckerFindsHoles shows that the independent checker is not blind.
func TestCheckerFindsHoles(t *testing.T) {
	for _, text := range []string{
		"SELECT * FROM public.customers", "SELECT * FROM customers", "SELECT upper('a')", "SELECT public.f(1)", "SELECT pg_catalog.pg_sleep(1)",
		"SELECT 'a'::text", "SELECT 1::hr.t", "SELECT postern_x.customers.id FROM postern_x.customers", "DO ''", "COPY (SELECT 1) TO '/x'",
		"SELECT * FROM pg_catalog.pg_authid", "SELECT * FROM postern_catalog.pg_authid", "SET search_path = public", "SELECT postern_catalog.f()",
		"WITH a AS (SELECT 1) SELECT (SELECT 1 FROM b)", "SELECT * FROM other.postern_x.customers",
	} {
		if checkAccepted(shopWorld(), text) == nil {
			t.Errorf("%s is not found", text)
		}
	}
}

// FuzzDecide: the guard never panics, and what it accepts holds only what the world admits.
func FuzzDecide(f *testing.F) {
	for _, text := range goldenInputs(f) {
		f.Add(text, uint8(15), false)
	}
	g := NewGuard(-1)
	f.Fuzz(func(t *testing.T, text string, major uint8, extended bool) {
		mode := Simple
		if extended {
			mode = Extended
		}
		if err := judgeText(g, text, firstMajor+int(major%7), mode); err != nil {
			t.Error(err)
		}
	})
}

// FuzzLimits: what CheckLimits lets through has, by the tokens of PostgreSQL's own scanner, no more brackets, statements and
// links in a row than the limits say, and the parser survives it.
func FuzzLimits(f *testing.F) {
	for _, s := range bombs {
		f.Add(s.text(3))
	}
	for _, text := range goldenInputs(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// Small texts do not reach the limits; repetition does.
		for _, times := range []int{1, 150, 2500} {
			long := strings.Repeat(text, times)
			if len(long) > maxInsertText || CheckLimits(long) != nil {
				continue
			}
			if err := withinLimits(long); err != nil {
				t.Errorf("%d times %q: %v", times, text, err)
			}
		}
	})
}

// withinLimits counts by the tokens of PostgreSQL's scanner what CheckLimits counts by its own.
func withinLimits(text string) error {
	scan, err := pg.Scan(text)
	if err != nil {
		return nil // no statement for the parser either
	}
	if _, err := pg.Parse(text); err != nil {
		return nil
	}
	brackets, statements, run := 0, 0, 0
	for _, tok := range scan.Tokens {
		switch tok.Token {
		case pg.Token_ASCII_40, pg.Token_ASCII_91:
			brackets++
			run = 0
		case pg.Token_ASCII_41, pg.Token_ASCII_93:
			brackets--
			run = 0
		case pg.Token_ASCII_59:
			statements++
			run = 0
		case pg.Token_ASCII_44, pg.Token_AND, pg.Token_OR, pg.Token_WHEN, pg.Token_THEN, pg.Token_ELSE, pg.Token_ASCII_46:
			run = 0
		case pg.Token_Op, pg.Token_TYPECAST, pg.Token_ASCII_43, pg.Token_ASCII_45, pg.Token_ASCII_42, pg.Token_ASCII_47, pg.Token_ASCII_60,
			pg.Token_ASCII_61, pg.Token_ASCII_62, pg.Token_ASCII_37, pg.Token_ASCII_94, pg.Token_NOT, pg.Token_COLLATE, pg.Token_ISNULL, pg.Token_NOTNULL:
			run++
		}
		if brackets > maxBrackets || statements > maxStatements || run > maxDepth {
			return fmt.Errorf("%d brackets, %d statements, %d links", brackets, statements, run)
		}
	}
	return nil
}
