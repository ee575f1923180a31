package scan_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
)

// How many random files each major gets, and attempts for each; POSTERN_HBA_FILES asks for more.
const (
	hbaFiles    = 12
	hbaAttempts = 20
)

// TestHBAAgreesWithServers writes random pg_hba.conf files, tries real connections, and wants the evaluator to say what the server did. As
// root the server stands in a network of the test's own, with a second one beside it from which it is reached.
func TestHBAAgreesWithServers(t *testing.T) {
	files := hbaFiles
	if n, err := strconv.Atoi(os.Getenv("POSTERN_HBA_FILES")); err == nil {
		files = n
	}
	site := newNetworks(t)
	for _, major := range pgtest.Majors(t) {
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) {
			h := newHBAServer(t, major, site)
			seed := seedOfRun(t, "POSTERN_HBA_SEED")
			rnd := rand.New(rand.NewPCG(seed, uint64(major))) // #nosec G404 -- a test's choices
			for range files {
				h.compare(t, rnd)
				if t.Failed() {
					return
				}
			}
			t.Logf("%d files, %d attempts: %v", files, files*hbaAttempts, h.answers)
			for _, from := range h.site.kinds() {
				// A network for which no rule ever decided would prove nothing.
				if a := h.answers[from]; files >= hbaFiles && (a["trust"]+a["password"]+a["scram-sha-256"]+a["reject"] == 0 || a["none"] == 0) {
					t.Errorf("from %s, a rule decided always or never: %v", from, a)
				}
			}
		})
	}
}

// hbaServer is a server of its own whose rules are rewritten.
type hbaServer struct {
	c       *pgtest.Cluster
	roles   []catalog.Role
	members []catalog.Membership
	nets    []netip.Prefix
	account string // that the test runs as
	site    *networks
	answers map[string]map[string]int // by the kind of place: how often each answer was given
	places  []place                   // where attempts over TCP come from, and what address they go to
}

var (
	hbaRoles     = []string{"r1", "r2", "r3", "su", "Odd Name"}
	hbaDatabases = []string{"d1", "r1", "g1", "My DB"}
)

