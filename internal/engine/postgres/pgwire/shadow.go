package pgwire

import (
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

// shadow notes on the decision of a text what it would have been with the subject's shadow rules in force. It changes nothing
// else: what is sent was decided without them.
func (s *session) shadow(ev *audit.Event, text []byte, mode pgsql.Mode) {
	p := s.gw.Profile()
	w, ok := p.Shadow.(*pgsql.World)
	if !ok || w == nil || len(p.ShadowRules) == 0 {
		return
	}
	d := s.server.config.Guard.Decide(w, string(text), mode)
	out := &audit.Shadow{Rules: p.ShadowRules, Verdict: verdictRefuse}
	switch d.Verdict {
	case pgsql.Refuse:
		out.Reason = d.Refusal.Reason
	case pgsql.Empty:
		return
	default:
		out.Verdict = verdictOf(d.Verdict)
		out.Touches = touchesOf(w.Store, d.Statements)
	}
	ev.Shadow = out
}
