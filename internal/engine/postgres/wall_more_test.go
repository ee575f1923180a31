package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/plan"
)

// wallAdoption takes over a role that is there, with what it may do, and only when the policy says so (ENF-90).
func wallAdoption(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	c.Role(t, "ana", "NOSUPERUSER IN ROLE shop_group")
	w.db.Exec(t, "GRANT SELECT ON public.secrets TO ana; ALTER ROLE ana SET work_mem = '1GB'")
	w.refused(t, `role "ana" exists on the server and is not Postern's`)
	w.change(t, "attributes: {region: EU}}", "attributes: {region: EU}, adopt: true}")
	p := w.plan(t).Plan
	if c.Major >= 16 {
		// Only who administers a role can adopt it: the operator says so first.
		var operator *OperatorError
		if _, err := w.server.Apply(context.Background(), w.req, Consent{Digest: p.Digest, Accepted: changeIDs(p)}); !errors.As(err, &operator) {
			t.Fatalf("apply without ADMIN on the role: %v", err)
		}
		for _, step := range operator.Steps {
			w.db.Exec(t, strings.Join(step.SQL, ";"))
		}
		w.db.Exec(t, "REVOKE shop_group FROM ana")
		p = w.plan(t).Plan
	}
	open := p.Unaccepted(nil)
	if len(open) != 1 || open[0].ID != "identity:ana" || open[0].Consent != plan.ConsentForeign || !strings.Contains(open[0].Reason, `adopting ana takes away SELECT on "public"."secrets"`) {
		t.Errorf("adoption asks for consent to %v", open)
	}
	w.apply(t)
	w.want(t, "ana", "SELECT id FROM customers ORDER BY id", "1\n3")
	w.want(t, "ana", "SELECT * FROM public.secrets", "error: permission denied")
	w.want(t, "ana", "SELECT * FROM public.orders", "error: permission denied")
	// A role that was there before Postern is left behind without rights, not dropped.
	w.policy(t, "public, sales", "users: {sam: {scram: "+testVerifier+"}}\n")
	w.apply(t)
	if got := w.db.Query(t, "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'ana'"); got != "f" {
		t.Errorf("the adopted role is left as %q", got)
	}
}

// wallOwn is level own: membership in the owner, on the base (ENF-94).
func wallOwn(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	w.policy(t, "public, sales", `
users:
  dba: {scram: `+testVerifier+`}
  ana: {scram: `+testVerifier+`}
datasets:
  d: {include: [shop.public.customers, shop.public.products]}
rules:
  owners: {to: [dba], on: d, level: own}
  few: {to: [ana, dba], on: d, level: read, rows: {shop.public.customers: "id = 1"}}
`)
	p := w.plan(t).Plan
	if !strings.Contains(strings.Join(warnings(p), "\n"), "which also owns: public.orders, public.report, public.secrets, sales.orders") {
		t.Errorf("what comes along with level own is not said: %q", warnings(p))
	}
	w.apply(t)
	w.operate(t)
	w.want(t, "dba", "SELECT count(*) FROM public.customers", "3")
	w.want(t, "dba", "ALTER TABLE public.customers ADD COLUMN x int; SELECT count(x) FROM public.customers", "0")
	w.want(t, "ana", "SELECT count(*) FROM customers", "1")
}

// wallBaselineRead is baseline.outside_datasets: read (design of the policy file): other tables with labelled columns hidden.
func wallBaselineRead(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	w.policy(t, "public, sales", `
users: {ana: {scram: `+testVerifier+`}}
labels: {shop.public.customers.email: contact.email}
datasets: {d: {include: [shop.public.orders]}}
rules: {r: {to: [ana], on: d, level: read, rows: {shop.public.orders: "id = 1"}}}
baseline: {outside_datasets: read}
`)
	w.apply(t)
	w.want(t, "ana", "SELECT count(*) FROM orders", "1")
	w.want(t, "ana", "SELECT id, email FROM customers ORDER BY id", "1|\n2|\n3|")
	w.want(t, "ana", "SELECT word FROM secrets", "hush")
	w.want(t, "ana", "SELECT count(*) FROM public.report", "error: permission denied")
}

