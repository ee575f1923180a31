package pgwire

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
)

// poison is a text that PostgreSQL cannot parse. It goes upstream in place of what we refuse, so that the server's own
// machine fails, skips and reports its status; its error is replaced by ours (PRO-56). The event's id joins the server's
// log with the trail.
const poison = "postern refused "

// noTypes ends a Parse without parameter types.
var noTypes = []byte{0, 0}

// query decides a simple Query: every statement before any byte goes upstream (PRO-49).
func (s *session) query(ctx context.Context, body []byte) error {
	// A Query is a batch of its own for whoever comes after it: it can fail half way, and what follows still runs.
	s.in.batch++
	defer func() { s.in.batch++ }()
	text, rest, ok := cString(body)
	if !ok || len(rest) != 0 {
		return s.refuse(ctx, 'Q', nil, &answer{state: "08P01", message: "invalid message format"}, refusedEvent("malformed"))
	}
	w := s.profile().World
	d := s.server.config.Guard.Decide(w, string(text), pgsql.Simple)
	if d.Verdict == pgsql.Refuse {
		ev := s.refusedDecision(d, text)
		s.shadow(&ev, text, pgsql.Simple)
		return s.refuse(ctx, 'Q', nil, refusalAnswer(d.Refusal), ev)
	}
	e := &s.in.query // what is pushed is a copy
	*e = entry{kind: kQuery, redacted: d.Redacted, command: commandOf(d.Statements), started: s.clock.Now()}
	if d.Verdict == pgsql.Empty {
		err := s.push(e)
		s.in.out = appendQuery(s.in.out, d.Text)
		return err
	}
	ev := s.allowedDecision(d, e.command)
	s.shadow(&ev, text, pgsql.Simple)
	for i := range d.Statements {
		if d.Statements[i].ReturnsCopy == 'i' {
			e.copies++
		}
		if d.Statements[i].Explain {
			e.plan = pgsql.NewPlanFilter(w, d.Statements[i].Subplans)
		}
		touches, a, err := s.effects(w, d, i, e)
		if err != nil {
			return err
		}
		if a != nil {
			ev.Verdict, ev.Reason = verdictRefuse, a.why()
			return s.refuse(ctx, 'Q', nil, a, ev)
		}
		if i == 0 {
			ev.Touches = slices.Clip(touches)
		} else {
			ev.Touches = append(ev.Touches, touches...)
		}
	}
	e.single = len(d.Statements) == 1
	if a := s.meter(e, int64(len(d.Statements)), ev.Touches, &ev); a != nil {
		return s.refuse(ctx, 'Q', nil, a, ev)
	}
	id, err := s.gw.Record(ctx, ev)
	if err != nil {
		return s.unrecorded('Q', err)
	}
	s.totals.statements.Add(1)
	e.event = id
	if err := s.push(e); err != nil {
		return err
	}
	s.in.out = appendQuery(s.in.out, d.Text)
	return nil
}

