package house_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// drawers are package names that say nothing.
var drawers = words("utils util common helpers misc base core shared models services globals types tools lib manager v2")

// clockless packages get the time from their callers.
var clockless = words("internal/policy internal/catalog internal/plan internal/classify internal/engine/postgres/pgsql internal/secret internal/scan internal/access")

// stateful lists packages that may keep state of their own, and why.
var stateful = map[string]string{
	"internal/pgtest": "clusters outlive the test that started them",
}

// TestPackages wants a comment for each package, and a name that says something.
func TestPackages(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		if slices.Contains(drawers, path.Base(f.dir)) {
			t.Errorf("%s: a package called %q says nothing", f.path, path.Base(f.dir))
		}
		documented[f.dir] = documented[f.dir] || f.syntax.Doc.Text() != ""
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment that says what it is for", dir)
		}
	}
}

// TestCalls refuses calls that belong elsewhere: the clock in pure packages, printing and exiting outside commands,
// logging through the process-wide logger.
func TestCalls(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.isTest {
			continue
		}
		command := strings.HasPrefix(f.dir, "cmd/") || strings.HasPrefix(f.dir, "test/")
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			at := f.fset.Position(call.Pos())
			switch name := callName(call); {
			case (name == "time.Now" || name == "time.Since") && slices.Contains(clockless, f.dir):
				t.Errorf("%s: %s: this package is given the time", at, name)
			case (name == "os.Exit" || strings.HasPrefix(name, "log.Fatal")) && !command && f.dir != "internal/pgtest":
				t.Errorf("%s: %s outside a command", at, name)
			case (strings.HasPrefix(name, "fmt.Print") || strings.HasPrefix(name, "log.Print")) && !command:
				t.Errorf("%s: %s: results go to the writer the caller gave", at, name)
			}
			return true
		})
	}
}

// TestNoInit refuses registration behind the reader's back.
func TestNoInit(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init: make a list that a reader can find", f.fset.Position(fn.Pos()))
			}
		}
	}
}

// TestNoPackageState refuses package-level variables that some function changes, and ones that can only be meant
// to change (locks, atomics, channels).
func TestNoPackageState(t *testing.T) {
	byDir := map[string][]*goFile{}
	for _, f := range goFiles(t) {
		if !f.isTest && stateful[f.dir] == "" && !strings.HasPrefix(f.dir, "cmd/") {
			byDir[f.dir] = append(byDir[f.dir], f)
		}
	}
	for _, files := range byDir {
		vars := map[string]bool{}
		for _, f := range files {
			for _, spec := range packageVars(f) {
				for _, name := range spec.Names {
					vars[name.Name] = true
				}
				if kind := typeName(spec); strings.HasPrefix(kind, "sync.") || strings.HasPrefix(kind, "atomic.") || kind == "chan" {
					t.Errorf("%s: a %s at package level is shared state", f.fset.Position(spec.Pos()), kind)
				}
			}
		}
		for _, f := range files {
			for _, at := range writesTo(f, vars) {
				t.Errorf("%s: changes a package-level variable", at)
			}
		}
	}
}

// packageVars lists the var declarations at package level.
func packageVars(f *goFile) []*ast.ValueSpec {
	var out []*ast.ValueSpec
	for _, d := range f.syntax.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, s := range g.Specs {
				out = append(out, s.(*ast.ValueSpec))
			}
		}
	}
	return out
}

// writesTo finds assignments to one of the names, or to an element or field of it, in functions that declare no
// local variable of that name.
func writesTo(f *goFile, vars map[string]bool) []token.Position {
	var out []token.Position
	for _, d := range f.syntax.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		local := localNames(fn)
		report := func(e ast.Expr) {
			if id := baseOf(e); id != nil && vars[id.Name] && !local[id.Name] {
				out = append(out, f.fset.Position(e.Pos()))
			}
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						report(e)
					}
				}
			case *ast.IncDecStmt:
				report(n.X)
			case *ast.CallExpr:
				if name := callName(n); (name == "delete" || name == "clear") && len(n.Args) > 0 {
					report(n.Args[0])
				}
			}
			return true
		})
	}
	return out
}

// localNames are the parameters and variables that a function declares, and "_".
func localNames(fn *ast.FuncDecl) map[string]bool {
	local := map[string]bool{"_": true}
	add := func(names ...*ast.Ident) {
		for _, n := range names {
			local[n.Name] = true
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			add(n.Names...)
		case *ast.ValueSpec:
			add(n.Names...)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					if id, ok := e.(*ast.Ident); ok {
						add(id)
					}
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok {
					add(id)
				}
			}
		}
		return true
	})
	return local
}

// baseOf is x in x, x.f, x[i] and *x.
func baseOf(e ast.Expr) *ast.Ident {
	for {
		switch v := e.(type) {
		case *ast.Ident:
			return v
		case *ast.SelectorExpr:
			e = v.X
		case *ast.IndexExpr:
			e = v.X
		case *ast.StarExpr:
			e = v.X
		case *ast.ParenExpr:
			e = v.X
		default:
			return nil
		}
	}
}

// typeName is pkg.Type of a declared type or of a composite literal, or "chan".
func typeName(spec *ast.ValueSpec) string {
	e := spec.Type
	if e == nil && len(spec.Values) > 0 {
		if lit, ok := spec.Values[0].(*ast.CompositeLit); ok {
			e = lit.Type
		}
	}
	switch v := e.(type) {
	case *ast.SelectorExpr:
		if x, ok := v.X.(*ast.Ident); ok {
			return x.Name + "." + v.Sel.Name
		}
	case *ast.ChanType:
		return "chan"
	}
	return ""
}

// callName is pkg.Func or func.
func callName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}
