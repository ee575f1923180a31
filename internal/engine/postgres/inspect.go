package postgres

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
)

// questions holds one file per question that is asked of the server. NAME.16.sql is the variant from major 16.
//
//go:embed sql
var questions embed.FS

// question returns the text of a question for a major version.
func question(folder, name string, major int) string {
	for v := major; v > 13; v-- {
		if text, err := questions.ReadFile(fmt.Sprintf("sql/%s/%s.%d.sql", folder, name, v)); err == nil {
			return string(text)
		}
	}
	text, err := questions.ReadFile("sql/" + folder + "/" + name + ".sql")
	if err != nil {
		return "" // cannot be: TestQuestionsExist reads each
	}
	if strings.Contains(string(text), "/*rendered*/") {
		return strings.ReplaceAll(string(text), "/*rendered*/", question("inspect", "rendered", major))
	}
	return string(text)
}

// Inspect reads what the database and its cluster are, in one repeatable-read, read-only transaction. Columns, keys and triggers
// are read for the given schemas, or for all when there are none.
func (s *Server) Inspect(ctx context.Context, schemas []string) (*catalog.Snapshot, error) {
	tx, err := s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", s.cfg.Address(), err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // read only: nothing to lose
	return s.inspect(ctx, tx, schemas)
}

// inspect is Inspect within a transaction of the caller's.
func (s *Server) inspect(ctx context.Context, tx pgx.Tx, schemas []string) (*catalog.Snapshot, error) {
	snap := &catalog.Snapshot{}
	var hba, wall, key bool
	major := serverMajor(s.conn)
	if schemas == nil {
		schemas = []string{}
	}
	parts := []struct {
		name string
		args []any
		into any
	}{
		{"server", nil, snap},
		{"roles", nil, &snap.Roles},
		{"memberships", nil, &snap.Memberships},
		{"schemas", nil, &snap.Schemas},
		{"relations", nil, &snap.Relations},
		{"columns", []any{schemas}, &[]ofRelation[catalog.Column]{}},
		{"keys", []any{schemas}, &[]ofRelation[catalog.Key]{}},
		{"indexes", []any{schemas}, &[]ofRelation[index]{}},
		{"foreignkeys", []any{schemas}, &[]ofRelation[catalog.ForeignKey]{}},
		{"policies", nil, &[]ofRelation[catalog.RowPolicy]{}},
		{"triggers", []any{schemas}, &[]ofRelation[catalog.Trigger]{}},
		{"views", nil, &[]view{}},
		{"functions", nil, &snap.Functions},
		{"types", nil, &snap.Types},
		{"languages", nil, &snap.Languages},
		{"extensions", nil, &snap.Extensions},
		{"largeobjects", nil, &snap.LargeObjects},
		{"defaultacls", nil, &snap.DefaultACLs},
		{"operators", nil, &snap.Operators},
		{"databases", nil, &snap.Databases},
	}
	batch := &pgx.Batch{}
	batch.Queue(question("inspect", "access", major))
	for _, p := range parts {
		batch.Queue(question("inspect", p.name, major), p.args...)
	}
	results := tx.SendBatch(ctx, batch)
	defer results.Close()
	if err := results.QueryRow().Scan(&hba, &wall, &key); err != nil {
		return nil, fmt.Errorf("inspect %s: what may be read: %w", s.cfg.Address(), err)
	}
	for _, p := range parts {
		if err := scanJSON(results.QueryRow(), p.into); err != nil {
			return nil, fmt.Errorf("inspect %s: read %s: %w", s.cfg.Address(), p.name, err)
		}
	}
	if err := results.Close(); err != nil {
		return nil, fmt.Errorf("inspect %s: %w", s.cfg.Address(), err)
	}
	byOID := map[catalog.OID]*catalog.Relation{}
	for i := range snap.Relations {
		byOID[snap.Relations[i].OID] = &snap.Relations[i]
	}
	for _, p := range parts {
		attach(byOID, p.into)
	}
	if err := s.inspectExtras(ctx, tx, snap, major, hba, wall, key); err != nil {
		return nil, fmt.Errorf("inspect %s: %w", s.cfg.Address(), err)
	}
	sortSnapshot(snap)
	return snap, nil
}

// inspectExtras reads what needs rights that the login may not have.
func (s *Server) inspectExtras(ctx context.Context, tx pgx.Tx, snap *catalog.Snapshot, major int, hba, wall, key bool) error {
	if hba {
		if err := scanJSON(tx.QueryRow(ctx, question("inspect", "hba", major)), &snap.HBA); err != nil {
			return fmt.Errorf("read pg_hba.conf: %w", err)
		}
	}
	if !wall {
		return nil
	}
	var w catalog.Wall
	err := scanJSON(tx.QueryRow(ctx, question("inspect", "wall", major)), &w)
	if err != nil {
		return fmt.Errorf("read Postern's own tables: %w", err)
	}
	if key {
		if err := tx.QueryRow(ctx, question("inspect", "key", major)).Scan(&w.KeyDigest); err != nil {
			return fmt.Errorf("read the digest of the pseudonym keys: %w", err)
		}
	}
	snap.Wall = &w
	return nil
}

// ofRelation is a part of a relation and the relation it belongs to.
type ofRelation[T any] struct {
	relation catalog.OID
	part     T
}

