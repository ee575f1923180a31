package config

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// What single sign-on does where the file does not say. HMAC and none are not among the algorithms that can be named: with them
// whoever knows the client's secret, or nothing, could sign.
var (
	oidcScopes     = []string{"openid", "profile", "email", "offline_access"}
	oidcAlgorithms = []string{"RS256", "ES256", "PS256"}
	knownAlgorithm = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}
)

const (
	oidcRecheck = 5 * time.Minute
	oidcLimit   = time.Hour
	maxRecheck  = time.Hour
	maxLimit    = 7 * 24 * time.Hour
)

// oidc checks single sign-on. An empty mapping is none.
func (b *builder) oidc(portal portalDoc) {
	d := portal.OIDC
	if reflect.DeepEqual(d, oidcDoc{Pos: d.Pos}) {
		return
	}
	o := &OIDC{
		Issuer: d.Issuer.Value, Client: d.Client.Value, CA: b.path(d.CA), Label: or(d.Label, "Single sign-on"), Prompt: d.Prompt.Value, Name: or(d.Name, "email"),
		Create: !d.Create.Set || d.Create.Value, Groups: or(d.Groups, "groups"), Attributes: map[string]string{},
		Recheck: b.span(d.Recheck, "recheck", oidcRecheck, maxRecheck), Limit: b.span(d.Limit, "recheck_limit", oidcLimit, maxLimit), Pos: d.Pos,
	}
	b.c.Portal.OIDC = o
	if !d.Secret.Pos.IsZero() {
		o.Secret = b.source(d.Secret)
	}
	for _, e := range d.Attributes.Entries {
		o.Attributes[e.Key.Value] = e.Value.Value
		if e.Key.Value == "email" && e.Value.Value != "email" {
			b.report(policy.KindValue, e.Value.Pos, "leave it out, or give the attribute another name", "attributes: email is the address that the provider has verified, and claim %q is not", e.Value.Value)
		}
	}
	for need, have := range map[string]policy.Text{"issuer": d.Issuer, "client_id": d.Client} {
		if have.Pos.IsZero() {
			b.report(policy.KindMissing, d.Pos, "", "missing key %q", need)
		}
	}
	b.oidcAddress(d.Issuer, "issuer")
	if portal.URL.Pos.IsZero() {
		b.report(policy.KindMissing, portal.Pos, "", "oidc needs url: the provider sends browsers back to it")
	}
	o.Scopes = oidcList(d.Scopes, oidcScopes)
	if len(o.Scopes) > 0 && !slices.Contains(o.Scopes, "openid") {
		b.report(policy.KindValue, d.Scopes[0].Pos, "", "scopes: without openid the provider says nobody's name")
	}
	o.Algorithms = oidcList(d.Algorithms, oidcAlgorithms)
	for _, a := range d.Algorithms {
		if !slices.Contains(knownAlgorithm, a.Value) {
			b.report(policy.KindValue, a.Pos, "", "algorithms: %q is none of %s", a.Value, strings.Join(knownAlgorithm, ", "))
		}
	}
	if o.Limit < o.Recheck {
		b.report(policy.KindConflict, d.Pos, "", "recheck_limit is shorter than recheck: everybody's groups would end before the provider is asked")
	}
}

func or(t policy.Text, otherwise string) string {
	if t.Pos.IsZero() {
		return otherwise
	}
	return t.Value
}

func oidcList(given []policy.Text, otherwise []string) []string {
	if len(given) == 0 {
		return otherwise
	}
	var out []string
	for _, t := range given {
		out = append(out, t.Value)
	}
	return out
}

// span reads a time such as 5m.
func (b *builder) span(t policy.Text, key string, otherwise, most time.Duration) time.Duration {
	if t.Pos.IsZero() {
		return otherwise
	}
	d, err := time.ParseDuration(t.Value)
	if err != nil || d < time.Second || d > most {
		b.report(policy.KindValue, t.Pos, "write a time such as 5m", "%s: %q is no time from 1s to %s", key, t.Value, most)
		return otherwise
	}
	return d
}

// oidcAddress checks an address that secrets travel to.
func (b *builder) oidcAddress(t policy.Text, key string) {
	if t.Value == "" {
		return
	}
	u, err := url.Parse(t.Value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		b.report(policy.KindValue, t.Pos, "write https://HOST", "%s: %q is not the address of a site", key, t.Value)
	case u.Scheme == "http" && !(Address{Host: u.Hostname()}).Loopback():
		b.report(policy.KindValue, t.Pos, "write https://", "%s: what goes to %s would be read on the way", key, u.Host)
	}
}

// outerGroups wants a provider where groups name one's groups, and the directory's group where they name one of it.
func (b *builder) outerGroups(groups policy.Map[[]policy.Text]) {
	used := map[string]bool{}
	for _, e := range groups.Entries {
		for _, m := range e.Value {
			if strings.HasPrefix(m.Value, policy.ProviderPrefix) && b.c.Portal.OIDC == nil {
				b.report(policy.KindDangling, m.Pos, "add portal: {oidc: …}", "group %s: there is no identity provider whose group %q could be", e.Key.Value, m.Value)
			}
			if name, ok := strings.CutPrefix(m.Value, policy.DirectoryPrefix); ok && name != "" {
				used[name] = true
				b.directoryGroup(e.Key.Value, name, m)
			}
		}
	}
	if b.c.LDAP == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(b.c.LDAP.Groups)) {
		if !used[name] {
			b.warn(b.c.LDAP.Pos, "", "ldap.groups: no group has ldap:%s among its members", name)
		}
	}
}

func (b *builder) directoryGroup(group, name string, at policy.Text) {
	if b.c.LDAP == nil {
		b.report(policy.KindDangling, at.Pos, "add ldap: {url: …}", "group %s: there is no directory whose group %q could be", group, at.Value)
	} else if b.c.LDAP.Groups[name] == "" {
		b.report(policy.KindDangling, at.Pos, "add its DN to ldap.groups", "group %s: ldap.groups has no %q", group, name)
	}
}
