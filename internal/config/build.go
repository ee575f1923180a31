package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// builder checks a decoded document and makes a Config of it.
type builder struct {
	decoder
	folder string
	read   func(name string) ([]byte, error) // nil: nothing is opened
	c      *Config
}

func build(doc *document, folder string, syntax policy.Syntax, read func(string) ([]byte, error), problems *Problems) *Config {
	b := &builder{decoder: decoder{problems: problems}, folder: folder, read: read, c: &Config{Folder: folder, Stores: map[string]*Store{}, Standbys: map[string]*Store{}}}
	b.state(doc.State)
	b.c.Keys = Keys{Root: b.key(doc.Keys.Root, "secrets/root.key"), Audit: b.key(doc.Keys.Audit, "secrets/audit.key"), State: b.source(doc.Keys.State)}
	b.stores(doc)
	for _, l := range doc.Gateway.Listeners {
		b.c.Gateway.Listeners = append(b.c.Gateway.Listeners, b.listener(l))
	}
	if b.c.Gateway.Parser = ParserEmbedded; doc.Gateway.Parser.Value == string(ParserIsolated) {
		b.c.Gateway.Parser = ParserIsolated
	}
	b.sameListeners()
	b.clientCertificates(doc.Gateway.Network, doc.Identity.Certificates.Value)
	b.issued(doc)
	b.emergency(doc)
	b.audit(doc.Audit)
	b.discover(doc)
	b.portal(doc.Portal)
	b.ldap(doc.LDAP)
	b.outerGroups(doc.Groups)
	b.notices(doc.Notices)
	b.slack(doc.Slack)

	pd := &policy.Document{
		Groups: doc.Groups, Users: doc.Users, Labels: doc.Labels, Masks: doc.Masks, Datasets: doc.Datasets,
		Rules: doc.Rules, Baseline: doc.Baseline, Network: doc.Gateway.Network, NetworkPos: doc.Gateway.Pos,
		Purposes: doc.Purposes, BreakGlass: doc.BreakGlass,
		Credentials: doc.Identity.Credentials, Certificates: doc.Identity.Certificates,
		Tokens: doc.Identity.Tokens, NoFactor: doc.Identity.NoFactor,
	}
	for _, e := range doc.Stores.Entries {
		s := b.c.Stores[e.Key.Value]
		if s == nil {
			continue // a standby: what is on it comes from its primary
		}
		pd.Stores = append(pd.Stores, &policy.Store{Name: s.Name, Engine: s.Engine, Database: s.Database, Schemas: s.Schemas, Extensions: s.Extensions, Limits: s.Limits, Observe: s.Observe, Inline: s.Inline, NoTokens: e.Value.Tokens.No(), Pos: s.Pos})
	}
	p, wrong, warnings := policy.Build(pd, syntax)
	*problems = append(*problems, wrong...)
	b.c.Policy = p
	b.expectations(doc.Tests)
	b.c.Warnings = append(b.c.Warnings, warnings...).Sort()
	return b.c
}

