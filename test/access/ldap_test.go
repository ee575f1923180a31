package access_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
	"github.com/postern-sec/postern/test/slapd"
)

const directoryText = `version: 1
stores:
  shop:
    engine: postgres
    address: {{server}}
    database: shop
    tls: {mode: disable}
    provisioner: {{provisioner}}
    grantor: {{grantor}}
    provision: manual
gateway:
  listeners: [{engine: postgres, address: "{{listen}}", tls: {cert: server.crt, key: secrets/server.key}}]
portal: {address: "127.0.0.1:%d"}
identity: {owners_without_factor: true}
groups: {office: [bob], staff: ["ldap:staff"]}
users:
  ana: {scram: "{{scram ana}}"}
  bob: {scram: "{{scram bob}}"}
  eve: {scram: "{{scram eve}}"}
datasets:
  base: {owners: ["group:office"], include: [shop.public.base]}
  b: {owners: ["group:office"], include: [shop.public.b]}
rules:
  base: {to: ["group:staff"], on: base}
  take-b: {to: ["group:staff"], on: b, request: {kind: self_service, max: 1h}}
audit: {folder: audit, sync: 100ms}
ldap:
  url: ldaps://%s
  ca: %s
  bind_dn: %q
  bind_password: {file: secrets/ldap}
  user_base: %q
  match: name
  active: (employeeType=active)
  groups: {staff: %q}
  group_base: %q
  interval: 1s
  %s
`

// directoryPolicy is a policy for people whose groups come from a directory.
func directoryPolicy(port int, server *slapd.Server, more string) string {
	return fmt.Sprintf(directoryText, port, server.TLS, server.CA, slapd.Reader, slapd.People, slapd.GroupDN("staff"), slapd.Groups, more)
}

