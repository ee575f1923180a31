package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/secret"
)

// errProbeLogin: the server does not let the probe in, for instance because pg_hba.conf names the identity roles one by one.
var errProbeLogin = errors.New("login refused")

// probePrefix begins the name of every probe role; eight random digits follow.
const probePrefix = "postern_probe_"

// probeComment marks probe roles, so that one that a crash left behind can be told and dropped.
const probeComment = "Postern probe: made and dropped by postern verify"

// probe is the temporary login role of one Verify.
type probe struct {
	server   *Server // the provisioner's
	role     string
	password secret.Text
	schemas  []string
	member   string // the role it is a member of now
	tried    map[string]bool
}

// newProbe drops what an earlier run left behind and makes the role. It is good for an hour, whatever happens to this process.
func newProbe(ctx context.Context, s *Server, schemas []string) (*probe, error) {
	random := make([]byte, 36)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("make the probe's password: %w", err)
	}
	p := &probe{server: s, role: probePrefix + hex.EncodeToString(random[:4]), schemas: schemas, tried: map[string]bool{}}
	if err := p.sweep(ctx); err != nil {
		return nil, err
	}
	key := secret.New(hex.EncodeToString(random[4:]))
	p.password = IdentityPassword(key, "probe", p.role, 0)
	verifier, err := IdentityVerifier(key, "probe", p.role, 0)
	if err != nil {
		return nil, err
	}
	var until string
	if err := s.conn.QueryRow(ctx, "SELECT (now() + interval '1 hour')::text").Scan(&until); err != nil {
		return nil, fmt.Errorf("make the probe: %w", err)
	}
	return p, p.run(ctx,
		fmt.Sprintf("CREATE ROLE %s LOGIN INHERIT PASSWORD %s VALID UNTIL %s", quoteIdent(p.role), quoteLiteral(verifier), quoteLiteral(until)),
		fmt.Sprintf("COMMENT ON ROLE %s IS %s", quoteIdent(p.role), quoteLiteral(probeComment)))
}

func (p *probe) run(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := p.server.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare the probe %s: %w", p.role, err)
		}
	}
	return nil
}

// sweep drops probes that a crash left behind.
func (p *probe) sweep(ctx context.Context) error {
	rows, err := p.server.conn.Query(ctx, `SELECT r.rolname::text FROM pg_roles r
		WHERE left(r.rolname, $1) = $2 AND shobj_description(r.oid, 'pg_authid') = $3`, len(probePrefix), probePrefix, probeComment)
	if err != nil {
		return fmt.Errorf("look for old probes: %w", err)
	}
	old, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for old probes: %w", err)
	}
	for _, role := range old {
		stale := &probe{server: p.server, role: role, schemas: p.schemas}
		if err := stale.drop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// drop removes the role and every trace of it.
func (p *probe) drop(ctx context.Context) error {
	role := quoteIdent(p.role)
	var statements []string
	for _, schema := range p.schemas {
		statements = append(statements, "REVOKE USAGE ON SCHEMA "+quoteIdent(schema)+" FROM "+role)
	}
	statements = append(statements, "DELETE FROM postern.attribute WHERE role = "+quoteLiteral(p.role),
		"DELETE FROM postern.holds WHERE role = "+quoteLiteral(p.role), "DROP ROLE "+role)
	if err := p.run(ctx, statements...); err != nil {
		return fmt.Errorf("drop the probe: %w", err)
	}
	return nil
}

// join makes the probe a member of one role, and of no other.
func (p *probe) join(ctx context.Context, role string) error {
	if err := p.leave(ctx); err != nil {
		return err
	}
	p.member = role
	return p.run(ctx, "GRANT "+quoteIdent(role)+" TO "+quoteIdent(p.role))
}

func (p *probe) leave(ctx context.Context) error {
	if p.member == "" {
		return nil
	}
	role := p.member
	p.member = ""
	return p.run(ctx, "REVOKE "+quoteIdent(role)+" FROM "+quoteIdent(p.role))
}

// become gives the probe a subject's attributes, and lets it hold the rules that are active.
func (p *probe) become(ctx context.Context, subject verifySubject, rules []*plan.Rule, active func(*plan.Rule) bool) error {
	role := quoteLiteral(p.role)
	statements := []string{"DELETE FROM postern.attribute WHERE role = " + role, "DELETE FROM postern.holds WHERE role = " + role}
	for key, value := range subject.attributes {
		statements = append(statements, fmt.Sprintf("INSERT INTO postern.attribute (role, key, value) VALUES (%s, %s, %s)", role, quoteLiteral(key), quoteLiteral(value)))
	}
	for _, rule := range rules {
		if rule.Ends {
			until := "now() + interval '1 hour'"
			if !active(rule) {
				until = "now() - interval '1 second'"
			}
			statements = append(statements, fmt.Sprintf("INSERT INTO postern.holds (role, rule, until) VALUES (%s, %s, %s)", role, quoteLiteral(rule.Name), until))
		}
	}
	return p.run(ctx, statements...)
}

// snapshotPair is the provisioner's and the probe's transaction on the same snapshot.
type snapshotPair struct {
	base, probe pgx.Tx
	login       *Server
}

func (s *snapshotPair) close(ctx context.Context) {
	_ = s.probe.Rollback(ctx) // both read only
	_ = s.base.Rollback(ctx)
	_ = s.login.Close(ctx)
}

// snapshot logs the probe in and opens the two transactions.
func (p *probe) snapshot(ctx context.Context) (*snapshotPair, error) {
	login, err := p.login(ctx)
	if err != nil {
		return nil, err
	}
	return p.pair(ctx, login)
}

// snapshotAs logs in as a member of one role, which has the right to connect, and then becomes a member of another.
func (p *probe) snapshotAs(ctx context.Context, role, connect string) (*snapshotPair, error) {
	if err := p.join(ctx, connect); err != nil {
		return nil, err
	}
	login, err := p.login(ctx)
	if err != nil {
		return nil, err
	}
	err = p.join(ctx, role)
	for _, schema := range p.schemas {
		if err == nil {
			err = p.run(ctx, "GRANT USAGE ON SCHEMA "+quoteIdent(schema)+" TO "+quoteIdent(p.role))
		}
	}
	if err != nil {
		return nil, errors.Join(err, login.Close(ctx))
	}
	return p.pair(ctx, login)
}

func (p *probe) login(ctx context.Context) (*Server, error) {
	cfg := p.server.cfg
	cfg.User, cfg.Password, cfg.CertFile, cfg.KeyFile = p.role, p.password, "", ""
	cfg.ApplicationName = "postern verify"
	login, err := Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProbeLogin, err)
	}
	return login, nil
}

