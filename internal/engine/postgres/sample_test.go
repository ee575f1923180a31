package postgres

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/pgtest"
)

func feedOf(t *testing.T, db *pgtest.DB, user string) *Feed {
	t.Helper()
	cfg, err := ParseDSN(db.DSN(user), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	f := NewFeed(cfg, 2)
	t.Cleanup(func() { f.Close(context.Background()) })
	return f
}

func discovered(t *testing.T, f *Feed, opt discover.Options) *discover.Report {
	t.Helper()
	rep, err := discover.Run(t.Context(), f, opt)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func classOf(t *testing.T, rep *discover.Report, place string) string {
	t.Helper()
	for i := range rep.Columns {
		if rep.Columns[i].Place() == place {
			return string(rep.Columns[i].Class)
		}
	}
	t.Fatalf("no record of %s", place)
	return ""
}

func gapOf(rep *discover.Report, table string) discover.Gap {
	for _, g := range rep.NotExamined {
		if g.Table == table {
			return g
		}
	}
	return discover.Gap{}
}

const discoverTables = `
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, vorname text, nachname text, geb date,
	prefs jsonb, note json, photo bytea, tags text[], mails text[], seen int4range, sparse text);
INSERT INTO customers (email, vorname, nachname, geb, prefs, note, photo, tags, mails, seen, sparse)
SELECT 'p' || i || '@haus.de', (ARRAY['Anna','Peter','Hans','Lena','Uwe'])[1 + i % 5], (ARRAY['Schmidt','Weber','Koch','Wolf'])[1 + i % 4],
	date '1950-01-01' + i * 50, jsonb_build_object('email', 'x' || i || '@haus.de', 'theme', 'dark'), json_build_object('client_ip', '10.2.3.' || i % 250),
	'\xffd8ffe000104a464946'::bytea, ARRAY['red', 'blue'], ARRAY['q' || i || '@haus.de'], int4range(i, i + 5),
	CASE WHEN i % 97 = 0 THEN 'DE' || i END
FROM generate_series(1, 400) i;
CREATE VIEW mails AS SELECT email, upper(vorname) AS loud FROM customers;
CREATE TABLE part (k int, iban text) PARTITION BY RANGE (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (100);
INSERT INTO part SELECT i, 'GB82WEST12345698765432' FROM generate_series(1, 50) i;
CREATE TYPE addr AS (street text, city text);
CREATE TABLE comp (a addr);
INSERT INTO comp SELECT row('Lindenweg ' || i, 'Hamburg')::addr FROM generate_series(1, 30) i;
CREATE TYPE pay AS (id int, home addr, inside jsonb);
CREATE DOMAIN place AS addr;
CREATE TABLE nested (many addr[], deep pay, own place);
INSERT INTO nested SELECT ARRAY[row('Lindenweg ' || i, 'Hamburg')::addr], row(i, row('Lindenweg ' || i, 'Hamburg'), jsonb_build_object('mail', 'n' || i || '@haus.de'))::pay,
	row('Lindenweg ' || i, 'Hamburg')::addr FROM generate_series(1, 30) i;
CREATE TABLE seldom (one text, blank text, wide text);
INSERT INTO seldom SELECT CASE i WHEN 99 THEN 'only@haus.de' END, CASE WHEN i % 100 = 0 THEN 'b' || i || '@haus.de' ELSE '' END, repeat('Lorem ipsum ', 90) || 'w' || i || '@haus.de'
FROM generate_series(1, 2500) i;
CREATE TABLE empty (email text, x int);
CREATE SCHEMA veiled; COMMENT ON SCHEMA veiled IS 'postern/1 view';
CREATE TABLE veiled.mails AS SELECT 'v' || i || '@haus.de' AS email FROM generate_series(1, 60) i;
`

// analyse brings the statistics up to date, and waits until the server counts no change since: what a session changed is counted when
// it has ended, which may be after the ANALYZE of the next one.
func analyse(t *testing.T, db *pgtest.DB) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if db.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'postern discover' AND backend_type = 'client backend'") != "0" {
			continue
		}
		db.Exec(t, "ANALYZE")
		for range 20 {
			if db.Query(t, "SELECT coalesce(sum(n_mod_since_analyze), 0) FROM pg_stat_user_tables") == "0" {
				return
			}
		}
	}
	t.Fatal("changes are counted in spite of ANALYZE")
}

