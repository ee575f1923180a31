package pghost

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// owner reads the owner of a file.
func owner(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}

// file looks at one path. A symbolic link is followed, since what it leads to is what is used.
func (l *looker) file(role, name string) *catalog.File {
	real, err := filepath.EvalSymlinks(l.at(name))
	var info fs.FileInfo
	if err == nil {
		info, err = os.Lstat(real)
	}
	if err != nil {
		l.missing(name, err)
		return nil
	}
	f := catalog.File{Path: name, Role: role, Mode: modeBits(info.Mode()), Kind: kindOf(info.Mode()), Modified: info.ModTime().UTC().Truncate(time.Second), Notes: map[string]string{}}
	f.UID, f.GID = owner(info)
	f.Writers = l.writers(real)
	l.out.Files = append(l.out.Files, f)
	return &l.out.Files[len(l.out.Files)-1]
}

func modeBits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "dir"
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "other"
}

// writers lists who besides root may change a file, or put another one in its place.
func (l *looker) writers(real string) []string {
	var out []string
	add := func(who string) {
		if !slices.Contains(out, who) {
			out = append(out, who)
		}
	}
	root := filepath.Clean(l.at("/"))
	child := true // what may be replaced lies in this folder; a sticky folder lets only owners replace
	for p := real; ; p = filepath.Dir(p) {
		info, err := os.Lstat(p)
		if err != nil || p == root && l.Root != "" {
			return out
		}
		uid, gid := owner(info)
		sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0 && !child
		if uid > 0 {
			add(fmt.Sprintf("uid %d", uid))
		}
		if info.Mode().Perm()&0o020 != 0 && gid > 0 && !sticky {
			add(fmt.Sprintf("group %d", gid))
		}
		if info.Mode().Perm()&0o002 != 0 && !sticky {
			add("everybody")
		}
		if p == filepath.Dir(p) {
			return out
		}
		child = false
	}
}

// fileSettings are the settings that name a file, with the role that the file gets.
var fileSettings = []string{"config_file", "hba_file", "ident_file", "ssl_key_file", "ssl_cert_file", "ssl_ca_file", "ssl_crl_file", "ssl_dh_params_file", "krb_server_keyfile"}

// commandSettings are those that name a program.
var commandSettings = []string{"archive_command", "restore_command", "archive_cleanup_command", "recovery_end_command", "ssl_passphrase_command"}

// files looks at every file that a setting names, and at the data directory.
func (l *looker) files() {
	l.file("data_directory", l.data)
	if f := l.file("data_version", path.Join(l.data, "PG_VERSION")); f != nil {
		l.out.Facts[catalog.FactClusterMade] = f.Modified.Format(time.DateOnly)
	}
	for _, name := range fileSettings {
		if v := strings.TrimPrefix(l.srv.Setting(name), "FILE:"); v != "" {
			if f := l.file(name, l.inData(v)); f != nil {
				l.contents(f)
			}
		}
	}
	if dir := l.srv.Setting("ssl_crl_dir"); dir != "" {
		for _, name := range l.list(l.inData(dir)) {
			if f := l.file("ssl_crl_file", name); f != nil {
				l.contents(f)
			}
		}
	}
	for _, dir := range strings.Split(l.srv.Setting("unix_socket_directories"), ",") {
		if dir = strings.Trim(strings.TrimSpace(dir), `"`); dir != "" && !strings.HasPrefix(dir, "@") {
			l.file("socket_directory", l.inData(dir))
			l.file("socket", path.Join(l.inData(dir), ".s.PGSQL."+strconv.Itoa(l.srv.Port)))
		}
	}
	for _, name := range commandSettings {
		if program := firstProgram(l.srv.Setting(name)); program != "" {
			if f := l.file(name, program); f != nil {
				l.script(f)
			}
		}
	}
	l.libraries()
	l.walk()
}

// inData is a path as the server understands it: relative ones lie in the data directory.
func (l *looker) inData(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(l.data, name)
}

// firstProgram is the program that a shell command line runs, when it is named by its path.
func firstProgram(command string) string {
	for _, w := range strings.Fields(command) {
		w = strings.Trim(w, `"'`)
		if strings.HasPrefix(w, "/") {
			return w
		}
		if !strings.Contains(w, "=") && w != "exec" && w != "env" && w != "test" && w != "!" {
			return ""
		}
	}
	return ""
}

// script notes whether a script holds a literal in place of asking a secret store for it.
func (l *looker) script(f *catalog.File) {
	text, err := l.read(f.Path)
	if err == nil && bytes.HasPrefix(text, []byte("#!")) {
		f.Notes["script"] = "yes"
		if literalEcho.Match(text) || len(catalog.FindSecrets(f.Path, string(text))) > 0 {
			f.Notes["secret"] = "literal"
		}
	}
}

