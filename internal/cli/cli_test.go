package cli

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden files anew")

// result is what a command line did.
type result struct {
	code        int
	out, errors string
}

func run(t *testing.T, env map[string]string, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := Main(context.Background(), Env{
		Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string { return env[name] }, Version: "1.2.3",
	})
	return result{code, out.String(), errs.String()}
}

// paths lists every command by the words that call it.
func paths(cmd *cobra.Command, words []string) [][]string {
	all := [][]string{words}
	for _, sub := range cmd.Commands() {
		all = append(all, paths(sub, append(words[:len(words):len(words)], sub.Name()))...)
	}
	return all
}

// Verbs, flags, defaults and exit codes are a contract: the golden files are what it says.
func TestHelp(t *testing.T) {
	a := &app{env: Env{Version: "1.2.3"}, ui: &ui{}}
	want := map[string]bool{}
	for _, words := range paths(a.root(), nil) {
		name := "postern"
		if len(words) > 0 {
			name = "postern-" + strings.Join(words, "-")
		}
		want[name+".golden"] = true
		t.Run(name, func(t *testing.T) {
			r := run(t, nil, "", append(words, "--help")...)
			if r.code != exitOK || r.errors != "" {
				t.Fatalf("exit %d\n%s", r.code, r.errors)
			}
			golden(t, name, r.out)
			for _, line := range strings.Split(r.out, "\n") {
				if len([]rune(line)) > 130 && !strings.HasPrefix(line, " ") {
					t.Errorf("too long for a terminal: %s", line)
				}
			}
		})
	}
	files, err := filepath.Glob("testdata/help/*.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !want[filepath.Base(f)] {
			t.Errorf("%s is of no command", f)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "help", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs (go test ./internal/cli -update writes it anew):\n%s", file, got)
	}
}

// Every verb of the contract is there.
func TestContract(t *testing.T) {
	verbs := "demo init scan hba discover plan apply verify suspend resume serve login logout run connect request approve deny revoke grants who-can explain audit certs user token policy"
	a := &app{env: Env{Version: "1.2.3"}, ui: &ui{}}
	for _, verb := range strings.Fields(verbs) {
		cmd, _, err := a.root().Find([]string{verb})
		if err != nil || cmd.Name() != verb {
			t.Errorf("there is no postern %s", verb)
		}
	}
}

// Wrong use exits 2, says what is wrong in one line and what to do in one more.
func TestWrongUse(t *testing.T) {
	cases := []struct{ line, errors string }{
		{"plann", "postern: error: there is no command \"plann\"\npostern: hint: did you mean postern plan?\n"},
		{"sevre", "postern: error: there is no command \"sevre\"\npostern: hint: did you mean postern serve?\n"},
		{"frobnicate", "postern: error: there is no command \"frobnicate\"\npostern: hint: see postern --help\n"},
		{"audit verfy", "postern: error: there is no command \"verfy\"\npostern: hint: did you mean postern audit verify?\n"},
		{"audit", "postern: error: say what to do: postern audit COMMAND\npostern: hint: see postern audit --help\n"},
		{"plan now", "postern: error: unknown command \"now\" for \"postern plan\"\npostern: hint: see postern plan --help\n"},
		{"plan --frob", "postern: error: unknown flag: --frob\npostern: hint: see postern plan --help\n"},
		{"plan --format yaml", "postern: error: invalid argument \"yaml\" for \"--format\" flag: expected text, json or sql\npostern: hint: see postern plan --help\n"},
		{"serve --log-level loud", "postern: error: --log-level"},
		{"policy check a b", "postern: error: accepts at most 1 arg(s), received 2\npostern: hint: see postern policy check --help\n"},
		{"audit search --since soon --folder /nowhere", "postern: error: --since: \"soon\" is no time: expected 2026-11-22, 2026-11-22T10:00:00Z or a duration such as 24h\n"},
		{"plan -c /no/such/postern.yaml", "postern: error: there is no policy file /no/such/postern.yaml\npostern: hint: postern init writes one, --config names another\n"},
		{"apply /no/such/plan.json", "postern: error: read the plan: open /no/such/plan.json: no such file or directory\npostern: hint: postern plan --out FILE writes one\n"},
		{"init a b", "postern: error: accepts at most 1 arg(s), received 2\npostern: hint: see postern init --help\n"},
		{"demo --listen 0.0.0.0:1", "postern: error: --listen 0.0.0.0:1: the demo listens on this machine only: use 127.0.0.1:PORT\npostern: hint: see postern demo --help\n"},
		{"demo --portal 0.0.0.0:1", "postern: error: --portal 0.0.0.0:1: the demo listens on this machine only: use 127.0.0.1:PORT\npostern: hint: see postern demo --help\n"},
		{"request", "postern: error: name a dataset or a rule\npostern: hint: see postern request --help\n"},
		{"request staff", "postern: error: you are not logged in\npostern: hint: postern login --server https://HOST:PORT\n"},
		{"request staff --until soon", "postern: error: --until \"soon\" is not a time\npostern: hint: write 2027-01-31 or 2027-01-31T18:00:00Z\n"},
		{"login", "postern: error: say where and who: --server https://HOST:PORT --user NAME\npostern: hint: see postern login --help\n"},
		{"login --server http://db1:1 --user ana", "postern: error: http://db1:1 is plain HTTP to another machine: passwords and tokens would be read on the way\n"},
		{"plan --color sometimes", "postern: error: invalid argument \"sometimes\" for \"--color\" flag: expected auto, always or never\n"},
	}
	for _, c := range cases {
		r := run(t, nil, "", strings.Fields(c.line)...)
		if r.code != exitFailed || r.out != "" || !strings.HasPrefix(r.errors, c.errors) {
			t.Errorf("postern %s: exit %d, stdout %q\n%s\nwant\n%s", c.line, r.code, r.out, r.errors, c.errors)
		}
		for _, l := range strings.Split(strings.TrimSpace(r.errors), "\n") {
			if !strings.HasPrefix(l, "postern: error: ") && !strings.HasPrefix(l, "postern: hint: ") {
				t.Errorf("postern %s prints %q", c.line, l)
			}
		}
	}
}

