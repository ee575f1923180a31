package rules_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// protocolRules are those of the protocol and of side doors (section 13).
var protocolRules = []rule{
	{id: "ENF-69", elsewhere: "TestTripwire"},
	{id: "ENF-70", do: startUp},
	{id: "ENF-71", do: func(t *testing.T, w *world) {
		// Function 1299 is now(): what the call would answer without a rule about calls by number.
		got := w.raw(t, "ana", &pgproto3.FunctionCall{Function: 1299, ResultFormatCode: 0})
		if got != "error 0A000 ready" {
			t.Errorf("a FunctionCall is answered %q", got)
		}
	}},
	{id: "ENF-72", do: names},
	{id: "ENF-73", do: func(t *testing.T, w *world) {
		for _, x := range []struct {
			messages []pgproto3.FrontendMessage
			want     string
		}{
			{[]pgproto3.FrontendMessage{&pgproto3.Query{String: "PREPARE p AS SELECT id FROM customers WHERE id = 1"}}, "done ready"},
			{[]pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "p"}, &pgproto3.Execute{}, &pgproto3.Sync{}}, "1 done ready"},
			{[]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "p", Query: "SELECT 2"}, &pgproto3.Sync{}}, "error 42P05 ready"},
			{[]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "q", Query: "SELECT 3"}, &pgproto3.Sync{}}, "ready"},
			{[]pgproto3.FrontendMessage{&pgproto3.Query{String: "EXECUTE q"}}, "3 done ready"},
			{[]pgproto3.FrontendMessage{&pgproto3.Query{String: "DEALLOCATE q"}}, "done ready"},
			{[]pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "q"}, &pgproto3.Execute{}, &pgproto3.Sync{}}, "error 26000 ready"},
		} {
			if got := w.raw(t, "ana", x.messages...); got != x.want {
				t.Errorf("%+v is answered %q, want %q", x.messages, got, x.want)
			}
		}
	}},
	{id: "ENF-74", tries: []try{
		{"tess", "CREATE TEMP TABLE customers (id int)", "error 42501"},
		{"tess", "CREATE TEMP TABLE payroll (id int)", "error 42501"},
		{"tess", "CREATE TEMP TABLE own AS SELECT id, email FROM customers; SELECT o.email = c.email FROM own o JOIN customers c ON o.id = c.id WHERE o.id = 1; DROP TABLE own", "tag SELECT 2\nt"},
		{"tess", "CREATE TEMP TABLE pg_class (id int)", "error 42501"},
		{"tess", "CREATE TEMP VIEW v AS SELECT 1", "error 42501"},
		{"ana", "CREATE TEMP TABLE own (id int)", "error 42501"},
	}},
	{id: "ENF-75", tries: []try{
		{"ana", "TABLE nosuch", "error 42"},
		{"server", "CREATE TABLE app.fresh AS SELECT 'hidden' AS word; GRANT SELECT ON app.fresh TO PUBLIC", "tag SELECT 1"},
		{"ana", "TABLE app.fresh", "error 42"},
		{"server", "DROP TABLE app.fresh", ""},
		{"ana", "TABLE app.fresh", "error 42"},
	}},
	{id: "ENF-76", tries: all(
		each("ana", "error 42501", "SELECT lo_get(424242)", "TABLE pg_largeobject", "TABLE app.report", "TABLE app.stored", "SELECT app.ssn_of(1)", "SELECT pg_create_logical_replication_slot('s', 'test_decoding')",
			"CREATE PUBLICATION p FOR TABLE customers", "SELECT nextval('app.numbers')", "SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_xact_lock(1)", "NOTIFY x", "TABLE pg_stat_activity"),
		each("wall ana", "error 42501", "SELECT lo_get(424242)", "TABLE app.report", "SELECT nextval('app.numbers')", "SELECT last_value FROM app.numbers", "CREATE PUBLICATION p FOR TABLE customers"),
		[]try{{"server", "SHOW lo_compat_privileges", "off"}, {"sam", "INSERT INTO notes SELECT 30, 'sam', ssn, 2 FROM customers WHERE id = 2 RETURNING body", "***2"}, {"sam", "DELETE FROM notes WHERE id = 30", "tag DELETE 1"}},
	)},
}

