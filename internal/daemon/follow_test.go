package daemon

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/policy"
)

// What a running gateway takes up by itself.
var takenUp = []string{"Path", "Files", "Folder", "Policy", "Standbys", "Discover", "Tests", "Warnings"}

func startConfig() *config.Config {
	return &config.Config{
		Portal:  config.Portal{Address: "127.0.0.1:1", OIDC: &config.OIDC{Issuer: "https://a", Pos: policy.Pos{Line: 3}}},
		Slack:   &config.Slack{API: "https://slack/", Bot: config.Source{File: "bot", Pos: policy.Pos{Line: 4}}},
		LDAP:    &config.LDAP{URL: "ldaps://a", Pos: policy.Pos{Line: 5}},
		Stores:  map[string]*config.Store{"shop": {Name: "shop", Upstream: map[string]config.Account{"ana": {User: "ana", Pos: policy.Pos{Line: 6}}}}},
		Gateway: config.Gateway{Listeners: []*config.Listener{{Engine: "postgres", Address: "127.0.0.1:2", Pos: policy.Pos{Line: 7}}}},
		Audit:   config.Audit{ClassifyResults: 0.5},
	}
}

// one lets a list have one element.
func one[T any](list *[]T) { *list = make([]T, 1) }

// Every key of the file is taken up by a running gateway, or named as one that needs a restart.
func TestEveryKeyIsTakenUpOrNamed(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*config.Config){
		"state":                    func(c *config.Config) { c.State.SQLite = "other.db" },
		"keys":                     func(c *config.Config) { c.Keys.Root.File = "other" },
		"audit":                    func(c *config.Config) { c.Audit.Folder = "other" },
		"portal":                   func(c *config.Config) { c.Portal.OIDC.Issuer = "https://b" },
		"ldap":                     func(c *config.Config) { c.LDAP = nil },
		"identity.emergency_admin": func(c *config.Config) { c.Emergency.Socket = "/run/other" },
		"notices":                  func(c *config.Config) { c.Notices.Link = "https://b" },
		"slack":                    func(c *config.Config) { c.Slack.Bot.File = "other" },
		"gateway.listeners":        func(c *config.Config) { c.Gateway.Listeners[0].Address = "127.0.0.1:3" },
		"gateway.parser":           func(c *config.Config) { c.Gateway.Parser = config.ParserIsolated },
		"stores":                   func(c *config.Config) { c.Stores["shop"].Upstream["ana"] = config.Account{User: "bob"} },
		"classifiers":              func(c *config.Config) { one(&c.Discover.Classifiers) },
	}
	named := slices.Clone(takenUp)
	for _, part := range atStart(startConfig()) {
		named = append(named, part.field)
		change := changes[part.key]
		if change == nil {
			t.Errorf("nothing changes %s", part.key)
			continue
		}
		next := startConfig()
		change(next)
		if err := needsRestart(startConfig(), next); err == nil || !strings.HasPrefix(err.Error(), part.key+" changed") {
			t.Errorf("%s: %v", part.key, err)
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		if !slices.Contains(named, f.Name) {
			t.Errorf("nobody says what becomes of a change of %s", f.Name)
		}
	}
	// What is taken up is refused by nobody, and neither is a line that moved.
	next := startConfig()
	next.Policy = &policy.Policy{Digest: "other"}
	next.Stores["shop"].Limits.RowsPerHour = 5
	next.Slack.Bot.Pos, next.LDAP.Pos, next.Portal.OIDC.Pos, next.Gateway.Listeners[0].Pos = policy.Pos{Line: 40}, policy.Pos{Line: 50}, policy.Pos{Line: 30}, policy.Pos{Line: 70}
	if err := needsRestart(startConfig(), next); err != nil {
		t.Error(err)
	}
}
