package discover

import (
	"context"
	"time"
)

// restWorth is the shortest rest that is taken: a shorter one is owed until there is more of it, because a timer is not that exact.
const restWorth = 20 * time.Millisecond

// pace keeps one connection from occupying the server for more than a share of the time. What a question took is owed as rest in
// proportion, however short it was; the rest is taken before the next question, less what went by meanwhile. One goroutine uses it.
type pace struct {
	opt  *Options
	owed time.Duration
	left time.Time // when the last question was answered
}

// ask rests as long as is owed and then asks a question. The error is the context's when that ended meanwhile.
func (p *pace) ask(ctx context.Context, question func() error) error {
	p.passed()
	if p.owed >= restWorth {
		p.opt.Sleep(ctx, p.owed)
		p.passed()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	began := p.opt.Now()
	err := question()
	p.left = p.opt.Now()
	p.owed += time.Duration(float64(p.left.Sub(began)) * (1/p.opt.Load - 1))
	return err
}

// passed counts the time since the last answer as rest.
func (p *pace) passed() {
	now := p.opt.Now()
	if !p.left.IsZero() {
		p.owed = max(0, p.owed-now.Sub(p.left))
	}
	p.left = now
}

// sleep waits for a time, or for the end of the context.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
