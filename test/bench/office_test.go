package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/state"
	"github.com/postern-sec/postern/test/site"
)

// size is how large an office is: whose portal people browse.
type size struct {
	areas    int // each a schema, a dataset, and the rules for it
	tables   int // of an area
	columns  int // of a table
	analysts int
	team     int // analysts of a team
	owners   int
	roles    map[string]int // accounts of Postern itself, by role
	past     int            // grants that ended long ago
	waiting  int            // requests that nobody has decided
}

// people is how many browse.
func (z size) people() int {
	n := z.analysts + z.owners
	for _, more := range z.roles {
		n += more
	}
	return n
}

// office is an installation whose portal speaks TLS, with a gateway in front of the tables of `make bench` and of many more.
type office struct {
	*site.Site
	size
	portal string
	root   *visitor
}

// sharedName is whose password everybody of the policy has: making a verifier takes a while.
const sharedName = "everybody"

func newOffice(t testing.TB, c *pgtest.Cluster, database string, z size) *office {
	t.Helper()
	c.Role(t, "app_owner", "NOLOGIN")
	db := c.NewDatabaseNamed(t, database)
	db.Exec(t, `GRANT CREATE, USAGE ON SCHEMA public TO app_owner; GRANT CREATE ON DATABASE `+database+` TO app_owner; SET ROLE app_owner;
		CREATE TABLE pgbench_accounts(aid int PRIMARY KEY, bid int, abalance int, filler char(84));
		INSERT INTO pgbench_accounts SELECT a, 1, 0, '' FROM generate_series(1, 100000) a;`+z.schema()+`RESET ROLE`)
	db.Exec(t, "VACUUM ANALYZE")
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	o := &office{size: z, portal: fmt.Sprintf("https://127.0.0.1:%d", port)}
	o.Site = site.New(t, db, z.policy(database, port))
	o.Apply(t)
	o.remember(t)
	return o
}

func area(i int) string { return fmt.Sprintf("area%02d", i) }

// columnNames are what the columns of every table hold, in turn; labels are what the policy calls some of them.
var (
	columnNames  = []string{"id", "name", "email", "phone", "region", "amount", "note", "birth_date", "status", "placed_at", "iban", "total"}
	columnLabels = map[string]string{"name": "person.name", "email": "contact.email", "phone": "contact.phone", "birth_date": "person.birth_date", "iban": "fin.iban"}
)

// columnNames are the columns of each table.
func (z size) columnNames() []string {
	out := make([]string, z.columns)
	for i := range out {
		out[i] = columnNames[i%len(columnNames)]
		if more := i / len(columnNames); more > 0 {
			out[i] += fmt.Sprint(more)
		}
	}
	return out
}

func (z size) schema() string {
	var out strings.Builder
	columns := strings.Join(z.columnNames(), " text, ") + " text"
	for i := range z.areas {
		fmt.Fprintf(&out, "CREATE SCHEMA %s;", area(i))
		for j := range z.tables {
			fmt.Fprintf(&out, "CREATE TABLE %s.table%02d (%s);", area(i), j, columns)
		}
	}
	return out.String()
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return out
}

