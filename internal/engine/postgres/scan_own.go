package postgres

import (
	"context"
	"fmt"

	"github.com/postern-sec/postern/internal/catalog"
)

// own asks the questions of a site's own checks, each behind a savepoint in the scan's read-only transaction, through a cursor from which
// no more than the wanted rows are fetched. first tells whether this is the database that the login named.
func (s *scanSession) own(ctx context.Context, first bool) {
	database := s.conn.Config().Database
	for i := range s.gather.Own {
		q := &s.gather.Own[i]
		if !q.Each && !first {
			continue
		}
		unseen := func(why string, broken bool) {
			s.evidence.Unseen = append(s.evidence.Unseen, catalog.Unseen{Fact: q.Fact, Database: database, Why: why, Broken: broken})
		}
		if s.evidence.Server.Access.Superuser && !s.gather.TrustOwn {
			unseen("a superuser asks no question of a site's own without --trust-checks: any function that it calls could do anything", false)
			continue
		}
		var a *catalog.OwnAnswer
		err := s.within(ctx, func(ctx context.Context) (err error) { a, err = s.askOwn(ctx, q); return err })
		if err != nil {
			unseen(whyUnseen(err), !turnedAway(err))
			continue
		}
		a.Database = database
		s.evidence.Own = append(s.evidence.Own, *a)
	}
}

func (s *scanSession) askOwn(ctx context.Context, q *catalog.OwnQuestion) (*catalog.OwnAnswer, error) {
	sub, err := s.tx.Begin(ctx) // a savepoint
	if err != nil {
		return nil, err
	}
	defer s.undo(ctx, sub)
	conn := sub.Conn().PgConn()
	if s.evidence.Server.Setting("restrict_nonsystem_relation_kind") != nil {
		// Views run their owners' code, and foreign tables somebody else's server.
		if err := conn.ExecParams(ctx, "SET LOCAL restrict_nonsystem_relation_kind = 'view, foreign-table'", nil, nil, nil, nil).Read().Err; err != nil {
			return nil, err
		}
	}
	if err := conn.ExecParams(ctx, "DECLARE postern_own NO SCROLL CURSOR FOR "+q.SQL, nil, nil, nil, nil).Read().Err; err != nil {
		return nil, err
	}
	r := conn.ExecParams(ctx, fmt.Sprintf("FETCH %d FROM postern_own", q.Rows+1), nil, nil, nil, nil).Read() // text
	if r.Err != nil {
		return nil, r.Err
	}
	a := &catalog.OwnAnswer{ID: q.ID, Rows: []map[string]string{}}
	for i, row := range r.Rows {
		if i == q.Rows {
			a.More = true
			break
		}
		m := map[string]string{}
		for j, v := range row {
			m[r.FieldDescriptions[j].Name] = catalog.Redact(string(v))
		}
		a.Rows = append(a.Rows, m)
	}
	return a, nil
}
