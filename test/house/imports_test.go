package house_test

import (
	"slices"
	"sort"
	"strings"
	"testing"
)

// row is what one package may import of this module. tests is what its test files may import besides; every test
// file may also import its own package and internal/pgtest.
type row struct {
	imports []string
	tests   []string
}

func words(s string) []string { return strings.Fields(s) }

// rule is the dependency rule. Layers, from the right: secret and the models, then what works with them, then
// the path and the state, then the daemon, then the command line. Engines stand beside: they import models, never
// each other, and no model imports an engine.
var rule = map[string]row{
	// What imports nothing of ours.
	"internal/secret":              {},
	"internal/catalog":             {},
	"internal/policy":              {},
	"internal/classify/checkdigit": {},
	"internal/pgtest":              {},

	// Models.
	"internal/classify": {imports: words("internal/classify/checkdigit")},
	"internal/audit":    {imports: words("internal/secret")},

	// What works with the models.
	"internal/scan":     {imports: words("internal/catalog")},
	"internal/discover": {imports: words("internal/catalog internal/classify internal/policy")},
	"internal/identity": {imports: words("internal/policy internal/secret")},
	"internal/plan":     {imports: words("internal/policy internal/catalog internal/secret")},
	"internal/config":   {imports: words("internal/policy internal/classify internal/secret")},
	"internal/access":   {imports: words("internal/policy"), tests: words("internal/state internal/pgtest")},
	"internal/notify":   {imports: words("internal/access internal/audit internal/policy internal/secret"), tests: words("internal/state internal/slack internal/demo/workspace")},
	"internal/people":   {imports: words("internal/audit internal/identity internal/policy internal/secret"), tests: words("internal/state internal/config test/passkey")},

	"internal/slack":          {imports: words("internal/access internal/audit internal/notify internal/policy internal/secret"), tests: words("internal/state internal/demo/workspace")},
	"internal/demo/workspace": {},

	"internal/sso": {imports: words("internal/audit internal/people internal/policy internal/secret"), tests: words("internal/state internal/identity test/provider")},

	"internal/directory": {imports: words("internal/audit internal/policy internal/secret"), tests: words("internal/state test/slapd")},

	// The path and the state.
	"internal/state":   {imports: words("internal/access internal/audit internal/directory internal/identity internal/people internal/secret internal/slack internal/sso"), tests: words("internal/pgtest")},
	"internal/portal":  {imports: words("internal/access internal/audit internal/identity internal/people internal/policy internal/secret"), tests: words("internal/state test/contract test/passkey")},
	"internal/gateway": {imports: words("internal/policy internal/identity internal/audit internal/secret")},

	// The engine. pgsql is the guard, pgwire the session.
	"internal/engine/postgres/pgsql":  {imports: words("internal/policy internal/catalog")},
	"internal/engine/postgres/pgwire": {imports: words("internal/gateway internal/engine/postgres/pgsql internal/audit internal/identity internal/policy internal/secret")},
	"internal/engine/postgres/pghost": {imports: words("internal/catalog internal/classify/checkdigit")},
	"internal/engine/postgres":        {imports: words("internal/engine/postgres/pghost internal/classify/checkdigit internal/plan internal/discover internal/policy internal/catalog internal/classify internal/secret internal/engine/postgres/pgsql"), tests: words("internal/config")},

	// The wiring. The daemon declares what it asks of an engine; pgserve is PostgreSQL's answer, and the command line
	// brings both together.
	"internal/daemon": {imports: words(`internal/config internal/policy internal/secret internal/audit internal/state internal/identity internal/gateway
		internal/access internal/directory internal/notify internal/people internal/portal internal/slack internal/sso`), tests: words("internal/engine/postgres/pgsql")},
	"internal/engine/postgres/pgserve": {imports: words(`internal/daemon internal/config internal/policy internal/secret internal/plan internal/gateway internal/discover internal/catalog
		internal/engine/postgres internal/engine/postgres/pgsql internal/engine/postgres/pgwire`)},
	"internal/demo": {imports: words("internal/secret internal/demo/workspace")},
	"internal/cli": {imports: words(`internal/daemon internal/demo internal/config internal/policy internal/secret internal/catalog internal/plan internal/audit
		internal/portal internal/discover internal/engine/postgres internal/engine/postgres/pgsql internal/engine/postgres/pgserve internal/scan`)},
	"cmd/postern": {imports: words("internal/cli")},

	// Test packages. They come to the product from outside: through its command line, the wire and the server. The
	// attack runner derives the password of an identity role, which nobody is told.
	"test/provider": {},
	"test/contract": {},
	"test/passkey":  {},
	"test/slapd":    {imports: words("internal/pgtest")},
	"test/site":     {imports: words("internal/cli internal/pgtest")},
	"test/scan":     {tests: words("internal/catalog internal/scan internal/engine/postgres test/site")},
	"test/house":    {},
	"test/docs":     {tests: words("internal/cli")},
	"test/attacks":  {tests: words("test/site internal/engine/postgres internal/secret")},
	"test/sqlgen":   {},
	"test/hunt":     {imports: words("test/sqlgen"), tests: words("test/site internal/engine/postgres internal/secret")},
	"test/differ":   {tests: words("test/site test/sqlgen")},
	"test/classify": {imports: words("internal/classify internal/classify/checkdigit"), tests: words("test/site internal/discover internal/engine/postgres")},
	"test/scripts":  {tests: words("test/site")},
	"test/abuse":    {tests: words("test/site")},
	"test/rules":    {tests: words("test/site")},
	// Thousands of grants are made on the state that the gateway under test keeps, as another instance would.
	"test/access":  {tests: words("test/site test/slapd test/contract internal/demo/workspace internal/access internal/config internal/engine/postgres/pgsql internal/policy internal/state")},
	"test/sso":     {tests: words("test/site test/provider")},
	"test/browser": {tests: words("test/site internal/access internal/state")},
	"test/drivers": {tests: words("test/site")},
	"test/bench":   {tests: words("test/site internal/access internal/engine/postgres internal/secret internal/state")},
}