func TestFeedsOnEveryMajor(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db := c.NewDatabase(t)
		db.Exec(t, discoverTables)
		analyse(t, db)
		for _, from := range []discover.From{discover.FromStats, discover.FromAuto, discover.FromSample} {
			rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: from, Readers: true})
			for place, want := range map[string]string{
				"public.customers.email": "contact.email", "public.customers.vorname": "person.first_name", "public.customers.nachname": "person.last_name",
				"public.customers.geb": "person.birth_date", "public.customers.prefs": "json.pii", "public.customers.mails": "contact.email",
				"public.customers.id": "", "public.customers.seen": "", "public.mails.email": "contact.email", "veiled.mails.email": "contact.email", "public.nested.many": "json.pii",
				"public.nested.deep": "json.pii", "public.nested.own": "json.pii", "public.seldom.blank": "contact.email",
			} {
				if got := classOf(t, rep, place); got != want {
					t.Errorf("%s: %s is %q, want %q", from, place, got, want)
				}
			}
			if from == discover.FromStats {
				if gap := gapOf(rep, "seldom"); strings.Join(gap.Columns, " ") != "one wide" || gap.Why != discover.WhyUnseen {
					t.Errorf("what statistics do not show is not listed: %+v", gap)
				}
				continue
			}
			for place, want := range map[string]string{
				"public.customers.note": "json.pii", "public.part.iban": "fin.iban", "public.part1.iban": "fin.iban", "public.comp.a": "json.pii",
				"public.empty.email": "contact.email", "public.customers.tags": "", "public.customers.photo": "person.photo",
				"public.seldom.one": "contact.email", "public.seldom.wide": "text.pii",
			} {
				if got := classOf(t, rep, place); got != want {
					t.Errorf("%s: %s is %q, want %q", from, place, got, want)
				}
			}
		}
	})
}

func TestStatsReadsNoTable(t *testing.T) {
	db := pgtest.Shared(t, pgtest.DefaultMajor).NewDatabase(t)
	db.Exec(t, discoverTables)
	analyse(t, db)
	db.Exec(t, "SELECT pg_stat_reset()")
	reads := func() string {
		return db.Query(t, "SELECT coalesce(sum(seq_scan) + sum(coalesce(idx_scan, 0)), 0)::text FROM pg_stat_user_tables")
	}
	discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: discover.FromStats})
	deadline := time.Now().Add(3 * time.Second)
	for time.Now().Before(deadline) { // the counters arrive late: give a wrong read the time to show up
		if n := reads(); n != "0" {
			t.Fatalf("statistics read tables: %s scans", n)
		}
	}
}

func TestLackingRightsAreNamed(t *testing.T) {
	c := pgtest.Shared(t, pgtest.DefaultMajor)
	db := c.NewDatabase(t)
	c.Role(t, "discover_reader")
	db.Exec(t, `CREATE TABLE open (email text); CREATE TABLE closed (email text); CREATE TABLE half (email text, ssn text);
		CREATE TABLE rows (email text); ALTER TABLE rows ENABLE ROW LEVEL SECURITY; CREATE SCHEMA hidden; CREATE TABLE hidden.t (email text);
		INSERT INTO open VALUES ('a@b.de'); INSERT INTO half VALUES ('a@b.de', '1');
		GRANT SELECT ON open, rows TO discover_reader; GRANT SELECT (email) ON half TO discover_reader; ANALYZE`)
	rep := discovered(t, feedOf(t, db, "discover_reader"), discover.Options{})
	want := map[string]string{
		"public.closed": "GRANT SELECT ON public.closed TO discover_reader;", "public.half": "GRANT SELECT (ssn) ON public.half TO discover_reader;",
		"public.rows": "ALTER ROLE discover_reader BYPASSRLS;", "hidden.t": "GRANT USAGE ON SCHEMA hidden TO discover_reader; GRANT SELECT ON hidden.t TO discover_reader;",
	}
	for _, g := range rep.NotExamined {
		name := g.Schema + "." + g.Table
		if want[name] != g.Grant {
			t.Errorf("%s: %q, want %q", name, g.Grant, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not reported: %v", want)
	}
	if rep.ExitCode(false) != 3 {
		t.Errorf("exit code %d, want 3", rep.ExitCode(false))
	}
}

func TestSamplingHonoursLocks(t *testing.T) {
	db := pgtest.Shared(t, pgtest.DefaultMajor).NewDatabase(t)
	db.Exec(t, "CREATE TABLE busy (email text); INSERT INTO busy VALUES ('a@b.de'); CREATE TABLE idle (email text); INSERT INTO idle VALUES ('a@b.de')")
	conn := db.Connect(t, pgtest.SuperUser)
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE busy IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: discover.FromSample, Include: []string{"public"}})
	if spent := time.Since(start); spent > 10*time.Second {
		t.Errorf("waited %s for a lock", spent)
	}
	if len(rep.NotExamined) != 1 || rep.NotExamined[0].Why != discover.WhyLocked {
		t.Errorf("gaps %+v", rep.NotExamined)
	}
	if got := classOf(t, rep, "public.idle.email"); got != "contact.email" {
		t.Errorf("idle.email is %q", got)
	}
}

