package site

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

// NewShop makes the database of the attack corpus on a cluster of the test's own, with its application's owner, and a
// site with the corpus' policy for it. Nothing is applied yet.
func NewShop(t testing.TB, c *pgtest.Cluster) *Site {
	t.Helper()
	db := NewShopDatabase(t, c)
	return New(t, db, Testdata(t, "postern.yaml"))
}

// NewShopDatabase makes the database alone.
func NewShopDatabase(t testing.TB, c *pgtest.Cluster) *pgtest.DB {
	t.Helper()
	c.Role(t, "app_owner", "NOLOGIN")
	db := c.NewDatabaseNamed(t, "shop")
	db.Exec(t, Testdata(t, "schema.sql"))
	return db
}

// Testdata reads a file of the attack corpus.
func Testdata(t testing.TB, name string) string {
	t.Helper()
	root, err := pgtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "test", "attacks", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
