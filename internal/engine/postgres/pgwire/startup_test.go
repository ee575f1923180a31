package pgwire

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// packet builds what follows the length word of a start-up packet.
func packet(version uint32, words ...string) []byte {
	b := binary.BigEndian.AppendUint32(nil, version)
	for _, w := range words {
		b = append(append(b, w...), 0)
	}
	return append(b, 0)
}

// TestParseOptions is PRO-15.
func TestParseOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want []setting
		bad  bool
	}{
		{in: ""},
		{in: "   "},
		{in: `-c application_name=a\ b`, want: []setting{{"application_name", "a b"}}},
		{in: `-capplication_name=x-c`, want: []setting{{"application_name", "x-c"}}},
		{in: `--statement-timeout=5`, want: []setting{{"statement_timeout", "5"}}},
		{in: `-c a=1 --b=2	-cc=3`, want: []setting{{"a", "1"}, {"b", "2"}, {"c", "3"}}},
		{in: `-c a=x\\y`, want: []setting{{"a", `x\y`}}},
		{in: `-c a=`, want: []setting{{"a", ""}}},
		{in: `-c a=b=c`, want: []setting{{"a", "b=c"}}},
		{in: `-c`, bad: true},
		{in: `-c a`, bad: true},
		{in: `-c =a`, bad: true},
		{in: `--`, bad: true},
		{in: `-d 5`, bad: true},
		{in: `word`, bad: true},
	} {
		got, err := parseOptions(c.in)
		var eo *errOptions
		if c.bad != errors.As(err, &eo) || !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, %v", c.in, got, err)
		}
	}
}

