package config

import (
	"net"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/postern-sec/postern/internal/policy"
)

// What the directory is asked and how, where the file does not say.
const (
	ldapInterval = 5 * time.Minute
	ldapLimit    = time.Hour
	ldapPage     = 500
	maxPage      = 10000
	ldapEntries  = 50000
	maxEntries   = 1000000
	ldapLoss     = 0.3
	ldapUsers    = "(objectClass=person)"
	ldapGroups   = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group))"
	memberOf     = "memberOf"
)

// attributeName is what RFC 4512 takes for the name of an attribute, without options: those would be another one's.
var attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// ldap checks the directory. An empty mapping is none.
func (b *builder) ldap(d ldapDoc) {
	if reflect.DeepEqual(d, ldapDoc{Pos: d.Pos}) {
		return
	}
	l := &LDAP{
		CA: b.path(d.CA), BindDN: d.BindDN.Value, UserBase: d.UserBase.Value, UserFilter: b.filter(d.Filter, "user_filter", ldapUsers), ByEmail: d.Match.Value != "name",
		Active: b.filter(d.Active, "active", ""), Groups: map[string]string{}, GroupBase: d.GroupBase.Value, GroupFilter: b.filter(d.GroupKind, "group_filter", ldapGroups),
		PageSize: b.number(d.PageSize, "page_size", ldapPage, maxPage), MaxEntries: b.number(d.Most, "max_entries", ldapEntries, maxEntries), MaxLoss: b.share(d.MaxLoss, "max_loss", ldapLoss),
		Interval: b.span(d.Interval, "interval", ldapInterval, maxRecheck), Limit: b.span(d.Limit, "limit", ldapLimit, maxLimit), Pos: d.Pos,
	}
	b.c.LDAP = l
	for _, need := range []struct {
		key string
		at  policy.Pos
	}{{"url", d.URL.Pos}, {"bind_dn", d.BindDN.Pos}, {"bind_password", d.Password.Pos}, {"user_base", d.UserBase.Pos}, {"groups", d.Groups.Pos}} {
		if need.at.IsZero() {
			b.report(policy.KindMissing, d.Pos, "", "ldap: missing key %q", need.key)
		}
	}
	if !d.Password.Pos.IsZero() {
		l.Password = b.source(d.Password)
	}
	b.ldapURL(l, d)
	for key, t := range map[string]policy.Text{"bind_dn": d.BindDN, "user_base": d.UserBase, "group_base": d.GroupBase} {
		b.dn(t, key)
	}
	l.UserAttribute = "mail"
	if !l.ByEmail {
		l.UserAttribute = "uid"
	}
	l.UserAttribute = b.attribute(d.Attribute, "user_attribute", l.UserAttribute)
	if l.Members = b.attribute(d.Members, "group_member", "member"); strings.EqualFold(l.Members, memberOf) {
		l.Members = ""
	}
	b.ldapGroups(l, d)
	if l.Limit < l.Interval {
		b.report(policy.KindConflict, d.Pos, "", "ldap: limit is shorter than interval: everybody's groups would end before the directory is asked")
	}
}

// ldapURL reads where the directory is. A password in it would be shown, so that no part of what is no such URL is repeated.
func (b *builder) ldapURL(l *LDAP, d ldapDoc) {
	if d.URL.Value == "" {
		return
	}
	const form = "write ldaps://HOST"
	u, err := url.Parse(d.URL.Value)
	if err != nil || u.Hostname() == "" || u.Scheme != "ldap" && u.Scheme != "ldaps" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		b.report(policy.KindValue, d.URL.Pos, form, "url: this is not the address of a directory")
		return
	}
	port := u.Port()
	if l.Implicit = u.Scheme == "ldaps"; port == "" {
		if port = "389"; l.Implicit {
			port = "636"
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		b.report(policy.KindValue, d.URL.Pos, form, "url: %q is not a port", port)
	}
	l.Host, l.Address, l.URL = u.Hostname(), net.JoinHostPort(u.Hostname(), port), u.Scheme+"://"+net.JoinHostPort(u.Hostname(), port)
	if d.TLS.Value != "disable" {
		return
	}
	switch l.Plain = true; {
	case l.Implicit:
		b.report(policy.KindConflict, d.TLS.Pos, "write ldap://", "tls: there is no ldaps:// without TLS")
	case !(Address{Host: l.Host}).Loopback():
		b.report(policy.KindValue, d.TLS.Pos, "leave the key out", "tls: what goes to %s would be read on the way, and what comes from there could be anybody's", l.Host)
	case !d.CA.Pos.IsZero():
		b.report(policy.KindConflict, d.CA.Pos, "leave tls out", "ca: without TLS there is nothing to trust")
	}
}

// ldapGroups reads the groups that matter.
func (b *builder) ldapGroups(l *LDAP, d ldapDoc) {
	if len(d.Groups.Entries) == 0 && !d.Groups.Pos.IsZero() {
		b.report(policy.KindMissing, d.Groups.Pos, "", "ldap: there is no group in groups")
	}
	for _, e := range d.Groups.Entries {
		if err := policy.CheckName(e.Key.Value); err != nil {
			b.report(policy.KindValue, e.Key.Pos, "", "ldap.groups: %q: %v", e.Key.Value, err)
		}
		b.dn(e.Value, "groups")
		l.Groups[e.Key.Value] = e.Value.Value
	}
}

func (b *builder) dn(t policy.Text, key string) {
	if t.Value == "" {
		return // reported already
	}
	if d, err := ldap.ParseDN(t.Value); err != nil || len(d.RDNs) == 0 {
		b.report(policy.KindValue, t.Pos, `write a DN such as "ou=people,dc=example,dc=com"`, "%s: %q is not a DN", key, t.Value)
	}
}

func (b *builder) filter(t policy.Text, key, otherwise string) string {
	if t.Value == "" {
		return otherwise
	}
	if _, err := ldap.CompileFilter(t.Value); err != nil {
		b.report(policy.KindValue, t.Pos, "write a filter such as "+ldapUsers, "%s: this is not an LDAP filter", key)
		return otherwise
	}
	return t.Value
}

func (b *builder) attribute(t policy.Text, key, otherwise string) string {
	if t.Value == "" {
		return otherwise
	}
	if !attributeName.MatchString(t.Value) {
		b.report(policy.KindValue, t.Pos, "", "%s: %q is not the name of an attribute", key, t.Value)
	}
	return t.Value
}

func (b *builder) number(t policy.Text, key string, otherwise, most int) int {
	if t.Value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(t.Value)
	if err != nil || n < 1 || n > most {
		b.report(policy.KindValue, t.Pos, "", "%s: %q is no number from 1 to %d", key, t.Value, most)
		return otherwise
	}
	return n
}

func (b *builder) share(t policy.Text, key string, otherwise float64) float64 {
	if t.Value == "" {
		return otherwise
	}
	percent, err := strconv.ParseFloat(strings.TrimSuffix(t.Value, "%"), 64)
	if err != nil || !strings.HasSuffix(t.Value, "%") || !(percent >= 0 && percent <= 100) {
		b.report(policy.KindValue, t.Pos, "write a share such as 30%", "%s: %q is no share from 0%% to 100%%", key, t.Value)
		return otherwise
	}
	return percent / 100
}
