package scan

import (
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// Provider is a managed service whose host the customer cannot see. None of these profiles was confirmed on a live instance yet; reports
// say so.
type Provider struct {
	Name     string
	Admin    string   // members of this role are the customer's administrators
	Platform []string // roles of the provider itself
	ForceTLS string   // its own setting that forces TLS
	Network  string   // what decides who reaches the server and how it authenticates, in the place of pg_hba.conf
	Settings string   // where server settings are changed, in the place of ALTER SYSTEM
	Backups  string   // what keeps backups and logs
	tells    []string // a role of this name gives it away
}

var providers = []Provider{
	{
		Name: "Amazon RDS or Aurora", Admin: "rds_superuser", Platform: []string{"rdsadmin"}, ForceTLS: "rds.force_ssl in the parameter group",
		Network: "security groups, IAM authentication and the parameter group", Settings: "the parameter group", Backups: "the instance's backup retention and its log exports",
		tells: []string{"rds_superuser"},
	},
	{
		Name: "Google Cloud SQL", Admin: "cloudsqlsuperuser", Platform: []string{"cloudsqladmin"}, ForceTLS: "the instance's SSL mode",
		Network: "authorised networks", Settings: "the instance's database flags", Backups: "the instance's backup settings and its log explorer",
		tells: []string{"cloudsqlsuperuser"},
	},
	{
		Name: "Azure Database for PostgreSQL", Admin: "azure_pg_admin", Platform: []string{"azuresu"}, ForceTLS: "the server parameter require_secure_transport",
		Network: "the server's firewall rules", Settings: "the server parameters", Backups: "the server's backup settings and its diagnostic settings",
		tells: []string{"azure_pg_admin", "azuresu"},
	},
	{
		Name: "Supabase", Admin: "supabase_admin", Platform: []string{"supabase_admin"}, ForceTLS: "the project's SSL enforcement switch",
		Network: "the project's network restrictions", Settings: "the project's database settings", Backups: "the project's backups and its log explorer",
		tells: []string{"supabase_admin"},
	},
}

// Instead says which of the provider's own settings speaks about what a check would look at, "" when none does.
func (p *Provider) Instead(c *Check) string {
	area, _, _ := strings.Cut(c.ID, "-")
	switch {
	case c.Need.involves("S"):
		return "the provider keeps pg_authid to itself; set passwords anew under password_encryption = 'scram-sha-256'"
	case c.ID == "HBA-010" || c.ID == "HBA-011" || c.ID == "HBA-012":
		return "see " + p.ForceTLS
	case area == "HBA" || area == "NET":
		return "see " + p.Network
	case area == "TLS":
		return "see " + p.ForceTLS
	case area == "LOG" || area == "REP":
		return "see " + p.Backups
	}
	return "see " + p.Settings
}

// ProviderOf recognises a managed service by its roles; nil for a server of one's own, which one
// whose host was looked at is.
func ProviderOf(e *catalog.Evidence) *Provider {
	if e.Server == nil || e.Host != nil {
		return nil
	}
	for i := range providers {
		p := &providers[i]
		if slices.ContainsFunc(p.tells, func(name string) bool { return e.Server.Role(name) != nil }) {
			return p
		}
	}
	return nil
}
