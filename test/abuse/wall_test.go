package abuse_test

import (
	"context"
	"strings"
	"testing"

	"github.com/postern-sec/postern/test/site"
)

// tryWall changes the wall by hand while its markers stay as they are. The gateway, which sees no more than the grantor does, refuses the
// profile, closes its sessions, says in the log what was changed, and goes on once it is put right (ENF-95). What an application does to
// its own objects is no reason to refuse anybody.
func tryWall(t *testing.T, s *site.Site) {
	s.Serve(t)
	defer s.Stop(t)
	schema := s.DB.Query(t, "SELECT n.nspname FROM pg_namespace n WHERE n.nspname LIKE 'postern\\_shop\\_analyst%'")
	view := "CREATE OR REPLACE VIEW {schema}.patients AS " + s.DB.Query(t, "SELECT pg_get_viewdef('"+schema+".patients'::regclass)")
	policy := s.DB.Query(t, "SELECT polname FROM pg_policy WHERE polrelid = 'customers'::regclass AND polcmd = 'r' AND polname ~ 'analyst'")
	using := s.DB.Query(t, "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'customers'::regclass AND polname = '"+policy+"'")
	path := s.DB.Query(t, "SELECT substr(c, 13) FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setrole = 'analyst'::regrole AND c LIKE 'search_path=%'")
	replace := strings.NewReplacer("{schema}", schema, "{prof}", schema+"_prof", "{mask}", schema+"_mask", "{policy}", policy)
	for _, x := range []struct{ name, change, back, named string }{
		{"view", "CREATE OR REPLACE VIEW {schema}.patients AS SELECT * FROM public.patients", view, "definition of view " + schema + ".patients"},
		{"policy", "ALTER POLICY {policy} ON customers USING (true)", "ALTER POLICY {policy} ON customers USING (" + using + ")", "policy " + policy},
		{"row security", "ALTER TABLE customers DISABLE ROW LEVEL SECURITY", "ALTER TABLE customers ENABLE ROW LEVEL SECURITY", "row security of public.customers"},
		{"owner of a view", "ALTER VIEW {schema}.patients OWNER TO app_owner", "ALTER VIEW {schema}.patients OWNER TO {mask}", "owner of view"},
		{"owner of a table", "ALTER TABLE payroll OWNER TO analyst", "ALTER TABLE payroll OWNER TO app_owner", "payroll was given to analyst"},
		{"grant to the profile", "GRANT SELECT ON payroll TO {prof}", "REVOKE SELECT ON payroll FROM {prof}", "SELECT on \"public\".\"payroll\""},
		{"grant to the login", "GRANT SELECT (id) ON payroll TO analyst", "REVOKE SELECT (id) ON payroll FROM analyst", "analyst was given SELECT"},
		{"membership", "GRANT app_owner TO analyst", "REVOKE app_owner FROM analyst", "analyst was made a member of app_owner"},
		{"masker", "GRANT {mask} TO analyst", "REVOKE {mask} FROM analyst", "analyst was made a member of " + schema + "_mask"},
		{"superuser", "ALTER ROLE analyst BYPASSRLS", "ALTER ROLE analyst NOBYPASSRLS", "may bypass row security"},
		{"search path", "ALTER ROLE analyst IN DATABASE shop SET search_path = public", "ALTER ROLE analyst IN DATABASE shop SET search_path = " + path, "search_path of role analyst"},
		{"a policy of the application's", "CREATE POLICY everybody ON customers USING (true)", "DROP POLICY everybody ON customers", "policy \"everybody\" on public.customers"},
		{"attribute", "UPDATE postern.attribute SET value = 'support' WHERE role = 'analyst' AND key = 'name'", "UPDATE postern.attribute SET value = 'analyst' WHERE role = 'analyst' AND key = 'name'", "attribute name of analyst"},
	} {
		t.Run(x.name, func(t *testing.T) {
			open := connect(t, s)
			s.DB.Exec(t, replace.Replace(x.change))
			if x.name == "attribute" { // rows are looked at once a minute, and when the policy is taken up
				s.Reload(t)
			}
			eventually(t, "the profile is refused", func() bool {
				conn, err := tryConnect(s)
				if err == nil {
					_ = conn.Close(context.Background())
				}
				return code(err) == "28000"
			})
			eventually(t, "the open session ends", func() bool { _, err := open.Exec(context.Background(), "SELECT 1"); return err != nil })
			eventually(t, "the log to name "+x.named, func() bool { return strings.Contains(strings.ReplaceAll(s.Log(), `\"`, `"`), x.named) })
			s.DB.Exec(t, replace.Replace(x.back))
			if x.name == "attribute" {
				s.Reload(t)
			}
			eventually(t, "the profile works again", func() bool {
				conn, err := tryConnect(s)
				if err == nil {
					_ = conn.Close(context.Background())
				}
				return err == nil
			})
			answers(t, s)
		})
	}
	t.Run("the application's own", func(t *testing.T) {
		conn := connect(t, s)
		s.DB.Exec(t, "CREATE ROLE shop_reporting; CREATE TABLE later (id int); CREATE VIEW later_view AS SELECT * FROM later; GRANT SELECT ON payroll, later TO shop_reporting; ALTER ROLE shop_reporting SET work_mem = '1MB'")
		defer s.DB.Exec(t, "DROP VIEW later_view; DROP TABLE later; REVOKE SELECT ON payroll FROM shop_reporting; DROP ROLE shop_reporting")
		s.Reload(t)
		if _, err := conn.Exec(context.Background(), "SELECT count(*) FROM customers"); err != nil {
			t.Errorf("an open session: %v", err)
		}
		answers(t, s)
	})
}
