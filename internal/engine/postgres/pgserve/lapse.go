package pgserve

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/postern-sec/postern/internal/engine/postgres/pgwire"
)

// maxLapses is after how many profiles the kept ones are thrown away: most belong to walls that are no longer in force.
const maxLapses = 1000

// lapses keeps profiles without what rules that are over admitted. The wall keeps such a profile until somebody plans again, because
// ends are data (ENF-91); the gateway refuses what it would show as empty.
type lapses struct {
	numbers *atomic.Uint64 // generations of the wall
	mu      sync.Mutex
	made    map[lapse]*pgwire.Profile
}

type lapse struct {
	of    *pgwire.Profile
	ended string
}

// profile is p without what the ended rules alone admit. The same question gets the same profile, so that prepared statements live on.
func (l *lapses) profile(p *pgwire.Profile, ended []string) *pgwire.Profile {
	if len(ended) == 0 {
		return p
	}
	key := lapse{p, strings.Join(ended, ",")}
	l.mu.Lock()
	defer l.mu.Unlock()
	if made := l.made[key]; made != nil {
		return made
	}
	if l.made == nil || len(l.made) >= maxLapses {
		l.made = map[lapse]*pgwire.Profile{}
	}
	out := *p
	out.World = p.World.Without(ended)
	out.World.Generation = l.numbers.Add(1)
	l.made[key] = &out
	return &out
}
