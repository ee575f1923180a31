package directory_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/postern-sec/postern/internal/directory"
	"github.com/postern-sec/postern/test/slapd"
)

// dialect stands in front of slapd and has it speak as another server does: what that one understands in filters is put in slapd's
// terms on the way in, and what it says differently is changed on the way out. slapd does the rest.
type dialect struct {
	filters map[string]string // parts of filters
	names   map[string]string // of attributes
	root    map[string]string // what the root DSE says besides
	cookie  bool              // every page is empty and promises another one
}

// listen takes connections for a server until the test ends.
func (d dialect) listen(t *testing.T, server *slapd.Server) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", server.LDAP)
			if err != nil {
				_ = client.Close()
				return
			}
			go d.pass(client, back, d.asked)
			go d.pass(back, client, d.answered)
		}
	}()
	return l.Addr().String()
}

// pass hands messages on until one side has enough.
func (d dialect) pass(from, to net.Conn, change func(*ber.Packet) *ber.Packet) {
	defer func() { _, _ = from.Close(), to.Close() }()
	for in := bufio.NewReader(from); ; {
		m, err := ber.ReadPacket(in)
		if err != nil {
			return
		}
		if len(m.Children) > 1 {
			m = with(m, 1, change(m.Children[1]))
		}
		if m.Children[1].Tag == ldap.ApplicationSearchResultDone && d.cookie {
			m = unending(m)
		}
		if _, err := io.Copy(to, strings.NewReader(string(m.Bytes()))); err != nil {
			return
		}
	}
}

// with is a message with another part in the place of one.
func with(p *ber.Packet, at int, part *ber.Packet) *ber.Packet {
	out := ber.Encode(p.ClassType, p.TagType, p.Tag, nil, "")
	for i, c := range p.Children {
		if i == at {
			c = part
		}
		out.AppendChild(c)
	}
	return out
}

func (d dialect) asked(q *ber.Packet) *ber.Packet {
	if q.Tag != ldap.ApplicationSearchRequest || d.filters == nil {
		return q
	}
	text, err := ldap.DecompileFilter(q.Children[6])
	if err != nil {
		return q
	}
	for theirs, ours := range d.filters {
		text = strings.ReplaceAll(text, theirs, ours)
	}
	filter, err := ldap.CompileFilter(text)
	if err != nil {
		return q
	}
	return with(q, 6, filter)
}

func (d dialect) answered(a *ber.Packet) *ber.Packet {
	if a.Tag != ldap.ApplicationSearchResultEntry {
		return a
	}
	list := ber.NewSequence("")
	for _, attribute := range a.Children[1].Children {
		if other := d.names[string(attribute.Children[0].ByteValue)]; other != "" {
			attribute = with(attribute, 0, ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, other, ""))
		}
		list.AppendChild(attribute)
	}
	if len(a.Children[0].ByteValue) == 0 {
		for name, value := range d.root {
			attribute, values := ber.NewSequence(""), ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
			attribute.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, name, ""))
			values.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, value, ""))
			attribute.AppendChild(values)
			list.AppendChild(attribute)
		}
	}
	return with(a, 1, list)
}

// unending is the end of an answer that promises another page.
func unending(m *ber.Packet) *ber.Packet {
	out := ber.NewSequence("")
	out.AppendChild(m.Children[0])
	out.AppendChild(m.Children[1])
	controls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
	page := ldap.NewControlPaging(0)
	page.SetCookie([]byte("more"))
	controls.AppendChild(page.Encode())
	out.AppendChild(controls)
	return out
}

// TestActiveDirectory: where the server says what it is, it is asked for members through all nesting, and for who is disabled, in its own
// terms; groups' own lists, which it hands out in parts, are not looked at.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, slapd.Person("a", "ana@example.org")+slapd.Person("b", "bob@example.org")+slapd.Person("c", "cleo@example.org"))
	for cn, members := range map[string][]string{"inner": {slapd.DN("b")}, "staff": {slapd.DN("a"), slapd.GroupDN("inner")}, "office": {slapd.DN("b"), slapd.DN("c")}} {
		server.Add(slapd.GroupDN(cn), map[string][]string{"objectClass": {"groupOfNames"}, "cn": {cn}, "member": members})
	}
	server.Set(slapd.DN("c"), "employeeType", "away")
	chain := func(cn string) string { return "(memberOf:1.2.840.113556.1.4.1941:=" + slapd.GroupDN(cn) + ")" }
	front := dialect{
		filters: map[string]string{
			chain("staff"):  "(|(memberOf=" + slapd.GroupDN("staff") + ")(memberOf=" + slapd.GroupDN("inner") + "))",
			chain("office"): "(memberOf=" + slapd.GroupDN("office") + ")",
			"(userAccountControl:1.2.840.113556.1.4.803:=2)": "(employeeType=away)",
		},
		names: map[string]string{"member": "member;range=0-1499"},
		root:  map[string]string{"supportedCapabilities": "1.2.840.113556.1.4.800"},
	}
	at := front.listen(t, server)
	through := func(s *directory.Settings) {
		s.Implicit, s.Plain, s.Address, s.GroupBase, s.Active = false, true, at, "", ""
	}
	p := newPlace(t, server, through)
	p.look()
	p.want(map[string]string{"ana": "staff", "bob": "office staff", "cleo": "nobody"})
	p.tells("groups.changed ana staff; groups.changed bob office staff; subject.deactivated cleo ldap disabled")
	p.c = p.client(func(s *directory.Settings) { through(s); s.Groups["staff"] = slapd.GroupDN("stuff") })
	p.refused("missing") // asked for members of what does not exist, the server would say that there are none
	p.want(map[string]string{"ana": "staff", "bob": "office staff"})
}

// TestParts: a server that hands out a part of a list, or page after page of nothing, has not answered.
func TestParts(t *testing.T) {
	t.Parallel()
	server := slapd.Start(t, slapd.Options{}, house())
	p := newPlace(t, server, nil)
	p.look()
	for name, d := range map[string]dialect{"a range": {names: map[string]string{"member": "member;range=0-1"}}, "no end": {cookie: true}} {
		at := d.listen(t, server)
		p.c = p.client(func(s *directory.Settings) {
			s.Implicit, s.Plain, s.Address = false, true, at
			if s.UserFilter = "(objectClass=inetOrgPerson)"; d.cookie {
				s.UserFilter = "(uid=nobody)"
			}
		})
		p.refused("partial")
		p.want(map[string]string{"ana": "staff", "bob": "office staff", "cleo": "staff"})
		if p.c = p.client(nil); t.Failed() {
			t.Fatal(name)
		}
		p.look()
	}
}