// TestDirectory: who is in a group of the directory sees what the group sees, and who is not any more loses it while they are in: an
// open session, a grant, the portal. What the directory said outlives it, for as long as the file says.
func TestDirectory(t *testing.T) {
	server := slapd.Start(t, slapd.Options{}, slapd.Person("ana", "ana@example.org")+slapd.Person("eve", "eve@example.org")+
		slapd.Group("inner", slapd.DN("ana"))+slapd.Group("staff", slapd.GroupDN("inner"), slapd.DN("nobody")))
	cluster := pgtest.Start(t, pgtest.DefaultMajor)
	cluster.Role(t, "app_owner", "NOLOGIN")
	p := &place{t: t, db: cluster.NewDatabaseNamed(t, "shop"), portal: site.NewPortal(t), tokens: map[string]string{}}
	p.db.Exec(t, schema)
	p.Site = site.New(t, p.db, directoryPolicy(p.portal.Port, server, ""))
	if err := os.WriteFile(filepath.Join(p.Dir, "secrets", "ldap"), []byte(slapd.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.ApplyConsenting(t) // nobody has been looked for yet: what members will hold is built ahead
	if out := p.Must(t, "ldap", "check"); !strings.Contains(out, "ldap:staff: 1 member") || !strings.Contains(out, `"ana": present +staff`) || !strings.Contains(out, `"eve": present`) {
		t.Errorf("ldap check:\n%s", out)
	}
	p.serve()
	p.inGroup(t, server)
	p.disabled(t, server)
	p.directoryDown(t, p.portal.Port, server)
	p.Stop(t)
	trail := p.Must(t, "audit", "search", "--format", "json")
	for _, want := range []string{"groups.changed", "subject.deactivated", "subject.restored", "directory.failed", "directory.answers"} {
		if !strings.Contains(trail, `"kind":"`+want+`"`) {
			t.Errorf("the trail has no %s", want)
		}
	}
	if strings.Contains(trail, slapd.Password) || strings.Contains(p.Log(), slapd.Password) {
		t.Error("the password is in the trail or the log")
	}
}

// inside is an open session of ana's.
func (p *place) inside() *pgx.Conn {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.DSN("ana", "shop"))
	if err != nil {
		p.t.Fatalf("ana does not come in: %v\n%s", err, p.Log())
	}
	p.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (p *place) sees(conn *pgx.Conn, table string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var n int
	return conn.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n)
}

func (p *place) comesToSee(what string) {
	p.t.Helper()
	eventually(p.t, what, func() bool { return seen(p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM base")) })
}

// inGroup: membership through a group in a group, a grant that hangs on it, and the loss of both in an open session.
func (p *place) inGroup(t *testing.T, server *slapd.Server) {
	p.comesToSee("ana, who is in staff")
	if n, err := p.query(p.DSN("eve", "shop"), "SELECT count(*) FROM base"); err == nil {
		t.Errorf("eve, who is in no group: %d rows", n)
	}
	taken := p.take("ana", "take-b", nil)
	conn := p.inside()
	for _, table := range []string{"base", "b"} {
		if err := p.sees(conn, table); err != nil {
			t.Errorf("%s: %v", table, err)
		}
	}
	server.Set(slapd.GroupDN("inner"), "member", slapd.DN("eve"))
	eventually(t, "the open session sees nothing of it any more", func() bool { return p.sees(conn, "base") != nil && p.sees(conn, "b") != nil })
	eventually(t, "the grant is over, because of the group", func() bool {
		var grants []struct{ ID, State, Cause string }
		p.call("ana", http.MethodGet, "grants?all=1", nil, &grants)
		return len(grants) == 1 && grants[0].ID == taken.Grant.ID && grants[0].State == "revoked" && grants[0].Cause == "group_lost"
	})
	eventually(t, "the server has taken the membership back", func() bool {
		return p.db.Query(t, `SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid WHERE r.rolname = 'ana' AND g.rolname LIKE 'postern%'`) == "0"
	})
	eventually(t, "eve is in", func() bool { return seen(p.query(p.DSN("eve", "shop"), "SELECT count(*) FROM base")) })
	server.Set(slapd.GroupDN("inner"), "member", slapd.DN("ana"))
	p.comesToSee("ana again, with no apply in between")
}

// disabled: everything of somebody ends whom the directory disables, and a password opens nothing.
func (p *place) disabled(t *testing.T, server *slapd.Server) {
	conn := p.inside()
	server.Set(slapd.DN("ana"), "employeeType", "away")
	eventually(t, "the open session is closed", func() bool { return p.sees(conn, "base") != nil && conn.IsClosed() })
	eventually(t, "the portal's session is over", func() bool { return p.try("ana", http.MethodGet, "me", nil, nil) == http.StatusUnauthorized })
	if _, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM base"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("ana, disabled, at the gateway: %v", err)
	}
	if code := p.try("", http.MethodPost, "login", map[string]string{"user": "ana", "password": pgtest.PasswordOf("ana")}, nil); code != http.StatusUnauthorized {
		t.Errorf("ana, disabled, at the portal: %d", code)
	}
	server.Set(slapd.DN("ana"), "employeeType", "active")
	p.comesToSee("ana, enabled")
}

// directoryDown: a directory that is away changes nothing at once, not even over a restart; for longer than the limit it does.
func (p *place) directoryDown(t *testing.T, port int, server *slapd.Server) {
	server.Down()
	eventually(t, "that is noticed", func() bool { return strings.Contains(p.Log(), "the directory's answer does not count") })
	p.comesToSee("ana, with the directory away")
	if r := p.Run(t, "ldap", "check"); r.Code != 2 || !strings.Contains(r.Stderr, "away") {
		t.Errorf("ldap check: exit %d\n%s", r.Code, r.Stderr)
	}
	p.Stop(t)
	p.serve()
	p.comesToSee("ana, after a restart with the directory away")
	p.Stop(t)
	server.Up()
	p.WritePolicy(t, directoryPolicy(p.portal.Port, server, "limit: 2s"))
	p.serve()
	p.comesToSee("ana, with the directory back")
	conn := p.inside()
	server.Down()
	eventually(t, "the limit is over", func() bool { return p.sees(conn, "base") != nil })
	server.Up()
	p.comesToSee("ana, with the directory back")
	if out := p.Must(t, "ldap", "check"); !strings.Contains(out, "nothing would change") {
		t.Errorf("ldap check:\n%s", out)
	}
}
