package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
)

// accessCalls are those of asking, deciding and holding.
func (p *Portal) accessCalls() {
	route(p, Call{Pattern: "GET /api/v1/me", Scope: identity.ScopeRead, Summary: "Who you are, and what you can ask for"}, p.me)
	route(p, Call{Pattern: "POST /api/v1/requests", Scope: identity.ScopeRequest, pages: []string{"POST /ask/{rule}"}, Summary: "Ask for access"}, p.askFor)
	route(p, Call{Pattern: "GET /api/v1/requests", Scope: identity.ScopeRead, Summary: "What you asked for, or what waits for your decision"}, p.requests)
	route(p, Call{
		Pattern: "GET /api/v1/inbox", Scope: identity.ScopeRead, pages: []string{"GET /inbox"},
		Summary: "What waits for your decision, with what helps to decide",
	}, p.inbox)
	route(p, Call{
		Pattern: "GET /api/v1/mine", Scope: identity.ScopeRead, pages: []string{"GET /mine"},
		Summary: "What you hold, held and asked for",
	}, p.mine)
	for _, what := range sortedNames(decisions) {
		scope, page := identity.ScopeDecide, "POST /requests/{id}/{what}"
		if what == "withdraw" {
			scope, page = identity.ScopeRequest, "POST /mine/{id}/{what}"
		}
		route(p, Call{Pattern: "POST /api/v1/requests/{id}/" + what, Scope: scope, pages: []string{page}, Summary: decisions[what]}, func(r *http.Request, v *viewer, call NoteCall) (*access.Outcome, error) {
			return p.decideOn(r, v, r.PathValue("id"), what, call.Note)
		})
	}
	route(p, Call{Pattern: "GET /api/v1/grants", Scope: identity.ScopeRead, Summary: "What you hold, or what others hold on datasets that you answer for"}, p.grants)
	route(p, Call{
		Pattern: "GET /api/v1/grants/overseen", Scope: identity.ScopeRead, who: overseers, pages: []string{"GET /grants", "POST /grants/{id}/{what}"},
		Summary: "Grants on datasets that you own; all of them for those who oversee",
	}, p.overseen)
	route(p, Call{Pattern: "GET /api/v1/reviews", Scope: identity.ScopeRead, Summary: "The open reviews of datasets that you answer for"}, func(r *http.Request, v *viewer, _ nothing) ([]Review, error) {
		return p.reviewsOf(r, v, false)
	})
	for _, what := range sortedNames(grantChanges) {
		route(p, Call{Pattern: "POST /api/v1/grants/{id}/" + what, Scope: identity.ScopeDecide, Summary: grantChanges[what]}, func(r *http.Request, v *viewer, call NoteCall) (*access.Grant, error) {
			return p.changeGrant(r, v, r.PathValue("id"), what, call.Note)
		})
	}
}

// credentialCalls are those of passwords and tokens for programs.
func (p *Portal) credentialCalls() {
	route(p, Call{
		Pattern: "GET /api/v1/connection", Scope: identity.ScopeRead, pages: []string{"GET /connect"},
		Summary: "Where clients connect, and to which stores",
	}, p.connection)
	route(p, Call{Pattern: "GET /api/v1/credentials", Scope: identity.ScopeRead, pages: []string{"GET /tokens"}, Summary: "Your live tokens, temporary passwords and certificates"}, p.credentials)
	route(p, Call{Pattern: "POST /api/v1/credentials", pages: []string{"POST /connect", "POST /tokens"}, Summary: "Make a token for programs, or a temporary password"}, p.issueFor)
	route(p, Call{Pattern: "DELETE /api/v1/credentials/{id}", pages: []string{"POST /credentials/{id}/revoke"}, Summary: "Revoke one of your tokens or temporary passwords"}, p.revoke)
	route(p, Call{Pattern: "POST /api/v1/certificates", Summary: "Have a client certificate signed for a key of yours"}, p.certify)
}

