package postgres

import (
	"context"
	"fmt"
)

// Marks is a short text that changes whenever something changes on the server that a compiled profile depends on (ENF-95): a
// marker, a table's columns, a row policy, a view, a membership. It costs one query over the catalogs and needs no rights.
func (s *Server) Marks(ctx context.Context) (string, error) {
	var marks string
	if err := s.conn.QueryRow(ctx, question("marks", "marks", serverMajor(s.conn))).Scan(&marks); err != nil {
		return "", fmt.Errorf("look for changes on %s: %w", s.cfg.Address(), err)
	}
	return marks, nil
}

// Script runs several statements that stand in one text, as psql -f would; the first that fails ends it.
func (s *Server) Script(ctx context.Context, script string) error {
	if _, err := s.conn.PgConn().Exec(ctx, script).ReadAll(); err != nil {
		return fmt.Errorf("run a script on %s: %w", s.cfg.Address(), err)
	}
	return nil
}