// A word with control characters is shown, not obeyed.
func TestHostileWords(t *testing.T) {
	r := run(t, nil, "", "a\x1b]0;owned\x07b")
	if r.code != exitFailed || strings.ContainsAny(r.errors, "\x1b\x07") {
		t.Errorf("exit %d, %q", r.code, r.errors)
	}
}

func TestVersion(t *testing.T) {
	if r := run(t, nil, "", "--version"); r.code != 0 || r.out != "postern 1.2.3\n" || r.errors != "" {
		t.Errorf("%+v", r)
	}
}

// Colour is for terminals, or for whoever asks for it.
func TestColour(t *testing.T) {
	folder := t.TempDir()
	cases := []struct {
		args []string
		env  map[string]string
		want bool
	}{
		{nil, nil, false},
		{[]string{"--color=never"}, nil, false},
		{[]string{"--color=always"}, nil, true},
		{[]string{"--color", "always"}, map[string]string{"NO_COLOR": "1"}, true},
		{nil, map[string]string{"NO_COLOR": "1"}, false},
	}
	key := run(t, nil, "", "init", "--dir", folder)
	if key.code != 0 {
		t.Fatal(key.errors)
	}
	for _, c := range cases {
		// An empty trail is worth a word in colour.
		args := append([]string{"audit", "verify", "-c", filepath.Join(folder, "postern.yaml")}, c.args...)
		r := run(t, c.env, "", args...)
		if got := strings.Contains(r.out, "\x1b["); got != c.want {
			t.Errorf("%v %v: colour %v: %q %q", c.args, c.env, got, r.out, r.errors)
		}
	}
}

// Completion scripts are read by the shells they are for, as far as those are on this machine; bash has to be.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := run(t, nil, "", "completion", shell)
		if r.code != 0 || len(r.out) < 1000 || !strings.Contains(r.out, "postern") {
			t.Errorf("%s: exit %d, %d bytes\n%s", shell, r.code, len(r.out), r.errors)
			continue
		}
		check := map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}}[shell]
		if check == nil {
			continue
		}
		program, err := exec.LookPath(shell)
		if err != nil && shell != "bash" {
			continue
		}
		file := filepath.Join(t.TempDir(), "completion."+shell)
		if err := os.WriteFile(file, []byte(r.out), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), program, append(check, file)...).CombinedOutput(); err != nil { // #nosec G204 -- a shell of the list
			t.Errorf("%s does not take it: %v\n%s", shell, err, out)
		}
	}
	for line, want := range map[string]string{
		"pl": "plan", "audit ver": "verify", "plan --format ": "json", "apply --acc": "--accept",
	} {
		r := run(t, nil, "", append([]string{"__complete"}, strings.Split(line, " ")...)...)
		if !regexp.MustCompile(`(?m)^` + want).MatchString(r.out) {
			t.Errorf("%q is not completed with %q: %s", line, want, r.out)
		}
	}
}

// A password comes as one line of standard input, and what comes out is its verifier and never itself.
func TestUserHash(t *testing.T) {
	verifier := regexp.MustCompile(`^SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+\n$`)
	for _, stdin := range []string{"hunter2\n", "hunter2", "hunter2\r\n", "hunter2\nmore\n", strings.Repeat("x", 1024), "пароль ünïcode\n"} {
		r := run(t, nil, stdin, "user", "hash")
		if r.code != 0 || !verifier.MatchString(r.out) || r.errors != "" {
			t.Errorf("%.20q: exit %d, %q, %q", stdin, r.code, r.out, r.errors)
		}
		if strings.Contains(r.out+r.errors, "hunter2") {
			t.Errorf("the password is repeated: %+v", r)
		}
	}
	for stdin, want := range map[string]string{
		"": "no password given", "\n": "no password given", strings.Repeat("x", 1025): "the password is longer than 1024 bytes",
		strings.Repeat("x", 1<<20): "the password is longer than 1024 bytes",
	} {
		r := run(t, nil, stdin, "user", "hash")
		if r.code != exitFailed || r.out != "" || !strings.Contains(r.errors, "postern: error: "+want) || strings.Contains(r.errors, "xxxx") {
			t.Errorf("%.20q: %+v", stdin, r)
		}
	}
	if r := run(t, nil, "hunter2\n", "user", "hash", "--iterations", "10000"); !strings.HasPrefix(r.out, "SCRAM-SHA-256$10000:") {
		t.Errorf("rounds: %+v", r)
	}
	if r := run(t, nil, "hunter2\n", "user", "hash", "--iterations", "-5"); r.code != exitFailed {
		t.Errorf("negative rounds: %+v", r)
	}
	a, b := run(t, nil, "hunter2\n", "user", "hash"), run(t, nil, "hunter2\n", "user", "hash")
	if a.out == b.out {
		t.Error("two verifiers of one password are equal: the salt is not random")
	}
}