// wallPseudonym is a keyed mask: equal values stay equal, and nobody can read the key (ENF-31).
func wallPseudonym(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	w.change(t, "contact.email: partial_email", "contact.email: pseudonym")
	w.apply(t)
	w.want(t, "ana", "SELECT count(DISTINCT email), min(length(email)) > 20, bool_or(email LIKE '%@%') FROM customers", "2|t|f")
	w.want(t, "ana", "SELECT * FROM postern.key", "error: permission denied")
	if strings.Contains(text(w.plan(t).Plan), "ipad") {
		t.Error("the key is planned a second time")
	}
}

// wallRequired names what the provisioner lacks, and apply refuses before it changes anything.
func wallRequired(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	w.db.Exec(t, "REVOKE app_owner FROM postern_admin; ALTER DATABASE "+w.db.Name+" OWNER TO postgres; ALTER ROLE postern_admin NOCREATEROLE")
	p := w.plan(t).Plan
	var ids []string
	for _, step := range p.Operator {
		if step.Required {
			ids = append(ids, step.ID)
		}
	}
	if want := []string{"create", "createrole", "owner:app_owner"}; !slices.Equal(ids, want) {
		t.Errorf("required are %v, want %v", ids, want)
	}
	var operator *OperatorError
	if _, err := w.server.Apply(context.Background(), w.req, Consent{Digest: p.Digest}); !errors.As(err, &operator) {
		t.Fatalf("apply without rights: %v", err)
	}
	for _, step := range operator.Steps {
		w.db.Exec(t, strings.Join(step.SQL, ";"))
	}
	w.apply(t)
	w.operate(t)
	w.want(t, "ana", "CREATE TEMP TABLE x (i int)", "error: permission denied")
}

// wallInitSQL runs what init prints, as the superuser, and then sets a store up with nothing else.
func wallInitSQL(t *testing.T, c *pgtest.Cluster) {
	for _, r := range []string{"shop_app", "shop_half", "shop_reader", "shop_stubborn"} {
		c.Role(t, r, "NOSUPERUSER")
	}
	for _, r := range []string{"app_owner", "shop_group"} {
		c.Role(t, r, "NOLOGIN")
	}
	db := c.NewDatabase(t)
	db.Exec(t, shopApp)
	db.Exec(t, InitSQL(InitOptions{
		Database: db.Name, Major: c.Major, Provisioner: "postern_admin", Grantor: "postern_grantor", Owners: []string{"app_owner"},
		ProvisionerVerifier: pgtest.PasswordOf("postern_admin"), GrantorVerifier: pgtest.PasswordOf("postern_grantor"),
	}))
	w := &wallSite{db: db, server: openServer(t, db), req: Request{Store: "shop", RootKey: testKey, Provisioner: "postern_admin", Grantor: "postern_grantor"}}
	w.policy(t, "public, sales", shopPolicy)
	before := rights(t, db)
	r := w.apply(t)
	w.operate(t)
	diffLines(t, "after all", before, rights(t, db))
	w.want(t, "ana", "SELECT id FROM customers ORDER BY id", "1\n3")
	if len(r.Snapshot.HBA) == 0 {
		t.Error("the provisioner cannot read pg_hba.conf")
	}
	// serve compares with the weaker login, and finds the same.
	cfg := w.server.cfg
	cfg.User, cfg.Password = "postern_grantor", passwordOf("postern_grantor")
	grantor, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = grantor.Close(context.Background()) }()
	seen, err := grantor.Plan(context.Background(), w.req)
	if err != nil {
		t.Fatal(err)
	}
	if !seen.Plan.Empty() {
		t.Errorf("the grantor finds something to do:\n%s", text(seen.Plan))
	}
	for _, p := range seen.Wanted.Profiles {
		if ProfileDigests(seen.Snapshot, seen.Wanted.Installation, "shop")[p.Schema] != p.Digest {
			t.Errorf("the grantor finds another digest for %s", p.Schema)
		}
	}
	if _, err := grantor.conn.Exec(context.Background(), "SELECT * FROM public.customers"); err == nil {
		t.Error("the grantor can read the application's tables")
	}
}

