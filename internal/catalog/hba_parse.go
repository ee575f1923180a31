package catalog

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// HBAFiles is where the parser reads from.
type HBAFiles interface {
	// Read returns the contents of a file.
	Read(name string) ([]byte, error)
	// List returns the names of the files in a folder, sorted.
	List(name string) ([]string, error)
}

// maxHBADepth is CONF_FILE_MAX_DEPTH of PostgreSQL: how deep files may include each other.
const maxHBADepth = 10

// hbaLine is a line cut into fields, and where it stands.
type hbaLine struct {
	file   string
	line   int
	fields [][]HBAWord
	err    string
}

// hbaReader cuts files into lines.
type hbaReader struct {
	files HBAFiles
	major int
	lines []hbaLine
}

// ParseHBA reads pg_hba.conf the way the server of that major does, with the files it includes.
func ParseHBA(files HBAFiles, name string, major int) ([]HBARule, error) {
	r := &hbaReader{files: files, major: major}
	if err := r.read(name, 0); err != nil {
		return nil, err
	}
	var out []HBARule
	for _, l := range r.lines {
		rule := HBARule{File: l.file, Line: l.line, Error: l.err}
		if rule.Error == "" {
			rule.Error = rule.parse(l.fields, major)
		}
		out = append(out, rule)
	}
	return out, nil
}

// ParseIdent reads pg_ident.conf.
func ParseIdent(files HBAFiles, name string, major int) ([]IdentRule, error) {
	r := &hbaReader{files: files, major: major}
	if err := r.read(name, 0); err != nil {
		return nil, err
	}
	var out []IdentRule
	for _, l := range r.lines {
		rule := IdentRule{File: l.file, Line: l.line, Error: l.err}
		switch {
		case rule.Error != "":
		case len(l.fields) != 3 || len(l.fields[0]) != 1 || len(l.fields[1]) != 1 || len(l.fields[2]) != 1:
			rule.Error = "expected a map name, a system name and a role"
		default:
			rule.Map, rule.System, rule.Role = l.fields[0][0].Text, l.fields[1][0].Text, l.fields[2][0]
			if strings.HasPrefix(rule.System, "/") {
				if _, err := regexp.Compile(rule.System[1:]); err != nil {
					rule.Error = "invalid regular expression"
				}
			}
		}
		out = append(out, rule)
	}
	return out, nil
}

