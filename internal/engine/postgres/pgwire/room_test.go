package pgwire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestRoomForNames: a session has so many prepared statements and cursors, however they were made, and as many again once it has let go of
// them.
func TestRoomForNames(t *testing.T) {
	t.Parallel()
	const most = 5
	r := newRig(t, pgtest.Default(t), func(_ *rig, _ *gateway.Config, c *Config) { c.Limits.Prepared, c.Limits.Portals = most, most })
	ctx := t.Context()
	names := func(format string) (out []string) {
		for i := range most + 1 {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	for name, tt := range map[string]struct{ one, free, reason string }{
		"statements": {"prepare p%d as select 1", "deallocate all", "too_many_statements"},
		"cursors":    {"declare c%d cursor for select 1", "close all", "too_many_portals"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := r.connect(t, "")
			exec := func(sql string) error {
				_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
				return err
			}
			if err := exec("begin"); err != nil {
				t.Fatal(err)
			}
			if err := exec(strings.Join(names(tt.one), "; ")); codeOf(err) != "53400" {
				t.Errorf("all in one string: %v", err)
			}
			if err := exec("rollback; begin"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				for i, sql := range names(tt.one) {
					if want := map[bool]string{true: "53400", false: "<nil>"}[i == most]; codeOf(exec(sql)) != want {
						t.Errorf("number %d: not %s", i, want)
					}
				}
				if err := exec("rollback; " + tt.free + "; begin"); err != nil {
					t.Fatal(err)
				}
			}
			if name == "statements" {
				for i := range most + 1 {
					_, err := conn.PgConn().Prepare(ctx, fmt.Sprintf("q%d", i), "select 1", nil)
					if want := map[bool]string{true: "53400", false: "<nil>"}[i == most]; codeOf(err) != want {
						t.Errorf("by Parse, number %d: %v", i, err)
					}
				}
			}
			r.trail.find(t, "the refusal", func(e audit.Event) bool { return e.Verdict == "refuse" && e.Reason == tt.reason })
		})
	}
}