// policy is the policy of an office: teams of analysts who may read some areas and ask for the others, and one owner for each area.
func (z size) policy(database string, port int) string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	var schemas []string
	for i := range z.areas {
		schemas = append(schemas, area(i))
	}
	line("version: 1\nstate: sqlite:postern.db\nkeys: {root: {file: secrets/root.key}, audit: {file: secrets/audit.key}}")
	line("stores:\n  %s:\n    engine: postgres\n    address: \"{{server}}\"\n    database: %[1]s\n    schemas: [public, %s]", database, strings.Join(schemas, ", "))
	line("    tls: {mode: disable}\n    provisioner: {{provisioner}}\n    grantor: {{grantor}}\n    provision: auto")
	line("gateway:\n  listeners: [{engine: postgres, address: \"{{listen}}\", tls: {cert: server.crt, key: secrets/server.key}}]")
	line("portal: {address: \"127.0.0.1:%d\", tls: {cert: server.crt, key: secrets/server.key}}", port)
	line("identity: {owners_without_factor: true}") // those who browse are many, and hold no phone
	line("users:\n  whole: {scram: \"{{scram whole}}\"}\n  masked: {scram: \"{{scram masked}}\"}")
	for _, name := range append(names("analyst", z.analysts), names("owner", z.owners)...) {
		line("  %s: {scram: \"{{scram %s}}\"}", name, sharedName)
	}
	line("groups:")
	for i, team := range z.teams() {
		line("  team%02d: [%s]", i, strings.Join(team, ", "))
	}
	line("labels:")
	for i := range z.areas {
		for j := range z.tables {
			for _, c := range z.columnNames() {
				if l := columnLabels[strings.TrimRight(c, "0123456789")]; l != "" {
					line("  %s.%s.table%02d.%s: %s", database, area(i), j, c, l)
				}
			}
		}
	}
	line("masks:\n  rounded:\n    %s.public.pgbench_accounts.abalance: expression(\"value / 100 * 100\")", database)
	line("    %s.public.pgbench_accounts.filler: hidden\n    unlabelled: keep", database)
	line("  analytics: {contact.email: partial_email, contact.phone: keep_last(2), \"*\": hidden, unlabelled: keep}")
	line("datasets:\n  accounts: {owners: [owner000], include: [%s.public.pgbench_accounts]}", database)
	for i := range z.areas {
		line("  %s: {owners: [owner%03d], include: [\"%s.%[1]s.*\"]}", area(i), i%z.owners, database)
	}
	line("rules:\n  all-of-it: {to: [whole], on: accounts, level: read}")
	line("  rounded: {to: [masked], on: accounts, level: read, masks: rounded, rows: {%s.public.pgbench_accounts: \"bid = 1\"}}", database)
	for i := range z.areas {
		line("  %s-team: {to: [\"group:team%02d\"], on: %[1]s, level: read, masks: analytics}", area(i), z.holders(i))
		line("  %s-ask: {to: [\"group:team%02d\"], on: %[1]s, level: read, request: {kind: on_request, max: 8h, default: 1h, approvers: {any: [owners]}, note: requester}}",
			area(i), z.askers(i))
	}
	line("audit: {folder: audit, sync: 100ms}")
	return out.String()
}

// teams are groups of analysts.
func (z size) teams() [][]string {
	var out [][]string
	for all := names("analyst", z.analysts); len(all) > 0; {
		n := min(z.team, len(all))
		out, all = append(out, all[:n]), all[n:]
	}
	return out
}

// holders is the team that may read an area, askers the one that may ask for it.
func (z size) holders(area int) int { return area % len(z.teams()) }

func (z size) askers(area int) int { return (area + 1) % len(z.teams()) }

// askable are the areas that an analyst may ask for and does not hold.
func (z size) askable(analyst int) []string {
	var out []string
	for i := range z.areas {
		if team := analyst / z.team; z.askers(i) == team && z.holders(i) != team {
			out = append(out, area(i))
		}
	}
	return out
}

// remember puts the past into state: what people held and gave back long ago, which no page may be slow for.
func (o *office) remember(t testing.TB) {
	t.Helper()
	db, err := state.Open(context.Background(), filepath.Join(o.Dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	const batch = 500
	var c access.Change
	for i := range o.past {
		who, where := fmt.Sprintf("analyst%03d", i%o.analysts), area(i*7%o.areas)
		began := time.Now().Add(-time.Duration(i+48) * time.Hour)
		q := access.Request{
			ID: fmt.Sprintf("q-past-%06d", i), Version: 1, State: access.Approved, Subject: who, Rule: where + "-ask", Dataset: where, Level: "read",
			Note: "The numbers of last month, for the report to the board", Created: began, Expires: began.Add(time.Hour), Closed: began, Grant: fmt.Sprintf("g-past-%06d", i),
		}
		g := access.Grant{
			ID: q.Grant, Version: 1, State: access.Ended, Wall: access.WallGone, Subject: who, Rule: q.Rule, Dataset: where, Request: q.ID,
			Start: began, End: began.Add(time.Hour),
		}
		c.Requests, c.Grants = append(c.Requests, q), append(c.Grants, g)
		if len(c.Grants) == batch || i == o.past-1 {
			if err := db.Commit(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			c = access.Change{}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
