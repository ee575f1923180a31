package postgres

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// install makes Postern's own schema and tables.
func (d *differ) install() {
	if d.snap.Schema("postern") == nil {
		e := d.change("install", phaseInstall, "make schema postern, for Postern's own records", policy.Pos{})
		e.made = true
		e.because("Postern is not on this database yet")
		e.add("CREATE SCHEMA postern", "DROP SCHEMA postern CASCADE")
		e.add("COMMENT ON SCHEMA postern IS "+quoteLiteral(d.marker(kindSchema, "")), "")
		for _, table := range ownTables() {
			e.add(table, "")
		}
		e.add(fmt.Sprintf("INSERT INTO postern.installation (id, store, generation) VALUES (%s, %s, %d)",
			quoteLiteral(d.w.Installation), quoteLiteral(d.w.Store), d.w.Generation), "")
	} else if wall := d.snap.Wall; wall != nil && wall.Generation != d.w.Generation {
		e := d.change("generation", phaseInstall, "start another generation of identity passwords", policy.Pos{})
		e.because("identity passwords are to be of generation %d", d.w.Generation)
		e.add(fmt.Sprintf("UPDATE postern.installation SET generation = %d", d.w.Generation),
			fmt.Sprintf("UPDATE postern.installation SET generation = %d", wall.Generation))
	}
	d.key()
}

// ownTables are the tables of schema postern (ENF-90, 91, 92, 31). Nobody has rights on them but their owner and whom the plan names.
func ownTables() []string {
	return []string{
		`CREATE TABLE postern.installation (
	id text PRIMARY KEY,
	store text NOT NULL,
	generation int NOT NULL,
	suspended boolean NOT NULL DEFAULT false
)`,
		`CREATE TABLE postern.attribute (
	role name NOT NULL,
	key text NOT NULL,
	value text NOT NULL,
	PRIMARY KEY (role, key, value)
)`,
		`CREATE TABLE postern.holds (
	role name NOT NULL,
	rule text NOT NULL,
	until timestamptz NOT NULL,
	PRIMARY KEY (role, rule)
)`,
		RelationTable,
		KeyTable,
		`CREATE TABLE postern.object (
	kind text NOT NULL,
	identity text NOT NULL,
	schema name,
	name name,
	part name,
	definition text NOT NULL,
	PRIMARY KEY (kind, identity)
)`,
	}
}

// PseudonymKey is the key of pseudonym masks of an installation, derived from its root key.
func pseudonymKey(w *plan.Wanted) []byte {
	mac := hmac.New(sha256.New, []byte(w.RootKey.Reveal()))
	mac.Write([]byte("postern pseudonym key"))
	return mac.Sum(nil)
}

// key puts the pseudonym keys where masks read them, as soon as one mask does (ENF-31).
func (d *differ) key() {
	used := slices.ContainsFunc(d.w.Rules, func(r *plan.Rule) bool {
		return slices.ContainsFunc(r.Tables, func(t *plan.RuleTable) bool {
			return slices.ContainsFunc(t.Forms, func(f plan.Form) bool { return f.Keys })
		})
	})
	if !used {
		return
	}
	ipad, opad := PseudonymKeys(pseudonymKey(d.w))
	sum := sha256.Sum256(append(slices.Clone(ipad), opad...))
	have := ""
	if d.snap.Wall != nil {
		if d.snap.CurrentUser != d.w.Provisioner {
			return // nobody else may look at the keys
		}
		have = d.snap.Wall.KeyDigest
	}
	if have == hex.EncodeToString(sum[:]) {
		return
	}
	e := d.change("key", phaseInstall, "store the key of pseudonym masks", policy.Pos{})
	e.because("a mask makes keyed pseudonyms")
	if have != "" {
		e.because("the stored key is another one: pseudonyms will change")
	}
	e.Secrets = map[string]string{"ipad": hex.EncodeToString(ipad), "opad": hex.EncodeToString(opad)}
	e.add("INSERT INTO postern.key (id, ipad, opad) VALUES (1, decode('{{secret:ipad}}', 'hex'), decode('{{secret:opad}}', 'hex')) "+
		"ON CONFLICT (id) DO UPDATE SET ipad = excluded.ipad, opad = excluded.opad", "DELETE FROM postern.key")
}

// catalog makes the views that stand for the system catalog (ENF-92).
func (d *differ) catalog() {
	statements := CatalogDDL(d.snap.Major(), d.w.Provisioner)
	if len(statements) == 0 {
		return
	}
	digest := CatalogDigest(d.snap.Major())
	schema := d.snap.Schema("postern_catalog")
	var reasons []string
	drifted := false
	if schema == nil {
		reasons = append(reasons, "subjects see a catalog of their own")
	} else {
		if m, _ := parseMarker(schema.Comment); m.Digest != digest {
			reasons = append(reasons, "this version of Postern has another catalog")
		}
		if rec := recorded(d.snap, "catalog", "postern_catalog"); rec == nil || rec.Then != rec.Now {
			drifted = true
			reasons = append(reasons, "schema postern_catalog was changed by hand")
		}
	}
	if len(reasons) == 0 {
		return
	}
	e := d.change("catalog", phaseCatalog, "make schema postern_catalog, the catalog that subjects see", policy.Pos{})
	e.reasons, e.Drift = append(e.reasons, reasons...), drifted
	for _, sql := range statements {
		e.add(sql, "")
	}
	if schema == nil {
		e.Reverse = append([]string{"DROP SCHEMA postern_catalog CASCADE"}, e.Reverse...)
	}
	e.add("COMMENT ON SCHEMA postern_catalog IS "+quoteLiteral(d.marker(kindSchema, digest)), "")
	e.add(record("catalog", "postern_catalog", catalog.Name{Schema: "postern_catalog"}, ""), "")
}

// record notes that apply has to write down an object's definition as the server renders it.
func record(kind, identity string, where catalog.Name, part string) string {
	return fmt.Sprintf("INSERT INTO postern.object (kind, identity, schema, name, part, definition) VALUES (%s, %s, %s, %s, %s, '') "+
		"ON CONFLICT (kind, identity) DO UPDATE SET definition = ''", quoteLiteral(kind), quoteLiteral(identity),
		quoteLiteral(where.Schema), quoteLiteral(where.Name), quoteLiteral(part))
}

// note records something that the server does not render: the text stays as it is.
func note(kind, identity, text string) string {
	return fmt.Sprintf("INSERT INTO postern.object (kind, identity, definition) VALUES (%s, %s, %s) ON CONFLICT (kind, identity) DO UPDATE SET definition = excluded.definition",
		quoteLiteral(kind), quoteLiteral(identity), quoteLiteral(text))
}

// forget removes a record.
func forget(kind, identity string) string {
	return fmt.Sprintf("DELETE FROM postern.object WHERE kind = %s AND identity = %s", quoteLiteral(kind), quoteLiteral(identity))
}
