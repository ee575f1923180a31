package pgsql

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime/debug"
	"sync"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
	"google.golang.org/protobuf/proto"
)

// The parser is PostgreSQL's own, in C: the limits before it refuse what is known to crash it, and what they miss ends the process
// that it runs in. Isolated runs it in processes of its own, which hold no secret, no connection and no file, so that a crash is
// the refusal of one statement (ENF-82).

// reader is where texts become trees and trees texts.
type reader interface {
	parse(text string) (*pg.ParseResult, error)
	deparse(tree *pg.ParseResult) (string, error)
}

// inProcess is the parser in this process.
type inProcess struct{}

func (inProcess) parse(text string) (*pg.ParseResult, error)   { return pg.Parse(text) }
func (inProcess) deparse(tree *pg.ParseResult) (string, error) { return pg.Deparse(tree) }

// The protocol between a guard and a worker: a kind, a length of four bytes, and that many bytes, in both directions.
const (
	askParse   = 'P' // a text -> a tree
	askDeparse = 'D' // a tree -> a text
	tellOK     = 'o'
	tellError  = 'e' // a position of four bytes, and a message

	frameHeader = 5
	maxFrame    = 256 << 20 // trees are larger than texts, which have a limit of their own
)

// Bounds of one worker.
const (
	// DefaultParserTime is how long one statement may take.
	DefaultParserTime = 30 * time.Second
	workerMemory      = 1 << 30
	firstBackOff      = 50 * time.Millisecond // after the second crash in a row, doubling
	mostBackOff       = 5 * time.Second
)

// parserDown is why a statement could not be parsed by a worker. It says nothing about the statement.
type parserDown struct{ cause error }

// Error implements error.
func (e *parserDown) Error() string { return "the parser ended: " + e.cause.Error() }

// Unwrap returns the cause.
func (e *parserDown) Unwrap() error { return e.cause }

// parserRefusal is the refusal of a statement that a worker did not survive, nil for any other error.
func parserRefusal(err error) *Refusal {
	if down := (*parserDown)(nil); !errors.As(err, &down) {
		return nil
	}
	return &Refusal{
		SQLState: stateInternal, Reason: ReasonParser, Message: "the statement could not be parsed: the parser ended while it read it",
		Detail: "The parser runs in a process of its own, which has been started again; nothing was sent to the server.",
		Hint:   "Write the statement in another form; please report it as a defect.",
	}
}

// IsolatedConfig is what Isolated is made of.
type IsolatedConfig struct {
	Command []string // runs ParserWorker: path, what it is called, arguments
	Env     []string // of the workers, who need nothing; never the gateway's own
	Workers int
	Time    time.Duration     // for one statement; 0: DefaultParserTime
	Notify  func(cause error) // told of every worker that ended; may be nil
}

// Isolated is a parser in processes of its own. It is safe for concurrent use.
type Isolated struct {
	config IsolatedConfig
	slots  chan *parserSlot

	mu     sync.Mutex
	closed bool
}

// parserSlot is the place of one worker.
type parserSlot struct {
	worker   *parserWorker // nil: to be started
	failures int           // in a row
}

type parserWorker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

var _ reader = (*Isolated)(nil)

// NewIsolated starts the workers. One that cannot be started is the error.
func NewIsolated(c IsolatedConfig) (*Isolated, error) {
	if len(c.Command) < 2 || c.Workers < 1 {
		return nil, errors.New("isolated parser: a part is missing")
	}
	if c.Time <= 0 {
		c.Time = DefaultParserTime
	}
	p := &Isolated{config: c, slots: make(chan *parserSlot, c.Workers)}
	for range c.Workers {
		s := &parserSlot{}
		p.slots <- s
		if err := p.start(s); err == nil {
			_, err = s.worker.ask(askParse, []byte("SELECT 1"), c.Time)
			if err == nil {
				continue
			}
		}
		p.Close()
		return nil, errors.New("isolated parser: a worker does not start")
	}
	return p, nil
}

// start starts the worker of a slot.
func (p *Isolated) start(s *parserSlot) error {
	cmd := exec.Command(p.config.Command[0], p.config.Command[2:]...) //nolint:gosec // our own binary
	cmd.Args[0] = p.config.Command[1]
	cmd.Env = append([]string{}, p.config.Env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.worker = &parserWorker{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 64<<10)}
	return nil
}

// end kills a worker and waits until it is gone.
func (w *parserWorker) end() {
	_ = w.in.Close()
	_ = w.cmd.Process.Kill() // it may be gone
	_ = w.cmd.Wait()         // how it went is known from its pipe
}