// startUp: what a StartupMessage may hold.
func startUp(t *testing.T, w *world) {
	if got := w.gss(t); got != 'N' {
		t.Errorf("a GSSENCRequest is answered %q", got)
	}
	ctx := context.Background()
	for _, x := range []struct{ parameters, code string }{
		{"application_name=fine", ""},
		{"client_encoding=UTF8", ""},
		{"options='-c statement_timeout=5000'", ""},
		{"replication=database", "refused"},
		{"replication=true", "refused"},
		{"options='-c search_path=app'", ""},
		{"options='-c row_security=off'", "refused"},
		{"search_path=app", ""},
		{"made_up=1", "refused"},
		{"client_encoding=SJIS", "refused"},
	} {
		conn, err := pgconn.Connect(ctx, w.DSN("ana", "shop")+" "+x.parameters)
		if err == nil {
			_ = conn.Close(ctx)
		}
		e := (*pgconn.PgError)(nil)
		if (err == nil) != (x.code == "") || err != nil && !asPgError(err, &e) {
			t.Errorf("start with %s: %v", x.parameters, err)
		}
	}
}

// names: a map of the connection's own, a generation for each name, and silence to the next Sync after a refusal.
func names(t *testing.T, w *world) {
	for _, x := range []struct {
		messages []pgproto3.FrontendMessage
		want     string
	}{
		{[]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "a", Query: "SELECT id FROM customers WHERE id = 1"}, &pgproto3.Sync{}}, "ready"},
		{[]pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "a", DestinationPortal: "x"}, &pgproto3.Execute{Portal: "x"}, &pgproto3.Sync{}}, "1 done ready"},
		{[]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "b", Query: "SELECT salary FROM app.payroll"}, &pgproto3.Bind{PreparedStatement: "b"}, &pgproto3.Execute{}, &pgproto3.Bind{PreparedStatement: "a"}, &pgproto3.Execute{}, &pgproto3.Sync{}}, "error 42501 ready"},
		{[]pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "b"}, &pgproto3.Execute{}, &pgproto3.Sync{}}, "error 26000 ready"},
		{[]pgproto3.FrontendMessage{&pgproto3.Close{ObjectType: 'S', Name: "a"}, &pgproto3.Parse{Name: "a", Query: "SELECT 7"}, &pgproto3.Bind{PreparedStatement: "a"}, &pgproto3.Execute{}, &pgproto3.Sync{}}, "7 done ready"},
		{[]pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "never"}, &pgproto3.Execute{}, &pgproto3.Sync{}}, "error 26000 ready"},
		{[]pgproto3.FrontendMessage{&pgproto3.Execute{Portal: "never"}, &pgproto3.Sync{}}, "error 34000 ready"},
	} {
		if got := w.raw(t, "ana", x.messages...); got != x.want {
			t.Errorf("%+v is answered %q, want %q", x.messages, got, x.want)
		}
	}
}

// raw sends messages as they are in the session of somebody and tells what came until the server was ready: values, "done" for a
// command that completed, and errors by their SQLSTATE.
func (w *world) raw(t *testing.T, as string, messages ...pgproto3.FrontendMessage) string {
	t.Helper()
	f := w.session(t, as).Frontend()
	for _, m := range messages {
		f.Send(m)
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	var out []string
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatalf("after %q: %v", out, err)
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			for _, v := range m.Values {
				out = append(out, string(v))
			}
		case *pgproto3.CommandComplete:
			out = append(out, "done")
		case *pgproto3.FunctionCallResponse:
			out = append(out, "called")
		case *pgproto3.ErrorResponse:
			out = append(out, "error "+m.Code)
		case *pgproto3.ReadyForQuery:
			return strings.Join(append(out, "ready"), " ")
		}
	}
}

// gss asks for encryption by GSSAPI and then goes on with TLS, as a client does that has both.
func (w *world) gss(t *testing.T) byte {
	t.Helper()
	pem, err := os.ReadFile(w.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn := w.dial(t)
	defer conn.Close()
	answer := make([]byte, 1)
	for _, request := range []uint32{80877104, 80877103} { // GSSENCRequest, SSLRequest
		if _, err := conn.Write(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, request)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(answer); err != nil {
			t.Fatal(err)
		}
		if request == 80877104 && answer[0] != 'N' {
			return answer[0]
		}
	}
	if err := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}).Handshake(); err != nil {
		t.Error(err)
	}
	return 'N'
}
