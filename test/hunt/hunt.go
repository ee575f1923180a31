// Package hunt looks for a way out of both walls. It sends generated statements (test/sqlgen) as restricted subjects,
// through the gateway or straight to the server as their identity roles, over a world in which every hidden value is
// unmistakable, and reads every byte that comes back. A second world that differs from the first in hidden values alone
// finds what no pattern can: an answer that is not the same in both tells of something hidden.
package hunt

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/test/sqlgen"
)

// Endpoint is one of the walls of one world.
type Endpoint struct {
	Name  string
	World World
	// NoNotices leaves notices unread. A trigger's function sees raw rows and may print them; only the gateway can drop that (ENF-22).
	NoNotices bool
	Config    func(subject string) (*pgconn.Config, error)
}

// Plan is one run.
type Plan struct {
	Endpoint Endpoint
	Twin     *Endpoint // asked the same, when there is one
	Subjects []string
	Schema   func(subject string) *sqlgen.Schema
	Seed     uint64
	From, To uint64 // the numbers of the statements
	Until    time.Time
	Workers  int
	Batch    int
	Attempts int // of 1000
	// Sweep puts a call of every function that takes a text before the statements.
	Sweep bool
}

// Finding is a statement that must not have been answered so.
type Finding struct {
	Seed, Number uint64
	Subject      string
	Unit         sqlgen.Unit
	What         string
}

// String is a report that is enough to do it again.
func (f Finding) String() string {
	return fmt.Sprintf("statement %d of seed %d as %s (%s): %s\n\t%s", f.Number, f.Seed, f.Subject, f.Unit.Kind, f.What, strings.ReplaceAll(f.Unit.String(), "\n", "\n\t"))
}

// Count is what became of the statements of a kind.
type Count struct{ Sent, Answered, Refused, Failed int }

// Report is what a run found.
type Report struct {
	Name     string
	Kinds    map[string]*Count
	Total    Count // of what is meant to be answered
	Attempts Count
	Rows     int
	Bytes    int
	States   map[string]int
	Examples map[string]string // of each refusal and error
	Findings []Finding
	Compared int      // with the twin
	Lost     []string // sessions that ended in the middle of a batch, which was then sent again
	Took     time.Duration
}

// Sent is all of it.
func (r *Report) Sent() int { return r.Total.Sent + r.Attempts.Sent }

// Accepted is the share in per cent of ordinary statements that were not refused.
func (r *Report) Accepted() float64 {
	return 100 * float64(r.Total.Answered+r.Total.Failed) / float64(max(1, r.Total.Sent))
}

// Answered is the share in per cent of ordinary statements that were answered without an error.
func (r *Report) Answered() float64 {
	return 100 * float64(r.Total.Answered) / float64(max(1, r.Total.Sent))
}

// String is the report as a table.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d statements in %v (%.0f a second), %.1f %% of the ordinary ones accepted, %.1f %% answered without an error; %d attempts, %d answered; %d rows, %d kB read, %d compared with the twin; %d sessions lost; %d findings\n",
		r.Name, r.Sent(), r.Took.Round(time.Second), float64(r.Sent())/max(r.Took.Seconds(), 0.001), r.Accepted(), r.Answered(), r.Attempts.Sent, r.Attempts.Answered, r.Rows, r.Bytes>>10, r.Compared, len(r.Lost), len(r.Findings))
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		c := r.Kinds[kind]
		fmt.Fprintf(&b, "  %-32s %8d sent %8d answered %8d refused %8d failed\n", kind, c.Sent, c.Answered, c.Refused, c.Failed)
	}
	return b.String()
}

// Complaints lists errors and refusals by how often they came, with an example of each.
func (r *Report) Complaints(n int) string {
	keys := slices.Collect(maps.Keys(r.States))
	sort.Slice(keys, func(i, j int) bool { return r.States[keys[i]] > r.States[keys[j]] })
	var b strings.Builder
	for _, k := range keys[:min(n, len(keys))] {
		fmt.Fprintf(&b, "%7d %s\n\t\t%s\n", r.States[k], k, r.Examples[k])
	}
	return b.String()
}

// Run sends the statements of a plan and reports. An error says that the run is worth nothing.
func Run(ctx context.Context, p Plan) (*Report, error) {
	start := time.Now()
	report := &Report{Name: p.Endpoint.Name, Kinds: map[string]*Count{}, States: map[string]int{}, Examples: map[string]string{}}
	var next atomic.Uint64
	next.Store(p.From)
	var sweep []sqlgen.Unit
	if p.Sweep {
		sweep = p.Schema(p.Subjects[0]).Sweep()
	}
	p.To += uint64(len(sweep))
	var mu sync.Mutex
	var wg sync.WaitGroup
	errs := make([]error, p.Workers)
	for i := range p.Workers {
		w := &worker{plan: p, subject: p.Subjects[i%len(p.Subjects)], schema: p.Schema(p.Subjects[i%len(p.Subjects)]), sweep: sweep, oracle: p.Endpoint.World.oracle(), next: &next, mu: &mu, report: report}
		wg.Go(func() { errs[i] = w.run(ctx) })
	}
	wg.Wait()
	report.Took = time.Since(start)
	for _, err := range errs {
		if err != nil {
			return report, err
		}
	}
	return report, nil
}