// What there is to do about a request, and about a grant.
var (
	decisions = map[string]string{
		"approve": "Approve a request", "deny": "Refuse a request, with a reason", "withdraw": "Take back a request of yours",
	}
	grantChanges = map[string]string{
		"revoke": "End a grant: yours, or one that you answer for", "suspend": "Pause a grant", "resume": "Let a paused grant go on",
		"confirm": "Say in a review that a grant is still needed",
	}
)

// Me is what somebody may know of themselves: who they are, and what they could ask for.
type Me struct {
	User     string    `json:"user"`
	Groups   []string  `json:"groups"`
	Stores   []string  `json:"stores"` // which they hold a rule on
	Askable  []Askable `json:"askable"`
	Purposes []string  `json:"purposes,omitempty"`
	Gateway  string    `json:"gateway,omitempty"`
	// Certificates says whether there are client certificates for them.
	Certificates bool `json:"certificates,omitempty"`
}

// Askable is a rule that somebody could ask for.
type Askable struct {
	Rule    string   `json:"rule"`
	Dataset string   `json:"dataset"`
	Kind    string   `json:"kind"`
	Level   string   `json:"level"`
	Stores  []string `json:"stores"`
	Default string   `json:"default"`
	Max     string   `json:"max"`
	Note    string   `json:"note"`
	Purpose bool     `json:"purpose_required"`
}

func (p *Portal) me(_ *http.Request, who *viewer, _ nothing) (Me, error) {
	pol := p.c.Policy()
	out := Me{User: who.Subject.Name, Groups: notNil(who.Subject.Groups), Stores: []string{}, Askable: []Askable{}, Purposes: pol.Purposes, Gateway: p.c.Gateway}
	out.Certificates = p.certifies(who)
	for name := range pol.Stores {
		if len(pol.RulesOf(who.Subject, name)) > 0 {
			out.Stores = append(out.Stores, name)
		}
	}
	slices.Sort(out.Stores)
	for _, r := range pol.Askable(who.Subject, "") {
		out.Askable = append(out.Askable, askableOf(pol, r))
	}
	return out, nil
}

func askableOf(pol *policy.Policy, r *policy.Rule) Askable {
	return Askable{
		Rule: r.Name, Dataset: r.On, Kind: string(r.Request.Kind), Level: r.Level.String(), Stores: notNil(pol.StoresOf(r)),
		Default: r.Request.Default.String(), Max: r.Request.Max.String(), Note: string(r.Request.Note), Purpose: r.Request.Purpose,
	}
}

