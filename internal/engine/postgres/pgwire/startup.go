package pgwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// startup is a parsed start-up packet.
type startup struct {
	version     uint32 // 3.0 or 3.2, what the session will speak
	negotiate   bool   // the client asked for something else
	unknown     []string
	user        string
	database    string
	application string
	settings    map[string]string // allowed settings by lower-case name
	given       map[string]string // every parameter but user, database and those of the protocol itself, as it came
	replication bool
}

// Errors of the start-up packet that have a code of their own.
var (
	errVersion     = errors.New("unsupported frontend protocol")
	errNoUser      = errors.New("no PostgreSQL user name specified in startup packet")
	errLayout      = errors.New("invalid startup packet layout: expected terminator as last byte")
	errDuplicate   = errors.New("invalid startup packet: a parameter appears twice")
	errReplication = errors.New("replication connections are not allowed")
)

// parseStartup reads what follows the length word of a start-up packet that is no request. Names are cut to what the server
// compares; a missing database becomes the user (PRO-14).
func parseStartup(b []byte) (*startup, error) {
	if len(b) < 4 {
		return nil, errLayout
	}
	version := binary.BigEndian.Uint32(b)
	if version>>16 != 3 {
		return nil, errVersion
	}
	out := &startup{settings: map[string]string{}, given: map[string]string{}}
	out.setVersion(version & 0xFFFF)
	seen := map[string]bool{}
	var given []setting
	var options string
	for rest := b[4:]; ; {
		key, after, ok := cString(rest)
		if !ok {
			return nil, errLayout
		}
		if len(key) == 0 {
			if len(after) != 0 {
				return nil, errLayout
			}
			break
		}
		value, after, ok := cString(after)
		if !ok {
			return nil, errLayout
		}
		rest = after
		name := string(key)
		if name != "user" && name != "database" && !strings.HasPrefix(name, "_pq_.") {
			out.given[name] = string(value)
		}
		if fold := strings.ToLower(name); seen[fold] {
			return nil, errDuplicate // PRO-13: the server takes the last, another reader the first
		} else {
			seen[fold] = true
		}
		switch {
		case name == "user":
			out.user = cut(value)
		case name == "database":
			out.database = cut(value)
		case name == "replication":
			out.replication = !isOff(string(value))
		case name == "options":
			options = string(value)
		case strings.HasPrefix(name, "_pq_."):
			out.negotiate = true
			out.unknown = append(out.unknown, name)
		default:
			given = append(given, setting{name, string(value)})
		}
	}
	return out, out.finish(options, given)
}

// setVersion is PRO-12: 3.1 never existed, everything newer than we know becomes 3.2.
func (s *startup) setVersion(minor uint32) {
	s.version = version30
	if minor >= 2 {
		s.version = version32
	}
	s.negotiate = minor != 0 && minor != 2
}

func (s *startup) finish(options string, given []setting) error {
	if s.user == "" {
		return errNoUser
	}
	if s.database == "" {
		s.database = s.user
	}
	s.application = cut([]byte(s.given["application_name"]))
	more, err := parseOptions(options)
	if err != nil {
		return err
	}
	// What the packet names itself wins over options, as on the server, where it is processed later.
	for _, g := range append(more, given...) {
		name, err := allowSetting(g)
		if err != nil {
			return err
		}
		s.settings[name] = g.value
	}
	s.application = cut([]byte(s.settings["application_name"]))
	if s.replication {
		return errReplication
	}
	return nil
}

// judgedLater says whether a start-up packet is refused for what it asks for, and not for its form: whoever is observed may ask
// for it, and who that is comes out later.
func judgedLater(err error) bool {
	var (
		setting *errSetting
		options *errOptions
	)
	return errors.As(err, &setting) || errors.As(err, &options) || errors.Is(err, errReplication)
}

// cut truncates a name to what the server keeps of it.
func cut(b []byte) string {
	if len(b) > maxNameSize {
		b = b[:maxNameSize]
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
}

// isOff reads the replication parameter: only a clear no is a no.
func isOff(v string) bool {
	v = strings.ToLower(v)
	if v == "" {
		return false
	}
	return strings.HasPrefix("false", v) || strings.HasPrefix("no", v) || v == "off" || v == "of" || v == "0"
}