// UnmarshalJSON reads the relation's OID and the part from one flat object.
func (o *ofRelation[T]) UnmarshalJSON(text []byte) error {
	var head struct{ Relation catalog.OID }
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	o.relation = head.Relation
	return json.Unmarshal(text, &o.part)
}

// index is the name of a relation's index.
type index struct{ Name string }

// view is a view's definition.
type view struct {
	Relation   catalog.OID
	Definition string
	DependsOn  []catalog.Name
}

// attach puts parts where they belong.
func attach(byOID map[catalog.OID]*catalog.Relation, parts any) {
	switch all := parts.(type) {
	case *[]ofRelation[catalog.Column]:
		join(byOID, *all, func(r *catalog.Relation, c catalog.Column) { c.Table = r.Name; r.Columns = append(r.Columns, c) })
	case *[]ofRelation[catalog.Key]:
		join(byOID, *all, func(r *catalog.Relation, k catalog.Key) { r.Keys = append(r.Keys, k) })
	case *[]ofRelation[index]:
		join(byOID, *all, func(r *catalog.Relation, i index) { r.Indexes = append(r.Indexes, i.Name) })
	case *[]ofRelation[catalog.ForeignKey]:
		join(byOID, *all, func(r *catalog.Relation, k catalog.ForeignKey) { r.ForeignKeys = append(r.ForeignKeys, k) })
	case *[]ofRelation[catalog.RowPolicy]:
		join(byOID, *all, func(r *catalog.Relation, p catalog.RowPolicy) { r.Policies = append(r.Policies, p) })
	case *[]ofRelation[catalog.Trigger]:
		join(byOID, *all, func(r *catalog.Relation, t catalog.Trigger) { r.Triggers = append(r.Triggers, t) })
	case *[]view:
		for _, v := range *all {
			if r := byOID[v.Relation]; r != nil {
				r.ViewDefinition, r.DependsOn = v.Definition, v.DependsOn
			}
		}
	}
}

func join[T any](byOID map[catalog.OID]*catalog.Relation, parts []ofRelation[T], add func(*catalog.Relation, T)) {
	for _, p := range parts {
		if r := byOID[p.relation]; r != nil {
			add(r, p.part)
		}
	}
}

// scanJSON reads a row of one JSON document.
func scanJSON(row pgx.Row, into any) error {
	var text []byte
	if err := row.Scan(&text); err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// sortSnapshot makes the order of a snapshot independent of the server's.
func sortSnapshot(s *catalog.Snapshot) {
	slices.SortFunc(s.Roles, func(a, b catalog.Role) int { return cmp.Compare(a.Name, b.Name) })
	for i := range s.Roles {
		slices.SortFunc(s.Roles[i].Config, func(a, b catalog.RoleSetting) int {
			return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.Name, b.Name))
		})
	}
	slices.SortFunc(s.Memberships, func(a, b catalog.Membership) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Member, b.Member), cmp.Compare(a.Grantor, b.Grantor))
	})
	slices.SortFunc(s.Schemas, func(a, b catalog.Schema) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Relations, func(a, b catalog.Relation) int { return a.Name.Compare(b.Name) })
	slices.SortFunc(s.Functions, func(a, b catalog.Function) int {
		return cmp.Or(a.Name.Compare(b.Name), cmp.Compare(a.Arguments, b.Arguments))
	})
	slices.SortFunc(s.Types, func(a, b catalog.Type) int { return a.Name.Compare(b.Name) })
	slices.SortFunc(s.Languages, func(a, b catalog.Language) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Extensions, func(a, b catalog.Extension) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.LargeObjects, func(a, b catalog.LargeObject) int { return cmp.Compare(a.OID, b.OID) })
	slices.SortFunc(s.Databases, func(a, b catalog.Database) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.DefaultACLs, func(a, b catalog.DefaultACL) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Kind, b.Kind))
	})
	for _, acl := range allACLs(s) {
		slices.SortFunc(*acl, func(a, b catalog.Grant) int {
			return cmp.Or(cmp.Compare(a.Grantee, b.Grantee), cmp.Compare(a.Grantor, b.Grantor), cmp.Compare(a.Privilege, b.Privilege))
		})
	}
}

// allACLs points at every ACL of a snapshot.
func allACLs(s *catalog.Snapshot) []*[]catalog.Grant {
	all := []*[]catalog.Grant{&s.Database.ACL}
	for i := range s.Databases {
		all = append(all, &s.Databases[i].ACL)
	}
	for i := range s.Schemas {
		all = append(all, &s.Schemas[i].ACL)
	}
	for i := range s.Relations {
		all = append(all, &s.Relations[i].ACL)
		for j := range s.Relations[i].Columns {
			all = append(all, &s.Relations[i].Columns[j].ACL)
		}
	}
	for i := range s.Functions {
		all = append(all, &s.Functions[i].ACL)
	}
	for i := range s.Languages {
		all = append(all, &s.Languages[i].ACL)
	}
	for i := range s.LargeObjects {
		all = append(all, &s.LargeObjects[i].ACL)
	}
	for i := range s.DefaultACLs {
		all = append(all, &s.DefaultACLs[i].ACL)
	}
	return all
}

// serverMajor reads the major version from what the server said at login.
func serverMajor(conn *pgx.Conn) int {
	var major int
	_, _ = fmt.Sscanf(conn.PgConn().ParameterStatus("server_version"), "%d", &major) // 0 when unreadable: the oldest variant
	return major
}