// parse decides a Parse.
func (s *session) parse(ctx context.Context, body []byte) error {
	name, rest, ok := cString(body)
	text, types, ok2 := cString(rest)
	if !ok || !ok2 || len(types) < 2 || (len(types)-2)%4 != 0 {
		return s.refuse(ctx, 'P', nil, &answer{state: "08P01", message: "invalid message format"}, refusedEvent("malformed"))
	}
	if a := clearName(name); a != nil {
		return s.refuse(ctx, 'P', nil, a, refusedEvent(a.why()))
	}
	w := s.profile().World
	if typ, hint := refusedType(w, types[2:]); typ != "" {
		return s.refuse(ctx, 'P', name, &answer{state: "42501", message: "parameters of " + typ + " are not available", hint: hint}, refusedEvent("parameter_type"))
	}
	d := s.server.config.Guard.Decide(w, string(text), pgsql.Extended)
	if d.Verdict == pgsql.Refuse {
		ev := s.refusedDecision(d, text)
		s.shadow(&ev, text, pgsql.Extended)
		return s.refuse(ctx, 'P', name, refusalAnswer(d.Refusal), ev)
	}
	if a := s.roomForStatement(0); a != nil {
		return s.refuse(ctx, 'P', name, a, refusedEvent(a.why()))
	}
	st := &statement{
		generation: w.Generation, redacted: d.Redacted, command: commandOf(d.Statements), verdict: verdictOf(d.Verdict),
		empty: d.Verdict == pgsql.Empty, epoch: s.in.epoch,
	}
	if len(d.Statements) > 0 {
		st.effects, st.copyIn = d.Statements[0].Effects, d.Statements[0].ReturnsCopy == 'i'
		if d.Statements[0].Explain {
			st.explain, st.subplans = w, d.Statements[0].Subplans
		}
	}
	st.touches = touchesOf(w.Store, d.Statements)
	e := &entry{
		kind: kParse, redacted: d.Redacted, command: st.command, started: s.clock.Now(),
		delta: delta{op: setStatement, name: keptName(name), st: st},
	}
	if !st.empty {
		ev := s.allowedDecision(d, st.command)
		ev.Touches = st.touches
		s.shadow(&ev, text, pgsql.Extended)
		st.shadow = ev.Shadow
		id, err := s.gw.Record(ctx, ev)
		if err != nil {
			return s.unrecorded('P', err)
		}
		st.event, e.event = id, id
	}
	if err := s.push(e); err != nil {
		return err
	}
	s.in.out = appendParse(s.in.out, name, d.Text, types)
	return nil
}

// refusedType names the first of the declared types of parameters that the guard would not let be named, "" when there is none: the
// server reads the value as it would read a cast of it (ENF-55).
func refusedType(w *pgsql.World, types []byte) (name, hint string) {
	for ; len(types) >= 4; types = types[4:] {
		if name, hint := w.RefusedParameter(binary.BigEndian.Uint32(types)); name != "" {
			return name, hint
		}
	}
	return "", ""
}

// bind decides again: the statement must be one of the policy that is in force now (PRO-61, ENF-46).
func (s *session) bind(ctx context.Context, whole []byte) error {
	body := whole[headerSize:]
	target, rest, ok := cString(body)
	name, _, ok2 := cString(rest)
	if !ok || !ok2 {
		return s.refuse(ctx, 'B', nil, &answer{state: "08P01", message: "invalid message format"}, refusedEvent("malformed"))
	}
	if a := clearName(target); a != nil {
		return s.refuse(ctx, 'B', nil, a, refusedEvent(a.why()))
	}
	st, err := s.statement(keptName(name), nil)
	if err != nil {
		return err
	}
	if st == nil {
		return s.refuse(ctx, 'B', nil, unknownStatement(string(name)), refusedEvent("unknown_name"))
	}
	if st.generation != s.profile().World.Generation {
		return s.refuseStale(ctx, keptName(name), st)
	}
	if a := s.roomForPortal(0); a != nil {
		return s.refuse(ctx, 'B', nil, a, refusedEvent(a.why()))
	}
	po := &portal{statement: st}
	if po.runs, po.takes, err = s.uses(st); err != nil {
		return err
	}
	switch {
	case st.empty:
	case st.event != "" && st.epoch == s.in.epoch:
		po.bound, st.event = st.event, ""
	default:
		ev := decisionEvent(st)
		ev.Detail = map[string]string{"at": "bind"}
		if po.bound, err = s.gw.Record(ctx, ev); err != nil {
			return s.unrecorded('B', err)
		}
	}
	if !st.empty {
		s.totals.statements.Add(1)
	}
	e := &entry{
		kind: kBind, event: po.bound, redacted: st.redacted, command: st.command, started: s.clock.Now(),
		delta: delta{op: setPortal, name: keptName(target), portal: po},
	}
	if err := s.push(e); err != nil {
		return err
	}
	s.in.out = append(s.in.out, whole...)
	return nil
}

