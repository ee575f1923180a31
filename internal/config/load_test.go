package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

const minimal = "version: 1\nstores:\n  shop: {engine: postgres, address: db1.internal}\n"

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLookup(t *testing.T) {
	env := func(value string) func(string) string {
		return func(name string) string {
			if name == "POSTERN_CONFIG" {
				return value
			}
			return ""
		}
	}
	for _, c := range []struct{ flag, env, want string }{
		{"", "", "postern.yaml"},
		{"", "/etc/postern", "/etc/postern"},
		{"a.yaml", "/etc/postern", "a.yaml"},
	} {
		if got := Lookup(c.flag, env(c.env)); got != c.want {
			t.Errorf("Lookup(%q) with %q is %q, not %q", c.flag, c.env, got, c.want)
		}
	}
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"postern.yaml": minimal})
	path := filepath.Join(dir, "postern.yaml")
	c, err := Load(path, testSyntax{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Path != path || len(c.Files) != 1 || c.Files[0] != path || c.State.SQLite != filepath.Join(dir, "postern.db") {
		t.Errorf("paths: %+v", c)
	}
}

func TestLoadWhatIsNotThere(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "postern.yaml"), testSyntax{})
	var problems Problems
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &problems) {
		t.Errorf("got %v", err)
	}
	if _, err := Load(t.TempDir(), testSyntax{}); err == nil || !strings.Contains(err.Error(), "holds no .yaml file") {
		t.Errorf("an empty folder gives %v", err)
	}
	if _, err := Parse(".", nil, testSyntax{}); err == nil {
		t.Error("no file is a policy")
	}
}

func TestFolderIsMergedByKey(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"10-stores.yaml": minimal + "gateway: {listeners: [{engine: postgres, address: \"127.0.0.1:6432\"}]}\n",
		"20-people.yml":  "version: 1\nusers: {ana: {}}\ngroups: {g: [ana]}\nrules: {b: {to: [ana], on: d}}\n",
		"30-data.yaml":   "datasets: {d: {include: [shop]}}\nrules: {a: {to: [\"group:g\"], on: d}}\ngateway: {network: [{from: [all], auth: scram}]}\nusers: {bob: {}}\n",
		".hidden.yaml":   "rules: nonsense\n",
		"notes.txt":      "rules: nonsense\n",
	})
	if err := os.Mkdir(filepath.Join(dir, "40.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := Load(dir, testSyntax{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Files) != 3 || len(c.Policy.Users) != 2 || len(c.Gateway.Listeners) != 1 || len(c.Policy.Network) != 1 {
		t.Errorf("not merged: %+v", c)
	}
	// Rules keep the order of files, then of lines: ties between masks go to the earlier one.
	if r := c.Policy.Rules; len(r) != 2 || r[0].Name != "b" || r[1].Name != "a" || r[1].Order != 1 {
		t.Errorf("rules are %v", r)
	}
	if want := filepath.Join(dir, "20-people.yml"); c.Policy.Users["ana"].Pos.File != want {
		t.Errorf("ana is at %v", c.Policy.Users["ana"].Pos)
	}
	if c.State.SQLite != filepath.Join(dir, "postern.db") {
		t.Errorf("state is %s", c.State.SQLite)
	}
}

