package gateway

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
)

// Handler is the engine's end of a session.
type Handler interface {
	// End ends the session: what runs is cancelled and the client is told why. It does not wait, and may be called again.
	End(e Ending)
	// EndBusy ends the session as End does if a statement is under way: it was let in by what is no longer held. What comes next
	// is decided anew.
	EndBusy(e Ending)
	// Drain asks the session to end at the next moment at which nothing is under way. It does not wait.
	Drain()
}

// Session is somebody who is in, or about to be. It is safe for concurrent use.
type Session struct {
	g       *Gateway
	a       *Admitted
	id      string
	claim   Claim
	proof   identity.Proof
	started time.Time
	release func()

	state atomic.Pointer[state]

	deciding sync.Mutex // one decision at a time
	mu       sync.Mutex // guards what follows
	handler  Handler
	ending   *Ending
	wantsEnd bool // drain before there was a handler
	accepted bool
	closed   bool
	stop     func() bool // the timer of the next decision
	stopAge  func() bool
	stopEnd  func() bool
}

// state is what the last decision said. It is replaced as a whole.
type state struct {
	subject policy.Subject
	profile *Profile
	rules   []string        // that have not ended
	actor   *audit.Actor    // what every event of the session says
	would   *policy.Refusal // why an observed subject would not have been let in
}

// ID joins all events of the session.
func (s *Session) ID() string { return s.id }

// Subject is who it is, with the groups and attributes of the last decision.
func (s *Session) Subject() policy.Subject { return s.state.Load().subject }

// Profile is what the session may do at this moment. It changes when the policy does.
func (s *Session) Profile() *Profile { return s.state.Load().profile }

// Limits are the gateway's limits.
func (s *Session) Limits() Limits { return s.g.limits }

// Clock is the gateway's clock.
func (s *Session) Clock() Clock { return s.g.config.Clock }

// Attach tells the registry whom to end. If the session has ended meanwhile, the handler is told at once.
func (s *Session) Attach(h Handler) {
	s.mu.Lock()
	s.handler = h
	ending, wantsEnd := s.ending, s.wantsEnd
	s.mu.Unlock()
	if ending != nil {
		h.End(*ending)
	} else if wantsEnd {
		h.Drain()
	}
}

// Accept is the last stage: the login is recorded. Only after it returned nil may the client be told that it is in.
func (s *Session) Accept(ctx context.Context) error {
	e := audit.Event{Kind: audit.LoginAccepted}
	if id := s.proof.Credential(); id != "" && id != identity.PolicyCredential {
		e.Detail = map[string]string{"credential": s.proof.Credential()}
	}
	if would := s.state.Load().would; would != nil {
		e.Reason, e.Message = string(would.Code), "would be refused: "+would.Text
	}
	if _, err := s.Record(ctx, e); err != nil {
		return &Refusal{Code: CodeAudit, Message: "the audit trail cannot be written, so nobody is let in"}
	}
	s.a.loggedIn()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = true // the trail says so, and gets the end too
	if s.ending != nil {
		return &Refusal{Code: s.ending.Code, Message: s.ending.Message, Hint: s.ending.Hint}
	}
	return nil
}

// Refuse records that the login failed after all, for instance because the store did not answer, and returns the refusal.
func (s *Session) Refuse(ctx context.Context, r *Refusal) *Refusal {
	return s.a.refuse(ctx, s.claim, r)
}

// Record writes an event of the session; see audit.Recorder.
func (s *Session) Record(ctx context.Context, e audit.Event) (string, error) {
	s.state.Load().actor.Mark(&e)
	return s.g.config.Audit.Record(ctx, e)
}

// RecordSoon queues an event of the session; see audit.Recorder.
func (s *Session) RecordSoon(e audit.Event) error {
	s.state.Load().actor.Mark(&e)
	return s.g.config.Audit.RecordSoon(e)
}

// End ends the session for a reason. The first one counts.
func (s *Session) End(e Ending) {
	s.mu.Lock()
	if s.ending != nil || s.closed {
		s.mu.Unlock()
		return
	}
	s.ending = &e
	h := s.handler
	s.mu.Unlock()
	if h != nil {
		h.End(e)
	}
}

