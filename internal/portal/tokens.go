package portal

import (
	"net/http"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/identity"
)

// tokenPages are those of what opens something in somebody's name without them: tokens, temporary passwords, certificates.
func (p *Portal) tokenPages() {
	p.get("/tokens", p.tokensPage)
	p.secretPage("/tokens", p.makeTokenPage, p.tokensPage)
	p.post("/credentials/{id}/revoke", func(r *http.Request, v *viewer) (string, error) {
		_, err := p.revoke(r, v, nothing{})
		return "/tokens?done=credential", err
	}, p.tokensPage)
}

type tokensData struct {
	Kinds  []credentialKind
	New    *IssueAnswer
	Stores []string // that the viewer holds something on
	Lives  []string
	Scopes []scopeBox
	Form   IssueCall // that was sent
	Off    bool      // tokens are switched off here, and none is made
}

// credentialKind is a kind of credential with what there is of it.
type credentialKind struct {
	Title, None string
	Live        []Shown
}

type scopeBox struct {
	Name, Means string
	On          bool
}

// scopeWords say what a scope opens.
var scopeWords = map[identity.Scope]string{
	identity.ScopeGateway: "databases, with the token as the password",
	identity.ScopeRead:    "catalogue, requests, grants and your own things",
	identity.ScopeRequest: "ask for access, and take a request back",
	identity.ScopeDecide:  "approve, refuse, end and pause what you may",
	identity.ScopeInspect: "what your role opens: trail, posture, policy, health",
}

func (p *Portal) tokensPage(r *http.Request, v *viewer) (shown, error) {
	live, err := p.credentials(r, v, nothing{})
	if err != nil {
		return shown{}, err
	}
	at, err := p.connection(r, v, ConnectionQuery{})
	if err != nil {
		return shown{}, err
	}
	pol := p.c.Policy()
	// A token for a store that takes none is refused, so that it is not offered.
	at.Stores = slices.DeleteFunc(slices.Clone(at.Stores), func(store string) bool { return !pol.TakesTokens(store) })
	out := tokensData{Off: !pol.TakesTokens(""), Stores: at.Stores, Lives: []string{"1d", "7d", "30d", "90d", "1y"}, Form: tokenForm(r)}
	chosen := out.Form.Scopes
	if r.Method == http.MethodGet {
		out.Form.For, chosen = "30d", []string{string(identity.ScopeRead)}
		if len(at.Stores) > 0 {
			chosen = []string{string(identity.ScopeGateway)}
		}
	}
	for _, s := range identity.Scopes() {
		out.Scopes = append(out.Scopes, scopeBox{string(s), scopeWords[s], slices.Contains(chosen, string(s))})
	}
	out.Kinds = []credentialKind{
		{Title: "Tokens for programs", None: "None yet. A script, a report or a dashboard gets one of its own, so that you can end it without touching anything else."},
		{Title: "Temporary passwords", None: "None at the moment. Connect makes one for your client."},
		{Title: "Certificates", None: "None at the moment. They come with a sign-in of the command line, where this site uses them."},
	}
	for _, c := range live {
		i := 0
		switch identity.IssuedKind(c.Kind) {
		case identity.Temporary:
			i = 1
		case identity.ClientCertificate:
			i = 2
		}
		out.Kinds[i].Live = append(out.Kinds[i].Live, c)
	}
	return shown{"tokens", "Tokens and passwords", out}, nil
}

func tokenForm(r *http.Request) IssueCall {
	return IssueCall{
		Kind: string(identity.Personal), Name: strings.TrimSpace(r.PostFormValue("name")), Store: r.PostFormValue("store"), For: r.PostFormValue("for"),
		Scopes: r.PostForm["scope"],
	}
}

// makeTokenPage makes a token and shows it, once. The call takes no scopes to mean the usual ones; whoever unticks all of them means none.
func (p *Portal) makeTokenPage(r *http.Request, v *viewer) (shown, error) {
	call := tokenForm(r)
	if len(call.Scopes) == 0 {
		return shown{}, &access.Refusal{Code: codeBadCall, Text: "a token that opens nothing is none", Hint: "Tick at least one thing that it is for.", Field: "scope"}
	}
	answer, err := p.issueFor(r, v, call)
	if err != nil {
		return shown{}, err
	}
	out, err := p.tokensPage(r, v)
	if err != nil {
		return shown{}, err
	}
	data := out.data.(tokensData) //nolint:forcetypeassert // tokensPage's own
	data.New = answer
	out.data = data
	return out, nil
}
