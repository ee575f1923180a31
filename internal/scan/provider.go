package scan

import (
	"slices"

	"github.com/postern-sec/postern/internal/catalog"
)

// Provider is a managed service whose host the customer cannot see. None of these profiles was confirmed on a live instance yet; reports
// say so.
type Provider struct {
	Name     string
	Admin    string   // members of this role are the customer's administrators
	Platform []string // roles of the provider itself
	ForceTLS string   // its own setting that forces TLS
	tells    []string // a role of this name gives it away
}

var providers = []Provider{
	{"Amazon RDS or Aurora", "rds_superuser", []string{"rdsadmin"}, "rds.force_ssl", []string{"rds_superuser"}},
	{"Google Cloud SQL", "cloudsqlsuperuser", []string{"cloudsqladmin"}, "the instance's SSL mode", []string{"cloudsqlsuperuser"}},
	{"Azure Database for PostgreSQL", "azure_pg_admin", []string{"azuresu"}, "require_secure_transport", []string{"azure_pg_admin", "azuresu"}},
	{"Supabase", "supabase_admin", []string{"supabase_admin"}, "the SSL enforcement switch", []string{"supabase_admin"}},
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
