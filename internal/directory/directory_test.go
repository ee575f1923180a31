package directory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/directory"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/state"
	"github.com/postern-sec/postern/test/slapd"
)

// place is a client over a real directory and a real state file, with a clock.
type place struct {
	t      *testing.T
	server *slapd.Server
	db     *state.DB
	c      *directory.Client

	mu     sync.Mutex
	now    time.Time
	events []audit.Event
	alarms int
	ended  []string
	pol    *policy.Policy
	people []policy.Person // of the provider
	known  directory.Known
}

func (p *place) Record(_ context.Context, e audit.Event) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
	return "", nil
}

func (p *place) RecordSoon(audit.Event) error { return nil }

func (p *place) EndEverything(_ context.Context, subject, why string) error {
	p.ended = append(p.ended, subject+" "+why)
	return nil
}

func (p *place) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *place) turn(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

const source = "ldaps://directory"

// newPlace knows ana, bob and cleo by their addresses; a robot has one too.
func newPlace(t *testing.T, server *slapd.Server, change func(*directory.Settings)) *place {
	t.Helper()
	p := &place{t: t, server: server, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	p.pol = &policy.Policy{Users: map[string]*policy.User{}, Groups: map[string]*policy.Group{}}
	for _, name := range []string{"ana", "bob", "cleo"} {
		p.pol.Users[name] = &policy.User{Name: name, Attributes: map[string]string{"email": name + "@example.org"}}
	}
	p.pol.Users["robot"] = &policy.User{Name: "robot", Owner: "ana", Attributes: map[string]string{"email": "robot@example.org"}}
	for _, g := range []string{"staff", "office"} {
		p.pol.Groups[g] = &policy.Group{Name: g, Members: []string{"ldap:" + g}}
	}
	var err error
	if p.db, err = state.Open(t.Context(), filepath.Join(t.TempDir(), "s.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	p.c = p.client(change)
	return p
}

func (p *place) client(change func(*directory.Settings)) *directory.Client {
	p.t.Helper()
	roots, err := directory.Roots(p.server.CA)
	if err != nil {
		p.t.Fatal(err)
	}
	s := directory.Settings{
		Address: p.server.TLS, Host: "127.0.0.1", Implicit: true, Roots: roots, Source: source, BindDN: slapd.Reader,
		UserBase: slapd.People, UserFilter: "(objectClass=inetOrgPerson)", UserAttribute: "mail", ByEmail: true, Active: "(employeeType=active)",
		Groups:    map[string]string{"staff": slapd.GroupDN("staff"), "office": slapd.GroupDN("office")},
		GroupBase: slapd.Groups, GroupFilter: "(objectClass=groupOfNames)", Members: "member",
		PageSize: 100, MaxEntries: 10000, MaxLoss: 0.3, Interval: time.Minute, Limit: time.Hour,
	}
	password := slapd.Password
	if change != nil {
		change(&s)
	}
	if strings.HasPrefix(s.BindDN, "wrong:") {
		s.BindDN, password = slapd.Reader, "another password"
	}
	return directory.New(directory.Config{
		Settings: s, Password: func(context.Context) (secret.Text, error) { return secret.New(password), nil }, Store: p.db, Register: p,
		Candidates: p.candidates, Audit: p, Now: p.clock,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Publish: func(k directory.Known) {
			now := p.clock()
			p.mu.Lock()
			defer p.mu.Unlock()
			p.known = k
			p.pol = p.pol.WithPeople(k.Join(p.people, s.Source, s.Limit, now))
		},
		Alarm: func(context.Context, audit.Kind, string) { p.alarms++ },
	})
}

func (p *place) candidates() []directory.Candidate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return directory.Candidates(p.pol, p.people)
}

func (p *place) look() {
	p.t.Helper()
	if err := p.c.Look(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// in says in which groups somebody is, or that they are nobody.
func (p *place) in(name string) string {
	s, known := p.pol.Subject(name)
	if !known {
		return "nobody"
	}
	return strings.Join(s.Groups, " ")
}

// want holds everybody's groups against what they should be.
func (p *place) want(all map[string]string) {
	p.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if got := p.in(name); got != all[name] {
			p.t.Errorf("%s is in %q, want %q (%+v)", name, got, all[name], p.known.People[name])
		}
	}
}

// told takes the events that came since, in short.
func (p *place) told() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, e := range p.events {
		line := string(e.Kind)
		for _, x := range []string{e.Subject, e.Reason, e.Detail["gained"]} {
			if x != "" {
				line += " " + x
			}
		}
		if e.Detail["lost"] != "" {
			line += " -" + e.Detail["lost"]
		}
		if e.Detail["source"] != source {
			p.t.Errorf("%s does not say which directory: %v", e.Kind, e.Detail)
		}
		out = append(out, line)
	}
	p.events = nil
	return strings.Join(out, "; ")
}

func (p *place) tells(want string) {
	p.t.Helper()
	if got := p.told(); got != want {
		p.t.Errorf("on the trail: %s\nwant: %s", got, want)
	}
}

// refused looks once and wants it not to count, for a reason.
func (p *place) refused(reason string) {
	p.t.Helper()
	p.told()
	p.look()
	p.tells("directory.failed " + reason)
	if p.known.Reason != reason || p.known.Failing.IsZero() {
		p.t.Errorf("kept: failing since %s because of %q, want %q", p.known.Failing, p.known.Reason, reason)
	}
}

func house() string {
	return slapd.Person("a", "ana@example.org") + slapd.Person("b", "Bob@Example.org") + slapd.Person("c", "cleo@example.org") + slapd.Person("r", "robot@example.org") +
		slapd.Group("staff", slapd.DN("a"), slapd.DN("r"), slapd.GroupDN("inner")) + slapd.Group("inner", slapd.DN("b"), slapd.GroupDN("innermost")) +
		slapd.Group("innermost", "UID=c , ou=People,dc=example, dc=ORG", slapd.GroupDN("staff")) + slapd.Group("office", slapd.DN("b"))
}

// TestMembership: by members of groups, by memberOf of people, with groups in groups and without, over both kinds of TLS.
func TestMembership(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house())
	nested := map[string]string{"ana": "staff", "bob": "office staff", "cleo": "staff", "robot": "", "dora": "nobody"}
	flat := map[string]string{"ana": "staff", "bob": "office", "cleo": "", "robot": ""}
	for name, x := range map[string]struct {
		change func(*directory.Settings)
		want   map[string]string
	}{
		"member":            {nil, nested},
		"member, flat":      {func(s *directory.Settings) { s.GroupBase = "" }, flat},
		"StartTLS":          {func(s *directory.Settings) { s.Implicit, s.Address = false, server.LDAP }, nested},
		"in the clear":      {func(s *directory.Settings) { s.Implicit, s.Plain, s.Address = false, true, server.LDAP }, nested},
		"small pages":       {func(s *directory.Settings) { s.PageSize = 1 }, nested},
		"nobody is unfit":   {func(s *directory.Settings) { s.Active = "" }, nested},
		"another attribute": {func(s *directory.Settings) { s.UserAttribute, s.ByEmail = "uid", false }, map[string]string{"ana": "", "bob": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, server, x.change)
			p.look()
			p.want(x.want)
			if !p.known.Failing.IsZero() {
				t.Errorf("failing: %s", p.told())
			}
		})
	}
}

// TestMemberOfNested: memberOf is what slapd's overlay writes as groups change, also that of groups.
func TestMemberOfNested(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, slapd.Person("a", "ana@example.org")+slapd.Person("b", "bob@example.org"))
	group := func(cn string, members ...string) {
		server.Add(slapd.GroupDN(cn), map[string][]string{"objectClass": {"groupOfNames"}, "cn": {cn}, "member": members})
	}
	group("inner", slapd.DN("b"))
	group("staff", slapd.DN("a"), slapd.GroupDN("inner"))
	group("office", slapd.DN("b"))
	server.Set(slapd.GroupDN("inner"), "member", slapd.DN("b"), slapd.GroupDN("staff")) // a circle
	p := newPlace(t, server, func(s *directory.Settings) { s.Members = "" })
	p.look()
	p.want(map[string]string{"ana": "staff", "bob": "office staff", "cleo": ""})
	p = newPlace(t, server, func(s *directory.Settings) { s.Members, s.GroupBase = "", "" })
	p.look()
	p.want(map[string]string{"ana": "staff", "bob": "office", "cleo": ""})
}

