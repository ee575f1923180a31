package scan_test

import (
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// TestProviders looks at servers that are dressed up as managed services: their roles, and for RDS the database that lets nobody in. What
// cannot be seen there is said with the provider's own setting, and no check passes that did not pass before.
func TestProviders(t *testing.T) {
	for _, p := range []struct{ name, dress, admin, network, tls string }{
		{"Amazon RDS", "CREATE ROLE rdsadmin SUPERUSER; CREATE ROLE rds_superuser NOLOGIN", "rds_superuser", "security groups", "rds.force_ssl"},
		{"Google Cloud SQL", "CREATE ROLE cloudsqladmin SUPERUSER; CREATE ROLE cloudsqlsuperuser NOLOGIN", "cloudsqlsuperuser", "authorised networks", "SSL mode"},
		{"Azure", "CREATE ROLE azuresu SUPERUSER; CREATE ROLE azure_pg_admin NOLOGIN", "azure_pg_admin", "firewall rules", "require_secure_transport"},
		{"Supabase", "CREATE ROLE supabase_admin SUPERUSER", "supabase_admin", "network restrictions", "SSL enforcement"},
	} {
		t.Run(p.name, func(t *testing.T) {
			c := pgtest.Default(t)
			defer putBack(t, c)
			db := c.NewDatabase(t)
			prepareLevels(t, db)
			if p.name == "Amazon RDS" {
				refused := c.NewDatabaseNamed(t, "rdsadmin")
				refused.Exec(t, "REVOKE CONNECT ON DATABASE rdsadmin FROM PUBLIC")
			}
			before := scanWhole(t, db, plain)
			db.Exec(t, p.dress+"; CREATE ROLE customer LOGIN CREATEROLE CREATEDB")
			if p.name != "Supabase" {
				db.Exec(t, "GRANT "+p.admin+" TO customer")
			}
			r := scanWhole(t, db, plain)
			for i := range r.Results {
				if was := before.Results[i]; r.Results[i].State == scan.Passed && was.State != scan.Passed {
					t.Errorf("%s passes for being on a provider; it was %s", was.Check.ID, describe(&was))
				}
				if u := r.Results[i].Unlock; strings.Contains(u, "pg_hba_file_rules") || strings.Contains(u, "verifier_kinds") {
					t.Errorf("%s: told to type what nobody there may: %s", r.Results[i].Check.ID, u)
				}
			}
			for id, words := range map[string]string{"HBA-001": p.network, "HBA-010": p.tls, "ROL-013": "pg_authid"} {
				if res := r.Result(id); res.State != scan.NotEvaluated || !strings.Contains(res.Reason, words) {
					t.Errorf("%s is %s; want it to speak of %s", id, describe(res), words)
				}
			}
			if p.name != "Supabase" && strings.Contains(describe(r.Result("ROL-005")), "role customer") {
				t.Errorf("the customer's administrator is found for being one: %s", describe(r.Result("ROL-005")))
			}
			for _, format := range []string{"table", "json", "markdown", "html"} {
				var out strings.Builder
				if err := r.Write(&out, format); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(out.String(), "not confirmed on a live instance") {
					t.Errorf("%s does not say that the profile was not confirmed", format)
				}
			}
		})
	}
}
