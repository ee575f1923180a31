package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrTour says that a step of the tour was not as it should be.
var ErrTour = errors.New("the tour found something that is not as it should be")

// act is one step of the tour: what it shows, and the check that it is so.
type act struct {
	title string
	play  func(t *stage, ctx context.Context) error // method expressions
}

// stage is where an act prints and what it asks.
type stage struct {
	*site
	psql string
}

// tour plays every act, prints it, and goes on after one that fails, so that all that is wrong is seen at once.
func (s *site) tour(ctx context.Context) error {
	psql, err := findPsql()
	if err != nil {
		return err
	}
	t := &stage{site: s, psql: psql}
	acts := []act{
		{"The same question, four answers", (*stage).sameQuestion},
		{"Rows end where the policy says", (*stage).rows},
		{"psql's own commands show the admitted world", (*stage).describe},
		{"A support agent may correct two columns of assigned customers", (*stage).write},
		{"What is not admitted is refused, and the refusal says what to do", (*stage).refused},
		{"Ways around end in a refusal too", (*stage).bypass},
		{"A stolen login meets the same wall on the server itself", (*stage).wall},
		{"The application notices nothing", (*stage).application},
		{"A change of the policy reaches a session that is open", (*stage).live},
		{"Access for as long as it is needed: asked for, approved, and over at its time", (*stage).request},
		{"Access that is revoked ends in the middle of a statement", (*stage).revoke},
		{"The same on the portal's pages: asked, approved, used, ended", (*stage).pages},
		{"The same in Slack: asked by a form, approved by a click, and told when it is over", (*stage).inSlack},
		{"A new table is looked through, labelled, and masked", (*stage).found},
		{"The trail is whole, and a forged copy is found out", (*stage).trail},
	}
	wrong := 0
	for i, a := range acts {
		t.print("\n%s\n", s.Bold(fmt.Sprintf("%d. %s", i+1, a.title)))
		if err := a.play(t, ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			wrong++
			t.print("   NOT AS IT SHOULD BE: %v\n", err)
			continue
		}
		t.print("   as it should be\n")
	}
	t.print("\n%d of %d steps are as they should be\n", len(acts)-wrong, len(acts))
	if wrong > 0 {
		return ErrTour
	}
	return nil
}

func (t *stage) print(format string, args ...any) { _, _ = fmt.Fprintf(t.Out, format, args...) }

// show prints a statement and its answer, indented.
func (t *stage) show(who, sql, answer string) {
	t.print("   %s=> %s\n", who, sql)
	for _, line := range strings.Split(strings.TrimRight(answer, "\n"), "\n") {
		t.print("   %s\n", line)
	}
}

func (t *stage) sameQuestion(ctx context.Context) error {
	// One customer whom everybody may see: European, and assigned to sam. Only the owner can look for one like that.
	id, err := t.one(ctx, "owner", "SELECT c.id FROM customers c JOIN assignments a ON a.customer_id = c.id WHERE a.agent = 'sam' AND c.region = 'EU' ORDER BY 1 LIMIT 1")
	if err != nil {
		return err
	}
	sql := "SELECT name, email, phone, birth_date FROM customers WHERE id = " + id
	answers := map[string][]string{}
	for _, who := range []string{"owner", "ana", "sam", "dora"} {
		pretty, err := t.query(ctx, who, sql)
		if err != nil {
			return err
		}
		t.show(who, sql, pretty)
		row, err := t.one(ctx, who, sql)
		if err != nil {
			return err
		}
		if answers[who] = strings.Split(row, "|"); len(answers[who]) != 4 {
			return fmt.Errorf("%s got %q", who, row)
		}
	}
	raw := answers["owner"]
	masked := []string{
		raw[0], raw[1][:1] + "***@" + raw[1][strings.IndexByte(raw[1], '@')+1:], "***" + raw[2][len(raw[2])-2:], raw[3][:4] + "-01-01",
	}
	return errors.Join(
		expect("ana", answers["ana"], masked), expect("sam", answers["sam"], raw), expect("dora", answers["dora"], raw))
}

