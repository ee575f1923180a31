package scan_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// recording is evidence of real servers and of the machine that they run on, gathered once with every right and every consent. A world that
// starts from it edits a copy and says so.
type recording struct {
	once sync.Once
	text map[string][]byte
}

// badData and goodData are what the two databases of the recording hold.
const badData = `CREATE EXTENSION IF NOT EXISTS pgcrypto;
	CREATE TABLE accounts(id int PRIMARY KEY, password text, old_password text, card_no text, card_hash text, cvv text, stripe text, secret_enc bytea);
	INSERT INTO accounts SELECT i, 'correct horse ' || i, md5(i::text), '4111 1111 1111 1111', encode(sha256(i::text::bytea), 'hex'), (100 + i)::text,
		'%B4111111111111111^DOE/JANE^2512101', ('plain text ' || i)::bytea FROM generate_series(1, 30) i;
	CREATE TABLE people(id int PRIMARY KEY, email text UNIQUE, tenant int); ALTER TABLE people ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON people USING (tenant = 1); CREATE POLICY other ON people USING (tenant = 2);
	CREATE TABLE plain(id int); GRANT SELECT ON people, plain TO reader; GRANT UPDATE ON plain TO reader; GRANT SELECT ON plain TO stranger;
	CREATE VIEW safe AS SELECT id FROM people WHERE tenant = 1; GRANT SELECT ON safe TO reader;
	CREATE PUBLICATION everything FOR ALL TABLES`

const goodData = `CREATE EXTENSION IF NOT EXISTS pgcrypto;
	CREATE TABLE accounts(id int PRIMARY KEY, password text, old_password text, card_no text, card_hash text, cvv text, stripe text, secret_enc bytea);
	INSERT INTO accounts SELECT i, '$2a$12$' || repeat('a', 53), '$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA', 'tok_' || i, 'hmac:' || i, 'n/a', 'x', decode('c30d04070302', 'hex') || sha256(i::text::bytea)
		FROM generate_series(1, 30) i;
	CREATE TABLE people(id int PRIMARY KEY, email text, tenant int); ALTER TABLE people ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON people USING (tenant = 1); CREATE POLICY wall ON people AS RESTRICTIVE USING (tenant = 1);
	COMMENT ON COLUMN people.email IS 'contact.email';
	CREATE VIEW safe WITH (security_barrier) AS SELECT id FROM people WHERE tenant = 1; GRANT SELECT ON safe TO reader;
	CREATE PUBLICATION selected FOR TABLE accounts`

// take gathers the evidence of one of the two databases, or returns a copy of what was gathered before.
func (r *recording) take(t *testing.T, database string) *catalog.Evidence {
	t.Helper()
	r.once.Do(func() { r.text = recordAll(t) })
	var e catalog.Evidence
	if err := json.Unmarshal(r.text[database], &e); err != nil {
		t.Fatal(err)
	}
	if e.Host == nil {
		t.Fatalf("the machine was not looked at: %v", e.Unseen)
	}
	return &e
}

func recordAll(t *testing.T) map[string][]byte {
	t.Helper()
	c := pgtest.Start(t, pgtest.DefaultMajor, pgtest.Setting("restrict_nonsystem_relation_kind", ""), pgtest.Setting("wal_level", "logical"), pgtest.HBA("host all certified 10.0.0.0/8 scram-sha-256"))
	c.Exec(t, `CREATE ROLE weak LOGIN PASSWORD 'weak'; CREATE ROLE common LOGIN PASSWORD 'changeme'; CREATE ROLE strong LOGIN PASSWORD 'k3Jd-92mx-PQow-11zz';
		CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE certified LOGIN; CREATE ROLE saver LOGIN SUPERUSER; CREATE ROLE dumper LOGIN;
		CREATE ROLE gone LOGIN; CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN VALID UNTIL '2027-01-01';
		ALTER ROLE strong SET restrict_nonsystem_relation_kind = 'view, foreign-table'`)
	out := map[string][]byte{}
	for name, sql := range map[string]string{"bad": badData, "good": goodData} {
		db := c.NewDatabaseNamed(t, name)
		db.Exec(t, sql)
		target, err := postgres.ScanDSN(db.DSN(pgtest.SuperUser))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		e, err := target.Gather(ctx, postgres.Gather{Databases: []string{name}, Now: today, HostRoot: "/", ReadLogs: true, SampleData: true, TryPasswords: true})
		if err != nil {
			t.Fatal(err)
		}
		if out[name], err = json.Marshal(e); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// replaceFile changes the first file of a role, or adds one.
func replaceFile(e *catalog.Evidence, role string, change func(*catalog.File)) {
	h := e.Host
	for i := range h.Files {
		if h.Files[i].Role == role {
			change(&h.Files[i])
			return
		}
	}
	f := catalog.File{Path: "/srv/" + role, Role: role, Kind: "file", UID: h.ServerUID, GID: h.ServerGID, Mode: 0o600, Notes: map[string]string{}}
	change(&f)
	h.Files = append(h.Files, f)
}

// dropFiles takes the files of a role away.
func dropFiles(e *catalog.Evidence, role string) {
	var out []catalog.File
	for _, f := range e.Host.Files {
		if f.Role != role {
			out = append(out, f)
		}
	}
	e.Host.Files = out
}

// TestOtherMachine: a server that is not this machine's is not judged by this machine's files.
func TestOtherMachine(t *testing.T) {
	c := pgtest.Default(t)
	for name, root := range map[string]string{"another machine's files": t.TempDir(), "another server's data directory": foreignCluster(t, c)} {
		target, err := postgres.ScanDSN(c.DSN(pgtest.SuperUser, "postgres"))
		if err != nil {
			t.Fatal(err)
		}
		e, err := target.Gather(context.Background(), postgres.Gather{Databases: []string{"postgres"}, Now: today, HostRoot: root})
		if err != nil {
			t.Fatal(err)
		}
		if e.Host != nil || e.Missing(catalog.FactHost, "") == nil {
			t.Errorf("%s: the machine was taken for the server's", name)
		}
	}
}

// foreignCluster is a folder in which the server's data directory has another identifier.
func foreignCluster(t *testing.T, c *pgtest.Cluster) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, c.DataDir)
	control := make([]byte, 8192)
	for name, text := range map[string]string{"global/pg_control": string(control), "postmaster.pid": "1\n" + c.DataDir + "\n0\n1\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// recordings is gathered when the first world asks for it. Its server is gone by the end of that world; its evidence stays.
var recordings recording

// primaryIs gives the scan the recording as the primary of what is scanned.
func primaryIs(r *recording) func(*scan.Env) {
	return func(env *scan.Env) {
		var e catalog.Evidence
		if json.Unmarshal(r.text["good"], &e) == nil {
			env.Primary = &e
		}
	}
}
