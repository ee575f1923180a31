package pgtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/pgtest"
)

// TestStandby: a standby has what its primary had, gets what comes, and takes no writes.
func TestStandby(t *testing.T) {
	majors := pgtest.Majors(t)
	for _, major := range []int{majors[0], majors[len(majors)-1]} {
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) {
			t.Parallel()
			c := pgtest.Start(t, major)
			c.Exec(t, "CREATE TABLE before AS SELECT 1 AS a")
			s := c.Standby(t)
			c.Exec(t, "CREATE TABLE after AS SELECT 2 AS a")
			for end := time.Now().Add(20 * time.Second); s.Query(t, "SELECT count(*) FROM pg_class WHERE relname IN ('before', 'after')") != "2"; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the standby does not follow")
				}
			}
			if got := s.Query(t, "SELECT pg_is_in_recovery()"); got != "true" && got != "t" {
				t.Errorf("in recovery: %s", got)
			}
			if err := (&pgtest.DB{Cluster: s, Name: "postgres"}).Try(pgtest.SuperUser, "CREATE TABLE x()"); err == nil {
				t.Error("the standby took a write")
			}
		})
	}
}
