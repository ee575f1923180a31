package portal

import (
	"net/http"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/identity"
)

// SettingGroup is a part of what an installation goes by.
type SettingGroup struct {
	Name     string    `json:"name"`
	Where    string    `json:"where,omitempty"` // file, line and column
	Restart  bool      `json:"restart"`         // a change takes a restart of postern serve; any other is taken up as it runs
	Settings []Setting `json:"settings"`
}

// Setting is one setting in force. A secret is never in it: what is said of one is where it comes from.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Settings are what an installation goes by.
type Settings struct {
	Version string         `json:"version"`
	Groups  []SettingGroup `json:"groups"`
}

func (p *Portal) settingsCalls() {
	route(p, Call{
		Pattern: "GET /api/v1/settings", Scope: identity.ScopeInspect, who: admins, pages: []string{"GET /health/settings"},
		Summary: "The settings in force, where each stands, and what takes a restart to change",
	}, p.settings)
}

func (p *Portal) settings(*http.Request, *viewer, nothing) (Settings, error) {
	if p.c.Settings == nil {
		return Settings{}, &access.Refusal{Code: "not_here", Text: "nobody here knows the settings"}
	}
	return Settings{Version: p.c.Version, Groups: notNil(p.c.Settings())}, nil
}

func (p *Portal) settingsPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.settings, func(_ nothing, out Settings) shown { return shown{"settings", "Settings", out} })
}
