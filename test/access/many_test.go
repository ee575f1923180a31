package access_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
	"github.com/postern-sec/postern/test/site"
)

// manyRules is how many rules everybody may take. Every set of so few is built before anybody takes one.
const manyRules = 4

// many is an installation with a great number of people who hold nothing but grants, and one, ana, who holds a rule for good.
type many struct {
	*place
	people []string
	known  int // so many of the people, the first ones, have a password
	desk   *access.Desk
	st     *state.DB
}

const manyHead = `version: 1
state: sqlite:postern.db
stores:
  shop: {engine: postgres, address: "{{server}}", database: shop, tls: {mode: disable}, provisioner: {{provisioner}}, grantor: {{grantor}}, provision: manual}
gateway:
  listeners: [{engine: postgres, address: "{{listen}}", tls: {cert: server.crt, key: secrets/server.key}}]
portal: {address: "127.0.0.1:PORT"}
identity: {owners_without_factor: true}
audit: {folder: audit, sync: 100ms}
`

// newMany makes an installation for so many people, and builds its wall. It does not serve yet.
func newMany(t testing.TB, people, known int) *many {
	t.Helper()
	c := pgtest.Start(t, pgtest.DefaultMajor)
	c.Role(t, "app_owner", "NOLOGIN")
	db := c.NewDatabaseNamed(t, "shop")
	m := &many{known: known}
	var users, to, datasets, rules, tables strings.Builder
	for i := range people {
		name := fmt.Sprintf("p%05d", i)
		m.people = append(m.people, name)
		if fmt.Fprintf(&to, ", %s", name); i < known {
			fmt.Fprintf(&users, "  %s: {scram: \"{{scram %s}}\"}\n", name, name)
		} else {
			fmt.Fprintf(&users, "  %s: {}\n", name)
		}
	}
	for i := range manyRules {
		fmt.Fprintf(&tables, "CREATE TABLE t%d (id int PRIMARY KEY, note text); ALTER TABLE t%d OWNER TO app_owner; INSERT INTO t%d VALUES (1, 'x');\n", i, i, i)
		fmt.Fprintf(&datasets, "  t%d: {owners: [ana], include: [shop.public.t%d]}\n", i, i)
		fmt.Fprintf(&rules, "  take-%d: {to: [\"group:all\"], on: t%d, request: {kind: self_service, max: 1d}}\n", i, i)
	}
	db.Exec(t, tables.String()+"CREATE TABLE base (id int PRIMARY KEY); ALTER TABLE base OWNER TO app_owner; INSERT INTO base VALUES (1)")
	m.place = &place{t: t, db: db, portal: site.NewPortal(t), tokens: map[string]string{}}
	m.Site = site.New(t, db, strings.ReplaceAll(manyHead, "PORT", fmt.Sprint(m.portal.Port))+
		"groups: {all: ["+strings.TrimPrefix(to.String(), ", ")+"]}\nusers:\n  ana: {scram: \"{{scram ana}}\"}\n"+users.String()+
		"datasets:\n  base: {owners: [ana], include: [shop.public.base]}\n"+datasets.String()+
		"rules:\n  base: {to: [ana], on: base}\n"+rules.String())
	m.ApplyConsenting(t)
	return m
}

