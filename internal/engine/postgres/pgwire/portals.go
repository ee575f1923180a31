package pgwire

import "slices"

// The session has to know which cursors are there, and not only which may be: a server that is asked to describe a FETCH of one that has
// gone ends with a segmentation fault, and every session of the store with it (seen on 15.18). So this follows how they end: with their
// transaction, unless WITH HOLD and committed, with a CALL that may have committed, and with ROLLBACK TO a savepoint that is older (PRO-63).

// maxSavepoints bounds what is remembered of a transaction's savepoints. Where one is not known any more, every cursor of the transaction
// counts as gone.
const maxSavepoints = 1000

// savepoint is a savepoint, or several of one name between which no portal was opened: drivers set one before each statement.
type savepoint struct {
	name  string
	times int
	born  uint64 // the named portals so far
}

// open makes a portal known. The unnamed one is not counted: no FETCH can name it.
func (p *pipeline) open(name string, po *portal) {
	if name != "" {
		p.born++
		po.born = p.born
	}
	p.portals[name] = po
}

// dropTransaction forgets what ends with a transaction.
func (p *pipeline) dropTransaction(committed bool) {
	p.savepoints = nil
	for name, po := range p.portals {
		po.kept = po.kept || po.hold && committed
		if !po.kept {
			delete(p.portals, name)
		}
	}
}

func (p *pipeline) setSavepoint(name string) {
	if n := len(p.savepoints); n > 0 && p.savepoints[n-1].name == name && p.savepoints[n-1].born == p.born {
		p.savepoints[n-1].times++
		return
	}
	if len(p.savepoints) == maxSavepoints {
		p.savepoints = slices.Delete(p.savepoints, 0, maxSavepoints/2)
	}
	p.savepoints = append(p.savepoints, savepoint{name: name, times: 1, born: p.born})
}

// release ends the newest savepoint of that name, and those since.
func (p *pipeline) release(name string) {
	i := p.newest(name)
	if i < 0 {
		p.savepoints = nil // it was older than all that is remembered
		return
	}
	if p.savepoints[i].times--; p.savepoints[i].times > 0 {
		i++
	}
	p.savepoints = p.savepoints[:i]
}

// rollbackTo ends what was opened since the newest savepoint of that name, which stays.
func (p *pipeline) rollbackTo(name string) {
	i := p.newest(name)
	since := uint64(0)
	if i >= 0 {
		since = p.savepoints[i].born
	}
	p.savepoints = p.savepoints[:i+1]
	for name, po := range p.portals {
		if !po.kept && po.born > since {
			delete(p.portals, name)
		}
	}
}

func (p *pipeline) newest(name string) int {
	for i := len(p.savepoints) - 1; i >= 0; i-- {
		if p.savepoints[i].name == name {
			return i
		}
	}
	return -1
}