// foreign says which packages may use a module that is kept behind one door, and why others may.
var foreign = map[string][]string{
	// The server's protocol for those who ask it questions. pgtest and test/ look at servers and at the gateway
	// from outside, without the code under test. state keeps its own tables in a database of its own (ADR 0018).
	"github.com/jackc/pgx/v5": words("internal/engine/postgres internal/pgtest internal/state test/"),
	// The wire, message by message. The tests under test/ are clients of the wire.
	"github.com/jackc/pgx/v5/pgproto3":         words("internal/engine/postgres/pgwire test/"),
	"github.com/pganalyze/pg_query_go/v6":      words("internal/engine/postgres/pgsql"),
	"github.com/wasilibs/go-pgquery":           words("internal/engine/postgres/pgsql"),
	"modernc.org/sqlite":                       words("internal/state"),
	"github.com/pressly/goose/v3":              words("internal/state"),
	"github.com/spf13/cobra":                   words("internal/cli"),
	"github.com/spf13/pflag":                   words("internal/cli"),
	"go.yaml.in/yaml/v3":                       words("internal/policy internal/config internal/discover internal/scan test/"),
	"github.com/santhosh-tekuri/jsonschema/v6": words("internal/config internal/policy test/"),
	"cel.dev/cel-go":                           words("internal/scan"),
	"github.com/coreos/go-oidc/v3":             words("internal/sso"),
	"golang.org/x/oauth2":                      words("internal/sso"),
	"github.com/go-webauthn/webauthn":          words("internal/people"),
	"github.com/go-ldap/ldap/v3":               words("internal/directory internal/config test/slapd"),
	"github.com/slack-go/slack":                words("internal/slack"),
	"github.com/gorilla/websocket":             words("internal/demo/workspace"),
	"github.com/chromedp":                      words("test/browser"),
}

// TestImportRule reads every import of every Go file and holds it against the table.
func TestImportRule(t *testing.T) {
	files := goFiles(t)
	for _, complaint := range importComplaints(files) {
		t.Error(complaint)
	}
	seen := map[string]bool{}
	for _, f := range files {
		seen[f.dir] = true
	}
	for name := range rule {
		if !seen[name] {
			t.Errorf("the table has a row for %s, which does not exist", name)
		}
	}
}

// importComplaints is the rule itself.
func importComplaints(files []*goFile) []string {
	var out []string
	for _, f := range files {
		r, ok := rule[f.dir]
		if !ok {
			out = append(out, f.path+": package "+f.dir+" has no row in the table of test/house")
			continue
		}
		for _, path := range f.imports {
			if name, ours := strings.CutPrefix(path, module+"/"); ours {
				allowed := slices.Contains(r.imports, name)
				if f.isTest {
					allowed = allowed || name == f.dir || name == "internal/pgtest" || slices.Contains(r.tests, name)
				}
				if !allowed {
					out = append(out, f.path+": "+f.dir+" may not import "+name)
				}
				continue
			}
			if door := doorOf(path); door != "" && !f.isTest && !mayUse(f.dir, foreign[door]) {
				out = append(out, f.path+": "+path+" is for "+strings.Join(foreign[door], ", ")+" alone")
			}
		}
	}
	sort.Strings(out)
	return out
}

// doorOf finds the longest entry of foreign that an import path falls under.
func doorOf(path string) string {
	best := ""
	for door := range foreign {
		if (path == door || strings.HasPrefix(path, door+"/")) && len(door) > len(best) {
			best = door
		}
	}
	return best
}

func mayUse(dir string, users []string) bool {
	for _, u := range users {
		if dir == u || strings.HasSuffix(u, "/") && strings.HasPrefix(dir, u) {
			return true
		}
	}
	return false
}

// TestImportRuleRefuses proves that the rule can fail.
func TestImportRuleRefuses(t *testing.T) {
	bad := []*goFile{
		{path: "internal/policy/x.go", dir: "internal/policy", imports: []string{module + "/internal/engine/postgres"}},
		{path: "internal/gateway/x.go", dir: "internal/gateway", imports: []string{"github.com/jackc/pgx/v5/pgconn"}},
		{path: "internal/engine/postgres/x.go", dir: "internal/engine/postgres", imports: []string{"github.com/jackc/pgx/v5/pgproto3"}},
		{path: "internal/helpers/x.go", dir: "internal/helpers"},
	}
	if got := importComplaints(bad); len(got) != len(bad) {
		t.Errorf("%d complaints about %d violations: %q", len(got), len(bad), got)
	}
}

// TestNoCycleOfLayers makes sure that the table itself is a hierarchy: a cycle there would be no rule.
func TestNoCycleOfLayers(t *testing.T) {
	state := map[string]int{}
	var visit func(name string, way []string)
	visit = func(name string, way []string) {
		way = append(way, name)
		if state[name] == 1 {
			t.Fatalf("the table has a cycle: %s", strings.Join(way, " -> "))
		}
		if state[name] == 2 {
			return
		}
		state[name] = 1
		for _, next := range rule[name].imports {
			visit(next, way)
		}
		state[name] = 2
	}
	for name := range rule {
		visit(name, nil)
	}
}