// TestChanges: every change is on the trail before it counts, and who is out has nothing left.
func TestChanges(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house())
	p := newPlace(t, server, nil)
	p.look()
	p.tells("groups.changed ana staff; groups.changed bob office staff; groups.changed cleo staff")
	p.look()
	p.tells("")
	server.Set(slapd.GroupDN("inner"), "member", slapd.DN("b")) // cleo is in no group any more
	p.look()
	p.tells("groups.changed cleo -staff")
	server.Set(slapd.DN("b"), "employeeType", "away")
	p.look()
	p.tells("groups.changed bob -office staff; subject.deactivated bob ldap disabled")
	p.want(map[string]string{"ana": "staff", "bob": "nobody", "cleo": ""})
	if !p.pol.IsBarred("bob") || p.pol.IsBarred("cleo") || strings.Join(p.ended, ", ") != "bob deactivated" {
		t.Errorf("barred: bob %v, cleo %v; ended: %v", p.pol.IsBarred("bob"), p.pol.IsBarred("cleo"), p.ended)
	}
	server.Set(slapd.DN("b"), "employeeType", "active")
	server.Delete(slapd.DN("a"))
	p.look()
	p.tells("groups.changed ana -staff; groups.changed bob office staff; subject.deactivated ana ldap gone; subject.restored bob ldap present")
	p.want(map[string]string{"ana": "nobody", "bob": "office staff", "cleo": ""})
	// Somebody else has the address now: nobody becomes ana by that.
	server.Add(slapd.DN("eve"), map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {"eve"}, "cn": {"eve"}, "sn": {"eve"}, "mail": {"ana@example.org"}, "employeeType": {"active"}})
	server.Set(slapd.GroupDN("staff"), "member", slapd.DN("eve"), slapd.GroupDN("inner"))
	p.look()
	p.tells("subject.deactivated ana ldap other")
	p.want(map[string]string{"ana": "nobody"})
	if err := directory.Forget(t.Context(), p.db, "ana"); err != nil { // postern user unlink ana
		t.Fatal(err)
	}
	p.look()
	p.tells("groups.changed ana staff")
	p.want(map[string]string{"ana": "staff"})
	// A moved entry is the same person.
	server.Move(slapd.DN("eve"), "uid=ana")
	p.look()
	p.tells("") // memberof-refint has the groups follow
	p.want(map[string]string{"ana": "staff"})
}

