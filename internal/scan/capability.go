package scan

import (
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// capability says what each letter is and how it is had.
var capability = map[byte]struct{ name, how string }{
	'P': {"outside probe", "add --outside HOST:PORT"},
	'L': {"login", "give a connection string"},
	'M': {"pg_monitor", "GRANT pg_monitor TO %s"},
	'G': {"granted views", "GRANT SELECT ON pg_hba_file_rules, pg_ident_file_mappings, pg_file_settings TO %s, and EXECUTE on their functions"},
	'S': {"superuser or the verifier function", "install postern_scan.verifier_kinds() and grant it to %s, or scan as superuser"},
	'F': {"host files", "run postern scan on the server's host, as root or as the server's account"},
	'O': {"operating system", "run postern scan on the server's host, as root or as the server's account"},
	'N': {"nothing", ""},
}

// has reports whether evidence was gathered with a capability.
func has(e *catalog.Evidence, letter byte) bool {
	s := e.Server
	switch letter {
	case 'N':
		return true
	case 'P':
		return len(e.Outside) > 0
	case 'L':
		return s != nil
	case 'M':
		return s != nil && (s.Access.Monitor || s.Access.ReadSettings && s.Access.ReadStats)
	case 'G':
		return s != nil && (s.Access.HBA || s.Access.FileSettings || e.Missing(catalog.FactHBA, "") == nil)
	case 'S':
		return s != nil && (s.Access.Superuser || s.Access.Verifiers || s.Access.Definer)
	case 'F', 'O':
		return e.Host != nil && e.Server != nil
	}
	return false
}

// lacking returns the letters of the first group that is not met, or nil.
func (n Need) lacking(e *catalog.Evidence) []byte {
	for _, group := range n {
		if !slices.ContainsFunc(group, func(l byte) bool { return has(e, l) }) {
			return group
		}
	}
	return nil
}

// unlock says in one line what would let a check look that lacks these capabilities.
func unlock(e *catalog.Evidence, letters []byte) string {
	user := "the scanner's role"
	if e.Server != nil {
		user = quoteIdent(e.Server.Access.User)
	}
	var out []string
	for _, l := range letters {
		out = append(out, strings.ReplaceAll(capability[l].how, "%s", user))
	}
	return strings.Join(out, ", or ")
}

// settingSince and settingUntil hold the settings of the catalogue that are not on every server from 13 to 18.
var (
	settingSince = map[string]int{
		"idle_session_timeout": 14, "client_connection_check_interval": 14, "ssl_crl_dir": 14, "recovery_init_sync_method": 14,
		"archive_library": 15, "reserved_connections": 16, "scram_iterations": 16, "transaction_timeout": 17, "allow_alter_system": 17,
		"event_triggers": 17, "ssl_tls13_ciphers": 18, "ssl_groups": 18, "oauth_validator_libraries": 18, "extension_control_path": 18,
	}
	settingUntil = map[string]int{"db_user_namespace": 16, "ssl_ecdh_curve": 17}
	// settingMinor came with a minor release, so its absence says nothing.
	settingMinor = []string{"restrict_nonsystem_relation_kind", "output_plugin_libraries", "composite_type_mismatch"}
)

// settingExists reports whether a server of this major has a setting, as far as its number tells.
func settingExists(name string, major int) bool {
	if strings.Contains(name, ".") || slices.Contains(settingMinor, name) {
		return false
	}
	if since := settingSince[name]; major < since {
		return false
	}
	until, bounded := settingUntil[name]
	return !bounded || major <= until
}

// settingsSeen says whether a check's settings could be seen: hidden names one that exists and was not shown; none reports that the server
// has none of them.
func settingsSeen(s *catalog.Server, names []string) (hidden string, none bool) {
	none = len(names) > 0
	for _, name := range names {
		switch {
		case s.Setting(name) != nil:
			none = false
		case settingExists(name, s.Major()) && !(s.Access.ReadSettings && len(s.Settings) > 0):
			return name, false
		case s.Access.ReadSettings || strings.Contains(name, ".") || !settingExists(name, s.Major()):
		}
	}
	return "", none
}

func quoteIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
