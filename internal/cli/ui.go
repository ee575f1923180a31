package cli

// The rules of terminal output, for every command:
//
//   - Results go to stdout, everything else to stderr, so that pipes work.
//   - Messages read "postern: error: …", "postern: warning: …", "postern: hint: …": lower case, no full stop, no
//     exclamation mark. One problem, one line, then at most one hint with something to type.
//   - Colour only on a terminal, off with NO_COLOR or --color=never, and never the only carrier of meaning.
//   - Progress only on a terminal, erased afterwards.
//   - A question is asked on the terminal device, never on stdin; a command that changes something shows what it would do
//     first and needs --yes where there is no terminal.
//   - Output is stable: sorted, no timestamps unless asked for; the same input gives the same bytes.
//   - Secrets and data values never appear.
//
// Exit codes: 0 fine, 1 findings, drift or denied, 2 could not do it or wrong use, 3 incomplete.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// The exit codes of design.md §8.
const (
	exitOK         = 0
	exitFindings   = 1
	exitFailed     = 2
	exitIncomplete = 3
)

// exitError carries an exit code and, when Err is set, what to print before exiting with it.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// failed is an error that ends the command with code 2 and names the next step.
func failed(hint string, err error) error { return &exitError{code: exitFailed, err: err, hint: hint} }

// silently ends the command with a code after it has printed its own result.
func silently(code int) error { return &exitError{code: code} }

// ui is where a command writes.
type ui struct {
	out, err io.Writer
	in       io.Reader
	colour   bool
	terminal bool // stderr is a terminal: progress may be shown
}

func newUI(env Env, colour string) *ui {
	u := &ui{out: env.Stdout, err: env.Stderr, in: env.Stdin}
	u.terminal = isTerminal(env.Stderr)
	switch colour {
	case "always":
		u.colour = true
	case "never":
	default:
		u.colour = isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb"
	}
	return u
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (u *ui) printf(format string, args ...any) { _, _ = fmt.Fprintf(u.out, format, args...) }

func (u *ui) warn(format string, args ...any) {
	_, _ = fmt.Fprintf(u.err, "postern: warning: %s\n", fmt.Sprintf(format, args...))
}

func (u *ui) hint(format string, args ...any) {
	_, _ = fmt.Fprintf(u.err, "postern: hint: %s\n", fmt.Sprintf(format, args...))
}

func (u *ui) note(format string, args ...any) {
	_, _ = fmt.Fprintf(u.err, "postern: %s\n", fmt.Sprintf(format, args...))
}

// progress replaces the line of progress on a terminal.
func (u *ui) progress(format string, args ...any) {
	if u.terminal {
		_, _ = fmt.Fprintf(u.err, "\r\x1b[K%s", printable(fmt.Sprintf(format, args...)))
	}
}

// progressDone erases it.
func (u *ui) progressDone() {
	if u.terminal {
		_, _ = fmt.Fprint(u.err, "\r\x1b[K")
	}
}

// report prints an error the way the rules above say and returns the exit code it stands for.
func (u *ui) report(err error) int {
	if err == nil {
		return exitOK
	}
	code, hint := exitFailed, ""
	var e *exitError
	if errors.As(err, &e) {
		code, hint = e.code, e.hint
		if e.err == nil {
			return code
		}
	}
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		_, _ = fmt.Fprintf(u.err, "postern: error: %s\n", printable(line))
	}
	if hint != "" {
		u.hint("%s", hint)
	}
	return code
}

// json prints v as indented JSON.
func (u *ui) json(v any) error {
	enc := json.NewEncoder(u.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// The few styles used; each is an SGR code.
const (
	styleBold   = "1"
	styleDim    = "2"
	styleRed    = "31"
	styleGreen  = "32"
	styleYellow = "33"
)

func (u *ui) style(code, s string) string {
	if !u.colour || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// confirm asks a yes-or-no question on the terminal device. Without a terminal it returns an error that names the flag.
func (u *ui) confirm(question, flag string) (bool, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false, failed("add "+flag+" to go on without being asked", errors.New("no terminal to ask on"))
	}
	defer func() { _ = tty.Close() }()
	if _, err := fmt.Fprintf(tty, "%s [y/N] ", question); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(tty).ReadString('\n')
	if err != nil && line == "" {
		return false, nil
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// printable makes text from outside safe for a terminal: control characters become escapes.
func printable(s string) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if isControl(r) {
			_, _ = fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isControl(r rune) bool {
	return r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)
}

// table prints rows as columns two spaces apart, the header in bold. Cells are made printable.
func (u *ui) table(header []string, rows [][]string) {
	width := make([]int, len(header))
	cells := append([][]string{header}, rows...)
	for _, row := range cells {
		for i, c := range row {
			width[i] = max(width[i], len([]rune(printable(c))))
		}
	}
	for n, row := range cells {
		var b strings.Builder
		for i, c := range row {
			c = printable(c)
			pad := width[i] - len([]rune(c))
			if n == 0 {
				c = u.style(styleBold, c)
			}
			b.WriteString(c)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", pad+2))
			}
		}
		u.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}