func (b *builder) warn(pos policy.Pos, hint, format string, args ...any) {
	b.c.Warnings = append(b.c.Warnings, Problem{Pos: pos, Kind: policy.KindAdvice, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// path makes a path of the file one that can be opened.
func (b *builder) path(t policy.Text) string {
	switch {
	case t.Value == "":
		return ""
	case strings.ContainsRune(t.Value, 0):
		b.report(policy.KindValue, t.Pos, "", "a path cannot hold a NUL character")
		return ""
	case filepath.IsAbs(t.Value):
		return filepath.Clean(t.Value)
	}
	return filepath.Join(b.folder, t.Value)
}

func (b *builder) state(t policy.Text) {
	b.c.State = State{SQLite: filepath.Join(b.folder, "postern.db"), Folder: b.folder, Pos: t.Pos}
	scheme, rest, _ := strings.Cut(t.Value, ":")
	switch scheme {
	case "":
	case "sqlite":
		if rest == "" || strings.HasPrefix(rest, "//") || strings.ContainsAny(rest, "?#%") {
			b.report(policy.KindValue, t.Pos, "write sqlite:postern.db", "state: sqlite needs a plain path after the colon")
			return
		}
		b.c.State.SQLite = b.path(policy.Text{Value: rest, Pos: t.Pos})
		b.c.State.Folder = filepath.Dir(b.c.State.SQLite)
	case "postgres", "postgresql":
		b.stateURL(t)
	default: // the text may hold a password
		b.report(policy.KindValue, t.Pos, "write sqlite:postern.db", "state: expected sqlite:PATH or postgres://USER@HOST/DATABASE")
	}
}

// stateURL checks the address of the database that keeps state. No part of it is repeated: it may hold a password.
func (b *builder) stateURL(t policy.Text) {
	const form = "write postgres://USER@HOST/DATABASE"
	u, err := url.Parse(t.Value)
	if err != nil {
		b.report(policy.KindValue, t.Pos, form, "state: this is no URL")
		return
	}
	_, password := u.User.Password()
	switch query := u.Query(); {
	case password || query.Has("password"):
		b.report(policy.KindValue, t.Pos, "keep it in a file: keys: {state: {file: secrets/state}}", "state: a URL holds no password")
	case strings.Trim(u.Path, "/") == "":
		b.report(policy.KindValue, t.Pos, form, "state: the URL names no database")
	case u.User.Username() == "" && !query.Has("user"):
		b.report(policy.KindValue, t.Pos, form, "state: the URL names no user")
	default:
		b.c.State.SQLite, b.c.State.Postgres = "", t.Value
	}
}

func (b *builder) source(s sourceDoc) Source {
	out := Source{Env: s.Env.Value, File: b.path(s.File), Pos: s.Pos}
	if strings.ContainsAny(out.Env, "=\x00") {
		b.report(policy.KindValue, s.Env.Pos, "", "env: not a name of an environment variable")
	}
	for _, arg := range s.Command {
		if strings.ContainsRune(arg.Value, 0) {
			b.report(policy.KindValue, arg.Pos, "", "command: an argument cannot hold a NUL character")
		}
		out.Command = append(out.Command, arg.Value)
	}
	if out.Command != nil {
		out.Dir = b.folder
		// A program with a slash in its name is found like every other path of the file, from its folder.
		if strings.Contains(out.Command[0], "/") {
			out.Command[0] = b.absolute(s.Command[0])
		}
	}
	return out
}

// absolute makes a path that holds wherever a program is started.
func (b *builder) absolute(t policy.Text) string {
	path := b.path(t)
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func (b *builder) key(s sourceDoc, file string) Source {
	if s.Pos.IsZero() {
		return Source{File: filepath.Join(b.folder, file)}
	}
	return b.source(s)
}

func (b *builder) stores(doc *document) {
	if len(doc.Stores.Entries) == 0 && !doc.Stores.Pos.IsZero() {
		b.report(policy.KindMissing, doc.Stores.Pos, "", "there is no store")
	}
	places := map[string]*Store{}
	for _, e := range doc.Stores.Entries {
		if err := policy.CheckName(e.Key.Value); err != nil {
			b.report(policy.KindValue, e.Key.Pos, "", "store %q: %v", e.Key.Value, err)
		}
		s := b.store(e.Key, e.Value)
		if s.StandbyOf != "" {
			b.c.Standbys[s.Name] = s
		} else {
			b.c.Stores[s.Name] = s
		}
		place := fmt.Sprintf("%+v/%s", s.Address, s.Database)
		if other := places[place]; other != nil && s.Address != (Address{}) {
			b.report(policy.KindConflict, s.Pos, "one database is one store; list its schemas under it", "store %s is the same database as store %s, at %s", s.Name, other.Name, other.Pos)
		}
		places[place] = s
	}
	for _, e := range doc.Stores.Entries {
		if of := e.Value.StandbyOf; of.Value != "" && b.c.Stores[of.Value] == nil {
			b.report(policy.KindDangling, of.Pos, "name a store that is no standby itself", "store %s: standby_of: there is no primary %q", e.Key.Value, of.Value)
		}
	}
}

func (b *builder) store(key policy.Text, d storeDoc) *Store {
	s := &Store{
		Name: key.Value, Engine: d.Engine.Value, Database: d.Database.Value, StandbyOf: d.StandbyOf.Value, Pos: key.Pos,
		Provision: ProvisionManual, Provisioner: b.account(d.Provisioner), Grantor: b.account(d.Grantor), Scanner: b.account(d.Scanner),
	}
	b.engine(d.Engine)
	if s.Database == "" {
		s.Database = s.Name
	}
	b.identifier(d.Database)
	b.schemas(s, d.Schemas)
	for _, t := range d.Extensions {
		b.identifier(t)
		s.Extensions = append(s.Extensions, t.Value)
	}
	s.Address = b.address(d.Address)
	b.storeTLS(s, d.TLS)
	b.observe(s, d)
	b.inline(s, d)
	if d.Provision.Value == string(ProvisionAuto) {
		if s.Provision = ProvisionAuto; d.Provisioner.Pos.IsZero() {
			b.report(policy.KindMissing, d.Provision.Pos, "add provisioner: {user: …, password: …}", "store %s: provision: auto needs a provisioner", s.Name)
		}
	}
	s.Limits = policy.ReadLimits(d.Limits, func(kind policy.Kind, pos policy.Pos, hint, message string) {
		b.report(kind, pos, hint, "store %s: %s", s.Name, message)
	})
	if s.Grantor.User != "" && s.Grantor.User == s.Provisioner.User && !s.Inline {
		b.warn(d.Grantor.Pos, "'postern init' prints the SQL for both", "store %s: provisioner and grantor are one role, so the gateway holds every right of the provisioner", s.Name)
	}
	return s
}

func (b *builder) engine(t policy.Text) {
	if t.Value != "" && t.Value != "postgres" {
		b.report(policy.KindLater, t.Pos, "", "engine: %s is not in this version of postern", t.Value)
	}
}

// identifier refuses what cannot be the name of a database object: PostgreSQL would cut a longer name and find another.
func (b *builder) identifier(t policy.Text) {
	if len(t.Value) > 63 || strings.ContainsRune(t.Value, 0) {
		b.report(policy.KindValue, t.Pos, "", "%q is longer than the 63 bytes of a PostgreSQL name", t.Value)
	}
}

func (b *builder) schemas(s *Store, list []policy.Text) {
	if list == nil {
		s.Schemas = []string{"public"}
		return
	}
	for _, t := range list {
		b.identifier(t)
		switch {
		case t.Value == "":
		case slices.Contains(s.Schemas, t.Value):
			b.report(policy.KindDuplicate, t.Pos, "", "store %s names schema %q twice", s.Name, t.Value)
		case strings.HasPrefix(t.Value, "pg_") || t.Value == "information_schema":
			b.report(policy.KindValue, t.Pos, "", "schema %q belongs to the server", t.Value)
		case t.Value == "postern" || strings.HasPrefix(t.Value, "postern_"):
			b.report(policy.KindValue, t.Pos, "", "schema %q belongs to postern", t.Value)
		default:
			s.Schemas = append(s.Schemas, t.Value)
		}
	}
	if len(list) == 0 {
		b.report(policy.KindValue, s.Pos, "leave the key out for [public]", "store %s has no schema", s.Name)
	}
}

func (b *builder) account(d accountDoc) Account {
	b.identifier(d.User)
	a := Account{User: d.User.Value, Pos: d.Pos}
	if !d.Password.Pos.IsZero() {
		a.Password = b.source(d.Password)
	}
	return a
}

// maxSocket is the length of a socket's path that every supported system takes: sun_path of macOS and the BSDs is 104 bytes, NUL
// included; Linux has 108.
const maxSocket = 103

// address reads host, host:port, or the folder of a socket with or without :port.
func (b *builder) address(t policy.Text) Address {
	const form = "write host:port, such as db1.internal:5432, or the folder of a Unix socket"
	a := Address{Port: 5432}
	host, port := t.Value, ""
	switch {
	case t.Value == "":
		return Address{}
	case isFolder(t.Value):
		if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.Contains(host[i:], "/") {
			host, port = host[:i], host[i+1:]
		}
		a.Socket = b.path(policy.Text{Value: host, Pos: t.Pos})
	case strings.Contains(t.Value, "://"):
		b.report(policy.KindValue, t.Pos, form, "address: a URL is not an address") // it may hold a password
		return Address{}
	default:
		if net.ParseIP(host) == nil {
			if h, p, err := net.SplitHostPort(t.Value); err == nil {
				host, port = h, p
				if port == "" {
					port = "none"
				}
			} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
				host = host[1 : len(host)-1]
			}
		}
		if a.Host = host; host == "" || strings.ContainsAny(host, " /,@\x00[]\t\n") {
			b.report(policy.KindValue, t.Pos, form, "address: %q has no host", t.Value)
		}
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			b.report(policy.KindValue, t.Pos, form, "address: %q is not a port", port)
		}
		a.Port = uint16(n)
	}
	b.socketPath(a.Socket, a.Port, t.Pos)
	return a
}

func isFolder(s string) bool {
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")
}

func (b *builder) socketPath(folder string, port uint16, pos policy.Pos) {
	if name := fmt.Sprintf("%s/.s.PGSQL.%d", folder, port); folder != "" && len(name) > maxSocket {
		b.report(policy.KindValue, pos, "use a shorter folder", "a socket's path has at most %d bytes; this one would have %d", maxSocket, len(name))
	}
}

func (b *builder) storeTLS(s *Store, d storeTLSDoc) {
	s.TLS = StoreTLS{Mode: TLSMode(d.Mode.Value), CA: b.path(d.CA), Cert: b.path(d.Cert), Key: b.path(d.Key)}
	if s.TLS.Mode == "" {
		s.TLS.Mode = TLSVerifyFull
		if s.Address.Loopback() && s.TLS.CA == "" {
			s.TLS.Mode = TLSDisable
		}
	}
	if (d.Cert.Value == "") != (d.Key.Value == "") {
		b.report(policy.KindMissing, d.Pos, "", "store %s: tls: cert and key go together", s.Name)
	}
	switch {
	case s.TLS.Mode == TLSDisable && !s.Address.Loopback() && s.Address.Host != "":
		b.warn(d.Mode.Pos, "", "store %s: everything between postern and %s can be read on the way", s.Name, s.Address.Host)
	case s.TLS.Mode == TLSEncrypt && !s.Address.Loopback():
		b.warn(d.Mode.Pos, "use verify-full", "store %s: mode require encrypts and does not check who answers", s.Name)
	}
	if s.TLS.CA != "" && (s.TLS.Mode == TLSDisable || s.TLS.Mode == TLSEncrypt) {
		b.report(policy.KindConflict, d.CA.Pos, "use mode verify-full", "store %s: mode %s does not look at ca", s.Name, s.TLS.Mode)
	}
	if s.Address.Socket != "" && s.TLS.Mode != TLSDisable {
		b.report(policy.KindConflict, d.Pos, "leave tls out", "store %s: PostgreSQL speaks no TLS on a Unix socket", s.Name)
	}
}

func (b *builder) listener(d listenerDoc) *Listener {
	l := &Listener{Engine: d.Engine.Value, Address: d.Address.Value, Socket: b.path(d.Socket), Group: d.Group.Value, Pos: d.Pos}
	b.engine(d.Engine)
	switch {
	case d.Address.Pos.IsZero() && d.Socket.Pos.IsZero():
		b.report(policy.KindMissing, d.Pos, "", "a listener needs an address or a socket")
	case !d.Address.Pos.IsZero() && !d.Socket.Pos.IsZero():
		b.report(policy.KindConflict, d.Pos, "write two listeners", "a listener has an address or a socket, not both")
	case l.Address != "":
		b.tcpListener(l, d)
	case l.Socket != "":
		b.socketListener(l, d)
	}
	return l
}

func (b *builder) tcpListener(l *Listener, d listenerDoc) {
	for key, t := range map[string]policy.Text{"port": d.Port, "mode": d.Mode, "group": d.Group} {
		if !t.Pos.IsZero() {
			b.report(policy.KindConflict, t.Pos, "", "key %q is for sockets", key)
		}
	}
	host, port, err := net.SplitHostPort(l.Address)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || strconv.FormatUint(n, 10) != port {
		b.report(policy.KindValue, d.Address.Pos, "write host:port, such as 127.0.0.1:6432", "address: %q is not host:port", l.Address)
		return
	}
	b.listenerTLS(l, d.TLS, Address{Host: host}.Loopback())
	l.Proxies = b.proxies(d.Proxies)
}

// proxies reads addresses and networks of those who are believed about others. Everybody is nobody's proxy.
func (b *builder) proxies(texts []policy.Text) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range texts {
		p, err := netip.ParsePrefix(t.Value)
		if a, aerr := netip.ParseAddr(t.Value); err != nil && aerr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		switch {
		case err != nil:
			b.report(policy.KindValue, t.Pos, "write 10.0.0.5 or 10.0.0.0/24", "trusted_proxies: %q is neither an address nor a network", t.Value)
		case p.Bits() == 0:
			b.report(policy.KindValue, t.Pos, "name the proxies", "trusted_proxies: %s would let everybody say who they are", t.Value)
		default:
			out = append(out, p.Masked())
		}
	}
	return out
}

func (b *builder) listenerTLS(l *Listener, d listenerTLSDoc, loopback bool) {
	mode := d.Mode.Value
	if mode == "" {
		if mode = "require"; loopback {
			mode = "prefer"
		}
	}
	given := !d.Pos.IsZero()
	if mode == "disable" {
		if d.Cert.Value != "" || d.Key.Value != "" || d.ClientCA.Value != "" {
			b.report(policy.KindConflict, d.Mode.Pos, "", "tls: mode disable has no use for a certificate")
		}
		if !loopback {
			b.warn(d.Mode.Pos, "", "everything that clients of %s send and see can be read on the way", l.Address)
		}
		return
	}
	l.TLS = ListenerTLS{Required: mode == "require", Cert: b.path(d.Cert), Key: b.path(d.Key), MinVersion: tls.VersionTLS12, ClientCA: b.path(d.ClientCA)}
	if d.MinVersion.Value == "1.3" {
		l.TLS.MinVersion = tls.VersionTLS13
	}
	switch {
	case given && (d.Cert.Pos.IsZero() || d.Key.Pos.IsZero()):
		b.report(policy.KindMissing, d.Pos, "'postern init' makes a pair to begin with", "tls needs cert and key")
	case !given && loopback:
		l.TLS = ListenerTLS{}
	case !given:
		b.report(policy.KindMissing, l.Pos, "add tls: {cert: server.crt, key: server.key}, or tls: {mode: disable} if everything may be read on the way",
			"other machines can reach %s, and it has no TLS", l.Address)
	}
}

func (b *builder) socketListener(l *Listener, d listenerDoc) {
	l.Port, l.Mode = 5432, 0o770
	if !d.TLS.Pos.IsZero() {
		b.report(policy.KindConflict, d.TLS.Pos, "leave tls out", "there is no TLS on a Unix socket")
	}
	if len(d.Proxies) > 0 {
		b.report(policy.KindConflict, d.Proxies[0].Pos, "leave it out", "key %q is for addresses", "trusted_proxies")
	}
	if d.Port.Value != "" {
		n, err := strconv.ParseUint(d.Port.Value, 10, 16)
		if err != nil || n == 0 {
			b.report(policy.KindValue, d.Port.Pos, "", "port: %q is not a port", d.Port.Value)
		}
		l.Port = uint16(n)
	}
	if d.Mode.Value != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(d.Mode.Value, "0o"), 8, 32)
		if err != nil || n == 0 || n > 0o777 {
			b.report(policy.KindValue, d.Mode.Pos, `write "0770"`, "mode: %q is not a file mode in octal", d.Mode.Value)
		}
		l.Mode = os.FileMode(n & 0o777)
	}
	b.socketPath(l.Socket, l.Port, d.Socket.Pos)
}