// open makes a desk beside the gateway's, on the same state: what is taken there, the gateway sees as it sees what another does.
func (m *many) open() {
	t := m.t
	t.Helper()
	c, err := config.Load(m.Config, pgsql.Syntax{})
	if err != nil {
		t.Fatal(err)
	}
	if m.st, err = state.Open(context.Background(), filepath.Join(m.Dir, "postern.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.st.Close() })
	m.desk = access.NewDesk(access.Config{
		Store: m.st, Policy: func() *policy.Policy { return c.Policy }, Now: time.Now,
		NewID: func() string {
			var raw [6]byte
			_, _ = rand.Read(raw[:]) // it never fails
			return hex.EncodeToString(raw[:])
		},
	})
}

// takes lets a person take a rule until a time.
func (m *many) takes(person string, rule int, until time.Time) {
	m.t.Helper()
	ask := access.Ask{Rule: fmt.Sprintf("take-%d", rule), Until: until}
	if _, err := m.desk.Request(context.Background(), access.Actor{Subject: policy.Subject{Name: person, Groups: []string{"all"}}, Channel: "api"}, ask); err != nil {
		m.t.Fatal(err)
	}
}

// walls counts the grants by state and wall.
func (m *many) walls() map[string]int {
	m.t.Helper()
	all, err := m.st.Grants(context.Background(), access.Filter{})
	if err != nil {
		m.t.Fatal(err)
	}
	out := map[string]int{}
	for i := range all {
		out[string(all[i].State)+" "+string(all[i].Wall)]++
	}
	return out
}

// Two hundred grants of a hundred and fifty people end in the same second, more than are brought to a server in one go. None of them
// goes early, all are gone from server, state and gateway, and what others hold stays.
func TestManyEndTogether(t *testing.T) {
	t.Parallel()
	const people = 150
	m := newMany(t, people, 2)
	m.open()
	m.Serve(t)
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	m.takes(m.people[1], 1, later)
	end := time.Now().Add(40 * time.Second).UTC().Truncate(time.Second)
	for i, p := range m.people {
		m.takes(p, 0, end)
		if i%3 == 0 {
			m.takes(p, 2, end)
		}
	}
	eventually(t, "somebody holds what they took", func() bool { return m.walls()["active ready"] > 1 })
	ctx := context.Background()
	server := m.db.Connect(t, pgtest.SuperUser)
	most, before := 0, 0
	for {
		var over bool
		var rows, members int
		sql := `SELECT statement_timestamp() >= $1, (SELECT count(*) FROM postern.holds),
(SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname ~ '^p[0-9]{5}$')`
		if err := server.QueryRow(ctx, sql, end).Scan(&over, &rows, &members); err != nil {
			t.Fatal(err)
		}
		if over {
			break
		}
		before++
		if rows < most {
			t.Fatalf("%d rows of what is held, there were %d, and the end has not come", rows, most)
		}
		most = rows
		if n, err := m.query(m.DSN(m.people[0], "shop"), "SELECT count(*) FROM t0"); time.Now().Before(end) && m.ready(m.people[0]) && (err != nil || n != 1) {
			t.Fatalf("at the gateway before the end: %d, %v", n, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if before == 0 || most < people {
		t.Errorf("only %d rows were seen in %d looks: the machine was too slow to tell", most, before)
	}
	eventually(t, "all have ended and are off the server", func() bool { return m.walls()["ended gone"] == people+people/3 })
	if left := m.db.Query(t, "SELECT string_agg(role || ' ' || rule, ', ') FROM postern.holds"); left != m.people[1]+" take-1" {
		t.Errorf("what is held on the server: %s", left)
	}
	members := `SELECT string_agg(r.rolname, ', ') FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname ~ '^p[0-9]{5}$'`
	if left := m.db.Query(t, members); left != m.people[1] {
		t.Errorf("members of profiles: %s", left)
	}
	if _, err := m.query(m.DSN(m.people[0], "shop"), "SELECT count(*) FROM t0"); err == nil {
		t.Error("the gateway lets somebody in whose grants have ended")
	}
	if n, err := m.query(m.DSN(m.people[1], "shop"), "SELECT count(*) FROM t1"); err != nil || n != 1 {
		t.Errorf("what has not ended: %d, %v", n, err)
	}
	if _, err := m.query(m.DSN(m.people[1], "shop"), "SELECT count(*) FROM t0"); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("what has ended: %v", err)
	}
}

// ready says whether all that a person holds is to be seen.
func (m *many) ready(person string) bool {
	m.t.Helper()
	held, err := m.st.Grants(context.Background(), access.Filter{Subject: person, Open: true})
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range held {
		if held[i].Wall != access.WallReady {
			return false
		}
	}
	return len(held) > 0
}
