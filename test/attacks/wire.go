package attacks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// patience is how long an endpoint may take to answer. A105 makes a server count to three million.
const patience = 60 * time.Second

// Reply is everything that an endpoint sent in answer to one sending.
type Reply struct {
	Lines   []string // every message as text
	Rows    [][]string
	Copied  []string
	Refused []string // the message of each error
}

// text is what detection looks at.
func (r *Reply) text() string { return strings.Join(r.Lines, "\n") }

func (r *Reply) add(format string, args ...any) {
	r.Lines = append(r.Lines, fmt.Sprintf(format, args...))
}

// Wire is a connection, message by message.
type Wire struct {
	conn     net.Conn
	frontend *pgproto3.Frontend
}

// dial connects. What the endpoint said on the way in goes to the reply.
func dial(ctx context.Context, config *pgconn.Config, reply *Reply) (*Wire, error) {
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { reply.add("%s", (*pgconn.PgError)(n).Error()) }
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, errors.Join(err, c.Close(ctx))
	}
	for name, value := range h.ParameterStatuses {
		reply.add("%s=%s", name, value)
	}
	sort.Strings(reply.Lines)
	return &Wire{conn: h.Conn, frontend: h.Frontend}, nil
}

// Close ends the connection.
func (w *Wire) Close() {
	w.frontend.Send(&pgproto3.Terminate{})
	_ = w.frontend.Flush() // the other side may have closed first
	_ = w.conn.Close()
}

// query sends one Query message and reads to the end of its answer.
func (w *Wire) query(sql string, reply *Reply) error {
	return w.round(reply, &pgproto3.Query{String: sql})
}

// extended sends one statement through the extended protocol, in one go.
func (w *Wire) extended(sql string, params []string, reply *Reply) error {
	bind := &pgproto3.Bind{}
	for _, p := range params {
		bind.Parameters = append(bind.Parameters, []byte(p))
	}
	return w.round(reply, &pgproto3.Parse{Query: sql}, &pgproto3.Describe{ObjectType: 'S'}, bind, &pgproto3.Execute{}, &pgproto3.Sync{})
}

// errClosed says that the endpoint ended the session after telling why.
var errClosed = errors.New("session ended by the endpoint")

// round sends messages and reads until the endpoint is ready again.
func (w *Wire) round(reply *Reply, messages ...pgproto3.FrontendMessage) error {
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for _, m := range messages {
		w.frontend.Send(m)
	}
	if err := w.frontend.Flush(); err != nil {
		return err
	}
	fatal := false
	for {
		m, err := w.frontend.Receive()
		if err != nil {
			if fatal {
				return errClosed
			}
			return fmt.Errorf("the endpoint hung up without a word: %w", err)
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			return nil
		case *pgproto3.CopyInResponse:
			w.frontend.Send(&pgproto3.CopyFail{Message: "nothing to send"})
			if len(messages) > 1 {
				w.frontend.Send(&pgproto3.Sync{}) // the one sent before was swallowed by COPY
			}
			if err := w.frontend.Flush(); err != nil {
				return err
			}
		default:
			fatal = take(m, reply) || fatal
		}
	}
}

// take notes one message. It reports whether the message announces the end of the session.
func take(m pgproto3.BackendMessage, reply *Reply) (fatal bool) {
	switch m := m.(type) {
	case *pgproto3.RowDescription:
		var names []string
		for _, f := range m.Fields {
			names = append(names, string(f.Name))
		}
		reply.add("%s", strings.Join(names, "|"))
	case *pgproto3.DataRow:
		var cells []string
		for _, v := range m.Values {
			cells = append(cells, string(v))
		}
		reply.Rows = append(reply.Rows, cells)
		reply.add("%s", strings.Join(cells, "|"))
	case *pgproto3.CopyData:
		line := strings.TrimSuffix(string(m.Data), "\n")
		reply.Copied = append(reply.Copied, line)
		reply.add("%s", line)
	case *pgproto3.CommandComplete:
		reply.add("%s", m.CommandTag)
	case *pgproto3.ParameterStatus:
		reply.add("%s=%s", m.Name, m.Value)
	case *pgproto3.NotificationResponse:
		reply.add("%s|%s", m.Channel, m.Payload)
	case *pgproto3.NoticeResponse:
		reply.fields((*pgproto3.ErrorResponse)(m))
	case *pgproto3.ErrorResponse:
		reply.fields(m)
		reply.Refused = append(reply.Refused, m.Code+" "+m.Message)
		return m.SeverityUnlocalized == "FATAL" || m.Severity == "FATAL"
	}
	return false
}

// fields notes every field of an error or a notice.
func (r *Reply) fields(e *pgproto3.ErrorResponse) {
	for _, f := range []string{
		e.Severity, e.Code, e.Message, e.Detail, e.Hint, e.InternalQuery, e.Where, e.SchemaName,
		e.TableName, e.ColumnName, e.DataTypeName, e.ConstraintName,
	} {
		if f != "" {
			r.add("%s", f)
		}
	}
	for _, v := range e.UnknownFields {
		r.add("%s", v)
	}
}