// ask sends one question and waits for its answer, for so long.
func (w *parserWorker) ask(kind byte, payload []byte, limit time.Duration) ([]byte, error) {
	late := time.AfterFunc(limit, func() { _ = w.cmd.Process.Kill() }) // the read below ends
	defer late.Stop()
	if err := writeFrame(w.in, kind, payload); err != nil {
		return nil, &parserDown{err}
	}
	kind, answer, err := readFrame(w.out)
	switch {
	case err != nil:
		return nil, &parserDown{err}
	case kind == tellOK:
		return answer, nil
	case kind == tellError && len(answer) >= 4:
		return nil, &parser.Error{Message: string(answer[4:]), Cursorpos: int(binary.BigEndian.Uint32(answer))}
	}
	return nil, &parserDown{errors.New("an answer that cannot be read")}
}

// ask finds a worker and asks it. A worker that does not answer is ended, and started again with a delay that grows while it keeps
// happening.
func (p *Isolated) ask(kind byte, payload []byte) ([]byte, error) {
	patience := time.NewTimer(p.config.Time)
	defer patience.Stop()
	var s *parserSlot
	select {
	case s = <-p.slots:
	case <-patience.C:
		return nil, &parserDown{errors.New("no worker is free")}
	}
	var err error
	if s.worker == nil {
		if err = p.start(s); err != nil {
			p.failed(s, err)
			return nil, &parserDown{err}
		}
	}
	answer, err := s.worker.ask(kind, payload, p.config.Time)
	if down := (*parserDown)(nil); errors.As(err, &down) {
		s.worker.end()
		s.worker = nil
		p.failed(s, down.cause)
		return nil, err
	}
	s.failures = 0
	p.put(s)
	return answer, err
}

// failed gives a slot back whose worker has ended.
func (p *Isolated) failed(s *parserSlot, cause error) {
	if p.config.Notify != nil {
		p.config.Notify(cause)
	}
	s.failures++
	if s.failures == 1 {
		p.put(s)
		return
	}
	delay := firstBackOff << min(s.failures-2, 10)
	time.AfterFunc(min(delay, mostBackOff), func() { p.put(s) })
}

// put gives a slot back, or ends its worker when the parser was closed meanwhile.
func (p *Isolated) put(s *parserSlot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		if s.worker != nil {
			s.worker.end()
		}
		return
	}
	p.slots <- s
}

// Close ends the workers that are idle; those at work are ended when they are done. No statement can be parsed any more.
func (p *Isolated) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for {
		select {
		case s := <-p.slots:
			if s.worker != nil {
				s.worker.end()
			}
		default:
			return
		}
	}
}

func (p *Isolated) parse(text string) (*pg.ParseResult, error) {
	answer, err := p.ask(askParse, []byte(text))
	if err != nil {
		return nil, err
	}
	tree := &pg.ParseResult{}
	if err := proto.Unmarshal(answer, tree); err != nil {
		return nil, &parserDown{err}
	}
	return tree, nil
}

func (p *Isolated) deparse(tree *pg.ParseResult) (string, error) {
	payload, err := proto.Marshal(tree)
	if err != nil {
		return "", fmt.Errorf("write the tree: %w", err)
	}
	answer, err := p.ask(askDeparse, payload)
	return string(answer), err
}

// ParserWorker answers the questions of an Isolated until in ends. It is the whole life of a worker process.
func ParserWorker(in io.Reader, out io.Writer) error {
	limitWorker()
	debug.SetMemoryLimit(workerMemory / 2)
	r, w := bufio.NewReaderSize(in, 64<<10), bufio.NewWriterSize(out, 64<<10)
	for {
		kind, payload, err := readFrame(r)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		var answer []byte
		switch kind {
		case askParse:
			answer, err = parser.ParseToProtobuf(string(payload))
		case askDeparse:
			var text string
			text, err = parser.DeparseFromProtobuf(payload)
			answer = []byte(text)
		default:
			return fmt.Errorf("parser worker: question %q is not known", kind)
		}
		kind = tellOK
		if err != nil {
			kind, answer = tellError, errorFrame(err)
		}
		if err := writeFrame(w, kind, answer); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
}

func errorFrame(err error) []byte {
	at, message := 0, err.Error()
	if p := (*parser.Error)(nil); errors.As(err, &p) {
		at, message = p.Cursorpos, p.Message
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(max(at, 0))), message...) //nolint:gosec // a place in a text of bounded size
}

func writeFrame(w io.Writer, kind byte, payload []byte) error {
	if len(payload) > maxFrame {
		return errors.New("too long")
	}
	frame := make([]byte, 0, frameHeader+len(payload))
	frame = binary.BigEndian.AppendUint32(append(frame, kind), uint32(len(payload))) //nolint:gosec // checked above
	_, err := w.Write(append(frame, payload...))
	return err
}

func readFrame(r io.Reader) (kind byte, payload []byte, err error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(header[1:])
	if n > maxFrame {
		return 0, nil, errors.New("a frame that is too long")
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, fmt.Errorf("a frame that is cut off: %w", err)
	}
	return header[0], payload, nil
}