// libraries looks at the folders that code is loaded from.
func (l *looker) libraries() {
	if l.out.Process == nil || l.out.Process.Exe == "" {
		return
	}
	bin := path.Dir(l.out.Process.Exe)
	l.file("server_program", l.out.Process.Exe)
	major, _, _ := strings.Cut(l.srv.Version, ".")
	prefix := path.Dir(bin)
	for _, dir := range []string{path.Join(prefix, "lib"), path.Join(prefix, "lib/postgresql"), path.Join(prefix, "lib64")} {
		if _, err := os.Stat(l.at(path.Join(dir, "plpgsql.so"))); err == nil {
			l.file("library_directory", dir)
		}
	}
	share := []string{"share/extension", "share/postgresql/extension"}
	for i, s := range share {
		share[i] = path.Join(prefix, s)
	}
	for _, dir := range append(share, "/usr/share/postgresql/"+major+"/extension", "/usr/pgsql-"+major+"/share/extension") {
		if _, err := os.Stat(l.at(path.Join(dir, "plpgsql.control"))); err == nil {
			l.file("extension_directory", dir)
		}
	}
	for _, name := range []string{"dynamic_library_path", "extension_control_path", "local_preload_libraries"} {
		for _, dir := range strings.FieldsFunc(l.srv.Setting(name), func(r rune) bool { return r == ':' || r == ',' }) {
			if dir = strings.TrimSpace(dir); path.IsAbs(dir) {
				l.file(name, dir)
			}
		}
	}
}

// inside are the entries that a data directory has by itself.
var inside = strings.Fields(`PG_VERSION base global log pg_log pg_commit_ts pg_dynshmem pg_hba.conf pg_ident.conf pg_logical pg_multixact pg_notify
	pg_replslot pg_serial pg_snapshots pg_stat pg_stat_tmp pg_subtrans pg_tblspc pg_twophase pg_wal pg_xact postgresql.auto.conf postgresql.conf
	postmaster.opts postmaster.pid standby.signal recovery.signal backup_label backup_label.old tablespace_map tablespace_map.old backup_manifest
	current_logfiles server.crt server.key root.crt root.crl pg_upgrade_output.d conf.d recovery.done postgresql.conf.sample postgresql.conf.bak promote`)

// walk goes through the data directory for what does not belong there.
func (l *looker) walk() {
	n := 0
	named := map[string]bool{}
	for _, f := range l.out.Files {
		named[f.Path] = true
	}
	err := filepath.WalkDir(l.at(l.data), func(p string, d fs.DirEntry, err error) error {
		if n++; n > mostEntries {
			return errors.New("too many files to look at each")
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server removes files and folders while we look
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(l.at(l.data), p)
		info, err2 := d.Info()
		if err = errors.Join(err, err2); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		name := path.Join(l.data, filepath.ToSlash(rel))
		top, _, deep := strings.Cut(filepath.ToSlash(rel), "/")
		why := ""
		switch {
		case rel == ".":
		case d.Type()&fs.ModeSymlink != 0 && top != "pg_tblspc" && rel != "pg_wal" && !named[name]:
			why = "symbolic link"
		case d.Type()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o002 != 0 && d.Type()&fs.ModeSocket == 0:
			why = "writable by everybody"
		case !deep && !slices.Contains(inside, top) && !named[name]:
			why = "not the server's"
		}
		if why != "" && len(l.out.FilesOf("stray")) < 50 {
			l.out.Files = append(l.out.Files, catalog.File{Path: name, Role: "stray", Mode: modeBits(info.Mode()), Kind: kindOf(info.Mode()), Notes: map[string]string{"why": why}})
		}
		return nil
	})
	l.missing("walk", err)
}

// contents notes what a key, certificate, list or file of parameters says.
func (l *looker) contents(f *catalog.File) {
	if f.Role == "config_file" || f.Role == "hba_file" || f.Role == "ident_file" || f.Role == "krb_server_keyfile" {
		return
	}
	text, err := l.read(f.Path)
	if err != nil {
		l.missing(f.Path, err)
		return
	}
	f.Notes["certificates"] = strconv.Itoa(bytes.Count(text, []byte("BEGIN CERTIFICATE-----")))
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		noteBlock(f, block)
	}
}

func noteBlock(f *catalog.File, block *pem.Block) {
	switch {
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		f.Notes["key"] = "plain"
		if strings.HasPrefix(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			f.Notes["key"] = "encrypted"
		}
	case block.Type == "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return
		}
		if f.Notes["spki"] == "" {
			sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
			f.Notes["spki"] = hex.EncodeToString(sum[:])
		}
		for _, o := range append(c.Subject.Organization, c.Subject.CommonName) {
			for _, known := range publicAuthorities {
				if strings.Contains(o, known) {
					f.Notes["public"] = known
				}
			}
		}
	case block.Type == "X509 CRL":
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return
		}
		until := list.NextUpdate.UTC().Format(time.RFC3339)
		if old := f.Notes["next_update"]; !list.NextUpdate.IsZero() && (old == "" || until < old) {
			f.Notes["next_update"] = until
		}
	case block.Type == "DH PARAMETERS":
		var dh struct {
			P, G   *big.Int
			Length int `asn1:"optional"`
		}
		if _, err := asn1.Unmarshal(block.Bytes, &dh); err == nil && dh.P != nil {
			f.Notes["bits"] = strconv.Itoa(dh.P.BitLen())
		}
	}
}

// publicAuthorities are names of authorities that sign for everybody.
var publicAuthorities = []string{"Let's Encrypt", "Internet Security Research Group", "DigiCert", "GlobalSign", "Sectigo", "COMODO", "USERTRUST", "Entrust", "Amazon Root", "Google Trust", "GoDaddy", "QuoVadis", "IdenTrust", "Buypass", "SSL Corporation", "ZeroSSL", "Certum"}
