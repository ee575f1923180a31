package postgres

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/discover"
)

//go:embed sample/*.sql
var sampleQuestions embed.FS

// Feed answers discover's questions from a PostgreSQL server: one connection per job, opened when first needed. Every
// transaction is read-only, with timeouts, an empty search_path and row_security off, so that a filtered table errors instead
// of showing a subset.
type Feed struct {
	cfg   Config
	idle  chan *Server
	slots chan struct{}

	standbys []*standby
	say      func(string)
	mu       sync.Mutex
	sources  []string // of samples
}

var _ discover.Feed = (*Feed)(nil)

// Limits of a sampling transaction (classification.md §2.2).
const (
	sampleStatementTimeout = 15 * time.Second
	sampleLockTimeout      = 500 * time.Millisecond
	sampleSmallPages       = 10000
	sampleSeen             = 50  // times the wanted rows, of what only can be read from its beginning
	sampleUnknownPages     = 120 // read whole though nobody knows how many rows are in them
	sampleUnknownRows      = 20  // of a page, where nobody knows
	sampleFetch            = 250 // rows per FETCH, between looks at the byte limit
)

// NewFeed makes a feed with at most jobs connections.
func NewFeed(cfg Config, jobs int) *Feed {
	if cfg.StatementTimeout == 0 {
		cfg.StatementTimeout = sampleStatementTimeout
	}
	if cfg.LockTimeout == 0 {
		cfg.LockTimeout = sampleLockTimeout
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "postern discover"
	}
	jobs = max(1, jobs)
	return &Feed{cfg: cfg, idle: make(chan *Server, jobs), slots: make(chan struct{}, jobs)}
}

// Close ends all idle connections. Call it when no method is running.
func (f *Feed) Close(ctx context.Context) {
	for _, s := range f.standbys {
		s.feed.Close(ctx)
	}
	for {
		select {
		case s := <-f.idle:
			_ = s.Close(ctx) // nothing was written
		default:
			return
		}
	}
}

// with runs one read-only transaction on a free connection. A connection that broke is dropped, and what it was used for is done once
// more on a new one: work starts anew then.
func (f *Feed) with(ctx context.Context, work func(tx pgx.Tx) error) error {
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.slots }()
	var s *Server
	select {
	case s = <-f.idle:
	default:
		var err error
		if s, err = Open(ctx, f.cfg); err != nil {
			return err
		}
	}
	err := s.readOnly(ctx, work)
	if ctx.Err() == nil && s.conn.IsClosed() && lost(err) {
		if s, err = Open(ctx, f.cfg); err != nil {
			return err
		}
		err = s.readOnly(ctx, work)
	}
	if s.conn.IsClosed() {
		return err
	}
	f.idle <- s
	return err
}

// lost says whether a refusal is about the connection and not about what was asked: the server ended it (57P…), or the line broke,
// which has no code of the server.
func lost(err error) bool {
	var no *discover.NotExamined
	return errors.As(err, &no) && no.Why == discover.WhyError && (no.Code == "" || strings.HasPrefix(no.Code, "57P") || strings.HasPrefix(no.Code, "08"))
}

// readOnly is one transaction that can change nothing and see no subset.
func (s *Server) readOnly(ctx context.Context, work func(tx pgx.Tx) error) error {
	tx, err := s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return sampleRefusal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // read only: nothing to lose
	// Compiling the catalog query takes the server ten times as long as answering it.
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = ''; SET LOCAL row_security = off; SET LOCAL jit = off"); err != nil {
		return sampleRefusal(err)
	}
	// A database in SQL_ASCII holds any bytes: asked for UTF-8, the server refuses a whole answer for one of them that is none.
	if s.conn.PgConn().ParameterStatus("server_encoding") == "SQL_ASCII" {
		if _, err := tx.Exec(ctx, "SET LOCAL client_encoding = 'SQL_ASCII'"); err != nil {
			return sampleRefusal(err)
		}
	}
	return work(tx)
}

// validText is what the server sent as text that can be judged and printed.
func validText(raw []byte) string { return strings.ToValidUTF8(string(raw), "\ufffd") }