func (t *stage) rows(ctx context.Context) error {
	var errs []error
	for _, c := range []struct{ who, sql, truth string }{
		{"ana", "SELECT count(*) FROM customers", "SELECT count(*) FROM customers WHERE region = 'EU'"},
		{"ana", "SELECT count(*), sum(total) FROM orders", "SELECT count(*), sum(o.total) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.region = 'EU'"},
		{"sam", "SELECT count(*) FROM customers", "SELECT count(*) FROM assignments WHERE agent = 'sam'"},
		{"dora", "SELECT count(*) FROM payments", "SELECT count(*) FROM payments"},
	} {
		got, err := t.one(ctx, c.who, c.sql)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		want, err := t.one(ctx, "owner", c.truth)
		if err != nil {
			return err
		}
		t.print("   %s=> %s   -- %s\n", c.who, c.sql, got)
		errs = append(errs, expect(c.who, []string{got}, []string{want}))
	}
	return errors.Join(errs...)
}

func (t *stage) describe(ctx context.Context) error {
	tables, err := t.query(ctx, "ana", `\dt`)
	if err != nil {
		return err
	}
	t.show("ana", `\dt`, tables)
	columns, err := t.query(ctx, "ana", `\d customers`)
	if err != nil {
		return err
	}
	t.show("ana", `\d customers`, columns)
	return errors.Join(
		contains(tables, "customers", "orders", "payments", "products"), lacks(tables, "payroll", "postern"),
		contains(columns, "public.customers", "birth_date", "customers_pkey"), lacks(columns, "postern_", "POLICY", "Policies"))
}

func (t *stage) write(ctx context.Context) error {
	mine, err := t.one(ctx, "owner", "SELECT min(customer_id) FROM assignments WHERE agent = 'sam'")
	if err != nil {
		return err
	}
	own := "UPDATE customers SET phone = '+49 30 5550100' WHERE id = " + mine
	other := "UPDATE customers SET phone = '+49 30 5550100' WHERE id = 1"
	email := "UPDATE customers SET email = 'x@mail.example' WHERE id = " + mine
	var errs []error
	for _, c := range []struct{ sql, want string }{{own, "UPDATE 1"}, {other, "UPDATE 0"}} {
		got, err := t.query(ctx, "sam", c.sql)
		t.show("sam", c.sql, got)
		errs = append(errs, err, contains(got, c.want))
	}
	return errors.Join(append(errs, t.refuses(ctx, "sam", email, "42501"))...)
}

func (t *stage) refused(ctx context.Context) error {
	return errors.Join(
		t.refuses(ctx, "ana", "SELECT employee, salary FROM payroll", "42501", "staff"),
		t.refuses(ctx, "ana", "DELETE FROM customers", "42501"))
}

func (t *stage) bypass(ctx context.Context) error {
	var errs []error
	for _, sql := range []string{
		"SELECT query_to_xml('SELECT * FROM payroll', true, false, '')",
		"SET ROLE shop_owner",
		"SELECT set_config('role', 'shop_owner', false)",
		"SELECT most_common_vals FROM pg_stats WHERE tablename = 'customers'",
		"EXPLAIN ANALYZE SELECT * FROM customers WHERE region = 'US'",
		"SELECT * FROM order_report",
	} {
		errs = append(errs, t.refuses(ctx, "ana", sql, "42501"))
	}
	return errors.Join(errs...)
}

// wall logs in at the server itself, past the gateway, with the password that only Postern knows.
func (t *stage) wall(ctx context.Context) error {
	role, password, err := t.Tools.IdentityPassword(ctx, t.policy, "ana")
	if err != nil {
		return err
	}
	t.print("   (past the gateway, as the server's role %s)\n", role)
	direct := func(sql string) (string, error) {
		return t.run(ctx, []string{
			"PGHOST=" + t.cluster.socket, fmt.Sprintf("PGPORT=%d", t.cluster.port), "PGDATABASE=shop", "PGUSER=" + role, "PGPASSWORD=" + password.Reveal(),
		}, "-At", "-c", sql)
	}
	var errs []error
	for _, sql := range []string{"SELECT email FROM public.customers", "SELECT salary FROM public.payroll", "SELECT email FROM public.order_report"} {
		out, err := direct(sql)
		t.show("ana, direct", sql, out)
		if err == nil {
			errs = append(errs, fmt.Errorf("the server answered %s", sql))
		}
		errs = append(errs, contains(out, "permission denied"))
	}
	sql := "SELECT count(*), count(*) FILTER (WHERE email LIKE '_***@%'), count(DISTINCT region) FROM customers"
	out, err := direct(sql)
	t.show("ana, direct", sql, out)
	want, werr := t.one(ctx, "owner", "SELECT count(*), count(*), 1 FROM customers WHERE region = 'EU'")
	return errors.Join(append(errs, err, werr, expect("ana", []string{strings.TrimSpace(out)}, []string{want}))...)
}

