package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

// settings says what a policy file comes to, for admins who look at it in the portal. Of a secret it says where it comes from.
func settings(c *config.Config) []portal.SettingGroup {
	fixed := map[string]bool{}
	for _, p := range atStart(c) {
		fixed[p.key] = true
	}
	var out []portal.SettingGroup
	add := func(name string, at policy.Pos, restart bool, rows ...portal.Setting) {
		if at.File == "" {
			at.File = c.Path
		}
		if short, err := filepath.Rel(c.Folder, at.File); err == nil && short != "." {
			at.File = short
		}
		out = append(out, portal.SettingGroup{Name: name, Where: at.String(), Restart: restart, Settings: rows})
	}
	add("Policy", policy.Pos{}, false, policySettings(c)...)
	for _, name := range sortedKeys(c.Stores) {
		add("Store "+name, c.Stores[name].Pos, fixed["stores"], storeSettings(c.Stores[name])...)
	}
	add("Gateway", gatewayPos(c), fixed["gateway.listeners"], gatewaySettings(c)...)
	add("Portal", c.Portal.Pos, fixed["portal"], portalSettings(c)...)
	add("Sign-on", signOnPos(c), fixed["portal"], signOnSettings(c.Portal.OIDC)...)
	add("Directory", ldapPos(c), fixed["ldap"], ldapSettings(c.LDAP)...)
	add("Notices", c.Notices.Pos, fixed["notices"], noticeSettings(c)...)
	add("Slack", slackPos(c), fixed["slack"], slackSettings(c.Slack)...)
	add("Trail", policy.Pos{}, fixed["audit"], trailSettings(c)...)
	add("State and keys", c.State.Pos, fixed["state"], stateSettings(c)...)
	out = append(out, portal.SettingGroup{Name: "How long things last", Where: "built in", Restart: true, Settings: lifeSettings()})
	return out
}

func row(key string, value ...string) portal.Setting {
	value = slices.DeleteFunc(value, func(s string) bool { return s == "" })
	if len(value) == 0 {
		return portal.Setting{Key: key, Value: "not set"}
	}
	return portal.Setting{Key: key, Value: strings.Join(value, ", ")}
}

func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// hostOf leaves the rest of an address out: a path or a query may be what opens it.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func policySettings(c *config.Config) []portal.Setting {
	p := c.Policy
	return []portal.Setting{
		row("read from", c.Path, count(len(c.Files), "file")),
		row("digest", p.Digest[:min(12, len(p.Digest))]),
		row("datasets and rules", count(len(p.Datasets), "dataset"), count(len(p.Rules), "rule")),
		row("users and groups", count(len(p.Users), "user"), count(len(p.Groups), "group")),
		row("personal tokens", tokensTaken(p)), row("owners_without_factor", yesNo(p.OwnersWithoutFactor)),
		row("discover.every", orWord(c.Discover.Every, "never by itself")),
		row("warnings", count(len(c.Warnings), "warning")),
	}
}

// tokensTaken says where personal access tokens open something.
func tokensTaken(p *policy.Policy) string {
	if p.NoTokens {
		return "switched off"
	}
	var off []string
	for _, name := range sortedKeys(p.Stores) {
		if !p.TakesTokens(name) {
			off = append(off, name)
		}
	}
	if len(off) > 0 {
		return "taken, but for " + strings.Join(off, " and ")
	}
	return "taken"
}

func prefixes(list []netip.Prefix) (out []string) {
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}

func orWord(d time.Duration, none string) string {
	if d == 0 {
		return none
	}
	return long(d)
}

