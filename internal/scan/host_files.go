package scan

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// hostFileChecks are the checks of files on the server's host, all areas together.
func hostFileChecks() []Check {
	return []Check{
		{ID: "NET-007", Why: "Whoever can write to the directory can put a socket of his own there, and be given the passwords that are sent to it.", Eval: socketDirectoryOpen},
		{ID: "NET-009", Why: "The owner of the directory can replace the socket by one of his own.", Eval: socketDirectoryOwner},
		{ID: "TLS-010", Why: "A short group lets who recorded the traffic read it.", Eval: shortDH},
		{ID: "TLS-021", Why: "Whoever has the key is the server.", Eval: keyFileOpen},
		{ID: "TLS-022", Why: "A copy of the disk is a copy of the key.", Eval: keyPlain},
		{ID: "TLS-023", Why: "A passphrase that stands where the key stands protects nothing.", Eval: passphraseLeaks},
		{ID: "TLS-026", Why: "Everybody to whom one of these authorities sold a certificate is a client with a good certificate.", Eval: publicAuthority},
		{ID: "TLS-028", Why: "A list that ended is either ignored, or keeps everybody out.", Eval: listEnded},
		{ID: "TLS-029", Why: "The server goes on with the old certificate, until a restart at a bad moment shows the new one.", Eval: filesNotReloaded},
		{ID: "TLS-043", Why: "Whoever reads the key table can be the server for every Kerberos client.", Eval: keytabOpen},
		{ID: "EXT-007", Why: "Whoever can write there has his code loaded into the server.", Eval: libraryPathOpen},
		{ID: "EXT-008", Why: "Whoever can write there gives the server code that the next CREATE EXTENSION runs.", Eval: extensionFolderOpen},
		{ID: "SEC-011", Why: "Who reads these files knows who may come from where; who writes them decides it.", Eval: configOpen},
		{ID: "SEC-012", Why: "What others put into the data directory is read, copied or executed with the data.", Eval: strayFiles},
		{ID: "SEC-016", Why: "A hole in the server is then enough to replace the server.", Eval: ownsBinaries},
		{ID: "SEC-030", Why: "The server runs this program with its own account, so whoever can write it runs what he likes.", Eval: commandOpen},
	}
}

// others lists who besides root and the server's account may write a file.
func others(h *catalog.Host, f *catalog.File) []string {
	var out []string
	for _, w := range f.Writers {
		if w != fmt.Sprintf("uid %d", h.ServerUID) && w != fmt.Sprintf("group %d", h.ServerGID) {
			out = append(out, w)
		}
	}
	return out
}

// unread is why a path of a role was not seen; "" when nothing of it was refused.
func unread(h *catalog.Host, paths ...string) string {
	for _, p := range paths {
		if why := h.Missing[p]; p != "" && why != "" {
			return p + ": " + why
		}
	}
	return ""
}

// eachFile judges the files of some roles. none is said when there are no such files and none was refused.
func eachFile(none string, roles []string, bad func(h *catalog.Host, f *catalog.File) (what, fix string)) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		h := e.Host
		var fs []Finding
		seen := 0
		for i := range h.Files {
			f := &h.Files[i]
			if !slices.Contains(roles, f.Role) {
				continue
			}
			seen++
			if what, fix := bad(h, f); what != "" {
				fs = append(fs, Finding{Object: f.Role + " " + f.Path, Evidence: what, Place: f.Path, Fix: fix})
			}
		}
		if len(fs) > 0 {
			return found(fs)
		}
		for _, role := range roles {
			if e.Server == nil {
				break
			}
			if why := unread(h, named(e, role)...); why != "" {
				return notEvaluated("could not look at " + why)
			}
		}
		if seen == 0 {
			return notApplicable(none)
		}
		return found(nil)
	}
}

// named lists the paths that a setting names.
func named(e *catalog.Evidence, setting string) []string {
	var out []string
	data := e.Server.Value("data_directory")
	for _, v := range strings.FieldsFunc(e.Server.Value(setting), func(r rune) bool { return r == ',' || r == ' ' }) {
		if v = strings.Trim(v, `"'`); !path.IsAbs(v) {
			v = path.Join(data, v)
		}
		out = append(out, v)
	}
	return out
}

func mode(f *catalog.File) string { return fmt.Sprintf("mode %04o, owner %d:%d", f.Mode, f.UID, f.GID) }

// temporary are directories that every account shares.
var temporary = []string{"/tmp", "/var/tmp", "/dev/shm"}

func socketDirectoryOpen(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("the server has no socket directory", []string{"socket_directory"}, func(h *catalog.Host, f *catalog.File) (what, fix string) {
		const move = "ALTER SYSTEM SET unix_socket_directories = '/run/postgresql'; -- owned by the server's account, mode 2775 or 0750; then restart the server"
		switch {
		case slices.Contains(temporary, path.Clean(f.Path)):
			return "is the temporary directory that all accounts share", move
		case f.Mode&0o002 != 0 && f.Mode&0o1000 == 0:
			return mode(f) + ": everybody may replace the socket", move
		case f.Mode&0o002 != 0:
			return mode(f) + ": everybody may put a socket beside it", move
		}
		return "", ""
	})(e, env)
}