func TestSampleIsBounded(t *testing.T) {
	db := pgtest.Shared(t, pgtest.DefaultMajor).NewDatabase(t)
	db.Exec(t, "CREATE TABLE wide (a text, b text); INSERT INTO wide SELECT repeat('x', 200000), repeat(chr(200), 9000) FROM generate_series(1, 60)")
	db.Exec(t, "CREATE TABLE tall (id int, mail text); INSERT INTO tall SELECT i, 'm' || i || '@haus.de' FROM generate_series(1, 60000) i; ANALYZE")
	f := feedOf(t, db, pgtest.SuperUser)
	cat, err := f.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range cat.Tables {
		tab := &cat.Tables[i]
		vals, err := f.Sample(t.Context(), discover.Ask{Table: tab, Columns: []int{0, 1}, Rows: 500, Bytes: 4096, Total: 100000, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if vals[0].Rows > 500 {
			t.Errorf("%s: %d rows", tab.Name, vals[0].Rows)
		}
		for _, s := range vals[1].Texts {
			if len([]rune(s)) > 4096 {
				t.Errorf("%s: a value of %d bytes", tab.Name, len(s))
			}
		}
		if tab.Name == "tall" {
			again, err := f.Sample(t.Context(), discover.Ask{Table: tab, Columns: []int{0, 1}, Rows: 500, Bytes: 4096, Total: 100000, Seed: 1})
			if err != nil || strings.Join(again[1].Texts, ",") != strings.Join(vals[1].Texts, ",") {
				t.Errorf("the same seed gives another sample (%v)", err)
			}
			if vals[1].Texts[0] == "m1@haus.de" && vals[1].Texts[1] == "m2@haus.de" {
				t.Error("the sample is the first rows of the table")
			}
		}
	}
}

// canary is a value that must not appear anywhere but in the database.
func forms(canary string) []string {
	escaped := strings.ReplaceAll(strings.ReplaceAll(canary, "@", `\u0040`), "-", `\-`)
	return []string{canary, strings.ToLower(canary), hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary))[:len(canary)], escaped}
}