// TestProvider: people of the identity provider are looked for by the address that it has verified, and nobody else becomes a user.
func TestProvider(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house()+slapd.Person("d", "dora@example.org"))
	server.Set(slapd.GroupDN("office"), "member", slapd.DN("b"), slapd.DN("d"))
	p := newPlace(t, server, nil)
	p.look()
	p.want(map[string]string{"dora": "nobody", "dora@example.org": "nobody", "bob": "office staff"})
	p.people = []policy.Person{{Name: "dora", Attributes: map[string]string{"email": "Dora@example.org"}}, {Name: "eve"}}
	p.look()
	p.want(map[string]string{"dora": "office", "eve": "", "bob": "office staff"})
	// Two who have one address: neither is whom the directory means.
	p.people = append(p.people, policy.Person{Name: "dora2", Attributes: map[string]string{"email": "dora@example.org"}})
	p.told()
	p.look()
	p.want(map[string]string{"dora": "", "dora2": ""})
	p.tells("groups.changed dora -office; groups.unknown dora ldap unclear; groups.unknown dora2 ldap unclear")
	p.people = p.people[:1]
	// Two entries that have one address: the one that was theirs from the start is.
	server.Add(slapd.DN("d2"), map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {"d2"}, "cn": {"d2"}, "sn": {"d2"}, "mail": {"dora@example.org", "cleo@example.org"}, "employeeType": {"active"}})
	p.look()
	p.want(map[string]string{"dora": "office", "cleo": "staff"})
	q := newPlace(t, server, nil) // who was never told apart before
	q.look()
	q.want(map[string]string{"cleo": "", "bob": "office staff"})
	// A person who leaves the file is nobody, whatever is kept of them.
	file := &policy.Policy{Users: map[string]*policy.User{"ana": {Name: "ana"}}, Groups: p.pol.Groups}
	pol := file.WithPeople(p.known.Join(nil, source, time.Hour, p.clock()))
	if _, known := pol.Subject("bob"); known {
		t.Error("the directory makes somebody a user who is not in the file")
	}
}