// worker is one connection of one subject, and one to the twin.
type worker struct {
	plan      Plan
	subject   string
	schema    *sqlgen.Schema
	sweep     []sqlgen.Unit
	oracle    *Oracle
	next      *atomic.Uint64
	mu        *sync.Mutex
	report    *Report
	one, twin *conn
}

// job is one unit of a batch.
type job struct {
	number uint64
	unit   sqlgen.Unit
	ways   []way
	answer []byte // what came back, to compare with the twin
	states []string
	reply  string // the first error
	rows   int
	bytes  int
	leak   string
	late   bool // ran out of time, here or at the twin
}

// timedOut is the SQLSTATE of a statement that statement_timeout ended.
const timedOut = "57014"

func (w *worker) run(ctx context.Context) error {
	defer func() {
		for _, c := range []*conn{w.one, w.twin} {
			if c != nil {
				c.close()
			}
		}
	}()
	for ctx.Err() == nil && (w.plan.Until.IsZero() || time.Now().Before(w.plan.Until)) {
		from := w.next.Add(uint64(w.plan.Batch)) - uint64(w.plan.Batch)
		if from >= w.plan.To {
			return nil
		}
		var jobs []*job
		for n := from; n < min(from+uint64(w.plan.Batch), w.plan.To); n++ {
			jobs = append(jobs, w.job(n))
		}
		if err := w.persist(ctx, jobs); err != nil {
			return fmt.Errorf("%s as %s, statements %d to %d of seed %d: %w", w.plan.Endpoint.Name, w.subject, from, from+uint64(len(jobs))-1, w.plan.Seed, err)
		}
		w.record(jobs)
	}
	return nil
}

// tries is how often a batch is sent before the endpoint counts as gone. Sessions end on a machine that is too busy; whoever
// reads the report sees how many.
const tries = 4

// persist asks until a session lives to the end of the batch.
func (w *worker) persist(ctx context.Context, jobs []*job) error {
	for try := 1; ; try++ {
		err := w.batch(ctx, jobs)
		if err == nil || try == tries {
			return err
		}
		for _, c := range []**conn{&w.one, &w.twin} {
			if *c != nil {
				(*c).close()
				*c = nil
			}
		}
		for i, j := range jobs {
			fresh := &job{number: j.number, unit: j.unit, ways: j.ways, leak: j.leak}
			jobs[i] = fresh
		}
		w.mu.Lock()
		w.report.Lost = append(w.report.Lost, err.Error())
		w.mu.Unlock()
	}
}

// job writes statement n and decides how it is sent.
func (w *worker) job(n uint64) *job {
	if at := n - w.plan.From; at < uint64(len(w.sweep)) {
		return &job{number: at, unit: w.sweep[at], ways: []way{simple}}
	}
	n -= uint64(len(w.sweep))
	u := w.schema.Make(w.plan.Seed, n, sqlgen.Options{Attempts: w.plan.Attempts})
	j := &job{number: n, unit: u}
	for range u.Texts {
		how := simple
		if u.Kind != "several" && n%4 == 1 {
			how = extended
		} else if u.Kind != "several" && n%16 == 3 {
			how = extendedBinary
		}
		if strings.Contains(u.String(), "FROM STDIN") {
			how = simple
		}
		j.ways = append(j.ways, how)
	}
	return j
}

// batch asks the endpoint, and the twin.
func (w *worker) batch(ctx context.Context, jobs []*job) error {
	if err := w.ask(ctx, &w.one, w.plan.Endpoint, jobs, func(j *job, r *reply) {
		j.rows, j.bytes, j.states = j.rows+r.rows, j.bytes+len(r.bytes), append(j.states, r.states...)
		if j.reply == "" {
			j.reply = r.message
		}
		if leak := w.oracle.Find(r.bytes, binaryAnswer(j)); leak != "" && j.leak == "" {
			j.leak = leak
		}
		if w.plan.Twin != nil {
			j.answer = append(j.answer, r.bytes...)
		}
	}); err != nil {
		return err
	}
	if w.plan.Twin == nil {
		return nil
	}
	twins := map[*job][]byte{}
	if err := w.ask(ctx, &w.twin, *w.plan.Twin, jobs, func(j *job, r *reply) {
		twins[j] = append(twins[j], r.bytes...)
		j.late = j.late || slices.Contains(r.states, timedOut)
	}); err != nil {
		return err
	}
	for _, j := range jobs {
		// One that ran out of time in one world says how busy the machine is.
		j.late = j.late || slices.Contains(j.states, timedOut)
		if j.leak == "" && !j.unit.Volatile && !j.late && !bytes.Equal(withoutEvents(twins[j]), withoutEvents(j.answer)) {
			j.leak = difference(withoutEvents(j.answer), withoutEvents(twins[j]))
		}
	}
	return nil
}

