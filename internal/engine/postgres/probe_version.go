package postgres

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// A server says a good deal about its version before anybody has logged in. Two startup packets that no client sends are answered
// with an ErrorResponse each (protocol-error-fields: F file, L line, R routine), and the range of protocols in the text is the
// branch's own. What follows from the text and the file's name is certain as long as PostgreSQL itself answers. What follows from
// line numbers was measured on builds of the community's sources: a distribution's patches can move them.

// sourceLine is the line that refuses protocol 4.0 in one release.
type sourceLine struct{ major, minor, line int }

// measuredLines are from the releases named, ordered by release.
var measuredLines = []sourceLine{
	{13, 6, 2133},
	{13, 16, 2143},
	{13, 23, 2147},
	{14, 3, 2138},
	{14, 15, 2148},
	{14, 23, 2171},
	{15, 0, 2194},
	{15, 8, 2204},
	{15, 18, 2228},
	{16, 1, 2151},
	{16, 8, 2153},
	{16, 14, 2175},
	{17, 0, 685},
	{17, 5, 685},
	{17, 10, 704},
	{18, 0, 713},
	{18, 4, 732},
}

// linesBetween is how many lines after the first refusal the second one stands, which no minor release has changed.
var linesBetween = map[int]int{13: 146, 14: 125, 15: 125, 16: 121, 17: 117, 18: 117}

// slack is how far a line may be from the measured ones of its branch.
const slack = 40

// refusalFields are the fields of an ErrorResponse that the fingerprint reads.
type refusalFields struct {
	text, file, routine string
	line                int
}

// fingerprint asks the two questions and keeps what follows.
func (p *prober) fingerprint(ctx context.Context) {
	unknown := binary.BigEndian.AppendUint32(nil, 4<<16)
	unknown = append(unknown, "user\x00postern\x00\x00"...)
	first, ok := p.refused(ctx, unknown)
	if !ok {
		return
	}
	nobody := binary.BigEndian.AppendUint32(nil, probeProtocol)
	nobody = append(nobody, "database\x00postern\x00\x00"...)
	second, _ := p.refused(ctx, nobody) // without it less is known
	p.out.Version = guessVersion(first, second)
}

// refused sends the body of a startup packet and reads the refusal.
func (p *prober) refused(ctx context.Context, body []byte) (refusalFields, bool) {
	var f refusalFields
	conn, err := p.dial(ctx)
	if err != nil {
		return f, false
	}
	defer func() { _ = conn.Close() }()                                                // nothing was promised
	packet := append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...) // #nosec G115 -- a constant and two words
	if _, err := conn.Write(packet); err != nil {
		return f, false
	}
	kind, answer, err := firstMessage(bufio.NewReader(conn))
	if err != nil || kind != 'E' {
		return f, false
	}
	file := errorField(answer, 'F')
	f.text, f.routine, f.file = errorField(answer, 'M'), errorField(answer, 'R'), file[strings.LastIndexByte(file, '/')+1:]
	f.line, _ = strconv.Atoi(errorField(answer, 'L')) // 0 when it is no number
	return f, true
}

// guessVersion says what the two refusals tell.
func guessVersion(first, second refusalFields) *catalog.Fingerprint {
	if first.routine != "ProcessStartupPacket" {
		return &catalog.Fingerprint{Certainty: "none", Because: "refuses an unknown protocol in other words than PostgreSQL's: a pooler or a gateway answers"}
	}
	g := &catalog.Fingerprint{Certainty: "certain"}
	_, supported, _ := strings.Cut(first.text, "server supports ")
	because := []string{"supports protocols " + supported}
	switch {
	case supported == "2.0 to 3.0":
		g.From, g.To = 0, 13
	case supported == "3.0 to 3.0" && first.file == "postmaster.c":
		g.From, g.To = 14, 16
	case supported == "3.0 to 3.0" && first.file == "backend_startup.c":
		g.From, g.To = 17, 17
	case supported == "3.0 to 3.2":
		g.From, g.To = 18, 0
	default:
		return &catalog.Fingerprint{Certainty: "none", Because: "refuses an unknown protocol in words that are not known: " + brief(first.text)}
	}
	because = append(because, "the refusal is in "+first.file)
	if g.From != g.To {
		if major := majorOfLines(g, first.line, second.line-first.line); major != 0 {
			g.From, g.To, g.Certainty = major, major, "likely"
			because = append(because, fmt.Sprintf("lines %d and %d", first.line, second.line))
		}
	}
	if g.From == g.To {
		g.MinorFrom, g.MinorTo = minorsOfLine(g.From, first.line)
	}
	g.Because = strings.Join(because, ", ")
	return g
}