// TestParseStartup is PRO-11 to 16 and 18.
func TestParseStartup(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 70)
	for _, c := range []struct {
		name string
		in   []byte
		err  error
		want func(*startup) bool
	}{
		{"plain", packet(version30, "user", "ana", "database", "shop"), nil, func(s *startup) bool {
			return s.user == "ana" && s.database == "shop" && s.version == version30 && !s.negotiate
		}},
		{"database from user (PRO-14)", packet(version30, "user", "ana"), nil, func(s *startup) bool { return s.database == "ana" }},
		{"empty database (PRO-14)", packet(version30, "user", "ana", "database", ""), nil, func(s *startup) bool { return s.database == "ana" }},
		{"long names (PRO-14)", packet(version30, "user", long, "database", long), nil, func(s *startup) bool { return len(s.user) == 63 && len(s.database) == 63 }},
		{"3.2", packet(version32, "user", "ana"), nil, func(s *startup) bool { return s.version == version32 && !s.negotiate }},
		{"3.1 (PRO-12)", packet(196609, "user", "ana"), nil, func(s *startup) bool { return s.version == version30 && s.negotiate }},
		{"3.9999 (PRO-12)", packet(3<<16|9999, "user", "ana"), nil, func(s *startup) bool { return s.version == version32 && s.negotiate }},
		{"unknown options (PRO-12)", packet(version30, "user", "ana", "_pq_.x", "1", "_pq_.y", "2"), nil, func(s *startup) bool {
			return s.version == version30 && s.negotiate && slices.Equal(s.unknown, []string{"_pq_.x", "_pq_.y"})
		}},
		{
			"settings (PRO-16)", packet(version30, "user", "ana", "DateStyle", "ISO", "client_encoding", "utf-8", "options", "-c TimeZone=UTC"), nil,
			func(s *startup) bool {
				return s.settings["datestyle"] == "ISO" && s.settings["timezone"] == "UTC" && s.settings["client_encoding"] == "utf-8"
			},
		},
		{"replication off (PRO-18)", packet(version30, "user", "ana", "replication", "off"), nil, func(s *startup) bool { return !s.replication }},
		{"no user (PRO-14)", packet(version30, "database", "shop"), errNoUser, nil},
		{"empty user (PRO-14)", packet(version30, "user", ""), errNoUser, nil},
		{"version 2 (PRO-11)", packet(2<<16, "user", "ana"), errVersion, nil},
		{"version 4 (PRO-11)", packet(4<<16, "user", "ana"), errVersion, nil},
		{"twice (PRO-13)", packet(version30, "user", "ana", "user", "bob"), errDuplicate, nil},
		{"twice in other letters (PRO-13)", packet(version30, "user", "ana", "DateStyle", "ISO", "datestyle", "German"), errDuplicate, nil},
		{"no terminator (PRO-13)", packet(version30, "user", "ana")[:12], errLayout, nil},
		{"after the terminator (PRO-13)", append(packet(version30, "user", "ana"), 'x'), errLayout, nil},
		{"short", []byte{0, 3}, errLayout, nil},
		{"replication (PRO-18)", packet(version30, "user", "ana", "replication", "database"), errReplication, nil},
		{"replication true (PRO-18)", packet(version30, "user", "ana", "replication", "tru"), errReplication, nil},
	} {
		got, err := parseStartup(c.in)
		if !errors.Is(err, c.err) || c.want != nil && !c.want(got) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// TestStartupSettings is PRO-16: what is not on the list is refused by name, whichever way it comes.
func TestStartupSettings(t *testing.T) {
	t.Parallel()
	for _, s := range []setting{
		{"role", "postgres"},
		{"session_authorization", "x"},
		{"row_security", "off"},
		{"standard_conforming_strings", "off"},
		{"session_preload_libraries", "x"},
		{"local_preload_libraries", "x"},
		{"app.user", "x"},
		{"client_encoding", "SJIS"},
		{"client_encoding", "SQL_ASCII"},
		{"default_transaction_read_only", "off"},
		{"geqo", "off"},
		{"client_min_messages", "debug5"},
		{"ROLE", "postgres"},
		{"is_superuser", "on"},
		{"backslash_quote", "on"},
	} {
		for _, in := range [][]byte{packet(version30, "user", "ana", s.name, s.value), packet(version30, "user", "ana", "options", "-c "+s.name+"="+s.value)} {
			_, err := parseStartup(in)
			var es *errSetting
			if !errors.As(err, &es) || es.name != s.name {
				t.Errorf("%s = %s: %v", s.name, s.value, err)
			}
		}
	}
}

// FuzzStartup: no packet crashes, and none names a user whom another reader would take for somebody else.
func FuzzStartup(f *testing.F) {
	f.Add(packet(version30, "user", "ana", "database", "shop", "options", `-c TimeZone=UTC\ x --a-b=c`))
	f.Add(packet(version32, "user", "ana", "_pq_.x", "y"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStartup(b)
		if err != nil {
			return
		}
		if s.user == "" || s.database == "" || len(s.user) > 3*maxNameSize || s.replication {
			t.Errorf("%+v", s)
		}
		if strings.Count(strings.ToLower(string(b)), "\x00user\x00") > 1 && strings.Contains(string(b[4:]), "user\x00"+s.user+"\x00user\x00") {
			t.Errorf("two users in %q", b)
		}
		for name := range s.settings {
			if passed[name] == nil {
				t.Errorf("setting %q passes", name)
			}
		}
	})
}

// FuzzOptions: what is split and put together again is split the same way.
func FuzzOptions(f *testing.F) {
	f.Add(`-c a=b\ c --d=e`)
	f.Add(`\`)
	f.Fuzz(func(t *testing.T, s string) {
		words := splitOptions(s)
		escape := strings.NewReplacer(`\`, `\\`, " ", `\ `, "\t", "\\\t", "\n", "\\\n", "\v", "\\\v", "\f", "\\\f", "\r", "\\\r")
		var again []string
		for _, w := range words {
			if w == "" {
				return // a lone backslash at the end makes an empty word, which has no other spelling
			}
			again = append(again, escape.Replace(w))
		}
		if got := splitOptions(strings.Join(again, " ")); !slices.Equal(got, words) {
			t.Errorf("%q: %q, then %q", s, words, got)
		}
		_, _ = parseOptions(s)
	})
}
