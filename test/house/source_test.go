package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

const module = "github.com/postern-sec/postern"

// root is the module's folder, seen from this package.
const root = "../.."

// goFile is one parsed Go file.
type goFile struct {
	path    string // slash separated, from the module's root
	dir     string
	isTest  bool
	made    bool // generated
	lines   int
	fset    *token.FileSet
	syntax  *ast.File
	imports []string
}

// goFiles parses every Go file of the module.
func goFiles(t *testing.T) []*goFile {
	t.Helper()
	var files []*goFile
	for _, name := range textFiles(t) {
		if path.Ext(name) != ".go" || strings.Contains(name, "/testdata/") {
			continue
		}
		text := read(t, name)
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		f := &goFile{
			path: name, dir: path.Dir(name), isTest: strings.HasSuffix(name, "_test.go"), made: ast.IsGenerated(syntax),
			lines: strings.Count(text, "\n"), fset: fset, syntax: syntax,
		}
		for _, spec := range syntax.Imports {
			f.imports = append(f.imports, strings.Trim(spec.Path.Value, `"`))
		}
		files = append(files, f)
	}
	if len(files) < 10 {
		t.Fatalf("only %d Go files found: this test looks in the wrong place", len(files))
	}
	return files
}

// textFiles lists the files of the repository, without what is built or fetched.
func textFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			switch {
			case rel == ".git", rel == "bin", d.Name() == "node_modules", rel == ".cache":
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() && rel != ".git" { // which is a file in a linked worktree
			names = append(names, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(names)
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
