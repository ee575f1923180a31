// Package scripts_test plays command lines against real servers: each file of testdata is a script of rogpeppe's testscript
// that types postern, psql and what stands in verbs below.
//
//	site [MAJOR]            a server with the shop of the attack corpus and an installation for it, whose folder becomes the
//	                        working folder
//	site FILE               the same with the policy of a file, {{portal}} in it being a free address
//	cluster [MAJOR]         a server with an empty database "shop", and nothing of Postern; PORT and PORTAL are free
//	standby                 a server that streams from the last one, in SOCKET and SERVERPORT
//	exits CODE COMMAND…     runs a command that has to exit with this code, and that shows no secret if it is postern
//	apply                   does all that plan says, an operator's steps and consents included, until nothing is left
//	serve, halt             starts and ends the daemon of the site
//	down, up                ends and starts the server, whose data stays
//	hup                     sends the daemon SIGHUP
//	logged REGEXP           waits until the daemon's log, from where the last logged matched, has a match
//	psql USER SQL           asks as USER through the gateway; prints unaligned rows
//	direct USER SQL         asks the server itself
//	edit FILE OLD NEW       replaces text in a file, which has to be there
//	tamper                  changes one byte of the oldest file of the trail in folder copy
//	until COMMAND…          repeats a command until it succeeds
//	keep NAME REGEXP        makes a variable of the first group of a match in the last output
package scripts_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

// patience is how long a script waits for something that has to happen.
const patience = 30 * time.Second

// stage is what a script has set up.
type stage struct {
	t    testing.TB
	db   *pgtest.DB
	site *site.Site
	seen int // how far logged has read
}

type stageKey struct{}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

func params(t *testing.T, files ...string) testscript.Params {
	t.Helper()
	commands := t.TempDir()
	variable := site.Command(t, commands)
	return testscript.Params{
		Files: files, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Values[stageKey{}] = &stage{t: e.T().(testing.TB)}
			e.Vars = append(e.Vars, "PATH="+commands+":"+os.Getenv("PATH"), variable, "PGCONNECT_TIMEOUT=20", "MAJOR="+strconv.Itoa(pgtest.DefaultMajor))
			return nil
		},
		Cmds: verbs(),
	}
}

var early = regexp.MustCompile(`(?m)^(stop|skip)\b`)

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// A word of testscript's own wins over a verb of the same name: the rest of the script would not be played.
		if early.Match(text) {
			t.Errorf("%s ends before its end: stop and skip are testscript's; a daemon is ended by halt", file)
		}
	}
	testscript.Run(t, params(t, files...))
}

// What init writes has to work on the oldest server and on the newest.
func TestInit(t *testing.T) {
	majors := pgtest.Majors(t)
	for _, major := range []int{majors[0], majors[len(majors)-1]} {
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) {
			p := params(t, "testdata/init/init.txtar")
			setup := p.Setup
			p.Setup = func(e *testscript.Env) error {
				defer e.Setenv("MAJOR", strconv.Itoa(major))
				return setup(e)
			}
			testscript.Run(t, p)
		})
	}
}

func verbs() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"site": makeSite, "cluster": makeCluster, "standby": makeStandby, "exits": exits, "serve": serve, "halt": stop, "hup": hup, "down": shut, "up": reopen, "apply": apply, "logged": logged,
		"psql": throughGateway, "direct": direct, "edit": edit, "tamper": tamper, "until": until,
		"keep": keep,
	}
}

func start(ts *testscript.TestScript, args []string) *pgtest.Cluster {
	text := ts.Getenv("MAJOR")
	if len(args) > 0 {
		text = args[0]
	}
	major, err := strconv.Atoi(text)
	ts.Check(err)
	c := pgtest.Start(stageOf(ts).t, major)
	ts.Setenv("SOCKET", c.SocketDir)
	ts.Setenv("SERVERPORT", strconv.Itoa(c.Port))
	ts.Setenv("SERVERCA", c.CA)
	return c
}

func makeSite(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	policy := ""
	if len(args) > 0 && strings.HasSuffix(args[0], ".yaml") {
		port, err := pgtest.FreePort()
		ts.Check(err)
		portal := fmt.Sprintf("127.0.0.1:%d", port)
		ts.Setenv("PORTAL", portal)
		policy, args = strings.ReplaceAll(ts.ReadFile(args[0]), "{{portal}}", portal), args[1:]
	}
	c := start(ts, args)
	if policy == "" {
		s.site = site.NewShop(s.t, c)
	} else {
		s.site = site.New(s.t, site.NewShopDatabase(s.t, c), policy)
	}
	s.db = s.site.DB
	ts.Setenv("PORT", strconv.Itoa(s.site.Port))
	ts.Check(ts.Chdir(s.site.Dir))
}

func makeStandby(ts *testscript.TestScript, _ bool, _ []string) {
	s := stageOf(ts)
	c := s.db.Standby(s.t)
	ts.Setenv("SOCKET", c.SocketDir)
	ts.Setenv("SERVERPORT", strconv.Itoa(c.Port))
}