// TestAway: what the directory said holds for a while, and not longer; nobody is gone because of it.
func TestAway(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house())
	p := newPlace(t, server, nil)
	p.look()
	server.Set(slapd.DN("c"), "employeeType", "away")
	p.look()
	server.Down()
	p.refused("away")
	p.look()
	p.tells("") // an outage is one event
	p.turn(59 * time.Minute)
	p.look()
	p.want(map[string]string{"ana": "staff", "bob": "office staff", "cleo": "nobody"})
	p.turn(time.Minute)
	if err := p.c.Refresh(t.Context()); err != nil { // nobody has to notice: time is enough, on every gateway
		t.Fatal(err)
	}
	p.want(map[string]string{"ana": "", "bob": "", "cleo": "nobody"})
	p.look()
	p.tells("groups.changed ana -staff; groups.changed bob -office staff")
	p.look()
	p.tells("")
	if p.alarms != 1 {
		t.Errorf("the admins were told %d times", p.alarms)
	}
	server.Up()
	p.look()
	p.tells("directory.answers; groups.changed ana staff; groups.changed bob office staff")
	p.want(map[string]string{"ana": "staff", "bob": "office staff", "cleo": "nobody"})
	// Another directory in the file: what this one said of groups is over, that somebody is out is not.
	elsewhere := p.client(func(s *directory.Settings) { s.Source, s.Address = "ldaps://other", "127.0.0.1:1" })
	if err := elsewhere.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.want(map[string]string{"ana": "", "bob": "", "cleo": "nobody"})
}

// TestSlow: a directory that takes a connection and says nothing is away when the time is over; that we stop meanwhile is no failure of it.
func TestSlow(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house())
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := newPlace(t, server, nil)
	p.look()
	p.told()
	p.c = p.client(func(s *directory.Settings) { s.Address = l.Addr().String() })
	stopped, stop := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, stop)
	if err := p.c.Look(stopped); err != nil {
		t.Error(err)
	}
	p.tells("")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.c.Look(short); err != nil {
		t.Error(err)
	}
	p.tells("directory.failed away")
	p.want(map[string]string{"ana": "staff", "bob": "office staff"})
}

// TestRun: it looks by itself when it is time and when somebody is new, while it leads; time ends groups while a look hangs.
func TestRun(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house())
	p := newPlace(t, server, nil)
	var leads atomic.Bool
	done := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		p.c.Run(ctx, 10*time.Millisecond, leads.Load)
	}()
	version := func() int {
		k, err := p.db.Directory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return k.Version
	}
	time.Sleep(100 * time.Millisecond)
	if v := version(); v != 0 {
		t.Errorf("who does not lead has looked: version %d", v)
	}
	leads.Store(true)
	for end := time.Now().Add(20 * time.Second); version() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody looks")
		}
	}
	for p.clockAndWake(2 * time.Minute); version() < 2; time.Sleep(10 * time.Millisecond) {
		if t.Context().Err() != nil {
			t.Fatal("nobody looks again")
		}
	}
	stop()
	<-done
	p.want(map[string]string{"ana": "staff", "bob": "office staff"})
}