// AskCall asks for a rule, or for the one rule that can be asked for on a dataset.
type AskCall struct {
	What    string    `json:"what"` // a rule or a dataset
	For     string    `json:"for,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Start   time.Time `json:"start,omitzero"`
	Level   string    `json:"level,omitempty"`
	Purpose string    `json:"purpose,omitempty"`
	Note    string    `json:"note,omitempty"`
	Extends string    `json:"extends,omitempty"`
	Break   bool      `json:"break_glass,omitempty"`
	Key     string    `json:"key,omitempty"` // the same key finds the same outcome
	// Statement is what you want to run: who decides reads it.
	Statement string `json:"statement,omitempty"`
	// Event is the id of a refusal of yours. Its statement, which has no literals there, goes with the request if you send none.
	Event string `json:"event,omitempty"`
}

// askFor is a request, from the interface or a page.
func (p *Portal) askFor(r *http.Request, who *viewer, call AskCall) (*access.Outcome, error) {
	rule, err := p.meant(who, call.What)
	if err != nil {
		return nil, err
	}
	a := access.Ask{
		Rule: rule, Until: call.Until, Start: call.Start, Level: call.Level, Purpose: call.Purpose, Note: call.Note, Extends: call.Extends,
		Break: call.Break, Key: call.Key, Statement: call.Statement,
	}
	if call.Event != "" {
		if err := p.askAbout(r.Context(), who, call.Event, &a); err != nil {
			return nil, err
		}
	}
	if call.For != "" {
		if a.For, err = policy.ParseSpan(call.For); err != nil {
			return nil, &access.Refusal{Code: access.CodeTime, Text: err.Error(), Hint: "such as 8h, 7d or 1mo", Field: "for"}
		}
	}
	out, err := p.c.Desk.Request(r.Context(), who.Actor, a)
	if err != nil {
		return nil, err
	}
	return p.settled(r, out)
}

// meant finds the rule that somebody names by itself or by its dataset.
func (p *Portal) meant(who *viewer, what string) (string, error) {
	var on []string
	for _, r := range p.c.Policy().Askable(who.Subject, "") {
		if r.Name == what {
			return what, nil
		}
		if r.On == what {
			on = append(on, r.Name)
		}
	}
	switch len(on) {
	case 0:
		return "", &access.Refusal{Code: access.CodeNoRule, Text: "there is nothing called " + what + " that you can ask for", Hint: access.HintNoRule}
	case 1:
		return on[0], nil
	}
	text := "several rules can be asked for on dataset " + what + ":"
	for _, name := range on {
		text += " " + name
	}
	return "", &access.Refusal{Code: "which_rule", Text: text, Hint: "name the rule: postern request " + on[0]}
}

// settled waits until a new grant has reached the servers, so that "active" means that the next login works.
func (p *Portal) settled(r *http.Request, out *access.Outcome) (*access.Outcome, error) {
	if out.Grant == nil || out.Grant.State != access.Active || p.c.Settled == nil {
		return out, nil
	}
	p.settle(r.Context())
	now, err := p.c.Access.Grants(r.Context(), access.Filter{IDs: []string{out.Grant.ID}})
	if err != nil {
		return nil, err
	}
	if len(now) == 1 {
		out.Grant = &now[0]
	}
	return out, nil
}

// RequestsQuery chooses requests.
type RequestsQuery struct {
	Open  bool `json:"open,omitempty"`  // those alone that are not decided
	Inbox bool `json:"inbox,omitempty"` // those that wait for your decision, instead of yours
}

func (p *Portal) requests(r *http.Request, who *viewer, q RequestsQuery) ([]access.Request, error) {
	f := access.Filter{Subject: who.Subject.Name, Open: q.Open}
	if q.Inbox {
		f = access.Filter{Open: true}
	}
	found, err := p.c.Access.Requests(r.Context(), f)
	if err != nil {
		return nil, err
	}
	if q.Inbox {
		if found, err = p.c.Desk.Inbox(r.Context(), who.Actor, found); err != nil {
			return nil, err
		}
	}
	return notNil(found), nil
}

// NoteCall carries a note or a reason.
type NoteCall struct {
	Note string `json:"note,omitempty"`
}

// decideOn is a decision about a request, from the interface or a page.
func (p *Portal) decideOn(r *http.Request, who *viewer, id, what, note string) (out *access.Outcome, err error) {
	switch what {
	case "approve":
		out, err = p.c.Desk.Approve(r.Context(), who.Actor, id, note)
	case "deny":
		out, err = p.c.Desk.Deny(r.Context(), who.Actor, id, note)
	default:
		out, err = p.c.Desk.Withdraw(r.Context(), who.Actor, id)
	}
	if err != nil {
		return nil, err
	}
	return p.settled(r, out)
}

// GrantsQuery chooses grants.
type GrantsQuery struct {
	All    bool `json:"all,omitempty"`    // those too that are over
	Answer bool `json:"answer,omitempty"` // those of others on datasets that you answer for, instead of yours
}

func (p *Portal) grants(r *http.Request, who *viewer, q GrantsQuery) ([]access.Grant, error) {
	f := access.Filter{Subject: who.Subject.Name, Open: !q.All}
	if q.Answer {
		f.Subject = ""
	}
	return p.grantsOf(r, who, f, q.Answer)
}

func (p *Portal) grantsOf(r *http.Request, who *viewer, f access.Filter, answers bool) ([]access.Grant, error) {
	found, err := p.c.Access.Grants(r.Context(), f)
	if err != nil {
		return nil, err
	}
	if answers {
		pol := p.c.Policy()
		found = slices.DeleteFunc(found, func(g access.Grant) bool {
			d := pol.Datasets[g.Dataset]
			return d == nil || !who.Subject.Is(d.Owners)
		})
		slices.SortStableFunc(found, access.ReviewOrder)
	}
	return notNil(found), nil
}

// Review is a review of a dataset as those who answer for it see it.
type Review struct {
	access.Review
	Revoke     bool     `json:"revoke"`     // what nobody answers for in time ends
	Unanswered []string `json:"unanswered"` // grants
	Answers    []Answer `json:"answers"`    // for the other ones
}

// Answer is what became of one grant that a review asks about.
type Answer struct {
	Grant  string    `json:"grant"`
	Answer string    `json:"answer"`       // confirmed, or ended: by whomever, or by itself
	By     string    `json:"by,omitempty"` // who confirmed
	At     time.Time `json:"at,omitzero"`
}

// answersOf lists what was answered of what a review asks about.
func answersOf(v *access.Review, asked []access.Grant) []Answer {
	out := []Answer{}
	for i := range asked {
		g := &asked[i]
		switch {
		case !g.Live():
			out = append(out, Answer{Grant: g.ID, Answer: "ended", At: g.Closed})
		case !g.Reviewed.Before(v.Opened):
			out = append(out, Answer{Grant: g.ID, Answer: "confirmed", By: g.Reviewer, At: g.Reviewed})
		}
	}
	return out
}

// reviewsOf lists the open reviews of the datasets that somebody answers for, or of all.
func (p *Portal) reviewsOf(r *http.Request, who *viewer, all bool) ([]Review, error) {
	found, err := p.c.Access.Reviews(r.Context())
	if err != nil {
		return nil, err
	}
	pol := p.c.Policy()
	out := []Review{}
	for _, v := range found {
		d := pol.Datasets[v.Dataset]
		if !v.Open || d == nil || !all && !who.Subject.Is(d.Owners) {
			continue
		}
		asked, err := p.c.Access.Grants(r.Context(), access.Filter{IDs: v.Grants})
		if err != nil {
			return nil, err
		}
		one := Review{Review: v, Revoke: d.Review != nil && d.Review.Revoke, Unanswered: []string{}, Answers: answersOf(&v, asked)}
		for _, g := range v.Unanswered(asked) {
			one.Unanswered = append(one.Unanswered, g.ID)
		}
		out = append(out, one)
	}
	return out, nil
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// changeGrant is what somebody does to a grant, from the interface or a page.
func (p *Portal) changeGrant(r *http.Request, who *viewer, id, what, note string) (g *access.Grant, err error) {
	switch what {
	case "revoke":
		g, err = p.c.Desk.Revoke(r.Context(), who.Actor, id, note)
	case "suspend":
		g, err = p.c.Desk.Suspend(r.Context(), who.Actor, id, note)
	case "resume":
		g, err = p.c.Desk.Resume(r.Context(), who.Actor, id, note)
	case "confirm":
		g, err = p.c.Desk.Confirm(r.Context(), who.Actor, id, note)
	default:
		return nil, &access.Refusal{Code: codeBadCall, Text: "a grant is revoked, suspended, resumed or confirmed"}
	}
	if err != nil {
		return nil, err
	}
	p.settle(r.Context())
	return g, nil
}

// Shown is a credential without its secret.
type Shown struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name,omitempty"`
	Store   string    `json:"store,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"last_used,omitzero"` // to the minute; zero: never
	Scopes  []string  `json:"scopes,omitempty"`   // of a personal token
}

