package house_test

import (
	"go/ast"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// The limits come from measuring codebases that people like to read: 1.6 to 3.2 own imports per package, hubs of 5
// to 13, 95 % of functions below 43 to 61 lines, about 1 % above 100.
const (
	maxDepsPerPackage = 3.0
	maxHub            = 14
	maxFileLines      = 900
	maxFunctionP95    = 60
	maxLongFunctions  = 1.5 // per cent of functions over 100 lines
	maxModules        = 35
)

func TestImportBudget(t *testing.T) {
	deps := map[string]map[string]bool{}
	for _, f := range goFiles(t) {
		if f.isTest {
			continue
		}
		if deps[f.dir] == nil {
			deps[f.dir] = map[string]bool{}
		}
		for _, path := range f.imports {
			if name, ours := strings.CutPrefix(path, module+"/"); ours {
				deps[f.dir][name] = true
			}
		}
	}
	total, hub, hubName := 0, 0, ""
	for name, d := range deps {
		total += len(d)
		if len(d) > hub {
			hub, hubName = len(d), name
		}
	}
	if average := float64(total) / float64(len(deps)); average > maxDepsPerPackage {
		t.Errorf("%.2f own imports per package on average, at most %.1f", average, maxDepsPerPackage)
	}
	if hub > maxHub {
		t.Errorf("%s imports %d packages of ours, at most %d", hubName, hub, maxHub)
	}
}

func TestFileLength(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.lines > maxFileLines && !f.made {
			t.Errorf("%s has %d lines, at most %d", f.path, f.lines, maxFileLines)
		}
	}
}

func TestFunctionLength(t *testing.T) {
	type function struct {
		name  string
		lines int
	}
	var all []function
	for _, f := range goFiles(t) {
		if f.isTest || f.made {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				from, to := f.fset.Position(fn.Pos()).Line, f.fset.Position(fn.End()).Line
				all = append(all, function{f.path + ": " + fn.Name.Name, to - from + 1})
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].lines < all[j].lines })
	if p95 := all[len(all)*95/100].lines; p95 > maxFunctionP95 {
		t.Errorf("95 %% of functions are within %d lines, want %d", p95, maxFunctionP95)
	}
	var long []string
	for _, fn := range all {
		if fn.lines > 100 {
			long = append(long, fn.name)
		}
	}
	if share := 100 * float64(len(long)) / float64(len(all)); share > maxLongFunctions {
		t.Errorf("%.1f %% of functions are over 100 lines, at most %.1f %%:\n%s", share, maxLongFunctions, strings.Join(long, "\n"))
	}
}

// TestModules counts the modules that our files import, and wants a row in docs/dependencies.md for each.
func TestModules(t *testing.T) {
	required := regexp.MustCompile(`(?m)^\s*(?:require )?(\S+\.\S+) v\S+`).FindAllStringSubmatch(read(t, "go.mod"), -1)
	used := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, path := range f.imports {
			if !strings.Contains(strings.Split(path, "/")[0], ".") || strings.HasPrefix(path, module) {
				continue
			}
			best := ""
			for _, m := range required {
				if (path == m[1] || strings.HasPrefix(path, m[1]+"/")) && len(m[1]) > len(best) {
					best = m[1]
				}
			}
			if best == "" {
				t.Errorf("%s imports %s, of no module in go.mod", f.path, path)
			}
			used[best] = true
		}
	}
	if len(used) > maxModules {
		t.Errorf("%d modules are imported directly, at most %d", len(used), maxModules)
	}
	rows := read(t, "docs/dependencies.md")
	for m := range used {
		if !strings.Contains(rows, "| `"+m+"` |") {
			t.Errorf("docs/dependencies.md has no row for %s: what it replaces, who keeps it, what it costs", m)
		}
	}
}
