package state_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// pipe is a network that a test can cut: connections stay open, and nothing comes through any more.
type pipe struct {
	address string
	to      string

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

func newPipe(t *testing.T, to string) *pipe {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{address: l.Addr().String(), to: to}
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.conns {
			_ = c.Close()
		}
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.join(c)
		}
	}()
	return p
}

func (p *pipe) join(c net.Conn) {
	s, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = c.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, c, s)
	p.mu.Unlock()
	go p.copy(s, c)
	p.copy(c, s)
}

// copy drops what comes while the network is cut, and ends neither side for it.
func (p *pipe) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		dead := p.dead
		p.mu.Unlock()
		if n > 0 && !dead {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			if !dead && err == io.EOF {
				_ = to.Close()
			}
			return
		}
	}
}

func (p *pipe) cut() { p.set(true) }

func (p *pipe) mend() {
	p.set(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns { // what was open is out of step
		_ = c.Close()
	}
	p.conns = nil
}

func (p *pipe) set(dead bool) {
	p.mu.Lock()
	p.dead = dead
	p.mu.Unlock()
}