func (b *builder) portal(d portalDoc) {
	if d.Pos.IsZero() {
		return
	}
	p := Portal{Address: d.Address.Value, Cert: b.path(d.TLS.Cert), Key: b.path(d.TLS.Key), URL: strings.TrimRight(d.URL.Value, "/"), Pos: d.Pos}
	p.Proxies = b.proxies(d.Proxies)
	b.c.Portal = p
	b.oidcAddress(d.URL, "url")
	b.oidc(d)
	switch {
	case d.Address.Pos.IsZero():
		b.report(policy.KindMissing, d.Pos, "", "missing key %q", "address")
		return
	case p.Address == "":
		return
	}
	host, port, err := net.SplitHostPort(p.Address)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || strconv.FormatUint(n, 10) != port {
		b.report(policy.KindValue, d.Address.Pos, "write host:port, such as 127.0.0.1:8443", "address: %q is not host:port", p.Address)
		return
	}
	switch {
	case !d.TLS.Pos.IsZero() && (d.TLS.Cert.Pos.IsZero() || d.TLS.Key.Pos.IsZero()):
		b.report(policy.KindMissing, d.TLS.Pos, "", "tls needs cert and key")
	case d.TLS.Pos.IsZero() && !(Address{Host: host}).Loopback():
		b.report(policy.KindMissing, d.Address.Pos, "add tls: {cert: server.crt, key: server.key}", "other machines can reach %s, and it has no TLS: passwords and tokens would be read on the way", p.Address)
	}
}