// describe lets a client ask for the shape of what it may run.
func (s *session) describe(ctx context.Context, whole []byte) error {
	variant, name, ok := target(whole)
	if !ok {
		return s.refuse(ctx, 'D', nil, &answer{state: "08P01", message: "invalid message format"}, refusedEvent("malformed"))
	}
	e := &entry{kind: kDescribe, started: s.clock.Now()}
	var of *statement
	if variant == 'S' {
		st, err := s.statement(name, nil)
		switch {
		case err != nil:
			return err
		case st == nil:
			return s.refuse(ctx, 'D', nil, unknownStatement(name), refusedEvent("unknown_name"))
		case st.generation != s.profile().World.Generation:
			return s.refuseStale(ctx, name, st)
		}
		of = st
	} else {
		po, a, err := s.livePortal(name, nil)
		if err != nil {
			return err
		}
		if a != nil {
			return s.refuse(ctx, 'D', nil, a, refusedEvent("unknown_name"))
		}
		of = po.statement
	}
	if a, err := s.describable(of); err != nil {
		return err
	} else if a != nil {
		return s.refuse(ctx, 'D', nil, a, refusedEvent("unknown_name"))
	}
	e.redacted, e.shaped = of.redacted, of
	if err := s.push(e); err != nil {
		return err
	}
	s.in.out = append(s.in.out, whole...)
	return nil
}

// execute runs a portal whose Bind was decided, if that decision still stands.
func (s *session) execute(ctx context.Context, whole []byte) error {
	name, rest, ok := cString(whole[headerSize:])
	if !ok || len(rest) != 4 {
		return s.refuse(ctx, 'E', nil, &answer{state: "08P01", message: "invalid message format"}, refusedEvent("malformed"))
	}
	po, a, err := s.livePortal(keptName(name), nil)
	if err != nil {
		return err
	}
	if a != nil {
		return s.refuse(ctx, 'E', nil, a, refusedEvent("unknown_name"))
	}
	e := &entry{
		kind: kExecute, event: po.bound, redacted: po.redacted, command: po.command, started: s.clock.Now(), shaped: po.statement,
	}
	if po.copyIn {
		e.copies = 1
	}
	if po.explain != nil {
		e.plan = pgsql.NewPlanFilter(po.explain, po.subplans)
	}
	all := po.touches
	if len(po.effects) > 0 {
		if a, err := s.changed(po); err != nil {
			return err
		} else if a != nil {
			return s.refuse(ctx, 'E', nil, a, refusedEvent("name_changed"))
		}
		touches, a, err := s.effectsOf(po.statement, po.effects, 0, e)
		if err != nil {
			return err
		}
		ev := decisionEvent(po.statement)
		ev.Touches = append(slices.Clip(ev.Touches), touches...)
		all = ev.Touches
		if a != nil {
			ev.Verdict, ev.Reason = verdictRefuse, a.why()
			return s.refuse(ctx, 'E', nil, a, ev)
		}
		if len(touches) > 0 {
			if e.event, err = s.gw.Record(ctx, ev); err != nil {
				return s.unrecorded('E', err)
			}
		}
	}
	if refused, err := s.meterExecute(ctx, e, po, all); refused || err != nil {
		return err
	}
	if err := s.push(e); err != nil {
		return err
	}
	s.in.out = append(s.in.out, whole...)
	return nil
}

// closeName passes a Close on. Closing what does not exist succeeds (PRO-62).
func (s *session) closeName(ctx context.Context, whole []byte) error {
	variant, name, ok := target(whole)
	if !ok {
		return s.refuse(ctx, 'C', nil, &answer{state: "08P01", message: "invalid message format"}, refusedEvent("malformed"))
	}
	e := &entry{kind: kClose, started: s.clock.Now(), delta: delta{op: dropPortal, name: name}}
	if variant == 'S' {
		e.delta.op = dropStatement
	}
	if err := s.push(e); err != nil {
		return err
	}
	s.in.out = append(s.in.out, whole...)
	return nil
}

// target reads the variant and name of a Describe or Close.
func target(whole []byte) (variant byte, name string, ok bool) {
	body := whole[headerSize:]
	if len(body) < 2 || body[0] != 'S' && body[0] != 'P' {
		return 0, "", false
	}
	n, rest, ok := cString(body[1:])
	return body[0], keptName(n), ok && len(rest) == 0
}

