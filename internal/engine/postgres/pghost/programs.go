package pghost

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// clients are the programs whose version is read besides the server's.
var clients = []string{"psql", "pg_dump", "pg_restore", "pg_basebackup", "pg_dumpall"}

// versionText is what a program prints for --version, as it stands in the program itself. Reading it runs nothing.
var versionText = regexp.MustCompile(`(?:postgres|psql|pg_dump|pg_dumpall|pg_restore|pg_basebackup) \(PostgreSQL\) (\d+(?:\.\d+)*(?:devel|beta\d+|rc\d+)?)`)

// mostProgram bounds what is read of a program; the server is 10 MB.
const mostProgram = 64 << 20

// programs reads the versions of PostgreSQL's programs, where they came from, and what else is installed.
func (l *looker) programs() {
	var bins []string
	if l.out.Process != nil && l.out.Process.Exe != "" {
		bins = append(bins, path.Dir(l.out.Process.Exe))
	}
	major, _, _ := strings.Cut(l.srv.Version, ".")
	others := ""
	for _, pattern := range []string{"/usr/lib/postgresql", "/usr"} {
		for _, dir := range l.list(pattern) {
			if pattern == "/usr" && !strings.HasPrefix(path.Base(dir), "pgsql-") {
				continue
			}
			bin := path.Join(dir, "bin")
			if !slices.Contains(bins, bin) {
				bins = append(bins, bin)
			}
			number := strings.TrimPrefix(path.Base(dir), "pgsql-")
			if _, err := os.Stat(l.at(path.Join(bin, "postgres"))); err == nil && number != major {
				others = strings.TrimPrefix(others+", "+number, ", ")
			}
		}
	}
	for _, bin := range bins {
		for _, name := range append([]string{"postgres"}, clients...) {
			if v := l.version(path.Join(bin, name)); v != "" {
				l.out.Programs = append(l.out.Programs, catalog.Program{Name: name, Path: path.Join(bin, name), Version: v, Client: name != "postgres"})
			}
		}
	}
	if others == "" {
		others = "none"
	}
	l.out.Facts[catalog.FactOtherMajors] = others
	l.packages()
}

// version finds the version text in a program.
func (l *looker) version(name string) string {
	info, err := os.Stat(l.at(name))
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(l.at(name))
	if err != nil {
		l.missing(name, err)
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(f, mostProgram))
	if err = errors.Join(err, f.Close()); err != nil {
		l.missing(name, err)
		return ""
	}
	if m := versionText.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

// bearing are the packages that are kept: PostgreSQL's own, the TLS library, backup tools and poolers.
var bearing = regexp.MustCompile(`^(postgresql|libpq|libssl|openssl|pgbackrest|barman|wal-g|pgbouncer|pgpool|odyssey)`)

// packages reads Debian's package database. Another manager's is no text, and is said to be missing.
func (l *looker) packages() {
	f, err := os.Open(l.at("/var/lib/dpkg/status"))
	if err != nil {
		l.out.Missing["packages"] = "there is no package database that this version reads"
		return
	}
	text, err := io.ReadAll(io.LimitReader(f, mostProgram))
	if err = errors.Join(err, f.Close()); err != nil {
		l.missing("packages", err)
		return
	}
	p := &catalog.Packages{Manager: "dpkg", Names: map[string]string{}}
	for _, entry := range bytes.Split(text, []byte("\n\n")) {
		field := func(name string) string {
			for _, line := range strings.Split(string(entry), "\n") {
				if v, ok := strings.CutPrefix(line, name+": "); ok {
					return v
				}
			}
			return ""
		}
		if name := field("Package"); bearing.MatchString(name) && strings.HasSuffix(field("Status"), " installed") {
			p.Names[name] = field("Version")
		}
	}
	for _, lib := range []string{"libssl3", "libssl3t64", "libssl1.1", "libssl1.0.2"} {
		if v := p.Names[lib]; v != "" {
			l.out.Facts[catalog.FactOpenSSL] = v
			break
		}
	}
	if l.out.Process != nil {
		p.Owner = l.owningPackage(l.out.Process.Exe)
	}
	l.out.Packages = p
	l.sources()
}

// owningPackage looks for a program in the lists of files of installed packages.
func (l *looker) owningPackage(program string) string {
	for _, list := range l.list("/var/lib/dpkg/info") {
		name, ok := strings.CutSuffix(path.Base(list), ".list")
		if !ok || !strings.HasPrefix(name, "postgresql") {
			continue
		}
		text, err := l.read(list)
		if err == nil && slices.Contains(strings.Split(string(text), "\n"), program) {
			name, _, _ = strings.Cut(name, ":")
			return name
		}
	}
	return ""
}

// unverified is a source that the manager is told to believe without a signature.
var unverified = regexp.MustCompile(`(?im)^(?:deb\b[^\n]*\btrusted\s*=\s*yes[^\n]*|Trusted:\s*yes\s*|[^\n#]*AllowUnauthenticated\s+"?true[^\n]*|[^\n#]*AllowInsecureRepositories\s+"?true[^\n]*)$`)

func (l *looker) sources() {
	l.out.Facts[catalog.FactUntrustedSource] = "none"
	files := append([]string{"/etc/apt/sources.list", "/etc/apt/apt.conf"}, l.list("/etc/apt/sources.list.d")...)
	for _, file := range append(files, l.list("/etc/apt/apt.conf.d")...) {
		text, err := l.read(file)
		l.missing(file, err)
		if err == nil && unverified.Match(text) {
			l.out.Facts[catalog.FactUntrustedSource] = file
		}
	}
}