func TestNoValueLeavesTheProcess(t *testing.T) {
	c := pgtest.Start(t, pgtest.DefaultMajor)
	db := c.NewDatabase(t)
	var canaries []string
	put := func(kind string) string {
		s := fmt.Sprintf("zqx%dCanaryValue%s", len(canaries), kind)
		canaries = append(canaries, s)
		return s
	}
	db.Exec(t, "CREATE EXTENSION hstore")
	db.Exec(t, `CREATE TYPE pair AS (l text, r text); CREATE DOMAIN nick AS text;
		CREATE TABLE birds (email text, password text, note text, js jsonb, plain json, x xml, h hstore, arr text[], b bytea, dom nick, rec pair, api_key text, cc varchar, c char(40), j2 jsonb, n numeric, d date, ip inet, m macaddr)`)
	for i := range 12 {
		db.Exec(t, fmt.Sprintf(`INSERT INTO birds VALUES ('%s@haus.de', '%s', 'Please write to %s@haus.de about the order that came late this week again', '{"email": "%s@haus.de", "%s": 1, "k": {"deep": ["%s"]}}', '{"%s": "%s"}',
			'<%s><name>%s</name></%[9]s>', '"%s"=>"%s"', ARRAY['%s'], '%s', '%s', row('%s', 'x')::pair, 'sk_live_%[17]s', '%[18]s', '%[19]s', '["%[20]s"]', 7391846500%d.25, '1911-03-%02d', '198.51.100.%d', '08:00:2b:01:%02d:77')`,
			put("a"), put("b"), put("c"), put("d"), put("e"), put("f"), put("g"), put("h"), put("i"), put("j"), put("k"), put("l"), put("m"), put("n"), put("o"), put("p"), put("q"), put("r"), put("s"), put("t"), i, i+1, i+200, i))
		canaries = append(canaries, fmt.Sprintf("7391846500%d", i), fmt.Sprintf("1911-03-%02d", i+1), fmt.Sprintf("198.51.100.%d", i+200), fmt.Sprintf("08:00:2b:01:%02d:77", i))
	}
	db.Exec(t, "CREATE FUNCTION boom(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'value was %', $1; END $$; CREATE VIEW angry AS SELECT boom(email) AS e FROM birds; ANALYZE")
	logged := len(c.Log())
	var out bytes.Buffer
	mem := checkpoint{}
	for _, from := range []discover.From{discover.FromStats, discover.FromAuto, discover.FromSample} {
		rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: from, Store: "s", Views: true, Readers: true, Checkpoint: mem, Progress: func(p discover.Progress) { fmt.Fprintf(&out, "%+v", p) }})
		patch, err := rep.Patch(nil, nil)
		for _, e := range []error{err, rep.WriteJSON(&out), rep.WriteTSV(&out, true), rep.WriteTable(&out), rep.WriteMarkdown(&out), rep.WriteHTML(&out)} {
			if e != nil {
				t.Fatal(e)
			}
		}
		out.Write(patch)
		for i := range rep.Columns {
			if err := rep.WriteExplain(&out, rep.Columns[i].Place(), 200); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, raw := range mem {
		out.Write(raw)
	}
	for _, line := range strings.Split(c.Log()[logged:], "\n") {
		if !strings.Contains(line, "value was") { // the function's own words, of which the server keeps a log
			out.WriteString(line + "\n")
		}
	}
	text := out.String()
	for _, canary := range canaries {
		for _, f := range forms(canary) {
			if i := strings.Index(text, f); i >= 0 {
				t.Fatalf("%s got out: …%s…", f, text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
	if !strings.Contains(text, "SQLSTATE") {
		t.Error("the error path was not taken")
	}
}

type checkpoint map[string][]byte

func (c checkpoint) Load(key string) ([]byte, bool) { b, ok := c[key]; return b, ok }
func (c checkpoint) Save(key string, b []byte)      { c[key] = b }

func TestHostileContent(t *testing.T) {
	c := pgtest.Start(t, pgtest.DefaultMajor)
	c.Exec(t, "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
	db := &pgtest.DB{Cluster: c, Name: "ascii"}
	db.Exec(t, `CREATE TABLE "evil""; DROP TABLE x; --	tab" ("co
l" text, mail text);
		INSERT INTO "evil""; DROP TABLE x; --	tab" SELECT convert_from('\xff80fe', 'SQL_ASCII') || i, 'a' || i || '@haus.de' FROM generate_series(1, 20) i;
		CREATE TABLE deep (j text, k jsonb); INSERT INTO deep SELECT repeat('[', 5000) || repeat(']', 5000), ('{"a":' || repeat('[', 900) || repeat(']', 900) || '}')::jsonb;
		DO $$ BEGIN EXECUTE format('CREATE TABLE %I (mail text, a int)', 'b' || convert_from('\xff', 'SQL_ASCII')); END $$;
		DO $$ BEGIN EXECUTE format('CREATE TABLE odd (mail text, %I text); INSERT INTO odd VALUES (''a@haus.de'', ''b'')', 'c' || convert_from('\xfe', 'SQL_ASCII')); END $$;
		CREATE TABLE slow (r text); INSERT INTO slow SELECT repeat('a', 100000) || '!' FROM generate_series(1, 50);
		ANALYZE`)
	analyse(t, db)
	for _, from := range []discover.From{discover.FromStats, discover.FromAuto, discover.FromSample} {
		hostileRun(t, db, from)
	}
}

// hostileRun has one run look at hostile content: what is odd costs neither the run nor the tables beside it.
func hostileRun(t *testing.T, db *pgtest.DB, from discover.From) {
	t.Helper()
	start := time.Now()
	rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: from})
	if spent := time.Since(start); spent > 40*time.Second {
		t.Errorf("took %s", spent)
	}
	examined := 0
	for i := range rep.Columns {
		if rec := &rep.Columns[i]; strings.HasPrefix(rec.Table, "evil") {
			examined++
			if rec.State == classify.StateNotExamined || rec.State == classify.StateEmpty || rec.Tested == 0 {
				t.Errorf("%s: %q is %s, %d tested", from, rec.Column, rec.State, rec.Tested)
			}
		}
	}
	if examined != 2 {
		t.Errorf("%s: %d columns of the evil table", from, examined)
	}
	for _, g := range rep.NotExamined {
		if strings.HasPrefix(g.Table, "evil") {
			t.Errorf("%s: %+v", from, g)
		}
	}
	if gap := gapOf(rep, "odd"); gap.Why == "" || rep.ExitCode(false) != 3 {
		t.Errorf("%s: a column whose name is no text is not said to be unexamined: %+v", from, rep.NotExamined)
	}
	var tsv, table bytes.Buffer
	if err := rep.WriteTSV(&tsv, true); err != nil {
		t.Fatal(err)
	}
	if err := rep.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSuffix(tsv.String(), "\n"), "\n") {
		if strings.Count(line, "\t") != 4 {
			t.Errorf("malformed line %q", line)
		}
	}
	if !utf8.Valid(tsv.Bytes()) {
		t.Errorf("%s: the report is no text", from)
	}
	if !strings.Contains(tsv.String(), `mail	contact.email`) {
		t.Errorf("the mail column is missing:\n%s", tsv.String())
	}
}

// TestCatalogAndStatisticsAreLinear counts the rows that the questions about the catalog read: each table more costs the same, and
// what other tables have of statistics costs nothing.
func TestCatalogAndStatisticsAreLinear(t *testing.T) {
	t.Parallel()
	db := pgtest.Shared(t, pgtest.DefaultMajor).NewDatabase(t)
	db.Exec(t, "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE parent (k int, v text) PARTITION BY RANGE (k)")
	conn := db.Connect(t, pgtest.SuperUser)
	explain := func(sql string, args ...any) float64 {
		var text string
		if err := conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+sql, args...).Scan(&text); err != nil {
			t.Fatal(err)
		}
		var plans []struct{ Plan planNode }
		if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
			t.Fatalf("plan: %v", err)
		}
		return plans[0].Plan.read()
	}
	measure := func(from, to int) (catalog, stats float64) {
		db.Exec(t, fmt.Sprintf(`DO $$ BEGIN FOR i IN %d..%d LOOP
			EXECUTE format('CREATE TABLE w%%s (id serial PRIMARY KEY, a text, m mood); INSERT INTO w%%s(a, m) SELECT x::text, ''good'' FROM generate_series(1, 3) x', i, i);
			EXECUTE format('CREATE TABLE part%%s PARTITION OF parent FOR VALUES FROM (%%s) TO (%%s)', i, i, i + 1);
			END LOOP; END $$`, from, to))
		db.Exec(t, "ANALYZE")
		names := []string{"w1", "w2", "w3"}
		return explain(sampleQuestion("relations")), explain(sampleQuestion("stats"), []string{"public", "public", "public"}, names)
	}
	few, fewStats := measure(1, 40)
	many, manyStats := measure(41, 160)
	t.Logf("catalog: %.0f rows with 40 tables, %.0f with 160; statistics of three tables: %.0f, %.0f", few, many, fewStats, manyStats)
	if each := (many - few) / 120; each > 400 {
		t.Errorf("each table more makes the catalog's query read %.0f rows more", each)
	}
	if manyStats > fewStats+100 {
		t.Errorf("statistics of the same three tables read %.0f rows among 40, %.0f among 160", fewStats, manyStats)
	}
}

