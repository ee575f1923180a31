package config

import (
	"reflect"
	"strings"

	"github.com/postern-sec/postern/internal/policy"
)

// slackAPI is where Slack's interface is, unless the file says otherwise.
const slackAPI = "https://slack.com/api/"

// slack checks the app in Slack. An empty mapping is none.
func (b *builder) slack(d slackDoc) {
	if reflect.DeepEqual(d, slackDoc{Pos: d.Pos}) {
		return
	}
	s := &Slack{API: or(d.API, slackAPI), Pos: d.Pos}
	b.c.Slack = s
	for _, x := range []struct {
		from sourceDoc
		to   *Source
	}{{d.Bot, &s.Bot}, {d.App, &s.App}, {d.Signing, &s.Signing}} {
		if !x.from.Pos.IsZero() {
			*x.to = b.source(x.from)
		}
	}
	if !strings.HasSuffix(s.API, "/") {
		s.API += "/"
	}
	b.oidcAddress(d.API, "api")
	if d.Bot.Pos.IsZero() {
		b.report(policy.KindMissing, d.Pos, "", "missing key %q", "bot_token")
	}
	if !d.Signing.Pos.IsZero() && b.c.Portal.Address == "" {
		b.report(policy.KindMissing, d.Signing.Pos, "add portal: {address: …}, or app_token for Socket Mode", "signing_secret: there is no portal that Slack could call")
	}
	for _, t := range d.Domains {
		domain := strings.ToLower(t.Value)
		if domain == "" || strings.ContainsAny(domain, "@*/ ") {
			b.report(policy.KindValue, t.Pos, "write example.com", "domains: %q is not a domain", t.Value)
		}
		s.Domains = append(s.Domains, domain)
	}
	if len(s.Domains) == 0 {
		b.report(policy.KindMissing, d.Pos, "add domains: [example.com]", "slack needs domains: without one nobody would be recognised")
	}
}