// binaryAnswer says whether a job's answers hold values in binary.
func binaryAnswer(j *job) bool {
	return j.ways[0] == extendedBinary || strings.Contains(j.unit.Texts[0], "binary") || len(j.unit.Texts) > 1 && strings.Contains(j.unit.Texts[1], "BINARY")
}

// withoutEvents takes out the gateway's numbers of events, which are never the same.
func withoutEvents(answer []byte) []byte {
	const word = "Event "
	var out []byte
	for {
		at := bytes.Index(answer, []byte(word))
		if at < 0 || at+len(word)+16 > len(answer) {
			return append(out, answer...)
		}
		out = append(out, answer[:at]...)
		answer = answer[at+len(word)+16:]
	}
}

// difference says where two answers part.
func difference(a, b []byte) string {
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	return fmt.Sprintf("the twin answers otherwise: %s, not %s", around(b, min(at, len(b)), 1), around(a, min(at, len(a)), 1))
}

// ask sends all texts of all jobs and reads the answers.
func (w *worker) ask(ctx context.Context, c **conn, at Endpoint, jobs []*job, take func(*job, *reply)) error {
	if *c == nil {
		config, err := at.Config(w.subject)
		if err != nil {
			return err
		}
		if *c, err = connect(ctx, config); err != nil {
			return err
		}
		(*c).send("SET statement_timeout = '5s'", simple)
		if err := (*c).flush(); err != nil {
			return err
		}
		if err := (*c).receive(&reply{}, true); err != nil {
			return err
		}
	}
	for _, j := range jobs {
		for i, text := range j.unit.Texts {
			(*c).send(text, j.ways[i])
		}
	}
	// Written beside the reading: an endpoint that answers while we still write must not wait for us.
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = (*c).flush() // a failed write shows in the reading
	}()
	defer func() { <-sent }()
	var r reply
	for _, j := range jobs {
		for range j.unit.Texts {
			if err := (*c).receive(&r, at.NoNotices); err != nil {
				(*c).close() // ends the writing as well
				return fmt.Errorf("the session ended in answer to\n%s\n%v %s: %w", j.unit, r.states, r.message, err)
			}
			take(j, &r)
		}
	}
	return nil
}

// record counts a batch.
func (w *worker) record(jobs []*job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.report
	for _, j := range jobs {
		kind := r.Kinds[j.unit.Kind]
		if kind == nil {
			kind = &Count{}
			r.Kinds[j.unit.Kind] = kind
		}
		sum := &r.Total
		if j.unit.Attempt {
			sum = &r.Attempts
		}
		for _, c := range []*Count{kind, sum} {
			c.Sent++
			switch {
			case len(j.states) == 0:
				c.Answered++
			case refusal(j.states[0]):
				c.Refused++
			default:
				c.Failed++
			}
		}
		if len(j.states) > 0 && !j.unit.Attempt {
			key := j.states[0] + " " + j.reply
			r.States[key]++
			if r.Examples[key] == "" || len(j.unit.String()) < len(r.Examples[key]) {
				r.Examples[key] = j.unit.String()
			}
		}
		r.Rows += j.rows
		r.Bytes += j.bytes
		if w.plan.Twin != nil && !j.unit.Volatile && !j.late {
			r.Compared++
		}
		what := j.leak
		if what == "" && slices.Contains(j.states, "XX000") && !complains(j.reply) {
			what = "an internal error: " + j.reply
		}
		if what != "" {
			r.Findings = append(r.Findings, Finding{w.plan.Seed, j.number, w.subject, j.unit, what})
		}
	}
}

// complains says whether an internal error is how the server answers a call of a function that is not meant to be called, or not on a
// view: it names none of the data. Only the wall alone meets them; the gateway calls none of these functions.
func complains(reply string) bool {
	return slices.ContainsFunc([]string{
		"invalid INTERVAL typmod: 0x", "currtid cannot handle views with no CTID", "variadic arguments must be name/value pairs",
		"range_intersect_agg_transfn called in non-aggregate context", "multirange_intersect_agg_transfn called in non-aggregate context",
	}, func(known string) bool { return strings.HasPrefix(reply, known) }) || madeUp(reply)
}

// firstUserOID is where the OIDs of what people create begin (FirstNormalObjectId).
const firstUserOID = 16384

// madeUp says whether an error names an OID that the statement itself made up, as for pg_sequence_last_value.
func madeUp(reply string) bool {
	number, ok := strings.CutPrefix(reply, "could not open relation with OID ")
	oid, err := strconv.ParseUint(number, 10, 32)
	return ok && err == nil && oid < firstUserOID
}

// refusal says whether an SQLSTATE is that of a refusal, and not of a statement that ran and failed. Statements are meant
// to be valid, so an unknown name or a syntax error is a refusal too.
func refusal(state string) bool {
	return strings.HasPrefix(state, "42") || strings.HasPrefix(state, "0A") || strings.HasPrefix(state, "54") || state == "XX000"
}