// TestWorld is what the guard is told of a profile.
func TestWorld(t *testing.T) {
	w := newShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	r := w.apply(t)
	p := r.Wanted.Identity("sam").Profile
	world := World(r.Wanted, p, r.Snapshot)
	customers := world.Relations[nameOf("public", "customers")]
	if customers == nil || customers.Open || customers.Target != nameOf(p.Schema, "customers") || !customers.Delete || !customers.Lock || !slices.Equal(customers.Primary, []string{"id"}) {
		t.Fatalf("customers is %+v", customers)
	}
	var masked, update, insert []string
	for _, col := range customers.Columns {
		if col.Mask != "" {
			masked = append(masked, col.Name+" "+col.Mask+" "+col.Label)
		}
		if col.Update {
			update = append(update, col.Name)
		}
		if col.Insert {
			insert = append(insert, col.Name)
		}
	}
	if !slices.Equal(masked, []string{"email partial_email contact.email"}) || !slices.Equal(update, []string{"notes"}) || !slices.Equal(insert, []string{"name", "region"}) {
		t.Errorf("masked %v, update %v, insert %v", masked, update, insert)
	}
	if sales := world.Relations[nameOf("sales", "orders")]; sales == nil || !sales.Open || sales.Target != nameOf("sales", "orders") {
		t.Errorf("sales.orders is %+v", sales)
	}
	if h, ok := world.Known[nameOf("public", "secrets")]; !ok || h.Dataset != "" {
		t.Errorf("public.secrets is known as %+v, %v", h, ok)
	}
	if !world.Routines["email_of"] || !world.Masked {
		t.Errorf("routines %v, masked %v", world.Routines, world.Masked)
	}
	for _, typ := range r.Snapshot.Types {
		_, named := world.Types[nameOf(typ.Name.Schema, typ.Name.Name)]
		_, declared := world.TypeOIDs[uint32(typ.OID)]
		if _, array := world.TypeOIDs[uint32(typ.Array)]; declared != named || array != named {
			t.Errorf("type %s may be named: %t, declared as a parameter's: %t, and its array: %t", typ.Name, named, declared, array)
		}
	}
}

// TestQuestionsExist reads every question for every major: question() hides a missing file behind an empty text.
func TestQuestionsExist(t *testing.T) {
	for _, folder := range []string{"inspect", "apply"} {
		files, err := questions.ReadDir("sql/" + folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name, _, _ := strings.Cut(f.Name(), ".")
			if question(folder, name, 13) == "" || question(folder, name, 18) == "" {
				t.Errorf("%s/%s has no text", folder, name)
			}
		}
	}
	if question("inspect", "memberships", 15) == question("inspect", "memberships", 18) {
		t.Error("the variant for 16 and later is not used")
	}
}

// TestVerifier logs in with a derived password against a derived verifier; another generation has another one.
func TestVerifier(t *testing.T) {
	one, err := IdentityVerifier(testKey, "1", "ana", 1)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := IdentityVerifier(testKey, "1", "ana", 2)
	again, _ := IdentityVerifier(testKey, "1", "ana", 1)
	if one == two || one != again || !strings.HasPrefix(one, "SCRAM-SHA-256$4096:") {
		t.Errorf("verifiers %q, %q, %q", one, two, again)
	}
	if IdentityPassword(testKey, "1", "ana", 1).Equal(IdentityPassword(testKey, "2", "ana", 1)) {
		t.Error("two servers have the same password")
	}
}