func newHBAServer(t *testing.T, major int, site *networks) *hbaServer {
	t.Helper()
	c := pgtest.Start(t, major, pgtest.Setting("listen_addresses", site.listen()), pgtest.Network(site.server.enter()))
	c.Exec(t, `CREATE ROLE r1 LOGIN NOINHERIT; CREATE ROLE r2 LOGIN; CREATE ROLE r3 LOGIN; CREATE ROLE su SUPERUSER LOGIN; CREATE ROLE "Odd Name" LOGIN;
		CREATE ROLE g1 NOINHERIT; CREATE ROLE g2; GRANT g1 TO r1; GRANT g2 TO g1; GRANT g2 TO r3`)
	for _, name := range hbaDatabases {
		c.NewDatabaseNamed(t, name)
	}
	h := &hbaServer{c: c, site: site, places: site.places(), answers: map[string]map[string]int{}, members: []catalog.Membership{{Role: "g1", Member: "r1"}, {Role: "g2", Member: "g1"}, {Role: "g2", Member: "r3"}}}
	for _, n := range append([]string{"postgres", "g1", "g2"}, hbaRoles...) {
		h.roles = append(h.roles, catalog.Role{Name: n, Login: n[0] != 'g', Superuser: n == "su" || n == "postgres"})
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	h.account = me.Username
	h.nets = site.server.addresses(t)
	for name, text := range map[string]string{"users.txt": "r2, r3 # two\n\"Odd Name\"\n", "dbs.txt": "d1\n@more.txt\n", "more.txt": "\"My DB\"\n"} {
		if err := os.WriteFile(filepath.Join(c.DataDir, name), []byte(text), 0o644); err != nil { //nolint:gosec // the server's account reads it
			t.Fatal(err)
		}
	}
	return h
}

func pick[T any](rnd *rand.Rand, from ...T) T { return from[rnd.IntN(len(from))] }

// someOf joins one to three words the ways that people write lists.
func someOf(rnd *rand.Rand, words []string) string {
	var out []string
	for range 1 + rnd.IntN(3) {
		out = append(out, pick(rnd, words...))
	}
	return strings.Join(out, pick(rnd, ",", ", ", ","))
}

// randomLine is one rule.
func randomLine(rnd *rand.Rand, major int) string {
	dbs := []string{"all", "all", "all", "all", "d1", "r1", "g1", `"My DB"`, `"all"`, "sameuser", "samerole", "replication", `"replication"`, "@dbs.txt", "nodb"}
	users := []string{"all", "all", "all", "all", "r1", "r2", "r3", "su", `"Odd Name"`, `"all"`, "+g1", "+g2", `"+g1"`, "+r1", "@users.txt", "nobody", "+nogroup", `r"2"`}
	if major >= 16 {
		dbs = append(dbs, "/^d", `"/^My .B$"`, "/1$")
		users = append(users, "/^r[12]$", `"/^O"`, "/")
	}
	kind := pick(rnd, "local", "host", "host", "hostssl", "hostnossl", "hostnogssenc")
	line := kind + pick(rnd, " ", "\t", "  ") + someOf(rnd, dbs) + " " + someOf(rnd, users) + " "
	methods := []string{"trust", "reject", "password", "scram-sha-256"}
	if kind == "local" {
		methods = append(methods, "peer")
	} else {
		line += pick(rnd, "127.0.0.0/8", "127.0.0.5/32", "127.0.0.4 255.255.255.252", "127.0.0.1 255.0.0.255", "::1/128", "0.0.0.0/0", "::/0", "all", "samehost", "samenet",
			"::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0", "10.0.0.0/8", `"127.0.0.5/32"`, "10.77.1.0/24", "10.77.1.2/32", "10.77.1.0 255.255.255.128", "192.0.2.0/24",
			"fd77:1::/64", "fd77:1::2/128", "2001:db8::/32", "samenet", "samehost", "all", "all", "0.0.0.0/0") + " "
	}
	method := pick(rnd, methods...)
	line += method
	if method == "peer" && rnd.IntN(2) == 0 {
		line += pick(rnd, " map=m1", " map=m2", " map=none")
	}
	if rnd.IntN(4) == 0 {
		line += pick(rnd, " # a comment", "#x", " \t")
	}
	if major >= 14 && rnd.IntN(8) == 0 {
		line = strings.Replace(line, " ", " \\\n", 1)
	}
	return line
}

// randomIdent is one line of pg_ident.conf about the account that the test runs as, or about another.
func randomIdent(rnd *rand.Rand, major int, account string) string {
	roles := []string{"r1", "r2", "r3", `"Odd Name"`, "nobody", `"+g1"`}
	if major >= 16 {
		roles = append(roles, "all", "+g1", "+g2", "/^r[12]$", `"all"`)
	}
	system := pick(rnd, account, account, "another", "/^(.*)$", "/^"+account+"$", "/^x", `"`+account+`"`)
	role := pick(rnd, roles...)
	if system == "/^(.*)$" && rnd.IntN(2) == 0 {
		role = pick(rnd, `\1`, `r\1`)
	}
	return pick(rnd, "m1", "m1", "m2") + " " + system + " " + role
}

// writeIdent writes a random pg_ident.conf and reads it back the way the scan does. The server reads it with the next reload.
func (h *hbaServer) writeIdent(t *testing.T, rnd *rand.Rand) []catalog.IdentRule {
	t.Helper()
	var lines []string
	for range 1 + rnd.IntN(4) {
		lines = append(lines, randomIdent(rnd, h.c.Major, h.account))
	}
	name := filepath.Join(h.c.DataDir, "pg_ident.conf")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil { //nolint:gosec // the server's account reads it
		t.Fatal(err)
	}
	rules, err := catalog.ParseIdent(files{}, name, h.c.Major)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// peerAnswer is what the server says to a login that a peer rule decides: the account's own name, or one that the map gives it.
func (h *hbaServer) peerAnswer(r *catalog.HBARule, maps []catalog.IdentRule, user string, ctx *catalog.HBAContext) string {
	name, mapped := r.Option("map")
	if !mapped && user == h.account || mapped && catalog.MapIdent(maps, name, h.account, user, ctx) != nil {
		return "trust" // AuthenticationOk, as to everybody
	}
	return "peer"
}

// compare writes one file, checks the parser against the server's own view, and tries connections.
func (h *hbaServer) compare(t *testing.T, rnd *rand.Rand) {
	t.Helper()
	major := h.c.Major
	lines := []string{"local postgres postgres trust"}
	for range 2 + rnd.IntN(9) {
		lines = append(lines, randomLine(rnd, major))
	}
	if major >= 16 && rnd.IntN(2) == 0 {
		text := randomLine(rnd, major) + "\n" + randomLine(rnd, major) + "\n"
		if err := os.WriteFile(filepath.Join(h.c.DataDir, "more.conf"), []byte(text), 0o644); err != nil { //nolint:gosec // the server's account reads it
			t.Fatal(err)
		}
		lines = append(lines, pick(rnd, "include more.conf", "include_if_exists more.conf", "include_if_exists none.conf"), randomLine(rnd, major))
	}
	maps := h.writeIdent(t, rnd)
	before := h.c.Query(t, "SELECT pg_conf_load_time()")
	h.c.SetHBA(t, lines...)
	awaitReload(t, h.c, before)
	name := filepath.Join(h.c.DataDir, "pg_hba.conf")
	rules, err := catalog.ParseHBA(files{}, name, major)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(name) // it was written just now
	h.compareParsed(t, rules, string(text))
	ctx := catalog.NewHBAContext(major, h.roles, h.members)
	ctx.Interfaces = h.nets
	for range hbaAttempts {
		a, from := h.randomAttempt(rnd)
		v := catalog.DecideHBA(rules, a, ctx)
		if len(v.Perhaps) > 0 {
			t.Errorf("%+v: nothing in these rules should be uncertain, but %s is", a, v.Perhaps[0])
		}
		want := "none"
		if v.Rule != nil {
			want = v.Rule.Method
		}
		if want == "peer" {
			want = h.peerAnswer(v.Rule, maps, a.User, ctx)
		}
		got := h.try(t, a, from)
		h.count(a, from, got)
		if got != want {
			t.Errorf("%+v: the server says %s, the evaluator %s\n%s\n%+v", a, got, want, text, maps)
		}
	}
}

func (h *hbaServer) count(a catalog.Attempt, from place, answer string) {
	kind := from.kind
	if a.Local {
		kind = bySocket
	}
	if h.answers[kind] == nil {
		h.answers[kind] = map[string]int{}
	}
	h.answers[kind][answer]++
}

// compareParsed compares the parser with pg_hba_file_rules.
func (h *hbaServer) compareParsed(t *testing.T, rules []catalog.HBARule, text string) {
	t.Helper()
	view := lines(h.c.Query(t, `SELECT concat_ws(' ', coalesce(type, '-'), array_to_string(database, ','), array_to_string(user_name, ','), address, auth_method)
		FROM pg_hba_file_rules ORDER BY `+map[bool]string{true: "rule_number", false: "line_number"}[h.c.Major >= 16]))
	var ours []string
	for _, r := range rules {
		words := []string{r.Type, plainWords(r.Databases), plainWords(r.Users)}
		if r.Address != "" {
			words = append(words, r.Address)
		}
		ours = append(ours, strings.Join(append(words, r.Method), " "))
	}
	if !slices.Equal(view, ours) {
		t.Errorf("the server reads\n%s\nthe parser\n%s\nof\n%s", strings.Join(view, "\n"), strings.Join(ours, "\n"), text)
	}
}

func plainWords(ws []catalog.HBAWord) string {
	var out []string
	for _, w := range ws {
		out = append(out, w.Text)
	}
	return strings.Join(out, ",")
}

// files reads from the disk.
type files struct{}

func (files) Read(name string) ([]byte, error) { return os.ReadFile(name) }
func (files) List(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

func (h *hbaServer) randomAttempt(rnd *rand.Rand) (catalog.Attempt, place) {
	a := catalog.Attempt{User: pick(rnd, append([]string{"nobody", "all", "+g1"}, hbaRoles...)...), Database: pick(rnd, append([]string{"nodb", "all", "replication"}, hbaDatabases...)...)}
	from := pick(rnd, h.places...)
	if a.Local = rnd.IntN(4) == 0; !a.Local {
		a.Address = from.address
	}
	a.TLS = !a.Local && rnd.IntN(2) == 0
	a.Replication = rnd.IntN(6) == 0
	return a, from
}

// try connects as an attempt says and reads the first answer, no more.
func (h *hbaServer) try(t *testing.T, a catalog.Attempt, from place) string {
	t.Helper()
	d := net.Dialer{Timeout: 10 * time.Second}
	var conn net.Conn
	var err error
	if a.Local {
		conn, err = d.DialContext(context.Background(), "unix", filepath.Join(h.c.SocketDir, fmt.Sprintf(".s.PGSQL.%d", h.c.Port)))
	} else {
		d.LocalAddr = &net.TCPAddr{IP: from.address.AsSlice()}
		err = from.network.run(func() (err error) {
			conn, err = d.DialContext(context.Background(), "tcp", net.JoinHostPort(from.to, strconv.Itoa(h.c.Port)))
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if a.TLS {
		conn = startTLS(t, conn)
	}
	params := []string{"user", a.User, "database", a.Database}
	if a.Replication {
		params = append(params, "replication", "true")
	}
	body := binary.BigEndian.AppendUint32(nil, 196608)
	body = append(body, strings.Join(params, "\x00")+"\x00\x00"...)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)); err != nil { //nolint:gosec // a short message
		t.Fatal(err)
	}
	return firstAnswer(t, bufio.NewReader(conn))
}

func startTLS(t *testing.T, conn net.Conn) net.Conn {
	t.Helper()
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'S' {
		t.Fatalf("SSLRequest: %q, %v", answer, err)
	}
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test asks which rule decides, not who answers
}

// firstAnswer names the method by the first message.
func firstAnswer(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	if _, err := io.ReadFull(r, body); err != nil {
		t.Fatal(err)
	}
	if head[0] == 'R' {
		switch kind := binary.BigEndian.Uint32(body); kind {
		case 0:
			return "trust"
		case 3:
			return "password"
		case 10:
			return "scram-sha-256"
		default:
			return fmt.Sprintf("authentication request %d", kind)
		}
	}
	text := string(body)
	for part, word := range map[string]string{"no pg_hba.conf entry": "none", "pg_hba.conf rejects": "reject", "Peer authentication failed": "peer", "peer authentication failed": "peer"} {
		if strings.Contains(text, part) {
			return word
		}
	}
	return strings.ReplaceAll(text, "\x00", " ")
}
