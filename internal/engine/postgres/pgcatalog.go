package postgres

// RelationTable is the table that tells the views of schema postern_catalog which relations a profile admits (ENF-92). apply
// keeps one row per profile and admitted relation; nobody but the provisioner writes it, and no identity role can read it:
// the views read it with their owner's rights.
//
//   - profile_role: the role that identity roles are members of;
//   - base: the application's relation;
//   - view: what the profile reads: the view in its schema, or the base itself where it is open (ENF-93);
//   - plain: an unqualified name reaches it, as pg_table_is_visible would say.
const RelationTable = `CREATE TABLE IF NOT EXISTS postern.relation (
	profile_role name NOT NULL,
	base oid NOT NULL,
	view oid NOT NULL,
	plain boolean NOT NULL,
	PRIMARY KEY (profile_role, base)
)`

// KeyTable holds the padded HMAC keys of pseudonym masks (ENF-31): one row, readable by maskers only. See PseudonymKeys.
const KeyTable = `CREATE TABLE IF NOT EXISTS postern.key (
	id smallint PRIMARY KEY CHECK (id = 1),
	ipad bytea NOT NULL CHECK (length(ipad) = 64),
	opad bytea NOT NULL CHECK (length(opad) = 64)
)`

// CatalogDDL returns the statements that make schema postern_catalog with its views and functions, owned by owner, on a
// server of that major version; each runs as the provisioner. They replace what an earlier version made. RelationTable must
// exist. Everything in it may be used by everyone: for a role without a profile the views show system objects only.
func CatalogDDL(major int, owner string) []string { return nil }

// CatalogDigest is a hash of what CatalogDDL makes: it belongs in the schema's marker comment, so that plan sees when an installed
// catalog is another version's.
func CatalogDigest(major int) string { return "" }