func shownCredential(i *identity.Issued) Shown {
	out := Shown{ID: i.ID, Kind: string(i.Kind), Name: i.Name, Store: i.Store, Created: i.Created, Expires: i.Expires}
	if i.Kind == identity.Personal {
		for _, s := range identity.Scopes() {
			if i.May(s) {
				out.Scopes = append(out.Scopes, string(s))
			}
		}
	}
	return out
}

func (p *Portal) credentials(r *http.Request, who *viewer, _ nothing) ([]Shown, error) {
	found, err := p.c.Credentials.Credentials(r.Context(), who.Subject.Name, p.c.Desk.Now())
	if err != nil {
		return nil, err
	}
	used, err := p.c.Credentials.LastUses(r.Context(), who.Subject.Name)
	if err != nil {
		return nil, err
	}
	out := []Shown{}
	for _, i := range found {
		s := shownCredential(&i)
		s.Used = used[i.ID]
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Shown) int { return b.Created.Compare(a.Created) }) // the latest first
	return out, nil
}

// IssueCall asks for a personal token or a temporary credential.
type IssueCall struct {
	Kind  string `json:"kind"` // personal or temporary
	Name  string `json:"name,omitempty"`
	Store string `json:"store,omitempty"`
	For   string `json:"for,omitempty"`
	// Scopes of a personal token; none: gateway and read.
	Scopes []string `json:"scopes,omitempty"`
}