func TestFolderWithOneThingTwice(t *testing.T) {
	files := []File{
		{"a.yaml", []byte(minimal + "users: {ana: {}}\naudit: {sync: always}\nstate: sqlite:a\n")},
		{"b.yaml", []byte("version: 1\nusers: {ana: {}, bob: {}}\naudit: {folder: x}\nstate: sqlite:a\n")},
		{"c.yaml", []byte("version: 2\naudit: {folder: y}\nusers: [x]\n")},
	}
	_, err := Parse(".", files, testSyntax{})
	want := strings.Join([]string{
		`b.yaml:2:9: key "ana" is set twice: also at a.yaml:4:9`,
		`b.yaml:4:1: key "state" is set twice: also at a.yaml:6:1`,
		`c.yaml:1:1: key "version" is set twice: also at a.yaml:1:1`,
		`c.yaml:2:9: key "folder" is set twice: also at b.yaml:3:9`,
		`c.yaml:3:1: key "users" is set twice: also at a.yaml:4:1`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestOneBrokenFileOfAFolder(t *testing.T) {
	files := []File{{"a.yaml", []byte(minimal + "rules: {r: {to: [ana], on: d}}\n")}, {"b.yaml", []byte("users: {ana: {}\n")}}
	_, err := Parse(".", files, testSyntax{})
	// That ana and d are missing is not said: they may be in the broken file.
	if err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.HasPrefix(err.Error(), "b.yaml:") {
		t.Errorf("got %v", err)
	}
}

func TestLimits(t *testing.T) {
	dir := t.TempDir()
	big := minimal + strings.Repeat("#"+strings.Repeat("x", 1022)+"\n", 1<<10)
	write(t, dir, map[string]string{"big.yaml": big})
	if _, err := Load(filepath.Join(dir, "big.yaml"), testSyntax{}); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("a large file gives %v", err)
	}

	total := t.TempDir()
	for i := range 9 {
		write(t, total, map[string]string{fmt.Sprintf("%d.yaml", i): big[:1<<20]})
	}
	if _, err := Load(total, testSyntax{}); err == nil || !strings.Contains(err.Error(), "more than 8 MiB") {
		t.Errorf("a large folder gives %v", err)
	}

	many := t.TempDir()
	for i := range maxFiles + 1 {
		write(t, many, map[string]string{fmt.Sprintf("%d.yaml", i): "version: 1\n"})
	}
	if _, err := Load(many, testSyntax{}); err == nil || !strings.Contains(err.Error(), "at most 200") {
		t.Errorf("many files give %v", err)
	}
}

// processorTime is what this process has used of the processors: what else runs on the machine plays no part.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// A file may be as hostile as its size allows: checking it ends soon. The times are far above what it needs.
func TestHostileFilesAreJudgedSoon(t *testing.T) {
	line := func(n int, f func(int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"one long line":    "version: 1\nstores: {" + line(60_000, func(i int) string { return fmt.Sprintf("s%d: {},", i) }) + "}\n",
		"unknown keys":     line(60_000, func(i int) string { return fmt.Sprintf("key%d: 1\n", i) }),
		"dangling names":   minimal + "users: {" + line(20_000, func(i int) string { return fmt.Sprintf("user%d: {},", i) }) + "}\nrules: {r: {to: [" + line(20_000, func(i int) string { return fmt.Sprintf("user%dx,", i) }) + "], on: d}}\n",
		"broken at end":    minimal + line(60_000, func(i int) string { return fmt.Sprintf("#%d\n", i) }) + "a: b: c\n",
		"many locations":   minimal + "datasets: {d: {include: [" + line(60_000, func(i int) string { return fmt.Sprintf("shop.public.t%d,", i) }) + "]}}\n",
		"many overlaps":    minimal + "datasets: {d: {include: [" + line(1900, func(i int) string { return fmt.Sprintf("'*.*.t%d',", i) }) + "]}, e: {include: [" + line(1900, func(i int) string { return fmt.Sprintf("'*.s%d',", i) }) + "]}}\n",
		"a tower of group": minimal + "groups: {" + line(30_000, func(i int) string { return fmt.Sprintf("g%d: ['group:g%d'],", i, i+1) }) + "}\n",
		"brackets":         strings.Repeat("[", 9_000),
		"indents":          line(700, func(i int) string { return strings.Repeat(" ", i) + "a:\n" }),
	} {
		t.Run(name, func(t *testing.T) {
			start := processorTime(t)
			if _, err := Parse(".", []File{{"x.yaml", []byte(text)}}, testSyntax{}); err == nil {
				t.Error("accepted")
			}
			if d := processorTime(t) - start; d > 20*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

// The design's example names what later versions have: the error says so of each key, and what this version checks, it checks.
func TestExampleOfTheDesign(t *testing.T) {
	_, err := parseFile(t, "testdata/design.yaml")
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	var later []string
	for _, p := range problems {
		if p.Kind == policy.KindLater {
			later = append(later, p.String())
		}
	}
	for i, key := range []string{"ssh", "hardening"} {
		if i >= len(later) || !strings.HasSuffix(later[i], fmt.Sprintf(": key %q is not in this version of postern", key)) {
			t.Errorf("key %s is not reported in its place: %q", key, later)
		}
	}
	if problems.NotInThisVersion() {
		t.Error("the example's verifier is not one, and that is not a matter of version")
	}
	if _, err := parseFile(t, "testdata/bad/later_only.yaml"); !errors.As(err, &problems) || !problems.NotInThisVersion() {
		t.Errorf("got %v", err)
	}
}

func TestWarnings(t *testing.T) {
	text := `version: 1
stores:
  shop:
    engine: postgres
    address: db1
    tls: {mode: disable}
    provisioner: {user: a}
    grantor: {user: a}
  hr: {engine: postgres, address: db2, tls: {mode: require}}
gateway:
  listeners: [{engine: postgres, address: ":6432", tls: {mode: disable}}]
  network: [{from: [all], auth: scram}, {from: [local], auth: reject}]
users: {ana: {}, bob: {attributes: {region: EU}}}
groups: {g: [anna, bob]}
labels: {shop.public.t.a: contact.email}
masks: {m: {contact.emial: hidden, fin.card: hidden}}
datasets: {d: {include: [shop]}}
rules:
  r: {to: [ana, "group:g"], on: d, rows: {shop.public.t: region = subject.region AND agent = subject.name}}
  w: {to: [ana], on: d, level: write}
  n: {to: [ana], on: d, level: write, write: {shop.public.t: {insert: false}}}
`
	c, err := Parse(".", []File{{"w.yaml", []byte(text)}}, testSyntax{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/warnings.golden", []byte(c.Warnings.Error()+"\n"))
	if got := c.Policy.Rules[0].Rows[policy.Table{Store: "shop", Schema: "public", Name: "t"}].Attributes; len(got) != 1 || got[0] != "region" {
		t.Errorf("attributes are %q", got)
	}
}

func TestDigestIsOfTheMeaning(t *testing.T) {
	parse := func(text string) *policy.Policy {
		c, err := Parse(".", []File{{"x.yaml", []byte(minimal + text)}}, testSyntax{})
		if err != nil {
			t.Fatal(err)
		}
		return c.Policy
	}
	const one = `
users: {ana: {attributes: {a: x, b: "y"}}, bob: {}}
groups: {g: [ana, bob]}
masks: {m: {a.b: hidden, "*": keep}}
datasets: {d: {include: [shop.public.t, shop.public.u], exclude: []}}
rules: {r: {to: [ana, "group:g"], on: d, masks: m}, s: {to: [bob], on: d, level: read, enabled: true}}
`
	const same = `
# a comment
rules:
  r: {masks: m, on: d, to: ["group:g", ana]}
  s: {on: d, to: [bob]}
baseline: {outside_datasets: block}
datasets: {d: {include: ['shop."public".u', shop.public.t]}}
masks: {m: {"*": "keep", a.b: ' hidden'}}
groups: {g: [bob, ana]}
users: {bob: {}, ana: {attributes: {b: y, a: "x"}}}
audit: {sync: 1s}
`
	base := parse(one).Digest
	if len(base) != 64 || parse(same).Digest != base {
		t.Error("form changes the digest")
	}
	seen := map[string]string{base: "the original"}
	for _, change := range [][2]string{
		{"a: x", "a: z"},
		{"bob: {}", "bob: {adopt: true}"},
		{"[ana, bob]", "[ana]"},
		{"a.b: hidden", "a.b: year"},
		{"a.b:", "a.c:"},
		{"shop.public.u", "shop.public.v"},
		{"exclude: []", "exclude: [shop.public.w]"},
		{"masks: m}", "masks: m, until: 2030-01-01}"},
		{"masks: m}", "masks: m, require: {tls: true}}"},
		{"masks: m}", "masks: m, require: {network: [10.0.0.0/8]}}"},
		{"masks: m}", "enabled: false}"},
		{"level: read", "level: own"},
		{"to: [bob]", "to: [ana]"},
		{"masks: m}", "masks: m, rows: {shop.public.t: a}}"},
		{"enabled: true", "enabled: false"},
		{"rules: {", "baseline: {outside_datasets: read}\nrules: {"},
		{"rules: {", "gateway: {network: [{from: [all], auth: scram}]}\nrules: {"},
	} {
		if !strings.Contains(one, change[0]) {
			t.Fatalf("nothing to change: %q", change[0])
		}
		d := parse(strings.Replace(one, change[0], change[1], 1)).Digest
		if other, ok := seen[d]; ok {
			t.Errorf("%q means the same as %s", change[1], other)
		}
		seen[d] = change[1]
	}
}

// State may be a database that several gateways share. Its password is never part of the address, and never repeated.
func TestStateOnAServer(t *testing.T) {
	load := func(lines string) (*Config, error) {
		return Parse("/etc/postern", []File{{"postern.yaml", []byte(minimal + lines)}}, testSyntax{})
	}
	c, err := load("state: postgres://postern@db.example/state?sslmode=verify-full\nkeys: {state: {file: secrets/state}}\n")
	if err != nil {
		t.Fatal(err)
	}
	if s := c.State; s.SQLite != "" || s.Postgres != "postgres://postern@db.example/state?sslmode=verify-full" || s.Folder != "/etc/postern" {
		t.Errorf("%+v", s)
	}
	if c.Keys.State.File != "/etc/postern/secrets/state" || !slices.ContainsFunc(c.Secrets(), func(s Source) bool { return s.File == c.Keys.State.File }) {
		t.Errorf("%+v", c.Keys.State)
	}
	for line, want := range map[string]string{
		"postgres://postern:hunter2@db/state":          "holds no password",
		"postgres://postern@db/state?password=hunter2": "holds no password",
		"postgres://postern@db":                        "names no database",
		"postgres://db/state":                          "names no user",
		"postgres://postern@db:hunter2/state":          "no URL",
		"mysql://postern:hunter2@db/state":             "sqlite:PATH or postgres://",
	} {
		_, err := load("state: " + line + "\n")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
