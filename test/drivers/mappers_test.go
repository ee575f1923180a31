package drivers_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// clerks is the corpus' policy with a clerk, who reads what the analyst reads and may change the products.
func clerks(t *testing.T) string {
	t.Helper()
	policy := site.Testdata(t, "postern.yaml")
	for old, changed := range map[string]string{
		"shop.public.orders, shop.public.products,": "shop.public.orders,",
		"\nrules:\n":          "\n  goods: {include: [shop.public.products]}\n\nrules:\n",
		"    to: [analyst]\n": "    to: [analyst, clerk]\n",
		"\nbaseline:": "\n  goods-write: {to: [clerk], on: goods, level: write," +
			" write: {shop.public.products: {update: [sku, price], insert: true, delete: true}}}\n\nbaseline:",
		"  owner: {scram:": "  clerk: {scram: \"{{scram clerk}}\", role: clerk}\n  owner: {scram:",
	} {
		if !strings.Contains(policy, old) {
			t.Fatalf("the corpus' policy has no %q", old)
		}
		policy = strings.Replace(policy, old, changed, 1)
	}
	return policy
}

// TestMappers lets mappers connect, look at the catalog, read masked and filtered rows in every way that they load them, and write what
// a rule lets them write, in transactions with savepoints and locks. What they see is in golden files.
func TestMappers(t *testing.T) {
	s := site.New(t, site.NewShopDatabase(t, pgtest.Start(t, pgtest.DefaultMajor)), clerks(t))
	s.Apply(t)
	s.Serve(t)
	env := append(s.Environ("clerk", "shop"), "NODE_PATH="+mapperModules(t))
	t.Run("Sequelize", func(t *testing.T) {
		golden(t, "sequelize", runAs(t, env, "node", "clients/mappers/sequelize_orm.js"))
	})
	t.Run("TypeORM", func(t *testing.T) {
		golden(t, "typeorm", runAs(t, env, "node", "clients/mappers/typeorm_orm.js"))
	})
	t.Run("Prisma", func(t *testing.T) {
		golden(t, "prisma", runAs(t, append(env, "PRISMA_CLIENT="+prismaClient(t)), "node", "clients/mappers/prisma_orm.js"))
	})
	t.Run("ActiveRecord", func(t *testing.T) {
		golden(t, "activerecord", runAs(t, env, "/usr/bin/ruby", "-W0", "clients/mappers/activerecord_orm.rb"))
	})
	t.Run("Hibernate", func(t *testing.T) {
		var jars []string
		for _, jar := range strings.Fields(`hibernate-core hibernate-commons-annotations geronimo-jpa_2.0_spec geronimo-jta-1.2-spec dom4j slf4j-api
			slf4j-nop antlr commons-collections3 javassist postgresql`) {
			jars = append(jars, "/usr/share/java/"+jar+".jar")
		}
		classes := t.TempDir()
		path := classes + ":" + strings.Join(jars, ":")
		runAs(t, env, "javac", "-cp", path, "-d", classes, "clients/mappers/Hibernate.java")
		golden(t, "hibernate", runAs(t, env, "java", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-cp", path, "Hibernate"))
	})
}

// mapperModules is where the mappers for node are.
func mapperModules(t *testing.T) string {
	t.Helper()
	return nodeModules(t, "clients/mappers", "sequelize")
}

// prismaClient generates Prisma's client for the schema. What it would fetch from elsewhere it does not need: queries are compiled by
// WebAssembly of its own and sent by node-postgres.
func prismaClient(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	schema, err := os.ReadFile("clients/mappers/schema.prisma")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "schema.prisma")
	if err := os.WriteFile(file, schema, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(mapperModules(t), filepath.Join(dir, "node_modules")); err != nil { // the generator looks for the client's runtime here
		t.Fatal(err)
	}
	runAs(t, append(os.Environ(), "PRISMA_SCHEMA_ENGINE_BINARY=/bin/true", "PRISMA_QUERY_ENGINE_LIBRARY=/bin/true", "PRISMA_GENERATE_SKIP_AUTOINSTALL=1",
		"CHECKPOINT_DISABLE=1", "DATABASE_URL=none"), "node", mapperModules(t)+"/prisma/build/index.js", "generate", "--schema", file)
	return filepath.Join(dir, "client")
}