// IssueAnswer shows a secret, once.
type IssueAnswer struct {
	Shown
	User    string `json:"user"`
	Secret  string `json:"secret"`
	Gateway string `json:"gateway,omitempty"`
}

// issueFor makes a credential. A session may, a token for programs may not.
func (p *Portal) issueFor(r *http.Request, who *viewer, call IssueCall) (*IssueAnswer, error) {
	if who.Subject.Name == people.EmergencyName {
		return nil, &access.Refusal{Code: "not_for_you", Text: "the emergency admin gets no credentials", Hint: "make somebody an account: postern user create NAME"}
	}
	now := p.c.Desk.Now()
	i := identity.Issued{ID: p.newID(), Kind: identity.IssuedKind(call.Kind), Subject: who.Subject.Name, Name: call.Name, Store: call.Store, Created: now}
	if i.Kind == identity.Temporary {
		i.SignOn = who.token.SignOn
	}
	if err := scoped(&i, call.Scopes); err != nil {
		return nil, err
	}
	if i.Kind == identity.Personal && who.factored {
		if err := p.lately(r, who); err != nil { // it goes on for months after the session at which it was made
			return nil, err
		}
	}
	if err := p.lasts(&i, call, now); err != nil {
		return nil, p.orWaiting(r.Context(), &i, err)
	}
	answer, err := p.issued(r, &i, now)
	if err != nil {
		return nil, err
	}
	if i.SignOn != "" {
		if err := p.stillSignedOn(r, who, &i, now); err != nil {
			return nil, err
		}
	}
	p.settle(r.Context())
	return answer, nil
}

// stillSignedOn takes a credential back whose session was ended while it was made: whoever ended it may have looked for its credentials before
// this one was kept.
func (p *Portal) stillSignedOn(r *http.Request, who *viewer, i *identity.Issued, now time.Time) error {
	_, err := p.c.People.Who(r.Context(), who.session, false)
	if err == nil {
		return nil
	}
	return errors.Join(errToken, p.c.Credentials.RevokeCredential(context.WithoutCancel(r.Context()), i.Subject, i.ID, now))
}

// issued makes the secret and keeps what proves it, one after another: those who count at once would find room that is not there.
func (p *Portal) issued(r *http.Request, i *identity.Issued, now time.Time) (*IssueAnswer, error) {
	p.issuing.Lock()
	defer p.issuing.Unlock()
	if err := p.room(r.Context(), i, now); err != nil {
		return nil, err
	}
	answer, err := p.draw(i)
	if err != nil {
		return nil, err
	}
	if err := p.record(r, audit.Event{Kind: audit.CredentialMade, Subject: i.Subject, Store: i.Store, Verdict: "allow", Detail: map[string]string{
		"credential": i.ID, "kind": string(i.Kind), "until": i.Expires.Format(time.RFC3339), "scopes": strings.Join(answer.Scopes, " "),
	}}); err != nil {
		return nil, err
	}
	return answer, p.c.Credentials.Issue(r.Context(), *i)
}