// wallTwoStores is one installation with two databases of a cluster: a subject has one login and one profile in each (ENF-09).
func wallTwoStores(t *testing.T, c *pgtest.Cluster) {
	shop := newWallSite(t, c, smallShop, "app_owner")
	shop.policy(t, "public", smallPolicy)
	desk := newWallSite(t, c, smallShop, "app_owner")
	desk.req.Store = "desk"
	desk.policy(t, "public", strings.ReplaceAll(smallPolicy, "shop.", "desk."))
	shop.apply(t)
	desk.apply(t)
	for _, w := range []*wallSite{shop, desk} {
		if p := w.plan(t).Plan; !p.Empty() {
			t.Fatalf("one store has something to do because of the other:\n%s", text(p))
		}
		w.want(t, "ana", "SELECT email FROM customers", "a***@x.test")
	}
	desk.policy(t, "public", "users: {ana: {scram: "+testVerifier+"}}\n")
	desk.apply(t)
	shop.want(t, "ana", "SELECT email FROM customers", "a***@x.test")
	if p := shop.plan(t).Plan; !p.Empty() {
		t.Errorf("removing one store leaves the other with something to do:\n%s", text(p))
	}
	// Another store of the same installation cannot move into a database that is taken.
	shop.req.Store = "desk"
	shop.policy(t, "public", strings.ReplaceAll(smallPolicy, "shop.", "desk."))
	shop.refused(t, `is already store "shop" of this installation`)
}

// TestDumpers names roles that dump without BYPASSRLS, and wants consent by name (ENF-88).
func TestDumpers(t *testing.T) {
	w := newShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	w.db.Exec(t, "CREATE ROLE backup LOGIN IN ROLE pg_read_all_data; CREATE ROLE safe LOGIN BYPASSRLS IN ROLE pg_read_all_data")
	p := w.plan(t).Plan
	var ids []string
	for _, c := range p.Unaccepted(nil) {
		ids = append(ids, c.ID)
		if c.Consent != plan.ConsentForeign || !strings.Contains(c.Reason, `pg_dump by backup stops with an error until a superuser runs: ALTER ROLE "backup" BYPASSRLS`) {
			t.Errorf("%s: %s", c.ID, c.Reason)
		}
	}
	if want := []string{"table:public.customers", "table:public.orders", "table:sales.orders"}; !slices.Equal(ids, want) {
		t.Errorf("consent is wanted for %v, not %v", ids, want)
	}
	risk := p.Changes[slices.IndexFunc(p.Changes, func(c plan.Change) bool { return c.ID == "table:public.customers" })].Risk
	if !strings.Contains(risk, "COPY public.customers FROM is not possible under row security for roles that do not own the table: shop_app") {
		t.Errorf("the risk is %q", risk)
	}
}

// TestHBA refuses a line of pg_hba.conf that lets identity roles in without their password (ENF-91).
func TestHBA(t *testing.T) {
	for _, x := range []struct{ line, why string }{
		{"local all ana trust", "line 1 of pg_hba.conf lets role \"ana\" in by trust"},
		{"host all all 10.0.0.0/8 trust", "line 1 of pg_hba.conf lets role \"ana\" in by trust"},
		{"local all bob trust", ""},
		{"host other all 10.0.0.0/8 trust", ""},
		{"local all ana peer", "by peer"},
	} {
		c := pgtest.Start(t, pgtest.DefaultMajor, pgtest.HBA(x.line))
		w := newWallSite(t, c, smallShop, "app_owner")
		w.policy(t, "public", smallPolicy)
		if hint := warnings(w.plan(t).Plan); !slices.ContainsFunc(hint, func(s string) bool { return strings.HasPrefix(s, "pg_hba.conf cannot be read") }) {
			t.Errorf("nothing says that pg_hba.conf cannot be read: %q", hint)
		}
		w.db.Exec(t, "GRANT SELECT ON pg_hba_file_rules TO postern_admin; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO postern_admin")
		if x.why == "" {
			w.plan(t)
		} else {
			w.refused(t, x.why)
		}
	}
}
