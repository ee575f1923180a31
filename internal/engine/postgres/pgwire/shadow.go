package pgwire

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

// Shadow is what a subject's shadow rules would make of their statements. It is safe for concurrent use.
type Shadow struct {
	world  *pgsql.World         // with the shadow rules in force beside the others
	adds   []string             // the shadow rules
	ends   map[string]time.Time // of the rules of world that end, shadows or not
	number func() uint64        // makes generations

	mu     sync.Mutex
	lapsed map[string]*pgsql.World // by the rules that are over: as many as there are ends
}

// NewShadow makes one. ends says when rules of the world are over, and number makes generations of worlds.
func NewShadow(world *pgsql.World, adds []string, ends map[string]time.Time, number func() uint64) *Shadow {
	return &Shadow{world: world, adds: adds, ends: ends, number: number, lapsed: map[string]*pgsql.World{}}
}

// At is what is decided with at a time, and the shadow rules that are in force in it; nil when none is.
func (s *Shadow) At(now time.Time) (*pgsql.World, []string) {
	if s == nil {
		return nil, nil
	}
	var ended []string
	for rule, until := range s.ends {
		if !now.Before(until) {
			ended = append(ended, rule)
		}
	}
	if len(ended) == 0 {
		return s.world, s.adds
	}
	adds := slices.DeleteFunc(slices.Clone(s.adds), func(rule string) bool { return slices.Contains(ended, rule) })
	if len(adds) == 0 {
		return nil, nil
	}
	slices.Sort(ended)
	key := strings.Join(ended, ",")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lapsed[key] == nil {
		w := s.world.Without(ended)
		w.Generation = s.number()
		s.lapsed[key] = w
	}
	return s.lapsed[key], adds
}

// shadow notes on the decision of a text what it would have been with the subject's shadow rules in force. It changes nothing
// else: what is sent was decided without them.
func (s *session) shadow(ev *audit.Event, text []byte, mode pgsql.Mode) {
	of, _ := s.gw.Profile().Shadow.(*Shadow)
	w, rules := of.At(s.clock.Now())
	if w == nil {
		return
	}
	d := s.server.config.Guard.Decide(w, string(text), mode)
	out := &audit.Shadow{Rules: rules, Verdict: verdictRefuse}
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
