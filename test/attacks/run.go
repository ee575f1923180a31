package attacks

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Endpoint is where a corpus is run against.
type Endpoint struct {
	// Config makes the connection of a role. The runner adds startup parameters to a copy.
	Config func(role string) (*pgconn.Config, error)
	// Restore puts back what a sending changed. It is called after each one.
	Restore func(ctx context.Context) error
	// Once sends each entry in its first way only, where the ways differ in nothing.
	Once bool
	// Together sends queries that stand alone on one connection of a role, and restores after many of them. Whatever else there is
	// begins on a fresh one.
	Together bool
}

// Result is the outcome of one attempt.
type Result struct {
	Entry   *Entry
	Outcome Outcome
	Leak    string   // what came out
	How     string   // the sending that decided
	Errors  []string // of that sending
}

// String is one line for a report.
func (r Result) String() string {
	s := fmt.Sprintf("%s %s via %s: expected %s, is %s", r.Entry.ID, r.Entry.Class, r.How, r.Entry.Expect, r.Outcome)
	if r.Leak != "" {
		s += fmt.Sprintf(", leaked %q", r.Leak)
	}
	if len(r.Errors) > 0 {
		s += ": " + strings.Join(r.Errors, "; ")
	}
	return s + "\n\t" + r.Entry.SQL
}

// Report is what a run of the attacks found.
type Report struct{ Results []Result }

// With returns the results of an outcome.
func (r *Report) With(o Outcome) []Result {
	var out []Result
	for _, x := range r.Results {
		if x.Outcome == o {
			out = append(out, x)
		}
	}
	return out
}

// Strict returns the attempts that could be answered and were refused.
func (r *Report) Strict() []Result {
	var out []Result
	for _, x := range r.With(Denied) {
		if x.Entry.Expect == NoRaw {
			out = append(out, x)
		}
	}
	return out
}

// Loose returns the attempts that should be refused and were answered, without a leak.
func (r *Report) Loose() []Result {
	var out []Result
	for _, x := range r.With(NoRaw) {
		if x.Entry.Expect == Denied {
			out = append(out, x)
		}
	}
	return out
}

// Run plays attacks. An error means that the run says nothing: an endpoint that cannot be reached protects nobody.
func Run(ctx context.Context, at Endpoint, attacks []*Entry) (*Report, error) {
	report := &Report{}
	p := &player{at: at}
	defer p.close()
	for _, e := range attacks {
		result := Result{Entry: e}
		for _, s := range at.sendings(e) {
			reply, err := p.play(ctx, e, s)
			if err != nil {
				return nil, fmt.Errorf("%s via %s: %w", e.ID, s.name, err)
			}
			result.worsen(s.name, e.judge(reply), e.leak(reply.text()), reply.Refused)
		}
		report.Results = append(report.Results, result)
	}
	return report, p.restore(ctx)
}

// judge says what became of one sending.
func (e *Entry) judge(reply *Reply) Outcome {
	switch {
	case e.leak(reply.text()) != "":
		return Leaked
	case len(reply.Refused) > 0:
		return Denied
	default:
		return NoRaw
	}
}

// worsen keeps the worst sending: a leak above all, then what was not expected.
func (r *Result) worsen(how string, o Outcome, leak string, refused []string) {
	rank := func(o Outcome) int {
		switch {
		case o == Leaked:
			return 3
		case o == "":
			return 0
		case o == r.Entry.Expect:
			return 1
		default:
			return 2
		}
	}
	if rank(o) > rank(r.Outcome) {
		r.Outcome, r.How, r.Leak, r.Errors = o, how, leak, refused
	}
}

// Wrong is an ordinary query that did not give its answer.
type Wrong struct {
	Entry *Entry
	How   string
	Why   string
}

// String is one line for a report.
func (w Wrong) String() string {
	return fmt.Sprintf("%s %s via %s: %s\n\t%s", w.Entry.ID, w.Entry.Class, w.How, w.Why, w.Entry.SQL)
}

// RunBenign plays ordinary queries and returns those that went wrong.
func RunBenign(ctx context.Context, at Endpoint, queries []*Entry) ([]Wrong, error) {
	var wrong []Wrong
	p := &player{at: at}
	defer p.close()
	for _, e := range queries {
		for _, s := range at.sendings(e) {
			reply, err := p.play(ctx, e, s)
			if err != nil {
				return nil, fmt.Errorf("%s via %s: %w", e.ID, s.name, err)
			}
			if why := e.Answer.compare(reply); why != "" {
				wrong = append(wrong, Wrong{e, s.name, why})
				break
			}
		}
	}
	return wrong, p.restore(ctx)
}

// compare says what is wrong with a reply, or nothing.
func (a Answer) compare(reply *Reply) string {
	rows := len(reply.Rows) + len(reply.Copied)
	switch {
	case len(reply.Refused) > 0:
		return "refused: " + strings.Join(reply.Refused, "; ")
	case a.Rows != nil && !reflect.DeepEqual(a.Rows, reply.Rows):
		return fmt.Sprintf("answered %q, want %q", reply.Rows, a.Rows)
	case a.Copy != nil && !reflect.DeepEqual(a.Copy, reply.Copied):
		return fmt.Sprintf("copied %q, want %q", reply.Copied, a.Copy)
	case a.Count != nil && *a.Count != rows:
		return fmt.Sprintf("%d rows, want %d", rows, *a.Count)
	}
	return ""
}

// sending is one way to send an entry.
type sending struct {
	name string
	play func(w *Wire, reply *Reply) error
}