// scoped takes the scopes that are asked for. A token without any is refused rather than made.
func scoped(i *identity.Issued, asked []string) error {
	if i.Kind != identity.Personal {
		if len(asked) > 0 {
			return &access.Refusal{Code: codeBadCall, Text: "only a personal token has scopes"}
		}
		return nil
	}
	if i.Scopes = identity.DefaultScopes(); len(asked) > 0 {
		i.Scopes = nil
	}
	for _, name := range asked {
		s := identity.Scope(name)
		if !slices.Contains(identity.Scopes(), s) {
			return &access.Refusal{Code: codeBadCall, Text: "there is no scope " + name, Hint: "gateway, read, request, decide or inspect"}
		}
		if !slices.Contains(i.Scopes, s) {
			i.Scopes = append(i.Scopes, s)
		}
	}
	return nil
}

// lasts checks what is asked for and works out its end: never past what its owner holds.
func (p *Portal) lasts(i *identity.Issued, call IssueCall, now time.Time) error {
	pol := p.c.Policy()
	if i.Store != "" && pol.Stores[i.Store] == nil {
		return &access.Refusal{Code: codeBadCall, Text: "there is no store " + i.Store}
	}
	s, _ := pol.Subject(i.Subject)
	longest := pol.CredentialLife(s, now)
	life := longest
	switch {
	case i.Kind == identity.Personal && call.For != "" && call.Name == "":
		return &access.Refusal{Code: codeBadCall, Text: "a personal token has a name", Hint: "postern token create NAME --for 30d", Field: "name"}
	case i.Kind == identity.Personal && call.For == "":
		return &access.Refusal{Code: codeBadCall, Text: "a personal token has a name and an end", Hint: "postern token create NAME --for 30d"}
	case i.Kind == identity.Personal && !pol.TakesTokens(i.Store):
		return errNoTokens
	case call.Name != "" && !onOneLine(call.Name, maxTokenName):
		return &access.Refusal{Code: codeBadCall, Text: "the name of a token is text on one line, of at most 80 characters", Field: "name"}
	case i.Kind != identity.Personal && i.Kind != identity.Temporary:
		return &access.Refusal{Code: codeBadCall, Text: "a credential is personal or temporary"}
	}
	if call.For != "" {
		var err error
		if life, err = policy.ParseSpan(call.For); err != nil {
			return &access.Refusal{Code: access.CodeTime, Text: err.Error(), Hint: "such as 8h, 7d or 1mo", Field: "for"}
		}
	}
	if i.Kind == identity.Personal {
		longest = policy.Span{Time: maxTokenLife}
	}
	if !life.Within(longest, now) {
		return &access.Refusal{Code: access.CodeTooLong, Text: "that is longer than " + longest.String(), Field: "for"}
	}
	i.Expires = life.From(now).Truncate(time.Second)
	if i.Kind == identity.Temporary {
		return p.withinGrants(i, pol, now)
	}
	return nil
}

// orWaiting names the grant that is not on the server yet, where there is one, to whom it is said that they hold nothing.
func (p *Portal) orWaiting(ctx context.Context, i *identity.Issued, why error) error {
	var no *access.Refusal
	if !errors.As(why, &no) || no.Code != access.CodeNoRule {
		return why
	}
	live, err := p.c.Access.Grants(ctx, access.Filter{Subject: i.Subject, Open: true})
	if err != nil {
		return err
	}
	for _, g := range live {
		if g.State == access.Active && g.Wall == access.WallPending && g.Why != "" {
			return &access.Refusal{Code: no.Code, Text: fmt.Sprintf("grant %s of rule %s is not on the server yet: %s", g.ID, g.Rule, g.Why), Hint: "postern grants shows when it is; an admin may have to run postern apply"}
		}
	}
	return why
}