func socketDirectoryOwner(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("the server has no socket directory", []string{"socket_directory"}, func(h *catalog.Host, f *catalog.File) (what, fix string) {
		if f.UID != 0 && f.UID != h.ServerUID {
			return fmt.Sprintf("belongs to account %d, the server runs as %d", f.UID, h.ServerUID), fmt.Sprintf("chown %d %s", h.ServerUID, f.Path)
		}
		return "", ""
	})(e, env)
}

func shortDH(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	looked := false
	for _, o := range asked(e) {
		looked = looked || o.Enumerated
		if o.DHBits > 0 && o.DHBits < 2048 {
			fs = append(fs, Finding{Object: endpoint(o), Evidence: fmt.Sprintf("agrees on a DH group of %d bits", o.DHBits), Fix: "ALTER SYSTEM RESET ssl_dh_params_file; SELECT pg_reload_conf(); -- or a file of 2048 bits"})
		}
	}
	if e.Host != nil {
		for _, f := range e.Host.FilesOf("ssl_dh_params_file") {
			looked = true
			if bits, err := strconv.Atoi(f.Notes["bits"]); err == nil && bits < 2048 {
				fs = append(fs, Finding{Object: "ssl_dh_params_file " + f.Path, Evidence: fmt.Sprintf("%d bits", bits), Place: f.Path, Fix: "openssl dhparam -out " + f.Path + " 2048"})
			}
		}
		if v := e.Server.Setting("ssl_dh_params_file"); v != nil && v.Value == "" {
			looked = true // the group that comes with the server has 2048 bits
		}
	}
	if !looked {
		return notEvaluated("neither the file nor a key exchange was seen")
	}
	return found(fs)
}

func keyFileOpen(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("the server has no key file", []string{"ssl_key_file"}, func(h *catalog.Host, f *catalog.File) (what, fix string) {
		switch {
		case f.UID == 0 && f.Mode&^0o640 == 0:
		case f.UID == h.ServerUID && f.Mode&^0o600 == 0:
		default:
			return mode(f), fmt.Sprintf("chown %d %s && chmod 0600 %s", h.ServerUID, f.Path, f.Path)
		}
		return "", ""
	})(e, env)
}

func keyPlain(e *catalog.Evidence, env *Env) Verdict {
	if value(e, "ssl_passphrase_command") != "" {
		return found(nil)
	}
	return eachFile("the server has no key file", []string{"ssl_key_file"}, func(_ *catalog.Host, f *catalog.File) (what, fix string) {
		if f.Notes["key"] == "plain" {
			return "the key is not encrypted", "openssl pkey -aes256 -in " + f.Path + " -out NEW, and set ssl_passphrase_command"
		}
		return "", ""
	})(e, env)
}

func passphraseLeaks(e *catalog.Evidence, env *Env) Verdict {
	v := value(e, "ssl_passphrase_command")
	if v == "" {
		return notApplicable("there is no passphrase command")
	}
	f := Finding{Object: "setting ssl_passphrase_command", Place: place(e, "ssl_passphrase_command"), Fix: "let the command ask a secret store, and change the passphrase"}
	if first := strings.Trim(strings.Fields(v)[0], `"'`); path.Base(first) == "echo" || path.Base(first) == "printf" {
		f.Evidence = "prints a text that stands in the setting itself"
		return found([]Finding{f})
	}
	return eachFile("the command names no program by its path", []string{"ssl_passphrase_command"}, func(_ *catalog.Host, f *catalog.File) (what, fix string) {
		switch {
		case f.Notes["secret"] != "" && f.Mode&0o004 != 0:
			return "holds the passphrase, and everybody may read it (" + mode(f) + ")", "keep the passphrase in a secret store, and change it"
		case f.Notes["secret"] != "":
			return "holds the passphrase", "keep the passphrase in a secret store"
		}
		return "", ""
	})(e, env)
}

// manyAuthorities is what no site signs its clients with.
const manyAuthorities = 20

func publicAuthority(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("the server checks no client certificate", []string{"ssl_ca_file"}, func(_ *catalog.Host, f *catalog.File) (what, fix string) {
		const own = "put your own authority alone into ssl_ca_file"
		switch n, err := strconv.Atoi(f.Notes["certificates"]); {
		case err == nil && n >= manyAuthorities:
			return fmt.Sprintf("holds %d authorities", n), own
		case f.Notes["public"] != "":
			return "holds " + f.Notes["public"] + ", which signs for everybody", own
		}
		return "", ""
	})(e, env)
}

func listEnded(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("the server has no revocation list", []string{"ssl_crl_file"}, func(_ *catalog.Host, f *catalog.File) (what, fix string) {
		if until, err := time.Parse(time.RFC3339, f.Notes["next_update"]); err == nil && env.Now.After(until) {
			return "was good until " + until.Format(time.DateOnly), "fetch the newest list, then SELECT pg_reload_conf();"
		}
		return "", ""
	})(e, env)
}