func (b *builder) sameListeners() {
	seen := map[string]*Listener{}
	for _, l := range b.c.Gateway.Listeners {
		key := l.Address
		if l.Socket != "" {
			key = fmt.Sprintf("%s:%d", l.Socket, l.Port)
		}
		_, port, _ := net.SplitHostPort(key)
		if other := seen[key]; other != nil && key != "" && port != "0" {
			b.report(policy.KindDuplicate, l.Pos, "", "there is a listener on %s already, at %s", key, other.Pos)
		}
		seen[key] = l
	}
}

// clientCertificates refuses network rules that ask for what no listener asks clients for.
func (b *builder) clientCertificates(rules []policy.NetworkEntry, issued bool) {
	asked := func(l *Listener) bool { return l.TLS.ClientCA != "" || issued && l.TLS.Cert != "" }
	if len(b.c.Gateway.Listeners) == 0 || slices.ContainsFunc(b.c.Gateway.Listeners, asked) {
		return
	}
	for _, r := range rules {
		if r.Auth.Value == string(policy.AuthCert) || r.Auth.Value == string(policy.AuthCertOrSCRAM) || r.TLS.Value == string(policy.TLSVerify) {
			b.report(policy.KindConflict, r.Pos, "add client_ca to the tls of a listener, or identity: {certificates: true}", "no listener asks clients for a certificate")
		}
	}
}

