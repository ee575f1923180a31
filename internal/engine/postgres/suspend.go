package postgres

import (
	"context"
	"fmt"

	"github.com/postern-sec/postern/internal/catalog"
)

// suspendedDigest stands in a profile schema's marker while its views are away: no profile has that digest, so none is served.
const suspendedDigest = "suspended"

// SuspendedError says that the store is suspended.
type SuspendedError struct{ Store string }

// Error names the way out.
func (e *SuspendedError) Error() string {
	return fmt.Sprintf("store %s is suspended: run postern resume --store %s", e.Store, e.Store)
}

// Suspend drops the views of every profile, so that tables can be migrated (ENF-96). Row policies and roles stay; subjects see
// nothing until Resume. It does nothing on a store that is suspended already.
func (s *Server) Suspend(ctx context.Context, req Request) error {
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("suspend: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after Commit this does nothing
	if err := s.prepare(ctx, tx); err != nil {
		return err
	}
	snap, err := s.inspect(ctx, tx, schemasOf(req))
	if err != nil {
		return err
	}
	d, err := newDiffer(req, snap)
	if err != nil {
		return fmt.Errorf("suspend: %w", err)
	}
	if snap.Wall.Suspended {
		return nil
	}
	for _, sql := range d.suspend() {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("suspend: %s: %w", firstLine(sql), err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("suspend: commit: %w", err)
	}
	return nil
}

// suspend lists what suspending a store does.
func (d *differ) suspend() []string {
	var out []string
	for _, schema := range d.snap.Schemas {
		m, ok := parseMarker(schema.Comment)
		if !ok || m.Kind != kindProfile || !m.isOurs(d.w) {
			continue
		}
		out = append(out, d.dropViews(schema.Name)...)
		out = append(out, "COMMENT ON SCHEMA "+quoteIdent(schema.Name)+" IS "+quoteLiteral(d.marker(kindProfile, suspendedDigest)))
	}
	return append(out, "UPDATE postern.installation SET suspended = true")
}

// PlanResume says what Resume would do.
func (s *Server) PlanResume(ctx context.Context, req Request) (*Result, error) {
	snap, err := s.Inspect(ctx, schemasOf(req))
	if err != nil {
		return nil, err
	}
	r, err := s.work(req, awake(snap))
	if err != nil {
		return nil, err
	}
	return r, s.tryOut(ctx, r)
}

// awake is the snapshot as it will be once the store is not suspended.
func awake(snap *catalog.Snapshot) *catalog.Snapshot {
	if snap.Wall != nil {
		snap.Wall.Suspended = false
	}
	return snap
}

// Resume rebuilds the views from the new catalog, in one transaction like Apply. What would widen, because a column changed, needs
// consent as it does there.
func (s *Server) Resume(ctx context.Context, req Request, consent Consent) (*Result, error) {
	return s.retry(ctx, func() (*Result, error) {
		return s.applyOnce(ctx, req, consent, "UPDATE postern.installation SET suspended = false")
	})
}
