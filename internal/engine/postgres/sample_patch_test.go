package postgres

import (
	"slices"
	"testing"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
)

// A patch must load: what discover writes is the policy language.
func TestThePatchLoads(t *testing.T) {
	db := pgtest.Default(t).NewDatabase(t)
	db.Exec(t, discoverTables+`CREATE SCHEMA other; CREATE TABLE other.t (email text); CREATE TABLE "O'Neil ""x"".y" ("e: {mail} #" text);
		INSERT INTO "O'Neil ""x"".y" SELECT 'o' || i || '@haus.de' FROM generate_series(1, 30) i`)
	rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{Store: "shop"})
	raw := []byte(minimalPolicy)
	bare, err := config.Parse(t.TempDir(), []config.File{{Name: "postern.yaml", Text: raw}}, pgsql.Syntax{})
	if err != nil {
		t.Fatal(err)
	}
	if left := rep.Unserved(bare.Policy); !slices.Equal(left, []string{"other", "veiled"}) {
		t.Errorf("left out: %q", left)
	}
	patched, err := rep.Patch(raw, bare.Policy)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(t.TempDir(), []config.File{{Name: "postern.yaml", Text: patched}}, pgsql.Syntax{})
	if err != nil {
		t.Fatalf("the patched file does not load: %v\n%s", err, patched)
	}
	col := policy.Column{Table: policy.Table{Store: "shop", Schema: "public", Name: "customers"}, Column: "email"}
	if l := cfg.Policy.Labels[col]; l == nil || l.Class != "contact.email" {
		t.Errorf("label %+v\n%s", l, patched)
	}
	odd := policy.Column{Table: policy.Table{Store: "shop", Schema: "public", Name: `O'Neil "x".y`}, Column: "e: {mail} #"}
	if l := cfg.Policy.Labels[odd]; l == nil || l.Class != "contact.email" {
		t.Errorf("a name that needs quotes has no label\n%s", patched)
	}
	again, err := rep.Patch(patched, cfg.Policy)
	if err != nil || string(again) != string(patched) {
		t.Errorf("a second patch changes the file (%v):\n%s", err, again)
	}
}

const minimalPolicy = `version: 1
state: sqlite:postern.db # here
keys: {root: {file: root.key}, audit: {file: audit.key}}
stores:
  shop: {engine: postgres, address: /tmp, database: shop, schemas: [public], grantor: {user: g}, provisioner: {user: p}}
gateway:
  listeners: [{engine: postgres, address: 127.0.0.1:6432}]
`

// Every mask that a class suggests fits the types in which the class occurs.
func TestSuggestedMasksCompile(t *testing.T) {
	c, err := classify.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Classes() {
		for _, typ := range []string{"text", "character varying(20)", "integer", "bigint", "numeric(10,2)", "double precision", "date", "timestamp with time zone", "boolean", "uuid", "inet", "bytea", "jsonb", "text[]"} {
			name := string(classify.SuggestMask(k.Mask, typ, ""))
			if name == "constant" {
				name = `constant("***")`
			}
			m, err := policy.ParseMask(name)
			if err != nil {
				continue // a mask of a later version: the patch writes hidden instead
			}
			if m.IsRaw() {
				continue
			}
			if _, err := MaskSQL(m, catalog.Column{Name: "c", Type: typ}, `"c"`); err != nil {
				t.Errorf("%s on %s: %s: %v", k.Class, typ, name, err)
			}
		}
	}
}
