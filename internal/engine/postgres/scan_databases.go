package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/catalog"
)

// DatabasesAtOnce is how many databases of one server are looked at at once, when nobody says. A server with few connections to spare keeps
// most of them, and one with hundreds of databases is done in a fraction of the time.
const DatabasesAtOnce = 4

// others lists the databases to enter besides the first one.
func (t *ScanTarget) others(e *catalog.Evidence, wanted []string, first string) []string {
	if u := e.Missing(catalog.FactDatabases, ""); u != nil && !(len(wanted) == 1 && wanted[0] == first) {
		e.Unseen = append(e.Unseen, catalog.Unseen{Fact: catalog.FactRelations, Database: "(those besides " + first + ")", Why: "the list of databases could not be read: " + u.Why, Broken: true})
	}
	var out []string
	for i := range e.Server.Databases {
		d := &e.Server.Databases[i]
		switch {
		case d.Name == first || len(wanted) > 0 && !slices.Contains(wanted, d.Name):
		case !d.AllowConn:
		case !d.Connect:
			e.Unseen = append(e.Unseen, catalog.Unseen{Fact: catalog.FactRelations, Database: d.Name, Why: "the login may not connect to it"})
		default:
			out = append(out, d.Name)
		}
	}
	for _, name := range wanted {
		if i := slices.IndexFunc(e.Server.Databases, func(d catalog.DatabaseFacts) bool { return d.Name == name }); name != "" && name != first &&
			(i < 0 || !e.Server.Databases[i].AllowConn) {
			why := "there is no such database"
			if i >= 0 {
				why = "it lets nobody in"
			}
			e.Unseen = append(e.Unseen, catalog.Unseen{Fact: catalog.FactRelations, Database: name, Why: why, Broken: true})
		}
	}
	return out
}

// visit is one database that is entered besides the first, and what was seen there. Nothing in it is shared while others are under way.
type visit struct {
	name  string
	part  catalog.Evidence
	full  bool // the server had no connection left for it, which it may have when the others are done
	tried bool
}

// enterAll reads the other databases, several at once, and adds what was seen in the order of their names' list, so that the same server
// gives the same evidence. silent says why none is to be tried, "" when all are.
func (t *ScanTarget) enterAll(ctx context.Context, e *catalog.Evidence, names []string, silent string, g *Gather) {
	visits := make([]visit, len(names))
	next := make(chan *visit, len(names))
	for i, name := range names {
		visits[i] = visit{name: name, part: catalog.Evidence{Server: e.Server}}
		next <- &visits[i]
	}
	close(next)
	var (
		mu sync.Mutex // guards silent and the calls of Progress
		wg sync.WaitGroup
	)
	work := func(v *visit) {
		mu.Lock()
		if silent != "" {
			mu.Unlock()
			return
		}
		if g.Progress != nil {
			g.Progress(v.name)
		}
		mu.Unlock()
		if why := t.enter(ctx, v, g); why != "" {
			mu.Lock()
			defer mu.Unlock()
			silent = why
		}
	}
	for range min(max(1, cmp.Or(g.Jobs, DatabasesAtOnce)), len(names)) {
		wg.Go(func() {
			for v := range next {
				work(v)
			}
		})
	}
	wg.Wait()
	patience := freedWithin
	for i := range visits {
		v := &visits[i]
		if v.full && silent == "" {
			v.alone(ctx, work, &patience)
		}
		if !v.tried {
			// Each would wait as long again, and a cluster may have hundreds.
			v.unseen("not tried: "+silent, true)
		}
		e.Databases = append(e.Databases, v.part.Databases...)
		e.Own = append(e.Own, v.part.Own...)
		e.Unseen = append(e.Unseen, v.part.Unseen...)
		e.Sampled = e.Sampled || v.part.Sampled
		if v.part.Lost != "" {
			e.Lost = v.part.Lost
		}
	}
}

// freedWithin is how long a scan waits in all for connections that it has closed itself: a server counts one until its process has ended.
const freedWithin = 3 * time.Second

// alone tries a database again for which no connection was left, with no other under way.
func (v *visit) alone(ctx context.Context, try func(*visit), patience *time.Duration) {
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		v.part, v.full = catalog.Evidence{Server: v.part.Server}, false
		try(v)
		if pause = min(pause, *patience); !v.full || pause <= 0 {
			return
		}
		*patience -= pause
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// unseen notes that the database as a whole could not be looked at.
func (v *visit) unseen(why string, broken bool) {
	v.part.Unseen = append(v.part.Unseen, catalog.Unseen{Fact: catalog.FactRelations, Database: v.name, Why: why, Broken: broken})
}

// enter reads one more database. One that cannot be entered is noted and does not end the scan; silent says why no other is to be tried, when
// nobody answers at the server's address.
func (t *ScanTarget) enter(ctx context.Context, v *visit, g *Gather) (silent string) {
	v.tried = true
	conn, err := t.connect(ctx, v.name, g)
	if err != nil {
		if !answered(err) {
			silent = "the server stopped answering during the scan, at database " + v.name
			v.part.Lost = silent
		}
		v.full = noneLeft(err)
		v.unseen("could not connect: "+err.Error(), !turnedAway(err))
		return silent
	}
	defer closeScan(ctx, conn)
	s := &scanSession{conn: conn, evidence: &v.part, gather: g}
	if err := s.inTransaction(ctx, func() error { s.database(ctx); s.own(ctx, false); return nil }); err != nil {
		v.unseen(err.Error(), true)
	}
	return s.silent
}

// noneLeft reports whether the server, the database or the role had no connection to spare.
func noneLeft(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "53300"
}