// Ended returns why the session has to end, or nil.
func (s *Session) Ended() *Ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}

func (s *Session) drain() {
	s.mu.Lock()
	s.wantsEnd = true
	h := s.handler
	s.mu.Unlock()
	if h != nil {
		h.Drain()
	}
}

// Close takes the session out of the registry and writes its end to the trail, with what the engine says of it. It must be
// called once the session is over, and may be called more than once.
func (s *Session) Close(e audit.Event) {
	s.mu.Lock()
	first, accepted, ending := !s.closed, s.accepted, s.ending
	s.closed = true
	s.mu.Unlock()
	if !first {
		return
	}
	s.drop()
	if !accepted {
		return // LoginRefused said it
	}
	e.Kind = audit.SessionEnd
	if ending != nil && e.Reason == "" {
		e.Reason, e.Message = string(ending.Code), ending.Message
	}
	e.DurationUS = s.g.config.Clock.Now().Sub(s.started).Microseconds()
	if err := s.RecordSoon(e); err != nil {
		s.g.config.Log.Error("the end of a session could not be recorded", "session", s.id, "error", err)
	}
}

// drop forgets the session.
func (s *Session) drop() {
	s.mu.Lock()
	s.closed = true
	for _, stop := range []func() bool{s.stop, s.stopAge, s.stopEnd} {
		if stop != nil {
			stop()
		}
	}
	s.stop, s.stopAge, s.stopEnd = nil, nil, nil
	s.mu.Unlock()
	s.g.registry.remove(s.id)
	s.release()
}

// decide asks the policy and the profiles, and puts the answer in force.
func (s *Session) decide() *Refusal {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	p := s.g.config.Policies.Current()
	subject, known := p.Subject(s.claim.User)
	if !known {
		return &Refusal{Code: CodeRevoked, Message: "user \"" + s.claim.User + "\" is no longer in the policy"}
	}
	if s.proof.Method() == identity.Certificate && s.claim.cert.id != "" && !p.Certificates {
		return &Refusal{Code: CodeRevoked, Message: "certificates of postern login are no longer taken"}
	}
	login := s.a.login(subject, s.claim)
	a := p.Decide(login)
	observed := p.Observes(subject, s.claim.Store)
	if _, network := p.NetworkOf(login); a.Refusal != nil && (!observed || network != nil) {
		// Where somebody comes from, and who they are, is enforced for the observed as well: only the rules are not.
		return &Refusal{Code: a.Refusal.Code, Message: a.Refusal.Text, Hint: howToAsk(p, subject, s.claim.Store)}
	}
	profile, err := s.g.config.Profiles.Profile(Holder{Subject: subject, Store: s.claim.Store, Rules: ruleNames(a.Profile), Ended: a.Ended(), Observed: observed})
	if err != nil {
		return unavailable(err)
	}
	if old := s.state.Load(); old != nil && (old.profile.Role != profile.Role || old.profile.Observed != profile.Observed) {
		return &Refusal{Code: CodeProfileChanged, Message: "your role on the server has changed", Hint: "connect again"}
	}
	rules := ruleNames(a.Rules)
	s.state.Store(&state{subject: subject, profile: profile, rules: rules, actor: audit.NewActor(s.event(p, subject, profile, rules)), would: a.Refusal})
	s.wake(a.Until)
	return nil
}

// howToAsk names what somebody who holds nothing could ask for, and how.
func howToAsk(p *policy.Policy, s policy.Subject, store string) string {
	if asks := p.Askable(s, store); len(asks) > 0 && len(p.RulesOf(s, store)) == 0 {
		return "ask for access: postern request " + asks[0].On
	}
	return ""
}

// unavailable turns the word of Profiles into a refusal. An error of an unknown kind refuses too, without its text.
func unavailable(err error) *Refusal {
	if u := (*Unavailable)(nil); errors.As(err, &u) {
		return &Refusal{Code: u.Code, Message: u.Message, Hint: u.Hint}
	}
	return &Refusal{Code: CodeInternal, Message: "your profile cannot be used at the moment"}
}