// functionCall refuses FunctionCall: it runs any function by its OID, without SQL (PRO-90).
func (s *session) functionCall(ctx context.Context) error {
	if s.ignored() {
		return nil
	}
	s.in.batch++
	defer func() { s.in.batch++ }()
	return s.refuse(ctx, 'Q', nil, &answer{
		state: "0A000", message: "function calls by the fast path are refused", rule: "They run any function without SQL.",
		hint: "call the function in a SELECT",
	}, refusedEvent("function_call"))
}

// ignored says whether the server ignores what comes until the next Sync.
func (s *session) ignored() bool {
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return s.in.skip || s.pipe.failed(s.in.epoch)
}

// tooLong refuses a message by its header.
func (s *session) tooLong(ctx context.Context, kind byte, size uint32) error {
	if s.ignored() {
		return nil
	}
	limit := s.server.limits.Statement
	if kind == 'B' {
		limit = s.server.limits.Bind
	}
	if kind == 'Q' {
		s.in.batch++
		defer func() { s.in.batch++ }()
	}
	ev := refusedEvent("too_long")
	ev.Detail = map[string]string{"bytes": strconv.FormatUint(uint64(size), 10)}
	return s.refuse(ctx, kind, nil, &answer{
		state: "54000", message: "the message is longer than the gateway takes",
		rule: "The limit is " + strconv.Itoa(limit) + " bytes.", hint: "send the data in smaller pieces",
	}, ev)
}

// refuse answers a message with an error of ours, in its turn, and makes the server's machine fail at the same place
// (PRO-54 to 57). name is that of a refused Parse: the server forgets an unnamed statement as it would have anyway.
func (s *session) refuse(ctx context.Context, kind byte, name []byte, a *answer, ev audit.Event) error {
	id, err := s.gw.Record(ctx, ev)
	if err != nil {
		return s.unrecorded(kind, err)
	}
	s.totals.refused.Add(1)
	a.event = id
	a.offer(s.server.config.Portal)
	if a.isStale {
		if err := s.forget(a.stale); err != nil {
			return err
		}
	}
	e := &entry{kind: kQuery, answer: a, started: s.clock.Now()}
	if kind != 'Q' {
		e.kind = kParse
	}
	if err := s.push(e); err != nil {
		return err
	}
	if kind == 'Q' {
		s.in.out = appendQuery(s.in.out, poison+id)
		return nil
	}
	if kind != 'P' {
		name = []byte("postern_refused") // anything else of the client's stays as it is
	}
	s.in.out = appendParse(s.in.out, name, poison+id, noTypes)
	s.in.skip = true
	return nil
}

// forget takes a statement off the server, so that a driver can prepare it again under its name.
func (s *session) forget(name string) error {
	e := &entry{kind: kClose, injected: true, started: s.clock.Now(), delta: delta{op: dropStatement, name: name}}
	if err := s.push(e); err != nil {
		return err
	}
	s.in.out = appendClose(s.in.out, 'S', name)
	return nil
}

// refuseStale refuses a statement that was prepared under a policy that is no longer in force (ENF-46).
func (s *session) refuseStale(ctx context.Context, name string, st *statement) error {
	ev := decisionEvent(st)
	ev.Verdict, ev.Reason = verdictRefuse, "policy_changed"
	return s.refuse(ctx, 'B', nil, staleStatement(name), ev)
}