func (at Endpoint) sendings(e *Entry) []sending {
	out := e.sendings()
	if at.Once {
		out = out[:1]
	}
	return out
}

// sendings lists the ways that README.md names for the entry's via.
func (e *Entry) sendings() []sending {
	switch e.Via {
	case "extended":
		return []sending{{"extended", func(w *Wire, r *Reply) error { return w.extended(e.SQL, e.Params, r) }}}
	case "extended-script":
		return []sending{{"script", func(w *Wire, r *Reply) error { return w.script(e.Script, r) }}}
	case "startup":
		return []sending{{"startup", func(w *Wire, r *Reply) error { return w.query(e.SQL, r) }}}
	}
	statements := split(e.SQL)
	each := func(send func(w *Wire, sql string, r *Reply) error) func(w *Wire, r *Reply) error {
		return func(w *Wire, r *Reply) error {
			for _, sql := range statements {
				if err := send(w, sql, r); err != nil {
					return err
				}
			}
			return nil
		}
	}
	query := func(w *Wire, sql string, r *Reply) error { return w.query(sql, r) }
	extended := func(w *Wire, sql string, r *Reply) error { return w.extended(sql, nil, r) }
	out := []sending{{"simple", each(query)}, {"extended", each(extended)}}
	if len(statements) > 1 {
		out = append(out, sending{"one message", func(w *Wire, r *Reply) error { return w.query(e.SQL, r) }})
	} else {
		// A single statement goes as it is written, with what stands before and behind it.
		out[0].play = func(w *Wire, r *Reply) error { return w.query(e.SQL, r) }
		out[1].play = func(w *Wire, r *Reply) error { return w.extended(e.SQL, nil, r) }
	}
	return out
}

// player sends entries one after the other, those that stand alone on connections that they share.
type player struct {
	at     Endpoint
	shared map[string]*Wire // by role
	dirty  int              // sendings since the last restore
}

// oftenRestored is how many queries on a shared connection a restore may wait for.
const oftenRestored = 25

func (p *player) play(ctx context.Context, e *Entry, s sending) (*Reply, error) {
	if !p.at.Together || !e.alone() {
		if err := p.restore(ctx); err != nil {
			return nil, err
		}
		return p.at.play(ctx, e, s)
	}
	reply := &Reply{}
	w := p.shared[e.Role]
	if w == nil {
		var err error
		if w, err = p.at.connect(ctx, e.Role, nil, reply); err != nil {
			return nil, fmt.Errorf("connect as %s: %w", e.Role, err)
		}
		if p.shared == nil {
			p.shared = map[string]*Wire{}
		}
		p.shared[e.Role] = w
	}
	if err := s.play(w, reply); err != nil {
		w.Close()
		delete(p.shared, e.Role)
		if !errors.Is(err, errClosed) {
			return nil, err
		}
	}
	if p.dirty++; p.dirty < oftenRestored {
		return reply, nil
	}
	return reply, p.restore(ctx)
}

// restore puts back what the sendings since the last one changed.
func (p *player) restore(ctx context.Context) error {
	if p.dirty == 0 {
		return nil
	}
	p.dirty = 0
	return p.at.Restore(ctx)
}

func (p *player) close() {
	for _, w := range p.shared {
		w.Close()
	}
}

// aQuery is what a statement begins with that leaves nothing behind in its session; settingByQuery may all the same.
var (
	aQuery         = regexp.MustCompile(`(?i)^[\s(]*(?:SELECT|VALUES|TABLE|WITH|EXPLAIN)\b`)
	settingByQuery = regexp.MustCompile(`(?i)set_config|pg_advisory|setseed|pg_(?:terminate|cancel)_backend|INTO|;`)
)

// alone tells whether an entry is a query that neither needs a session of its own nor leaves anything in it.
func (e *Entry) alone() bool {
	return (e.Via == "simple" || e.Via == "extended") && e.Neighbour == "" && aQuery.MatchString(e.SQL) && !settingByQuery.MatchString(e.SQL)
}

// play sends an entry in one way on a fresh connection, and restores.
func (at Endpoint) play(ctx context.Context, e *Entry, s sending) (*Reply, error) {
	if e.Neighbour != "" {
		first, err := at.connect(ctx, e.Role, nil, &Reply{})
		if err != nil {
			return nil, fmt.Errorf("neighbour: %w", err)
		}
		defer first.Close()
		if err := first.query(e.Neighbour, &Reply{}); err != nil && !errors.Is(err, errClosed) {
			return nil, fmt.Errorf("neighbour: %w", err)
		}
	}
	reply := &Reply{}
	w, err := at.connect(ctx, e.Role, e.Startup, reply)
	var said *pgconn.PgError
	if e.Via == "startup" && errors.As(err, &said) {
		// The material of this kind is the startup packet itself: an error in answer to it is a denial.
		reply.add("%s|%s|%s", said.Message, said.Detail, said.Hint)
		reply.Refused = append(reply.Refused, said.Code+" "+said.Message)
		return reply, at.Restore(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("connect as %s: %w", e.Role, err)
	}
	err = s.play(w, reply)
	w.Close()
	if err != nil && !errors.Is(err, errClosed) {
		return nil, err
	}
	return reply, at.Restore(ctx)
}

func (at Endpoint) connect(ctx context.Context, role string, startup map[string]string, reply *Reply) (*Wire, error) {
	config, err := at.Config(role)
	if err != nil {
		return nil, err
	}
	config = config.Copy()
	var names []string
	for name := range startup {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		config.RuntimeParams[name] = startup[name]
	}
	return dial(ctx, config, reply)
}
