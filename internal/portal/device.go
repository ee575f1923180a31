package portal

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

// Ways says how people sign in here.
type Ways struct {
	SignOn string `json:"sign_on,omitempty"` // the label of single sign-on; "": there is none
}

// DeviceCall lets a terminal wait for somebody at a browser. Port and Challenge are those of one that listens on the browser's machine.
type DeviceCall struct {
	Port      int    `json:"port,omitempty"`
	Challenge string `json:"challenge,omitempty"` // the SHA-256 of a verifier, in base64url
}

// DeviceAnswer is what a terminal shows and keeps; the names are RFC 8628's.
type DeviceAnswer struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Address    string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	Expires    int    `json:"expires_in"`
	Interval   int    `json:"interval"`
}

// TokenCall asks whether a terminal is in.
type TokenCall struct {
	DeviceCode string `json:"device_code"`
	Code       string `json:"code,omitempty"` // that came to Port
	Verifier   string `json:"verifier,omitempty"`
}

// devicePath is the page where somebody lets a terminal in.
const devicePath = "/device"

func (p *Portal) deviceCalls() {
	route(p, Call{Pattern: "GET /api/v1/login", Scope: openToAll, Summary: "How people sign in here"}, func(*http.Request, *viewer, nothing) (Ways, error) {
		return Ways{p.c.SignOnLabel}, nil
	})
	route(p, Call{Pattern: "POST /api/v1/login/device", Scope: openToAll, Summary: "Let a terminal wait for somebody at a browser"}, p.startDevice)
	route(p, Call{Pattern: "POST /api/v1/login/token", Scope: openToAll, Summary: "Ask whether somebody at a browser has let a terminal in"},
		func(r *http.Request, _ *viewer, call TokenCall) (*LoginAnswer, error) {
			return entry(p.c.People.RedeemDevice(r.Context(), secret.New(call.DeviceCode), secret.New(call.Code), secret.New(call.Verifier), from(r)))
		})
	route(p, Call{Pattern: "GET /api/v1/device", pages: []string{"GET " + devicePath}, Summary: "Which terminal waits to be let in as you"}, p.device)
	route(p, Call{Pattern: "POST /api/v1/device", pages: []string{"POST " + devicePath}, Summary: "Let a terminal in as you, or turn it away"}, p.decideDevice)
}

func (p *Portal) startDevice(r *http.Request, _ *viewer, call DeviceCall) (DeviceAnswer, error) {
	code, d, err := p.c.People.StartDevice(r.Context(), call.Port, call.Challenge, from(r))
	if err != nil {
		return DeviceAnswer{}, err
	}
	at := p.c.URL + devicePath
	return DeviceAnswer{
		DeviceCode: code.Reveal(), UserCode: d.Code, Address: at, Complete: at + "?code=" + d.Code,
		Expires: int(d.End.Sub(d.Created) / time.Second), Interval: int(d.Interval / time.Second),
	}, nil
}

// DeviceQuery names a terminal by its code.
type DeviceQuery struct {
	Code string `json:"code,omitempty"` // as the terminal shows it
}

// DeviceShown is a terminal that waits.
type DeviceShown struct {
	Code    string    `json:"code"`
	Address string    `json:"address"`
	Created time.Time `json:"created"`
	End     time.Time `json:"end"`
}

// DeviceDecision lets a terminal in, or turns it away.
type DeviceDecision struct {
	Code string `json:"code"`
	Yes  bool   `json:"yes"`
}

// DeviceDecided is what came of it.
type DeviceDecided struct {
	Yes  bool   `json:"yes"`
	Back string `json:"back,omitempty"` // where the terminal listens on the browser's machine, which has to be gone to from there
}

func (p *Portal) device(r *http.Request, v *viewer, q DeviceQuery) (DeviceShown, error) {
	d, err := p.c.People.WaitingDevice(r.Context(), v.Subject.Name, q.Code, fromOf(r, v))
	if err != nil {
		return DeviceShown{}, err
	}
	return DeviceShown{d.Code, d.Address, d.Created, d.End}, nil
}

func (p *Portal) decideDevice(r *http.Request, v *viewer, call DeviceDecision) (DeviceDecided, error) {
	d, answer, err := p.c.People.DecideDevice(r.Context(), v.session, call.Code, call.Yes, fromOf(r, v))
	if err != nil {
		return DeviceDecided{}, err
	}
	out := DeviceDecided{Yes: call.Yes}
	if call.Yes && d.Port != 0 {
		out.Back = fmt.Sprintf("http://127.0.0.1:%d/?%s", d.Port, url.Values{"code": {answer.Reveal()}}.Encode())
	}
	return out, nil
}

type deviceData struct {
	Typed  string
	Device *DeviceShown
	Over   bool // it has been decided
	DeviceDecided
}

// devicePage asks for a terminal's code, and shows whose it is.
func (p *Portal) devicePage(r *http.Request, v *viewer) (shown, error) {
	code := r.URL.Query().Get("code")
	if code == "" || r.Method != http.MethodGet {
		return shown{"device", "Sign in a terminal", deviceData{Typed: r.FormValue("code")}}, nil
	}
	d, err := p.device(r, v, DeviceQuery{code})
	if err != nil {
		return shown{"device", "Sign in a terminal", deviceData{Typed: code}}, err // the field comes again, with what was typed
	}
	return shown{"device", "Sign in a terminal", deviceData{Device: &d}}, nil
}

func (p *Portal) decideDevicePage(r *http.Request, v *viewer) (shown, error) {
	out, err := p.decideDevice(r, v, DeviceDecision{r.PostFormValue("code"), r.PostFormValue("decision") == "yes"})
	return shown{"device", "Sign in a terminal", deviceData{Over: true, DeviceDecided: out}}, err
}
