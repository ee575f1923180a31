package pgtest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Pipe is a network that a test can cut: connections stay open, and nothing comes through any more.
type Pipe struct {
	Address string // what to connect to

	to string

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

// NewPipe makes one that leads to an address. It is closed when the test ends.
func NewPipe(t testing.TB, to string) *Pipe {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Pipe{Address: l.Addr().String(), to: to}
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

func (p *Pipe) join(c net.Conn) {
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
func (p *Pipe) copy(to, from net.Conn) {
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

// Cut lets nothing through from here on, and says so to nobody.
func (p *Pipe) Cut() { p.set(true) }

// Mend lets everything through again. What was open is closed: it is out of step.
func (p *Pipe) Mend() {
	p.set(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *Pipe) set(dead bool) {
	p.mu.Lock()
	p.dead = dead
	p.mu.Unlock()
}