// TestAPartitionIsReadThroughItsParent has a login that may read a partitioned table and none of its partitions: its rows are read through it.
func TestAPartitionIsReadThroughItsParent(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db := c.NewDatabase(t)
		c.Role(t, "discover_parent")
		db.Exec(t, `CREATE TABLE part (k int, reach text) PARTITION BY RANGE (k);
			CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (1000) PARTITION BY RANGE (k);
			CREATE TABLE part11 PARTITION OF part1 FOR VALUES FROM (0) TO (500); CREATE TABLE part12 PARTITION OF part1 FOR VALUES FROM (500) TO (1000);
			INSERT INTO part SELECT i, 'p' || i || '@haus.de' FROM generate_series(1, 900) i; GRANT SELECT ON part TO discover_parent`)
		analyse(t, db)
		for _, from := range []discover.From{discover.FromStats, discover.FromAuto, discover.FromSample} {
			rep := discovered(t, feedOf(t, db, "discover_parent"), discover.Options{From: from})
			for _, place := range []string{"public.part.reach", "public.part11.reach", "public.part12.reach"} {
				if got := classOf(t, rep, place); got != "contact.email" {
					t.Errorf("%s: %s is %q", from, place, got)
				}
			}
			if len(rep.NotExamined) > 0 || rep.ExitCode(false) != 0 {
				t.Errorf("%s: exit code %d, %+v", from, rep.ExitCode(false), rep.NotExamined)
			}
		}
		db.Exec(t, "REVOKE SELECT ON part FROM discover_parent; GRANT SELECT ON part11 TO discover_parent")
		rep := discovered(t, feedOf(t, db, "discover_parent"), discover.Options{From: discover.FromSample})
		if got := classOf(t, rep, "public.part11.reach"); got != "contact.email" {
			t.Errorf("a partition of a closed parent is %q", got)
		}
		for _, name := range []string{"part", "part1", "part12"} {
			if g := gapOf(rep, name); g.Why != discover.WhyPrivilege {
				t.Errorf("%s is %+v", name, g)
			}
		}
	})
}