// long writes a duration without the units that are zero.
func long(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// from says where a secret comes from; "": there is none.
func from(s config.Source) string {
	if s.IsZero() {
		return ""
	}
	return s.String()
}

func storeSettings(s *config.Store) []portal.Setting {
	at := s.Address.Socket
	if at == "" {
		at = net.JoinHostPort(s.Address.Host, strconv.Itoa(int(s.Address.Port)))
	}
	tier := "wall: the server refuses by itself"
	if s.Inline {
		tier = "inline: the gateway alone refuses"
	}
	return []portal.Setting{
		row("address", at), row("database", s.Database), row("tls.mode", string(s.TLS.Mode)), row("tier", tier),
		row("provision", string(s.Provision)), row("provisioner", s.Provisioner.User), row("scanner", s.Scanner.User),
	}
}

func gatewaySettings(c *config.Config) []portal.Setting {
	var out []portal.Setting
	for _, l := range c.Gateway.Listeners {
		at, transport := l.Address, "no TLS"
		if at == "" {
			at = l.Socket + " port " + strconv.Itoa(int(l.Port))
		}
		switch {
		case l.TLS.Required:
			transport = "TLS required"
		case l.TLS.Cert != "":
			transport = "TLS offered"
		}
		out = append(out, row("listener", at, transport))
		if len(l.Proxies) > 0 {
			out = append(out, row("trusted_proxies of "+at, prefixes(l.Proxies)...))
		}
	}
	return append(out, row("network", count(len(c.Policy.Network), "rule")), row("parser", string(c.Gateway.Parser)))
}

func gatewayPos(c *config.Config) policy.Pos {
	if len(c.Gateway.Listeners) == 0 {
		return policy.Pos{}
	}
	return c.Gateway.Listeners[0].Pos
}

func portalSettings(c *config.Config) []portal.Setting {
	transport := "no TLS of its own"
	if c.Portal.Cert != "" {
		transport = "TLS"
	}
	return []portal.Setting{
		row("address", c.Portal.Address, transport), row("url", c.Portal.URL), row("trusted_proxies", prefixes(c.Portal.Proxies)...),
		row("emergency_admin", c.Emergency.Socket),
	}
}

func signOnSettings(o *config.OIDC) []portal.Setting {
	if o == nil {
		return []portal.Setting{row("oidc", "none: people sign in with accounts of this site")}
	}
	return []portal.Setting{
		row("issuer", o.Issuer), row("client_id", o.Client), row("client_secret", from(o.Secret)), row("groups claim", o.Groups),
		row("makes accounts", yesNo(o.Create)), row("recheck", long(o.Recheck)), row("recheck_limit", long(o.Limit)),
	}
}

func signOnPos(c *config.Config) policy.Pos {
	if c.Portal.OIDC == nil {
		return c.Portal.Pos
	}
	return c.Portal.OIDC.Pos
}

func ldapSettings(l *config.LDAP) []portal.Setting {
	if l == nil {
		return []portal.Setting{row("ldap", "none: groups come from the policy file and the sign-on")}
	}
	return []portal.Setting{
		row("url", l.URL), row("bind password", from(l.Password)), row("groups", count(len(l.Groups), "group")),
		row("interval", long(l.Interval)), row("limit", long(l.Limit)),
	}
}

func ldapPos(c *config.Config) policy.Pos {
	if c.LDAP == nil {
		return policy.Pos{}
	}
	return c.LDAP.Pos
}

func noticeSettings(c *config.Config) []portal.Setting {
	n := &c.Notices
	return []portal.Setting{
		row("webhook", hostOf(n.Webhook.URL)), row("webhook secret", from(n.Webhook.Secret)), row("mail server", n.Mail.Server),
		row("mail from", n.Mail.From), row("mail password", from(n.Mail.Password)), row("links lead to", hostOf(n.Link)),
	}
}

func slackSettings(s *config.Slack) []portal.Setting {
	if s == nil {
		return []portal.Setting{row("slack", "none")}
	}
	way := "signed HTTP"
	if !s.App.IsZero() {
		way = "Socket Mode"
	}
	return []portal.Setting{row("transport", way), row("bot token", from(s.Bot)), row("e-mail domains", s.Domains...)}
}

func slackPos(c *config.Config) policy.Pos {
	if c.Slack == nil {
		return policy.Pos{}
	}
	return c.Slack.Pos
}

func trailSettings(c *config.Config) []portal.Setting {
	return []portal.Setting{
		row("folder", c.Audit.Folder), row("sync", orWord(c.Audit.Sync, "before each effect")),
		row("results looked at", fmt.Sprintf("%g %%", c.Audit.ClassifyResults*100)), row("kept", "until somebody moves it away: Postern deletes nothing"),
	}
}

func stateSettings(c *config.Config) []portal.Setting {
	return []portal.Setting{
		row("state", c.State.SQLite, hostOf(c.State.Postgres)), row("keys.root", from(c.Keys.Root)), row("keys.audit", from(c.Keys.Audit)),
		row("keys.state", from(c.Keys.State)),
	}
}

func lifeSettings() []portal.Setting {
	return []portal.Setting{
		row("browser session", long(people.IdleEnd)+" idle", long(people.AbsoluteEnd)+" at most", long(people.AdminEnd)+" of an admin"),
		row("invitation", long(people.InviteEnd)), row("second factor stays fresh", long(people.FactorFresh)),
	}
}