// issued refuses certificates of people's own where nobody could come by one.
func (b *builder) issued(doc *document) {
	if f := doc.Identity.Certificates; f.Value && doc.Portal.Pos.IsZero() {
		b.report(policy.KindConflict, f.Pos, "add portal: {address: 127.0.0.1:8443}", "certificates come with 'postern login', which needs a portal")
	}
}

// emergencyName is what the emergency admin is called; see people.EmergencyName.
const emergencyName = "emergency-admin"

// emergency reads the emergency admin. The hash is checked when serve starts; what is no hash at all may be a password, and is not
// repeated.
func (b *builder) emergency(doc *document) {
	for _, e := range doc.Users.Entries {
		if e.Key.Value == emergencyName {
			b.report(policy.KindConflict, e.Key.Pos, "", "%s is the name of the emergency admin, and of nobody else", emergencyName)
		}
	}
	d := doc.Identity.Emergency
	if d.Pos.IsZero() {
		return
	}
	for key, t := range map[string]policy.Text{"socket": d.Socket, "password": d.Password} {
		if t.Value == "" {
			b.report(policy.KindMissing, d.Pos, "", "missing key %q", key)
		}
	}
	if d.Password.Value != "" && !strings.HasPrefix(d.Password.Value, "$argon2id$") {
		b.report(policy.KindValue, d.Password.Pos, "postern user hash --emergency prints one", "password: this is no hash")
	}
	if doc.Portal.Pos.IsZero() {
		b.report(policy.KindConflict, d.Pos, "add portal: {address: 127.0.0.1:8443}", "an emergency admin has nothing to look after without a portal")
	}
	b.c.Emergency = Emergency{Socket: b.path(d.Socket), Password: d.Password.Value}
}

// maxSync bounds how much of the trail a site may agree to lose.
const maxSync = 10 * time.Second

func (b *builder) audit(d auditDoc) {
	b.c.Audit.Folder = filepath.Join(b.folder, "audit")
	if d.Folder.Value != "" {
		b.c.Audit.Folder = b.path(d.Folder)
	}
	if t := d.ClassifyResults; t.Value != "" && t.Value != "off" {
		share, err := strconv.ParseFloat(strings.TrimSuffix(t.Value, "%"), 64)
		if err != nil || !strings.HasSuffix(t.Value, "%") || !(share > 0 && share <= 100) {
			b.report(policy.KindValue, t.Pos, "write off, or a share such as 1%", "classify_results: %q is neither off nor a share", t.Value)
		}
		b.c.Audit.ClassifyResults = share / 100
	}
	if d.Sync.Value == "" || d.Sync.Value == "always" {
		return
	}
	every, err := time.ParseDuration(d.Sync.Value)
	if err != nil || every <= 0 || every > maxSync {
		b.report(policy.KindValue, d.Sync.Pos, "write always, or a time such as 100ms", "sync: %q is neither always nor a time up to %s", d.Sync.Value, maxSync)
		return
	}
	b.c.Audit.Sync = every
}