// unrecorded is what happens when the trail cannot be written: nothing goes upstream (PRO-112). With nothing under way the
// client gets an error and may go on trying; otherwise only the end of the session leaves nothing half done.
func (s *session) unrecorded(kind byte, cause error) error {
	s.server.config.Log.Error("a decision could not be recorded, so the statement is refused", "session", s.gw.ID(), "error", cause)
	a := &answer{state: "58030", message: "the audit trail cannot be written, so nothing is run", hint: "tell the operator of the gateway"}
	s.pipe.mu.Lock()
	clean := s.pipe.empty() && s.pipe.status == 'I'
	s.pipe.mu.Unlock()
	if !clean || s.in.dirty || len(s.in.out) > 0 {
		return s.fail(gateway.Ending{Code: gateway.CodeAudit, Message: a.message, Hint: a.hint})
	}
	out := a.append(nil)
	if kind == 'Q' {
		var err error
		if out, err = encode(out, &pgproto3.ReadyForQuery{TxStatus: 'I'}); err != nil {
			return err
		}
	} else {
		s.in.skip = true
	}
	// The other goroutine has nothing to write but whole messages: nothing is under way.
	if err := s.client.conn.SetWriteDeadline(s.clock.Now().Add(s.client.stall)); err != nil {
		return err
	}
	_, err := s.client.conn.Write(out)
	return err
}

// Verdicts as the trail spells them.
const (
	verdictAllow   = "allow"
	verdictRewrite = "rewrite"
	verdictRefuse  = "refuse"
)

func verdictOf(v pgsql.Verdict) string {
	if v == pgsql.Rewrite {
		return verdictRewrite
	}
	return verdictAllow
}

// refusedEvent is the decision on something that has no text to judge.
func refusedEvent(reason string) audit.Event {
	return audit.Event{Kind: audit.Decision, Verdict: verdictRefuse, Reason: reason}
}

// refusedDecision is the guard's refusal as an event. What could not be parsed is named by length and keyed hash only.
func (s *session) refusedDecision(d *pgsql.Decision, text []byte) audit.Event {
	e := refusedEvent("refused")
	e.Statement, e.Command = d.Redacted, commandOf(d.Statements)
	e.Touches = touchesOf(s.profile().World.Store, d.Statements)
	if r := d.Refusal; r != nil {
		e.Reason, e.SQLState = r.Reason, r.SQLState
		// A parser's message holds a piece of a text that could not be read.
		if !r.Spoken && r.Reason != pgsql.ReasonSyntax {
			e.Message, e.Detail = r.Message, refusalDetail(r)
		}
	}
	if d.Redacted == "" {
		e.Opaque = s.server.config.Opaque(string(text))
	}
	return e
}

// refusalDetail is what the trail says of a refusal beside its message.
func refusalDetail(r *pgsql.Refusal) map[string]string {
	out := map[string]string{}
	for name, value := range map[string]string{"object": r.Object, "dataset": r.Dataset, "rule": r.Detail, "remedy": r.Hint} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

func (s *session) allowedDecision(d *pgsql.Decision, command string) audit.Event {
	return audit.Event{Kind: audit.Decision, Verdict: verdictOf(d.Verdict), Statement: d.Redacted, Command: command}
}

// decisionEvent is the decision on a prepared statement, once more.
func decisionEvent(st *statement) audit.Event {
	return audit.Event{
		Kind: audit.Decision, Verdict: st.verdict, Statement: st.redacted, Command: st.command, Touches: st.touches, Shadow: st.shadow,
	}
}

// commandOf joins the tags of the statements.
func commandOf(list []pgsql.Statement) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0].Tag
	}
	const most = 8
	var b strings.Builder
	for i := range list {
		if i == most {
			b.WriteString("; …")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(list[i].Tag)
	}
	return b.String()
}

func touchesOf(store string, list []pgsql.Statement) []audit.Touch {
	n := 0
	for i := range list {
		n += len(list[i].Touches)
	}
	if n == 0 {
		return nil
	}
	out := make([]audit.Touch, 0, n)
	for i := range list {
		out = appendTouches(out, store, list[i].Touches)
	}
	return out
}

func appendTouches(out []audit.Touch, store string, list []pgsql.Touch) []audit.Touch {
	for _, t := range list {
		out = append(out, audit.Touch{
			Relation: store + "." + t.Relation.Schema + "." + t.Relation.Name, Action: t.Action, Columns: t.Columns, Labels: t.Labels,
			Rules: t.Rules, Masked: t.Masked,
		})
	}
	return out
}