// withinGrants ends a temporary credential with the last of the rules that its owner holds.
func (p *Portal) withinGrants(i *identity.Issued, pol *policy.Policy, now time.Time) error {
	s, _ := pol.Subject(i.Subject)
	var last time.Time
	for name := range pol.Stores {
		if i.Store != "" && name != i.Store {
			continue
		}
		for _, r := range pol.RulesOf(s, name) {
			until := pol.Until(s, r)
			if until.IsZero() {
				return nil
			}
			if until.After(last) {
				last = until
			}
		}
	}
	if !last.After(now) {
		return &access.Refusal{Code: access.CodeNoRule, Text: "you hold no rule that a credential could be for", Hint: "postern grants --askable lists what you can ask for"}
	}
	if last.Before(i.Expires) {
		i.Expires = last
	}
	return nil
}

// room keeps the number of passwords that a login has to try within bounds, and that of tokens.
func (p *Portal) room(ctx context.Context, i *identity.Issued, now time.Time) error {
	have, err := p.c.Credentials.Credentials(ctx, i.Subject, now)
	if err != nil {
		return err
	}
	passwords, tokens := 0, 0
	for _, c := range have {
		if len(c.StoredKey) > 0 {
			passwords++
		}
		if c.Kind == identity.Personal {
			tokens++
		}
	}
	password := i.Kind == identity.Temporary || i.May(identity.ScopeGateway)
	if password && passwords >= maxIssued || i.Kind == identity.Personal && tokens >= maxTokens {
		return &access.Refusal{Code: "too_many", Text: "you have as many live credentials as there can be", Hint: "postern token revoke ID ends one"}
	}
	return nil
}

// draw makes the secret. A personal token opens the portal and, as a password, the gateway.
func (p *Portal) draw(i *identity.Issued) (*IssueAnswer, error) {
	iterations, salt := p.saltOf(i.Subject)
	out := &IssueAnswer{User: i.Subject, Gateway: p.c.Gateway}
	if i.Kind == identity.Temporary {
		password, err := i.NewPassword(iterations, salt, p.c.Random)
		if err != nil {
			return nil, err
		}
		out.Secret = password.Reveal()
	} else {
		token, hash, err := identity.NewToken(p.c.Random)
		if err != nil {
			return nil, err
		}
		if i.May(identity.ScopeGateway) {
			if err := i.SetPassword(token, iterations, salt); err != nil {
				return nil, err
			}
		}
		out.Secret, i.Hash = token.Reveal(), hash
	}
	out.Shown = shownCredential(i)
	return out, nil
}

// saltOf is the salt that all of a subject's secrets share (PRO-24).
func (p *Portal) saltOf(subject string) (int, []byte) {
	if u := p.c.Policy().Users[subject]; u != nil && u.SCRAM != "" {
		if v, err := identity.ParseVerifier(u.SCRAM); err == nil {
			return v.Iterations, v.Salt
		}
	}
	return p.c.Mock.Salt(subject)
}

// revoke ends a credential of the caller's. The trail gets no event about one that is not theirs, and the answer waits until the
// gateway refuses it.
func (p *Portal) revoke(r *http.Request, who *viewer, _ nothing) (nothing, error) {
	id, now := r.PathValue("id"), p.c.Desk.Now()
	live, err := p.c.Credentials.Credentials(r.Context(), who.Subject.Name, now)
	if err != nil {
		return nothing{}, err
	}
	if !slices.ContainsFunc(live, func(i identity.Issued) bool { return i.ID == id }) {
		return nothing{}, &access.Refusal{Code: "not_found", Text: "you have no live credential " + id}
	}
	if err := p.record(r, audit.Event{Kind: audit.CredentialRevoked, Subject: who.Subject.Name, Detail: map[string]string{"credential": id}}); err != nil {
		return nothing{}, err
	}
	if err := p.c.Credentials.RevokeCredential(r.Context(), who.Subject.Name, id, now); err != nil {
		return nothing{}, err
	}
	p.settle(r.Context())
	return nothing{}, nil
}

// settle waits until what was changed is in force at the gateway and on the servers.
func (p *Portal) settle(ctx context.Context) {
	if p.c.Settled == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	p.c.Settled(ctx)
}