// TestOtherServersAreAskedByChoiceOnly has a second database stand behind postgres_fdw: whether it was asked shows in its sessions,
// which the wrapper keeps as long as the feed's own.
func TestOtherServersAreAskedByChoiceOnly(t *testing.T) {
	c := pgtest.Shared(t, pgtest.DefaultMajor)
	far, db := c.NewDatabase(t), c.NewDatabase(t)
	far.Exec(t, "CREATE TABLE old (k int, reach text); INSERT INTO old SELECT i, 'p' || i || '@haus.de' FROM generate_series(1, 300) i")
	cfg, err := ParseDSN(far.DSN(pgtest.SuperUser), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	db.Exec(t, fmt.Sprintf("CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%s', port '%d', dbname '%s')",
		cfg.Host, cfg.Port, far.Name))
	db.Exec(t, `CREATE USER MAPPING FOR `+pgtest.SuperUser+` SERVER far OPTIONS (user '`+pgtest.SuperUser+`');
		CREATE TABLE part (k int, reach text) PARTITION BY RANGE (k);
		CREATE TABLE part_new PARTITION OF part FOR VALUES FROM (1000) TO (2000);
		CREATE TABLE part_sub PARTITION OF part FOR VALUES FROM (0) TO (1000) PARTITION BY RANGE (k);
		CREATE FOREIGN TABLE part_old PARTITION OF part_sub FOR VALUES FROM (0) TO (1000) SERVER far OPTIONS (table_name 'old');
		CREATE TABLE mother (k int, reach text); CREATE FOREIGN TABLE child () INHERITS (mother) SERVER far OPTIONS (table_name 'old');
		CREATE TABLE abroad (k int, reach text) PARTITION BY RANGE (k);
		CREATE FOREIGN TABLE abroad1 PARTITION OF abroad FOR VALUES FROM (0) TO (1000) SERVER far OPTIONS (table_name 'old');
		CREATE TABLE home (k int, reach text) PARTITION BY RANGE (k); CREATE TABLE home1 PARTITION OF home FOR VALUES FROM (0) TO (1000);
		INSERT INTO home SELECT i, 'h' || i || '@haus.de' FROM generate_series(1, 300) i;
		INSERT INTO part_new SELECT 1000 + i, 'DE8937040044' || (1000000000 + i) FROM generate_series(1, 300) i;
		INSERT INTO mother SELECT i, 'm' || i || '@haus.de' FROM generate_series(1, 300) i;
		CREATE VIEW over AS SELECT lower(reach) AS reach FROM child; CREATE VIEW over_over AS SELECT upper(o.reach) AS reach FROM over o JOIN home h ON true;
		CREATE VIEW over_part AS SELECT lower(reach) AS reach FROM part; CREATE VIEW near AS SELECT lower(reach) AS reach, reach AS same FROM home;
		CREATE MATERIALIZED VIEW kept AS SELECT 'k' || i || '@haus.de' AS reach FROM generate_series(1, 300) i WHERE NOT EXISTS (SELECT FROM abroad WHERE false)`)
	sessions := "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postgres_fdw' AND datname = '" + far.Name + "'"
	c.Query(t, "SELECT count(*) FROM ("+sessions+") s") // making the materialized view asked
	asked := func() string {
		return c.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postgres_fdw' AND datname = '"+far.Name+"'")
	}
	for _, from := range []discover.From{discover.FromAuto, discover.FromSample} {
		rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: from, Include: []string{"public"}})
		if n := asked(); n != "0" {
			t.Fatalf("%s: %s sessions on the other server", from, n)
		}
		for _, name := range []string{"part_old", "part_sub", "child", "abroad", "abroad1"} {
			if g := gapOf(rep, name); g.Why != discover.WhyForeign {
				t.Errorf("%s: %s is %+v", from, name, g)
			}
		}
		if got := classOf(t, rep, "public.part.reach"); got == "contact.email" {
			t.Errorf("%s: part.reach is %q, which only the other server could tell", from, got)
		}
		for _, place := range []string{"public.mother.reach", "public.home.reach"} {
			if got := classOf(t, rep, place); got != "contact.email" {
				t.Errorf("%s: %s is %q, though its own rows say so", from, place, got)
			}
		}
	}
	viewsOfOtherServers(t, db, asked)
	rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: discover.FromSample, Include: []string{"public"}, Foreign: true})
	if n := asked(); n == "0" {
		t.Error("the other server was not asked by choice either")
	}
	if got := classOf(t, rep, "public.abroad.reach"); got != "contact.email" {
		t.Errorf("abroad.reach is %q", got)
	}
}