// sampleRefusal turns a server's error into one without its message, which may quote data.
func sampleRefusal(err error) error {
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return &discover.NotExamined{Why: discover.WhyError}
	}
	why := discover.WhyError
	switch pg.Code {
	case "42501":
		why = discover.WhyPrivilege
		if strings.Contains(pg.Message, "row-level security") || pg.Routine == "check_enable_rls" {
			why = discover.WhyRowSecurity
		}
	case "57014", "25P04":
		why = discover.WhyTimeout
	case "55P03":
		why = discover.WhyLocked
	}
	return &discover.NotExamined{Why: why, Code: pg.Code}
}

func sampleQuestion(name string) string {
	text, err := sampleQuestions.ReadFile("sample/" + name + ".sql")
	if err != nil {
		return "" // cannot be: the tests ask every question
	}
	return string(text)
}

type columnJSON struct {
	Num        int              `json:"num"`
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Base       string           `json:"base"`
	Domain     string           `json:"domain"`
	Enum       []string         `json:"enum"`
	TypeID     int64            `json:"typeid"`
	Comment    string           `json:"comment"`
	NotNull    bool             `json:"notnull"`
	Surrogate  bool             `json:"surrogate"`
	Select     bool             `json:"select"`
	Primary    bool             `json:"primary"`
	Unique     bool             `json:"unique"`
	References *classify.Target `json:"references"`
}

func (c *columnJSON) facts(types composites) classify.Column {
	out := classify.Column{
		Name: c.Name, Type: c.Type, Base: c.Base, Domain: c.Domain, EnumLabels: c.Enum, Comment: c.Comment, NotNull: c.NotNull,
		Unique: c.Unique || c.Primary, Primary: c.Primary, Surrogate: c.Surrogate,
	}
	if c.References != nil {
		out.References = *c.References
	}
	out.Fields = types.fields(c.TypeID, compositeDepth)
	return out
}

// composites are the types that are, or lead to, composite types, by their OID.
type composites map[int64]compositeType

type compositeType struct {
	below  int64 // what is below a domain or an array
	fields []columnJSON
}

// compositeDepth bounds how deep types may lie in each other.
const compositeDepth = 8

// fields are the attributes of a type, or of what it is a domain or an array of.
func (t composites) fields(oid int64, depth int) []classify.Column {
	typ, ok := t[oid]
	if !ok || depth == 0 {
		return nil
	}
	if typ.fields == nil {
		return t.fields(typ.below, depth-1)
	}
	var out []classify.Column
	for i := range typ.fields {
		c := &typ.fields[i]
		out = append(out, classify.Column{Name: c.Name, Type: c.Type, Base: c.Base, Domain: c.Domain, Fields: t.fields(c.TypeID, depth-1)})
	}
	return out
}

func readComposites(ctx context.Context, tx pgx.Tx) (composites, error) {
	rows, err := tx.Query(ctx, sampleQuestion("composites"))
	if err != nil {
		return nil, sampleRefusal(err)
	}
	defer rows.Close()
	out := composites{}
	for rows.Next() {
		var oid int64
		var typ compositeType
		var fields *string
		if err := rows.Scan(&oid, &typ.below, &fields); err != nil {
			return nil, sampleRefusal(err)
		}
		if fields != nil {
			if err := json.Unmarshal([]byte(*fields), &typ.fields); err != nil {
				return nil, fmt.Errorf("read composite type %d: %w", oid, err)
			}
		}
		out[oid] = typ
	}
	return out, sampleRefusal(rows.Err())
}

// Catalog reads relations and columns.
func (f *Feed) Catalog(ctx context.Context) (*discover.Catalog, error) {
	out := &discover.Catalog{}
	err := f.with(ctx, func(tx pgx.Tx) error {
		out.Tables = nil
		if err := tx.QueryRow(ctx, "SELECT current_database(), current_user").Scan(&out.Database, &out.User); err != nil {
			return sampleRefusal(err)
		}
		// The catalog of a large database takes longer than a sample may, and holds up nobody.
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '120s'"); err != nil {
			return sampleRefusal(err)
		}
		types, err := readComposites(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sampleQuestion("relations"))
		if err != nil {
			return sampleRefusal(err)
		}
		defer rows.Close()
		for rows.Next() {
			t, err := scanRelation(rows, types)
			if err != nil {
				return err
			}
			out.Tables = append(out.Tables, *t)
		}
		return sampleRefusal(rows.Err())
	})
	if err != nil {
		return nil, fmt.Errorf("read the catalog of %s: %w", f.cfg.Address(), err)
	}
	return out, nil
}