// clockAndWake lets time go by.
func (p *place) clockAndWake(d time.Duration) {
	p.turn(d)
	p.c.Wake()
}

// TestRefused: whatever makes an answer less than whole leaves everything as it was, and is said with its reason. Each begins with an
// answer that counts.
func TestRefused(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house()+
		"dn: ou=sales,"+slapd.Base+"\nobjectClass: referral\nobjectClass: extensibleObject\nou: sales\nref: ldap://elsewhere.example/ou=sales,dc=example,dc=net\n\n")
	strangers, err := directory.Roots(slapd.Start(t, slapd.Options{}, "").CA)
	if err != nil {
		t.Fatal(err)
	}
	silent := listen(t)
	for name, x := range map[string]struct {
		reason string
		change func(*directory.Settings)
	}{
		"wrong password":           {"credentials", func(s *directory.Settings) { s.BindDN = "wrong:" }},
		"unknown account":          {"credentials", func(s *directory.Settings) { s.BindDN = "cn=nobody," + slapd.Base }},
		"untrusted certificate":    {"tls", func(s *directory.Settings) { s.Roots = strangers }},
		"the system's authorities": {"tls", func(s *directory.Settings) { s.Roots = nil }},
		"certificate of another":   {"tls", func(s *directory.Settings) { s.Host = "directory.example" }},
		"untrusted with StartTLS":  {"tls", func(s *directory.Settings) { s.Implicit, s.Address, s.Roots = false, server.LDAP, strangers }},
		"another with StartTLS":    {"tls", func(s *directory.Settings) { s.Implicit, s.Address, s.Host = false, server.LDAP, "directory.example" }},
		"no TLS where it should":   {"away", func(s *directory.Settings) { s.Address = server.LDAP }},
		"nobody there":             {"away", func(s *directory.Settings) { s.Address = "127.0.0.1:1" }},
		"hangs up":                 {"away", func(s *directory.Settings) { s.Address = silent }},
		"too many entries":         {"limit", func(s *directory.Settings) { s.MaxEntries = 3 }},
		"a referral":               {"referral", func(s *directory.Settings) { s.UserBase = "ou=sales," + slapd.Base }},
		"a reference on the way":   {"referral", func(s *directory.Settings) { s.UserBase = slapd.Base }},
		"no such people":           {"missing", func(s *directory.Settings) { s.UserBase = "ou=nowhere," + slapd.Base }},
		"no such group":            {"missing", func(s *directory.Settings) { s.Groups["staff"] = slapd.GroupDN("stuff") }},
		"no such groups":           {"missing", func(s *directory.Settings) { s.GroupBase = "ou=nowhere," + slapd.Base }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, server, nil)
			p.look()
			p.want(map[string]string{"ana": "staff", "bob": "office staff", "cleo": "staff"})
			right := p.c
			p.c = p.client(x.change)
			p.refused(x.reason)
			p.want(map[string]string{"ana": "staff", "bob": "office staff", "cleo": "staff"})
			p.c = right
			p.look()
			p.tells("directory.answers")
		})
	}
}

// listen takes connections and ends them.
func listen(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// TestDenied: an account that may not read says so, or sees nothing; neither is an empty group.
func TestDenied(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house()+"dn: cn=blind,"+slapd.Base+"\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: blind\nuserPassword: "+slapd.Password+"\n\n")
	p := newPlace(t, server, nil)
	p.look()
	p.c = p.client(func(s *directory.Settings) { s.BindDN = "cn=blind," + slapd.Base })
	p.refused("missing")
	p.want(map[string]string{"ana": "staff", "bob": "office staff"})
}