// pair opens a transaction of the provisioner's and one of the probe's that see the same state of the database.
func (p *probe) pair(ctx context.Context, login *Server) (*snapshotPair, error) {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	base, err := p.server.conn.BeginTx(ctx, options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a snapshot: %w", err), login.Close(ctx))
	}
	probe, err := login.conn.BeginTx(ctx, options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a snapshot: %w", err), base.Rollback(ctx), login.Close(ctx))
	}
	pair := &snapshotPair{base: base, probe: probe, login: login}
	var id string
	err = base.QueryRow(ctx, "SELECT pg_catalog.pg_export_snapshot()").Scan(&id)
	if err == nil {
		_, err = probe.Exec(ctx, "SET TRANSACTION SNAPSHOT "+quoteLiteral(id))
	}
	for _, tx := range []pgx.Tx{base, probe} {
		if err == nil {
			// Tables may be large; row security that would restrict the provisioner must be an error, not fewer rows.
			_, err = tx.Exec(ctx, "SET LOCAL statement_timeout = '10min'; SET LOCAL idle_in_transaction_session_timeout = '30min'", pgx.QueryExecModeSimpleProtocol)
		}
	}
	if err == nil {
		_, err = base.Exec(ctx, "SET LOCAL row_security = off")
	}
	if err != nil {
		pair.close(ctx)
		return nil, fmt.Errorf("open a snapshot: %w", err)
	}
	return pair, nil
}

// withoutProbes is a snapshot as it would be if no verify were at work. A probe that a crash left behind is for plan to name.
func withoutProbes(snap *catalog.Snapshot) *catalog.Snapshot {
	probes := map[string]bool{}
	for i := range snap.Roles {
		r := &snap.Roles[i]
		if strings.HasPrefix(r.Name, probePrefix) && r.Comment == probeComment && !r.Superuser && !r.BypassRLS && !r.CreateRole {
			probes[r.Name] = true
		}
	}
	if len(probes) == 0 {
		return snap
	}
	out := *snap
	out.Roles = slices.DeleteFunc(slices.Clone(snap.Roles), func(r catalog.Role) bool { return probes[r.Name] })
	out.Memberships = slices.DeleteFunc(slices.Clone(snap.Memberships), func(m catalog.Membership) bool { return probes[m.Role] || probes[m.Member] })
	out.Schemas = slices.Clone(snap.Schemas)
	for i := range out.Schemas {
		out.Schemas[i].ACL = slices.DeleteFunc(slices.Clone(out.Schemas[i].ACL), func(g catalog.Grant) bool { return probes[g.Grantee] })
	}
	if snap.Wall != nil {
		wall := *snap.Wall
		wall.Attributes = slices.DeleteFunc(slices.Clone(wall.Attributes), func(a catalog.Attribute) bool { return probes[a.Role] })
		wall.Holds = slices.DeleteFunc(slices.Clone(wall.Holds), func(h catalog.Hold) bool { return probes[h.Role] })
		out.Wall = &wall
	}
	return &out
}
