package pgwire

import (
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

func TestPsqlSelect(t *testing.T) {
	r := newRig(t, pgtest.Default(t))
	out, err := r.psql(t, r.dsn(r.addr, "sslmode=require channel_binding=require"), "select 1; select id, email from customers order by id;")
	if err != nil || out != "1\n2|c***\n4|c***\n6|c***\n8|c***\n10|c***" {
		t.Fatalf("%v\n%s", err, out)
	}
}