// crowd is many people, by name, of whom all are in one group.
func crowd(p *place, n int) (ldif string) {
	var b strings.Builder
	members := make([]string, n)
	for i := range n {
		name := fmt.Sprintf("p%04d", i)
		b.WriteString(slapd.Person(name, name+"@example.org"))
		members[i] = slapd.DN(name)
		if p != nil {
			p.pol.Users[name] = &policy.User{Name: name, Attributes: map[string]string{"email": name + "@example.org"}}
		}
	}
	b.WriteString(slapd.Group("staff", members...) + slapd.Group("office", members[:1]...))
	for i := range n / 10 {
		b.WriteString(slapd.Group(fmt.Sprintf("g%04d", i), members[i]))
	}
	return b.String()
}

// TestPages: a server that gives 50 entries to whoever asks for all gives more than a thousand to who asks page by page; what it cuts
// short does not count.
func TestPages(t *testing.T) {
	t.Parallel()
	const n = 1100
	limits := `limits dn.exact="` + slapd.Reader + `" size.soft=50 size.hard=50 size.pr=40 size.prtotal=unlimited`
	server := slapd.Start(t, slapd.Options{Limits: limits}, crowd(nil, n))
	p := newPlace(t, server, func(s *directory.Settings) { s.PageSize = 40 })
	crowd(p, n)
	p.look()
	in := 0
	for i := range n {
		if p.in(fmt.Sprintf("p%04d", i)) != "" {
			in++
		}
	}
	if in != n || p.in("p0000") != "office staff" {
		t.Errorf("%d of %d are in their groups, p0000 in %q: %s", in, n, p.in("p0000"), p.told())
	}
	p.told()
	p.c = p.client(func(s *directory.Settings) { s.PageSize = 500 }) // more than the server gives
	p.refused("limit")
	if p.in("p0000") != "office staff" {
		t.Errorf("what was cut short counts: p0000 is in %q", p.in("p0000"))
	}
}

// TestLoss: an answer that makes many vanish at once looks like a mistake and does not count; a few may always go.
func TestLoss(t *testing.T) {
	t.Parallel()
	const n = 20
	server := slapd.Start(t, slapd.Options{}, crowd(nil, n))
	p := newPlace(t, server, nil)
	crowd(p, n)
	p.look()
	right := p.c
	for name, change := range map[string]func(*directory.Settings){
		"mistyped filter":   func(s *directory.Settings) { s.UserFilter = "(objectClass=inetOrgPreson)" },
		"mistyped active":   func(s *directory.Settings) { s.Active = "(!(nsAccountLokc=TRUE))" },
		"another attribute": func(s *directory.Settings) { s.UserAttribute = "cn" },
		"mistyped member":   func(s *directory.Settings) { s.Members = "uniqueMember" },
		"another group":     func(s *directory.Settings) { s.Groups["staff"] = slapd.GroupDN("office") },
		"another base":      func(s *directory.Settings) { s.UserBase = slapd.Groups },
		"no memberOf yet":   func(s *directory.Settings) { s.Members = "" },
	} {
		p.c = p.client(change)
		p.refused("loss")
		if p.in("p0000") != "office staff" || p.in("p0019") != "staff" {
			t.Errorf("%s: p0000 is in %q, p0019 in %q", name, p.in("p0000"), p.in("p0019"))
		}
		if p.c = right; p.known.Reason != "loss" {
			t.Errorf("%s: %+v", name, p.known)
		}
		p.look()
		p.tells("directory.answers")
	}
	var most []string
	for i := range n - 7 { // 7 of 20 is more than 30 %
		most = append(most, slapd.DN(fmt.Sprintf("p%04d", i)))
	}
	server.Set(slapd.GroupDN("staff"), "member", most...)
	p.refused("loss")
	// The operator means it.
	p.c = p.client(func(s *directory.Settings) { s.MaxLoss = 1 })
	p.look()
	p.want(map[string]string{"p0012": "staff", "p0013": ""})
	server.Set(slapd.GroupDN("staff"), "member", most[3:]...)
	p.c = p.client(func(s *directory.Settings) { s.MaxLoss = 0 })
	p.look()
	p.want(map[string]string{"p0000": "office", "p0003": "staff"})
	// What nobody takes for possible does not hold for ever either.
	server.Set(slapd.GroupDN("staff"), "member", most[12:]...)
	p.refused("loss")
	p.turn(time.Hour)
	p.look()
	p.want(map[string]string{"p0000": "", "p0003": "", "p0012": ""})
}