func makeCluster(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	s.db = start(ts, args).NewDatabaseNamed(s.t, "shop")
	for name, at := range map[string]string{"PORT": "%d", "PORTAL": "127.0.0.1:%d"} {
		port, err := pgtest.FreePort()
		ts.Check(err)
		ts.Setenv(name, fmt.Sprintf(at, port))
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	code := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s: exit %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
	if args[1] == "postern" {
		stageOf(ts).secretless(ts, args[2:], ts.ReadFile("stdout")+ts.ReadFile("stderr"))
	}
}

// verifier is the beginning of one, salt included.
var verifier = regexp.MustCompile(`SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]{8}`)

// secretless fails when a text shows a password, a key or a verifier. init and user hash print verifiers, of random
// passwords and of one that they were given.
func (s *stage) secretless(ts *testscript.TestScript, args []string, text string) {
	if line := strings.Join(args, " "); !strings.HasPrefix(line, "init") && !strings.HasPrefix(line, "user hash") && verifier.MatchString(text) {
		ts.Fatalf("a verifier is shown")
	}
	for _, user := range []string{"analyst", "support", "owner", "ana", "bob", "eve"} {
		if strings.Contains(text, pgtest.PasswordOf(user)) {
			ts.Fatalf("the password of %s is shown", user)
		}
	}
	if s.site == nil {
		return
	}
	files, err := filepath.Glob(filepath.Join(s.site.Dir, "secrets", "*"))
	ts.Check(err)
	for _, f := range files {
		secret, err := os.ReadFile(f)
		ts.Check(err)
		for _, line := range strings.Split(string(secret), "\n") {
			if len(line) > 16 && !strings.HasPrefix(line, "-----") && strings.Contains(text, line) {
				ts.Fatalf("the contents of %s are shown", f)
			}
		}
	}
}

func apply(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).site.Apply(stageOf(ts).t) }

func serve(ts *testscript.TestScript, _ bool, _ []string) {
	s := stageOf(ts)
	s.seen = 0
	s.site.Serve(s.t)
}

func stop(ts *testscript.TestScript, _ bool, _ []string) {
	s := stageOf(ts)
	s.site.Stop(s.t)
	s.secretless(ts, nil, s.site.Log())
}

// shut ends the server and leaves its data; reopen brings it back.
func shut(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).db.Crash() }

func reopen(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).db.Restart(stageOf(ts).t) }

func hup(ts *testscript.TestScript, _ bool, _ []string) { stageOf(ts).site.Reload(stageOf(ts).t) }

func logged(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	want := regexp.MustCompile(strings.Join(args, " "))
	if neg {
		if m := want.FindString(s.site.Log()); m != "" {
			ts.Fatalf("the log has %q", m)
		}
		return
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text := s.site.Log()
		if at := want.FindStringIndex(text[s.seen:]); at != nil {
			s.seen += at[1]
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the log has no %s after:\n%s", want, text[s.seen:])
		}
	}
}

func ask(ts *testscript.TestScript, neg bool, env []string, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: psql USER SQL, direct USER SQL")
	}
	var words []string
	for _, v := range env {
		if strings.HasPrefix(v, "PG") {
			words = append(words, v)
		}
	}
	err := ts.Exec("env", append(words, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", args[1])...)
	if (err != nil) != neg {
		ts.Fatalf("psql %s: %v", args[0], err)
	}
}

func throughGateway(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	ask(ts, neg, s.site.Environ(args[0], "shop"), args)
}

func direct(ts *testscript.TestScript, neg bool, args []string) {
	db := stageOf(ts).db
	ask(ts, neg, []string{
		"PGHOST=" + db.SocketDir, fmt.Sprintf("PGPORT=%d", db.Port), "PGUSER=" + args[0], "PGDATABASE=" + db.Name,
		"PGPASSWORD=" + pgtest.PasswordOf(args[0]),
	}, args)
}

// edit writes a file anew, the way editors do: under another name, then renamed.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text, path := ts.ReadFile(args[0]), ts.MkAbs(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path+"~", []byte(strings.ReplaceAll(text, args[1], args[2])), 0o600))
	ts.Check(os.Rename(path+"~", path))
}

func tamper(ts *testscript.TestScript, _ bool, _ []string) {
	files, err := filepath.Glob(ts.MkAbs("copy/*.jsonl"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("there is no trail in copy")
	}
	text, err := os.ReadFile(files[0])
	ts.Check(err)
	at := strings.Index(string(text), `"verdict":"refuse"`)
	if at < 0 {
		ts.Fatalf("nothing was refused")
	}
	copy(text[at:], `"verdict":"allow" `)
	ts.Check(os.WriteFile(files[0], text, 0o600))
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: %v", strings.Join(args, " "), err)
		}
	}
}

// keep sets a variable to what a pattern finds in the last output, or in what the last command said beside it.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	from := "stdout"
	if len(args) == 3 && args[1] == "stderr" {
		from, args = args[1], []string{args[0], args[2]}
	}
	if len(args) != 2 {
		ts.Fatalf("usage: keep NAME [stderr] REGEXP")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile(from))
	if len(m) < 2 {
		ts.Fatalf("the last %s has no %s", from, args[1])
	}
	ts.Setenv(args[0], m[1])
}