// read cuts one file into lines and follows include directives (16+).
func (r *hbaReader) read(name string, depth int) error {
	if depth > maxHBADepth {
		return fmt.Errorf("read %s: files include each other more than %d deep", name, maxHBADepth)
	}
	text, err := r.files.Read(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		line, start := strings.TrimSuffix(lines[i], "\r"), i+1
		for r.major >= 14 && strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, `\`) + strings.TrimSuffix(lines[i], "\r")
		}
		fields, err := r.cut(line, name, depth)
		l := hbaLine{file: name, line: start, fields: fields}
		if err != nil {
			l.err = err.Error()
		}
		if len(fields) == 0 && l.err == "" {
			continue
		}
		if done := r.include(l, depth); !done {
			r.lines = append(r.lines, l)
		}
	}
	return nil
}

// include follows an include directive; a file that cannot be read becomes an error of the line.
func (r *hbaReader) include(l hbaLine, depth int) bool {
	if r.major < 16 || l.err != "" || len(l.fields) != 2 || len(l.fields[0]) != 1 || len(l.fields[1]) != 1 {
		return false
	}
	target := relativeTo(l.file, l.fields[1][0].Text)
	var err error
	switch l.fields[0][0].Text {
	case "include":
		err = r.read(target, depth+1)
	case "include_if_exists":
		if _, missing := r.files.Read(target); missing != nil {
			return true
		}
		err = r.read(target, depth+1)
	case "include_dir":
		var names []string
		if names, err = r.files.List(target); err == nil {
			for _, n := range names {
				if strings.HasSuffix(n, ".conf") && !strings.HasPrefix(n, ".") && err == nil {
					err = r.read(path.Join(target, n), depth+1)
				}
			}
		}
	default:
		return false
	}
	if err != nil {
		l.err = err.Error()
		r.lines = append(r.lines, l)
	}
	return true
}

// relativeTo resolves a name the way PostgreSQL does: against the folder of the file that names it.
func relativeTo(file, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(file), name)
}

// cut splits a line into fields, each a list of words. It is next_field_expand and next_token of hba.c.
func (r *hbaReader) cut(line, file string, depth int) ([][]HBAWord, error) {
	var fields [][]HBAWord
	pos := 0
	for pos < len(line) {
		var words []HBAWord
		found := false
		for {
			w, any, comma, next := nextWord(line, pos)
			pos = next
			if !any {
				break
			}
			found = true
			if !w.Quoted && len(w.Text) > 1 && w.Text[0] == '@' {
				more, err := r.expand(relativeTo(file, w.Text[1:]), depth+1)
				if err != nil {
					return fields, err
				}
				words = append(words, more...)
			} else {
				words = append(words, w)
			}
			if !comma {
				break
			}
		}
		if !found {
			break
		}
		fields = append(fields, words)
	}
	return fields, nil
}

// expand reads the words of a file that a word @file names.
func (r *hbaReader) expand(name string, depth int) ([]HBAWord, error) {
	if depth > maxHBADepth {
		return nil, fmt.Errorf("read %s: files include each other more than %d deep", name, maxHBADepth)
	}
	text, err := r.files.Read(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var out []HBAWord
	for _, line := range strings.Split(string(text), "\n") {
		fields, err := r.cut(strings.TrimSuffix(line, "\r"), name, depth)
		if err != nil {
			return nil, err
		}
		for _, f := range fields {
			out = append(out, f...)
		}
	}
	return out, nil
}

func isHBABlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// nextWord reads one word from pos: the word, whether there was one, whether a comma ended it, and where to go on.
func nextWord(line string, pos int) (w HBAWord, found, comma bool, next int) {
	for pos < len(line) && (isHBABlank(line[pos]) || line[pos] == ',') {
		pos++
	}
	var b strings.Builder
	inQuote, wasQuote, sawQuote := false, false, false
	for pos < len(line) && (!isHBABlank(line[pos]) || inQuote) {
		c := line[pos]
		if c == '#' && !inQuote {
			pos = len(line)
			break
		}
		if c == ',' && !inQuote {
			comma = true
			pos++
			break
		}
		if c != '"' || wasQuote {
			b.WriteByte(c)
		}
		wasQuote = inQuote && c == '"' && !wasQuote
		if c == '"' {
			inQuote = !inQuote
			sawQuote = true
			if b.Len() == 0 {
				w.Quoted = true
			}
		}
		pos++
	}
	w.Text = b.String()
	return w, sawQuote || b.Len() > 0, comma, pos
}

var (
	hbaTypes   = []string{"local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"}
	hbaMethods = []string{
		"trust", "ident", "peer", "gss", "sspi", "reject", "md5", "scram-sha-256", "password", "pam", "bsd", "ldap", "cert", "radius", "oauth",
	}
)

// parse fills a rule from fields and returns what is wrong with the line.
func (r *HBARule) parse(fields [][]HBAWord, major int) string {
	if len(fields[0]) != 1 {
		return "multiple values specified for connection type"
	}
	r.Type = fields[0][0].Text
	if !slices.Contains(hbaTypes, r.Type) {
		return fmt.Sprintf("invalid connection type %q", r.Type)
	}
	if len(fields) < 3 {
		return "end-of-line before role specification"
	}
	r.Databases, r.Users = fields[1], fields[2]
	if bad := badPattern(append(slices.Clone(r.Databases), r.Users...), major); bad != "" {
		return bad
	}
	rest := fields[3:]
	if r.Type != "local" {
		used, bad := r.parseAddress(rest)
		if bad != "" {
			return bad
		}
		rest = rest[used:]
	}
	if len(rest) == 0 {
		return "end-of-line before authentication method"
	}
	if len(rest[0]) != 1 {
		return "multiple values specified for authentication type"
	}
	r.Method = rest[0][0].Text
	if r.Method == "ident" && r.Type == "local" {
		r.Method = "peer"
	}
	if bad := r.badMethod(major); bad != "" {
		return bad
	}
	for _, f := range rest[1:] {
		for _, w := range f {
			name, _, ok := strings.Cut(w.Text, "=")
			if !ok {
				return fmt.Sprintf("authentication option not in name=value format: %s", w.Text)
			}
			if slices.Contains([]string{"ldapbindpasswd", "radiussecrets"}, name) {
				r.Options = append(r.Options, name+"="+Hidden)
				continue
			}
			r.Options = append(r.Options, w.Text)
		}
	}
	return ""
}

func badPattern(words []HBAWord, major int) string {
	if major < 16 {
		return ""
	}
	for _, w := range words {
		if strings.HasPrefix(w.Text, "/") {
			if _, err := regexp.Compile(w.Text[1:]); err != nil {
				return fmt.Sprintf("invalid regular expression %q", w.Text[1:])
			}
		}
	}
	return ""
}

// badMethod says why a method does not go with the type of line.
func (r *HBARule) badMethod(major int) string {
	switch {
	case !slices.Contains(hbaMethods, r.Method) || r.Method == "oauth" && major < 18:
		return fmt.Sprintf("invalid authentication method %q", r.Method)
	case r.Type == "local" && r.Method == "gss":
		return "gssapi authentication is not supported on local sockets"
	case r.Type != "local" && r.Method == "peer":
		return "peer authentication is only supported on local sockets"
	case r.Type != "hostssl" && r.Method == "cert":
		return "cert authentication is only supported on hostssl connections"
	}
	return ""
}

// parseAddress reads the address field, and the mask after it when the address has none.
func (r *HBARule) parseAddress(rest [][]HBAWord) (used int, bad string) {
	if len(rest) == 0 {
		return 0, "end-of-line before IP address specification"
	}
	if len(rest[0]) != 1 {
		return 0, "multiple values specified for host address"
	}
	w := rest[0][0]
	if !w.Quoted && slices.Contains([]string{"all", "samehost", "samenet"}, w.Text) {
		r.Address = w.Text
		return 1, ""
	}
	base, cidr, hasCIDR := strings.Cut(w.Text, "/")
	addr, err := netip.ParseAddr(base)
	if err != nil {
		if hasCIDR {
			return 0, fmt.Sprintf("specifying both host name and CIDR mask is invalid: %q", w.Text)
		}
		r.Address = base
		return 1, ""
	}
	r.Address = addr.WithZone("").String()
	if hasCIDR {
		bits, err := strconv.Atoi(cidr)
		if err != nil || bits < 0 || bits > addr.BitLen() {
			return 0, fmt.Sprintf("invalid CIDR mask in address %q", w.Text)
		}
		r.Netmask = maskOf(bits, addr.BitLen()).String()
		return 1, ""
	}
	if len(rest) < 2 {
		return 0, "end-of-line before netmask specification"
	}
	if len(rest[1]) != 1 {
		return 0, "multiple values specified for netmask"
	}
	mask, err := netip.ParseAddr(rest[1][0].Text)
	if err != nil {
		return 0, fmt.Sprintf("invalid IP mask %q", rest[1][0].Text)
	}
	if mask.BitLen() != addr.BitLen() {
		return 0, "IP address and mask do not match"
	}
	r.Netmask = mask.String()
	return 2, ""
}

// maskOf is the netmask of a prefix length.
func maskOf(bits, total int) netip.Addr {
	raw := make([]byte, total/8)
	for i := range bits {
		raw[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(raw) // 4 or 16 bytes
	return a
}
