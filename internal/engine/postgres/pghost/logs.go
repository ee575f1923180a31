package pghost

import (
	"bufio"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// The bounds of a look at logs: the newest files, and so much of them together.
const (
	mostLogFiles = 30
	mostLogBytes = 64 << 20
	mostLogHits  = 50
)

var (
	logTime    = regexp.MustCompile(`(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)`)
	authorized = regexp.MustCompile(`connection authorized: user=(\S+)`)
	byRule     = regexp.MustCompile(`connection authenticated: .*\((.+):(\d+)\)`)
	cardNumber = regexp.MustCompile(`\b[3-6]\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}\b`)
)

// logs reads the newest log files line by line. Of each it keeps where something stands, and when a role or a rule was last used.
func (l *looker) logs() {
	if l.logDirectory() == "" {
		l.out.Missing["logs"] = "the server's log is no file here"
		return
	}
	type entry struct {
		name string
		when time.Time
	}
	var files []entry
	for _, name := range l.logFiles() {
		if info, err := os.Stat(l.at(name)); err == nil && !strings.HasSuffix(name, ".gz") {
			files = append(files, entry{name, info.ModTime().UTC()})
		}
	}
	slices.SortFunc(files, func(a, b entry) int { return b.when.Compare(a.when) })
	f := &catalog.LogFacts{Rules: map[string]time.Time{}, Roles: map[string]time.Time{}, Truncated: len(files) > mostLogFiles}
	left := int64(mostLogBytes)
	for _, e := range files[:min(len(files), mostLogFiles)] {
		n, err := l.logFile(f, e.name, e.when, left)
		if err != nil {
			l.missing(e.name, err)
			continue
		}
		f.Files++
		if left -= n; left <= 0 {
			f.Truncated = true
			break
		}
	}
	l.out.Logs = f
}

func (l *looker) logFile(f *catalog.LogFacts, name string, when time.Time, most int64) (int64, error) {
	file, err := os.Open(l.at(name))
	if err != nil {
		return 0, err
	}
	read := &io.LimitedReader{R: file, N: most}
	r := bufio.NewReaderSize(read, 64<<10)
	for n := 1; ; n++ {
		text, err := r.ReadSlice('\n')
		logLine(f, name, n, string(text), when)
		if errors.Is(err, bufio.ErrBufferFull) {
			n-- // the rest of a long line
			continue
		}
		if errors.Is(err, io.EOF) {
			return most - read.N, file.Close()
		}
		if err != nil {
			return most - read.N, errors.Join(err, file.Close())
		}
	}
}

// logLine takes from one line what is kept.
func logLine(f *catalog.LogFacts, name string, n int, line string, when time.Time) {
	if m := logTime.FindString(line); m != "" {
		if t, err := time.Parse("2006-01-02 15:04:05", strings.Replace(m, "T", " ", 1)); err == nil {
			when = t
		}
	}
	if m := authorized.FindStringSubmatch(line); m != nil {
		later(f.Roles, m[1], when)
		f.Span(when)
	}
	if m := byRule.FindStringSubmatch(line); m != nil {
		later(f.Rules, m[1]+":"+m[2], when)
	}
	if len(f.Hits) < mostLogHits {
		for _, h := range catalog.FindSecrets(name, line) {
			h.Line = n
			f.Hits = append(f.Hits, h)
		}
	}
	if len(f.Cards) < mostLogHits {
		for _, c := range cardNumber.FindAllString(line, 5) {
			if d := strings.NewReplacer(" ", "", "-", "").Replace(c); len(d) >= 13 && checkdigit.Luhn(d) {
				f.Cards = append(f.Cards, catalog.SecretHit{Object: name, Kind: "number that passes for a card's", Line: n})
				break
			}
		}
	}
	if len(f.Keys) < mostLogHits && strings.Contains(line, "crypt") && catalog.LookAtBody("", line).Keys {
		f.Keys = append(f.Keys, catalog.SecretHit{Object: name, Kind: "key passed to pgcrypto", Line: n})
	}
}

func later(m map[string]time.Time, key string, when time.Time) {
	if when.After(m[key]) {
		m[key] = when
	}
}