// TestNames: what somebody is called is never part of a filter. Who has strange characters is found all the same.
func TestNames(t *testing.T) {
	t.Parallel()
	strange := `o(b*c)\28&|!=`
	server := slapd.Start(t, slapd.Options{}, house())
	server.Add("cn=strange,"+slapd.People, map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {strange}, "cn": {"strange"}, "sn": {"x"}, "mail": {strange + "@example.org"}, "employeeType": {"active"}})
	server.Set(slapd.GroupDN("office"), "member", slapd.DN("b"), "cn=strange,"+slapd.People)
	for _, byEmail := range []bool{true, false} {
		p := newPlace(t, server, func(s *directory.Settings) {
			if s.ByEmail = byEmail; !byEmail {
				s.UserAttribute = "uid"
			}
		})
		names := []string{"*", "b)(uid=*", "b*", "*@example.org", "bob@example.org)(|(mail=*", "*)(objectClass=*", `\2a`, "b\x00", " b", "b ", "", strings.Repeat("x", 5000), "b))(|(uid=a"}
		for _, name := range append(names, strange) {
			email := name
			if name == strange {
				email += "@example.org"
			}
			p.people = append(p.people, policy.Person{Name: name, Attributes: map[string]string{"email": email}})
		}
		p.look()
		if !p.known.Failing.IsZero() {
			t.Fatalf("by e-mail %v: %s", byEmail, p.told())
		}
		for _, name := range names {
			if e := p.known.People[name]; e.State != directory.Absent || p.in(name) != "" {
				t.Errorf("by e-mail %v: %q found %+v", byEmail, name, e)
			}
		}
		if p.in(strange) != "office" {
			t.Errorf("by e-mail %v: %q is in %q", byEmail, strange, p.in(strange))
		}
	}
}

// TestCheck says what would change and changes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house())
	p := newPlace(t, server, nil)
	got, err := p.c.Check(t.Context(), &directory.Known{})
	if err != nil {
		t.Fatal(err)
	}
	want := `"ana": present +staff; "bob": present +office +staff; "cleo": present +staff`
	if strings.Join(got.Changes, "; ") != want || got.Counts[directory.Present] != 3 || got.Groups["staff"] != 3 || got.Groups["office"] != 1 || got.Refused != nil {
		t.Errorf("%+v", got)
	}
	if k, err := p.db.Directory(t.Context()); err != nil || k.Version != 0 || p.told() != "" {
		t.Errorf("a check wrote something: %+v, %v", k, err)
	}
	p.look()
	bad := p.client(func(s *directory.Settings) { s.UserFilter, s.MaxLoss = "(uid=nobody)", 0 })
	crowdless := p.known
	if got, err = bad.Check(t.Context(), &crowdless); err != nil || strings.Join(got.Changes, "; ") != `"ana": gone -staff; "bob": gone -office -staff; "cleo": gone -staff` {
		t.Errorf("%+v, %v", got, err)
	}
	var no *directory.Failure
	if _, err := p.client(func(s *directory.Settings) { s.BindDN = "wrong:" }).Check(t.Context(), &crowdless); !errors.As(err, &no) || no.Reason != "credentials" || strings.Contains(err.Error(), "another password") {
		t.Errorf("%v", err)
	}
}

// TestRoots: a file that holds no certificate is a mistake, not trust in everybody or the system.
func TestRoots(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, empty + ".missing"} {
		if _, err := directory.Roots(path); err == nil {
			t.Errorf("%s was taken", path)
		}
	}
	if pool, err := directory.Roots(""); pool != nil || err != nil {
		t.Errorf("%v, %v", pool, err)
	}
}