// brief keeps text of a stranger to a length that a report bears.
func brief(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

// majorOfLines picks the one branch within g that both lines fit; 0 when none or several do.
func majorOfLines(g *catalog.Fingerprint, line, between int) int {
	found := 0
	for major, want := range linesBetween {
		if major < g.From || g.To != 0 && major > g.To || between != want {
			continue
		}
		lowest, highest := 0, 0
		for _, m := range measuredLines {
			if m.major == major {
				if lowest == 0 {
					lowest = m.line
				}
				highest = m.line
			}
		}
		// Lines only grow within a branch, so that one below the first release measured is another branch's.
		if line < lowest-slack/4 || line > highest+slack {
			continue
		}
		if found != 0 {
			return nearer(found, major, line)
		}
		found = major
	}
	return found
}

// nearer is the one of two branches that has the line between its measured releases; 0 when that does not decide.
func nearer(a, b, line int) int {
	within := func(major int) bool {
		lowest, highest := 1<<30, 0
		for _, m := range measuredLines {
			if m.major == major {
				lowest, highest = min(lowest, m.line), max(highest, m.line)
			}
		}
		return line >= lowest && line <= highest
	}
	switch {
	case within(a) && !within(b):
		return a
	case within(b) && !within(a):
		return b
	}
	return 0
}

// minorsOfLine is the range of minor releases that a line allows; to is -1 where nothing newer was measured.
func minorsOfLine(major, line int) (from, to int) {
	to = -1
	for _, m := range measuredLines {
		switch {
		case m.major != major:
		case m.line < line:
			from = m.minor + 1
		case m.line > line && to < 0:
			to = m.minor - 1
		}
	}
	return from, to
}

// stuff asks whether bytes that came in the clear behind SSLRequest are taken for what came inside TLS (CVE-2021-23214): it sends
// SSLRequest and a StartupMessage in one piece, brings up TLS, and listens without having sent anything in it. A server that is
// mended says so in an ErrorResponse or hangs up; one that is not answers the StartupMessage.
func (p *prober) stuff(ctx context.Context) {
	conn, err := p.dial(ctx)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }() // nothing was promised
	packet := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), probeSSL)
	if _, err := conn.Write(append(packet, startupMessage(p.Random, p.Random)...)); err != nil {
		return
	}
	answer := make([]byte, 1)
	if _, err := conn.Read(answer); err != nil || answer[0] != 'S' {
		p.out.Stuffing = "refused"
		return
	}
	secured := tls.Client(conn, p.config(0))
	if err := secured.HandshakeContext(ctx); err != nil {
		p.out.Stuffing = "refused"
		return
	}
	kind, body, err := firstMessage(bufio.NewReader(secured))
	code := errorField(body, 'C')
	switch {
	case err != nil: // it hung up, or waits for a StartupMessage inside TLS and has dropped ours
		p.out.Stuffing = "refused"
	case kind == 'E' && code == "08P01":
		p.out.Stuffing = "refused"
	case kind == 'R' || kind == 'E' && (strings.HasPrefix(code, "28") || code == "3D000"):
		p.out.Stuffing = "answered"
	}
}

// errorField is one field of an ErrorResponse's body.
func errorField(body []byte, name byte) string {
	for _, field := range strings.Split(string(body), "\x00") {
		if field != "" && field[0] == name {
			return field[1:]
		}
	}
	return ""
}