// decideAgain decides a live session anew and ends it if the answer is no.
func (s *Session) decideAgain() {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return
	}
	before := s.state.Load()
	if r := s.decide(); r != nil {
		s.End(Ending{Code: r.Code, Message: r.Message, Hint: r.Hint})
		return
	}
	if rule := lost(before, s.state.Load()); rule != "" {
		s.endBusy(Ending{Code: CodeRevoked, Message: "your access by rule " + rule + " has ended", Hint: "connect again for what you still hold"})
	}
}

// lost names a rule that a session held before and does not hold now, or "".
func lost(before, after *state) string {
	if before == nil {
		return ""
	}
	for _, rule := range before.rules {
		if !slices.Contains(after.rules, rule) {
			return rule
		}
	}
	return ""
}

// endBusy ends the session if a statement is under way.
func (s *Session) endBusy(e Ending) {
	s.mu.Lock()
	h := s.handler
	if s.ending != nil || s.closed {
		h = nil
	}
	s.mu.Unlock()
	if h != nil {
		h.EndBusy(e)
	}
}

// wake makes the session be decided again when the next of its rules ends (PRO-107).
func (s *Session) wake(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	if !until.IsZero() && !s.closed {
		s.stop = s.g.config.Clock.AfterFunc(max(until.Sub(s.g.config.Clock.Now()), 0), s.decideAgain)
	}
}

// setAge ends the session when it has lived for long enough.
func (s *Session) setAge(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.stopAge = s.g.config.Clock.AfterFunc(d, func() {
		s.End(Ending{Code: CodeSessionAge, Message: "the session has lived as long as sessions may", Hint: "connect again"})
	})
}

// setEnd ends the session together with what its user proved themselves with.
func (s *Session) setEnd(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.stopEnd = s.g.config.Clock.AfterFunc(max(until.Sub(s.g.config.Clock.Now()), 0), func() {
		s.End(Ending{Code: CodeRevoked, Message: "the credential that you logged in with has ended", Hint: "postern login"})
	})
}

// event is what every event of the session says.
func (s *Session) event(p *policy.Policy, subject policy.Subject, profile *Profile, rules []string) audit.Event {
	return audit.Event{
		Session: s.id, Subject: subject.Name, Groups: subject.Groups, Role: profile.Role, Store: s.claim.Store,
		Profile: profile.Name, Rules: rules, Policy: p.Digest, Address: s.a.facts.Remote, TLS: s.claim.Transport.Version(),
		Method: string(s.proof.Method()), App: s.claim.Application, Listener: s.a.facts.Listener,
		NotEnforced: profile.Observed,
	}
}

func ruleNames(rules []*policy.Rule) []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = r.Name
	}
	return out
}

// Info describes a session for people.
type Info struct {
	ID, User, Store, Role, Profile, Address, Application string
	Credential                                           string // that was used, if the method has several
	Started                                              time.Time
	Accepted                                             bool
}

func (s *Session) info() Info {
	i := Info{
		ID: s.id, User: s.claim.User, Store: s.claim.Store, Address: s.a.facts.Remote, Application: s.claim.Application, Started: s.started,
		Credential: s.proof.Credential(),
	}
	if st := s.state.Load(); st != nil {
		i.Role, i.Profile = st.profile.Role, st.profile.Name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i.Accepted = s.accepted
	return i
}

// registry knows every session.
type registry struct {
	mu sync.Mutex
	m  map[string]*Session
}

func (r *registry) init() { r.m = map[string]*Session{} }

func (r *registry) add(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m[s.id] = s
}

func (r *registry) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m, id)
}

func (r *registry) find(id string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.m[id]
}

// all lists the sessions, oldest first.
func (r *registry) all() []*Session {
	r.mu.Lock()
	out := make([]*Session, 0, len(r.m))
	for _, s := range r.m {
		out = append(out, s)
	}
	r.mu.Unlock()
	slices.SortFunc(out, func(a, b *Session) int { return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.id, b.id)) })
	return out
}

// newID makes a session id that nobody can guess.
func (g *Gateway) newID() string {
	var b [12]byte
	if _, err := io.ReadFull(g.config.Random, b[:]); err != nil {
		// Without randomness nothing else works either: SCRAM and cancel keys fail before anybody is let in.
		g.config.Log.Error("no randomness", "error", err)
	}
	return hex.EncodeToString(b[:])
}