// foreignView is what the application's roles may do and see: their rights on every table, and their row counts.
func (s *site) foreignView(ctx context.Context) ([]string, error) {
	psql, err := findPsql()
	if err != nil {
		if s.Check {
			return nil, err
		}
		return nil, nil // without the tour nobody compares
	}
	t := &stage{site: s, psql: psql}
	env := []string{
		"PGHOST=" + s.cluster.socket, fmt.Sprintf("PGPORT=%d", s.cluster.port), "PGDATABASE=shop", "PGUSER=postgres",
		"PGPASSWORD=" + s.cluster.password.Reveal(),
	}
	out, err := t.run(ctx, env, "-At", "-v", "ON_ERROR_STOP=1", "-c", `
SELECT r.rolname, c.relname, p, has_table_privilege(r.oid, c.oid, p)
FROM pg_roles r, pg_class c, unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE']) p
WHERE r.rolname LIKE 'shop\_%' AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r','v') ORDER BY 1, 2, 3;
SELECT r.rolname, 'temporary', has_database_privilege(r.oid, current_database(), 'TEMPORARY') FROM pg_roles r WHERE r.rolname LIKE 'shop\_%' ORDER BY 1;
SET ROLE shop_app; SELECT 'shop_app', count(*) FROM customers; SELECT 'shop_app', count(*) FROM orders; SELECT 'shop_app', sum(amount) FROM payments;
SET ROLE shop_report; SELECT 'shop_report', count(*), sum(total) FROM order_report; SELECT 'shop_report', count(*) FROM orders;
SET ROLE shop_owner; SELECT 'shop_owner', count(*) FROM customers; SELECT 'shop_owner', count(*) FROM payroll;`)
	if err != nil {
		return nil, fmt.Errorf("look at the application's rights: %w: %s", err, out)
	}
	return strings.Split(strings.TrimSpace(out), "\n"), nil
}

func (t *stage) application(ctx context.Context) error {
	after, err := t.foreignView(ctx)
	if err != nil {
		return err
	}
	t.print("   %d rights and row counts of shop_owner, shop_app and shop_report, before and after: ", len(after))
	if !slices.Equal(t.before, after) {
		t.print("they differ\n")
		for _, line := range after {
			if !slices.Contains(t.before, line) {
				t.print("   now: %s\n", line)
			}
		}
		return errors.New("the application's rights or rows changed")
	}
	t.print("the same\n")
	return nil
}