func scanRelation(rows pgx.Rows, types composites) (*discover.Table, error) {
	var t discover.Table
	var oid int64
	var kind string
	var partition bool
	var parent, columns, views, query, local *string
	err := rows.Scan(&oid, &t.Schema, &t.Name, &kind, &partition, &t.Comment, &t.Rows, &t.Pages, &t.Usage, &t.RowSecurity, &t.Stale, &parent, &columns, &views, &query, &local, &t.Away)
	if err != nil {
		return nil, sampleRefusal(err)
	}
	for _, name := range []*string{&t.Schema, &t.Name, &t.Comment} {
		*name = validText([]byte(*name))
	}
	if query != nil {
		t.Origins = viewOrigins(*query)
	}
	t.Mixed = local != nil
	t.OID, t.Kind = uint32(oid), kind[0] //nolint:gosec // an OID is 32 bits wide
	for _, part := range []struct {
		text *string
		into any
	}{{parent, &t.Parent}, {views, &t.ViewColumns}, {local, &t.Local}} {
		if part.text != nil {
			if err := json.Unmarshal([]byte(*part.text), part.into); err != nil {
				return nil, fmt.Errorf("read relation %s.%s: %w", t.Schema, t.Name, err)
			}
		}
	}
	var list []columnJSON
	if columns != nil {
		if err := json.Unmarshal([]byte(*columns), &list); err != nil {
			return nil, fmt.Errorf("read columns of %s.%s: %w", t.Schema, t.Name, err)
		}
	}
	for i := range list {
		t.Columns = append(t.Columns, discover.Column{Column: list[i].facts(types), Num: list[i].Num, CanSelect: list[i].Select})
	}
	return &t, nil
}

// Stats reads pg_stats of the tables.
func (f *Feed) Stats(ctx context.Context, tables []*discover.Table, each func(*discover.Table, int, classify.Values)) error {
	type key struct{ schema, table string }
	byName := map[key]*discover.Table{}
	var schemas, names []string
	for _, t := range tables {
		byName[key{t.Schema, t.Name}] = t
		schemas, names = append(schemas, t.Schema), append(names, t.Name)
	}
	return f.with(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sampleQuestion("stats"), schemas, names)
		if err != nil {
			return sampleRefusal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var schema, table, column string
			var common, bounds, elems []byte
			v := classify.Values{Stats: true}
			if err := rows.Scan(&schema, &table, &column, &v.NullShare, &v.Distinct, &common, &bounds, &elems); err != nil {
				return sampleRefusal(err)
			}
			t := byName[key{schema, table}]
			for i := range t.Columns {
				if t.Columns[i].Name == column {
					v.Texts = append(classify.ArrayElements(validText(common)), classify.ArrayElements(validText(bounds))...)
					if len(elems) > 0 && strings.HasSuffix(t.Columns[i].Type, "[]") {
						v.Texts = append(v.Texts, validText(elems))
					}
					each(t, i, v)
				}
			}
		}
		return sampleRefusal(rows.Err())
	})
}

// Readers asks the server's own privilege functions.
func (f *Feed) Readers(ctx context.Context, columns []discover.Place) (map[discover.Place][]string, error) {
	out := map[discover.Place][]string{}
	var oids []uint32
	var nums []int16
	for _, p := range columns {
		oids, nums = append(oids, p.OID), append(nums, int16(p.Num)) //nolint:gosec // column numbers end at 1600
	}
	err := f.with(ctx, func(tx pgx.Tx) error {
		clear(out)
		rows, err := tx.Query(ctx, sampleQuestion("readers"), oids, nums)
		if err != nil {
			return sampleRefusal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var p discover.Place
			var num int16
			var role string
			if err := rows.Scan(&p.OID, &num, &role); err != nil {
				return sampleRefusal(err)
			}
			p.Num = int(num)
			out[p] = append(out[p], role)
		}
		return sampleRefusal(rows.Err())
	})
	return out, err
}

// Tables changes whenever a relation that holds rows appears or goes, or gets another column.
func (f *Feed) Tables(ctx context.Context) (string, error) {
	var state string
	err := f.with(ctx, func(tx pgx.Tx) error {
		return sampleRefusal(tx.QueryRow(ctx, sampleQuestion("tables")).Scan(&state))
	})
	return state, err
}
