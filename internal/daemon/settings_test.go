package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

const settingsFile = `version: 1
state: sqlite:postern.db
keys: {root: {file: secrets/root.key}, audit: {file: secrets/audit.key}}
stores:
  shop: {engine: postgres, address: "127.0.0.1:5433", database: shopdb, personal_tokens: false, provisioner: {user: postern_admin, password: {env: SHOP}}, grantor: {user: g, password: {env: G}}}
gateway:
  listeners: [{engine: postgres, address: "127.0.0.1:6432", trusted_proxies: [10.0.0.5, "2001:db8::/64"]}]
portal: {address: "127.0.0.1:8443", url: https://postern.example, trusted_proxies: [10.0.0.0/24]}
identity: {owners_without_factor: true, emergency_admin: {socket: /run/postern.sock, password: "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}
notices: {webhook: {url: https://hooks.example/T0KEN/in, secret: {env: HOOK}}}
slack: {bot_token: {env: BOT}, app_token: {env: APP}, domains: [example.com]}
users: {ana: {}}
datasets: {d: {include: [shop]}}
rules: {r: {to: [ana], on: d}}
`

func loaded(t *testing.T, folder, text string) *config.Config {
	t.Helper()
	path := filepath.Join(folder, "postern.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, pgsql.Syntax{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSettingsSayWhereAndNoSecret: of each part where it stands and what it comes to, of a secret where it comes from, and of an address
// that is one itself the host alone.
func TestSettingsSayWhereAndNoSecret(t *testing.T) {
	t.Parallel()
	said := []string{}
	for _, g := range settings(loaded(t, t.TempDir(), settingsFile)) {
		for _, s := range g.Settings {
			said = append(said, g.Name+" "+g.Where+" | "+s.Key+" = "+s.Value)
		}
	}
	for _, want := range []string{
		"Store shop postern.yaml:5:3 | address = 127.0.0.1:5433", "Portal postern.yaml:8:1 | url = https://postern.example",
		"Portal postern.yaml:8:1 | trusted_proxies = 10.0.0.0/24", "Gateway postern.yaml:7:15 | trusted_proxies of 127.0.0.1:6432 = 10.0.0.5/32, 2001:db8::/64",
		"Policy postern.yaml | personal tokens = taken, but for shop", "Policy postern.yaml | owners_without_factor = yes",
		"Notices postern.yaml:10:1 | webhook = https://hooks.example", "Notices postern.yaml:10:1 | webhook secret = environment variable HOOK",
		"Notices postern.yaml:10:1 | mail server = not set", "Slack postern.yaml:11:1 | transport = Socket Mode",
		"Portal postern.yaml:8:1 | emergency_admin = /run/postern.sock", "How long things last built in | invitation = 72h",
	} {
		if !slices.Contains(said, want) {
			t.Errorf("it is not said that %s:\n%s", want, strings.Join(said, "\n"))
		}
	}
	for _, secret := range []string{"T0KEN", "argon2"} {
		if strings.Contains(strings.Join(said, "\n"), secret) {
			t.Errorf("%s is said", secret)
		}
	}
}

// TestWhatTakesARestart: what is said of a part is what becomes of a change of it.
func TestWhatTakesARestart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	old := loaded(t, folder, settingsFile)
	restart := map[string]bool{}
	for _, g := range settings(old) {
		restart[g.Name] = g.Restart
	}
	for name, change := range map[string][2]string{
		"Store shop": {"database: shopdb", "database: other"}, "Gateway": {"6432", "6433"}, "Portal": {"8443", "8444"},
		"Notices": {"hooks.example", "hooks2.example"}, "Slack": {"domains: [example.com]", "domains: [example.org]"},
		"State and keys": {"postern.db", "other.db"}, "Policy": {"on: d}", "on: d, level: write}"},
	} {
		err := needsRestart(old, loaded(t, folder, strings.ReplaceAll(strings.Replace(settingsFile, change[0], change[1], 1), "\nslack:", "\n\nslack:")))
		if (err != nil) != restart[name] || err != nil && !strings.Contains(err.Error(), "needs a restart") {
			t.Errorf("%s is said to take a restart: %v; changed, it comes to %v", name, restart[name], err)
		}
	}
}