// viewsOfOtherServers has --views read the views of this server only, and with --foreign the others as well.
func viewsOfOtherServers(t *testing.T, db *pgtest.DB, asked func() string) {
	t.Helper()
	opt := discover.Options{From: discover.FromSample, Include: []string{"public"}, Views: true}
	rep := discovered(t, feedOf(t, db, pgtest.SuperUser), opt)
	if n := asked(); n != "0" {
		t.Fatalf("views: %s sessions on the other server", n)
	}
	for _, name := range []string{"over", "over_over", "over_part"} {
		if g := gapOf(rep, name); g.Why != discover.WhyForeign || strings.Join(g.Columns, " ") != "reach" {
			t.Errorf("%s is %+v", name, g)
		}
	}
	for _, place := range []string{"public.near.reach", "public.near.same", "public.kept.reach"} {
		if got := classOf(t, rep, place); got != "contact.email" {
			t.Errorf("%s is %q", place, got)
		}
	}
	opt.Foreign = true
	rep = discovered(t, feedOf(t, db, pgtest.SuperUser), opt)
	for _, place := range []string{"public.over.reach", "public.over_over.reach", "public.over_part.reach"} {
		if got := classOf(t, rep, place); got != "contact.email" {
			t.Errorf("by choice %s is %q", place, got)
		}
	}
}