func filesNotReloaded(e *catalog.Evidence, env *Env) Verdict {
	served := ""
	for _, o := range asked(e) {
		if o.Loopback && len(o.Chain) > 0 {
			served = o.Chain[0].SPKI
		}
	}
	return eachFile("the server has no TLS files", []string{"ssl_cert_file", "ssl_key_file", "ssl_ca_file"}, func(_ *catalog.Host, f *catalog.File) (what, fix string) {
		const reload = "SELECT pg_reload_conf();"
		switch {
		case f.Modified.After(e.Server.ConfigLoaded.Add(time.Second)):
			return fmt.Sprintf("changed on %s, the configuration was loaded on %s", f.Modified.Format(time.DateTime), e.Server.ConfigLoaded.UTC().Format(time.DateTime)), reload
		case f.Role == "ssl_cert_file" && served != "" && f.Notes["spki"] != "" && f.Notes["spki"] != served:
			return "is not the certificate that the server shows", reload
		}
		return "", ""
	})(e, env)
}

func keytabOpen(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("the server has no key table", []string{"krb_server_keyfile"}, func(h *catalog.Host, f *catalog.File) (what, fix string) {
		if f.Mode&0o077 != 0 && !(f.UID == 0 && f.Mode&^0o640 == 0) || f.UID != 0 && f.UID != h.ServerUID {
			return mode(f), fmt.Sprintf("chown %d %s && chmod 0600 %s", h.ServerUID, f.Path, f.Path)
		}
		return "", ""
	})(e, env)
}

func writable(h *catalog.Host, f *catalog.File) (what, fix string) {
	if who := others(h, f); len(who) > 0 {
		return mode(f) + "; may be written by " + strings.Join(who, ", "), "chown root " + f.Path + " && chmod go-w " + f.Path + " -- and the folders above it"
	}
	return "", ""
}

func libraryPathOpen(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("no setting names a folder besides the server's own", []string{"dynamic_library_path", "extension_control_path", "local_preload_libraries"}, func(h *catalog.Host, f *catalog.File) (what, fix string) {
		if len(f.Writers) > 0 {
			return mode(f) + "; may be written by " + strings.Join(f.Writers, ", "), "ALTER SYSTEM RESET " + f.Role + "; SELECT pg_reload_conf();"
		}
		return "", ""
	})(e, env)
}

func extensionFolderOpen(e *catalog.Evidence, env *Env) Verdict {
	roles := []string{"library_directory", "extension_directory"}
	if len(e.Host.FilesOf(roles[0]))+len(e.Host.FilesOf(roles[1])) == 0 {
		return notEvaluated("the server's folders were not found")
	}
	return eachFile("", roles, func(_ *catalog.Host, f *catalog.File) (what, fix string) {
		if len(f.Writers) > 0 {
			return mode(f) + "; may be written by " + strings.Join(f.Writers, ", "), "chown -R root " + f.Path + " && chmod -R go-w " + f.Path
		}
		return "", ""
	})(e, env)
}

func configOpen(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("no configuration file was named", []string{"config_file", "hba_file", "ident_file"}, func(h *catalog.Host, f *catalog.File) (what, fix string) {
		switch {
		case f.UID != h.ServerUID && f.UID != 0:
			return fmt.Sprintf("belongs to account %d", f.UID), fmt.Sprintf("chown %d %s", h.ServerUID, f.Path)
		case f.Mode&0o027 != 0:
			return mode(f), "chmod 0640 " + f.Path
		}
		return "", ""
	})(e, env)
}

func strayFiles(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, f := range e.Host.FilesOf("stray") {
		fs = append(fs, Finding{Object: "file " + f.Path, Evidence: f.Notes["why"] + fmt.Sprintf(", mode %04o", f.Mode), Place: f.Path, Fix: "look what it is, then move it out of the data directory"})
	}
	if why := e.Host.Missing["walk"]; why != "" && len(fs) == 0 {
		return notEvaluated("could not walk through the data directory: " + why)
	}
	return found(fs)
}

func ownsBinaries(e *catalog.Evidence, _ *Env) Verdict {
	files := e.Host.FilesOf("server_program")
	if len(files) == 0 {
		return notEvaluated("the server's program was not found")
	}
	var fs []Finding
	for i := range files {
		if f := &files[i]; slices.Contains(f.Writers, fmt.Sprintf("uid %d", e.Host.ServerUID)) {
			fs = append(fs, Finding{Object: "program " + f.Path, Evidence: "may be replaced by the server's own account; " + mode(f), Place: f.Path, Fix: "chown root " + f.Path + " -- and the folders above it"})
		}
	}
	return found(fs)
}

func commandOpen(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("no setting names a program by its path", []string{"archive_command", "restore_command", "archive_cleanup_command", "recovery_end_command", "ssl_passphrase_command"}, writable)(e, env)
}