// live changes the policy file while a session is open.
func (t *stage) live(ctx context.Context) error {
	session, err := t.open(ctx, "ana")
	if err != nil {
		return err
	}
	defer session.close()
	sql := "SELECT phone FROM customers ORDER BY id LIMIT 1"
	before, err := session.ask(sql)
	if err != nil {
		return err
	}
	t.show("ana", sql, before)
	old, err := os.ReadFile(t.policy)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	changed := strings.Replace(string(old), "contact.phone: keep_last(2)", "contact.phone: hidden", 1)
	if changed == string(old) {
		return errors.New("the policy has no line to change")
	}
	t.print("   (postern.yaml: contact.phone becomes hidden)\n")
	if err := os.WriteFile(t.policy, []byte(changed), 0o600); err != nil {
		return fmt.Errorf("change the policy: %w", err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		after, err := session.ask(sql)
		if err != nil {
			return err
		}
		if after == "" {
			t.show("ana", sql+"   -- the same session", "(null)")
			return contains(before, "***")
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("30 s later the session still sees %s", after)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// found lets discover label a table that nobody has described, and shows it to the analysts: what is labelled is masked.
func (t *stage) found(ctx context.Context) error {
	_, err := t.query(ctx, "owner", "SET ROLE shop_owner; CREATE TABLE public.subscribers AS SELECT i AS id, 'reader' || i || '@post.example' AS reach FROM generate_series(1, 300) i")
	if err != nil {
		return err
	}
	t.print("   (a new table: subscribers)\n   postern discover --include public.subscribers --write postern.yaml\n")
	lines, err := t.Tools.Discover(ctx, t.policy, "public.subscribers")
	if err != nil {
		return err
	}
	for _, l := range lines {
		t.print("   %s\n", l)
	}
	if err := contains(strings.Join(lines, "\n"), "public.subscribers.reach contact.email"); err != nil {
		return err
	}
	text, err := os.ReadFile(t.policy)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	admitted := strings.Replace(string(text), "\nrules:\n", "\nrules:\n  readers: {to: [\"group:analysts\"], on: discovered, level: read, masks: discovered}\n", 1)
	if admitted == string(text) {
		return errors.New("the policy has no line to change")
	}
	if err := os.WriteFile(t.policy, []byte(admitted), 0o600); err != nil {
		return fmt.Errorf("change the policy: %w", err)
	}
	t.print("   (postern.yaml: analysts may read what was discovered; postern plan, postern apply)\n")
	if _, err := t.Tools.Install(ctx, t.policy); err != nil {
		return err
	}
	sql := "SELECT reach FROM subscribers WHERE id = 7"
	for deadline := time.Now().Add(60 * time.Second); ; {
		answer, err := t.one(ctx, "ana", sql)
		if err == nil {
			t.show("ana", sql, answer)
			if strings.Contains(answer, "reader7") {
				return fmt.Errorf("ana sees %s", answer)
			}
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// trail verifies the trail, and then a copy in which one word is another.
func (t *stage) trail(ctx context.Context) error {
	real, err := t.Tools.Verify(ctx, t.policy, "")
	if err != nil {
		return err
	}
	t.print("   %d records: %s\n", real.Records, map[bool]string{true: "tampered with", false: "nothing edited, removed, inserted or reordered"}[real.Tampered])
	folder, forged := filepath.Join(t.folder, "audit"), filepath.Join(t.folder, "forged")
	name, err := forge(folder, forged)
	if err != nil {
		return err
	}
	copied, err := t.Tools.Verify(ctx, t.policy, forged)
	if err != nil {
		return err
	}
	t.print("   a copy, in which ana's refused statement of %s became allowed:\n", name)
	for _, p := range copied.Problems {
		t.print("   %s\n", p)
	}
	var errs []error
	if real.Tampered || real.Records < 20 {
		errs = append(errs, fmt.Errorf("the trail: %v, %d records", real.Problems, real.Records))
	}
	if !copied.Tampered || len(copied.Problems) == 0 {
		errs = append(errs, errors.New("the forged copy was not found out"))
	}
	return errors.Join(errs...)
}

// forge copies a trail and turns its first refusal into a permission.
func forge(from, to string) (string, error) {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return "", fmt.Errorf("copy the trail: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(to, "*.jsonl"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("no trail files in %s", from)
	}
	slices.Sort(files)
	for _, f := range files {
		text, err := os.ReadFile(f) //nolint:gosec // our own copy
		if err != nil {
			return "", fmt.Errorf("read the copy: %w", err)
		}
		edited := strings.Replace(string(text), `"verdict":"refuse"`, `"verdict":"allow"`, 1)
		if edited != string(text) {
			return filepath.Base(f), os.WriteFile(f, []byte(edited), 0o600)
		}
	}
	return "", errors.New("the trail holds no refusal to forge")
}

func expect(who string, got, want []string) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s got %q, expected %q", who, got, want)
	}
	return nil
}

func contains(text string, words ...string) error {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return fmt.Errorf("%q is missing in the answer", w)
		}
	}
	return nil
}

func lacks(text string, words ...string) error {
	for _, w := range words {
		if strings.Contains(text, w) {
			return fmt.Errorf("%q should not be in the answer", w)
		}
	}
	return nil
}
