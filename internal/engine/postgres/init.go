package postgres

import (
	"fmt"
	"strings"
	"unicode"
)

// InitOptions says for whom InitSQL writes.
type InitOptions struct {
	Database    string
	Major       int
	Provisioner string
	Grantor     string
	// Verifiers of the passwords of both; a placeholder is printed where one is empty.
	ProvisionerVerifier, GrantorVerifier string
	Owners                               []string // owners of the tables to protect
	SuperOwners                          []string // those of them that are superusers: the provisioner must not become one by membership
	Adopt                                []string // existing login roles that will become identity roles
}

// InitSQL is the SQL that a superuser runs once, so that Postern's own logins have exactly the rights they need: the provisioner for
// plan and apply, the grantor for serve. Every line says what it is for.
func InitSQL(o InitOptions) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	admin, grantor, db := quoteIdent(o.Provisioner), quoteIdent(o.Grantor), quoteIdent(o.Database)
	line("-- Run as a superuser in database %s. It makes two logins and changes no right of anybody else.", comment(o.Database))
	line("")
	line("-- The provisioner, for postern plan and apply: makes roles, schemas and row policies.")
	if o.Major < 16 {
		line("-- Before PostgreSQL 16, CREATEROLE is also the right to change every role that is not a superuser: keep its password well.")
	}
	line("CREATE ROLE %s LOGIN CREATEROLE PASSWORD %s;", admin, verifierOr(o.ProvisionerVerifier))
	line("GRANT CREATE ON DATABASE %s TO %s;", db, admin)
	line("GRANT CONNECT ON DATABASE %s TO %s WITH GRANT OPTION;", db, admin)
	if len(o.Owners)+len(o.SuperOwners) == 0 {
		line("-- For each owner of tables to protect: GRANT owner TO %s%s;", admin, membershipOptions(o.Major))
	}
	for _, owner := range o.Owners {
		line("-- Member of the owner %s: row policies and column grants are the owner's to give.", comment(owner))
		line("GRANT %s TO %s%s;", quoteIdent(owner), admin, membershipOptions(o.Major))
	}
	for _, owner := range o.SuperOwners {
		line("-- %s owns tables and is a superuser: membership would make the provisioner one too. Give the tables an owner of", comment(owner))
		line("-- their own first, and the provisioner membership in it:")
		line("--   CREATE ROLE app_owner NOLOGIN;  ALTER TABLE … OWNER TO app_owner;  GRANT app_owner TO %s%s;", comment(admin), membershipOptions(o.Major))
	}
	for _, role := range o.Adopt {
		if o.Major >= 16 {
			line("-- %s becomes the login of a subject (adopt: true).", comment(role))
			line("GRANT %s TO %s WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;", quoteIdent(role), admin)
		}
	}
	line("-- To check that no line of pg_hba.conf lets subjects in without a password.")
	line("GRANT SELECT ON pg_catalog.pg_hba_file_rules TO %s;", admin)
	line("GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO %s;", admin)
	line("")
	line("-- The grantor, for postern serve: moves subjects between profiles, and has no right on any table of the application.")
	line("CREATE ROLE %s LOGIN CREATEROLE PASSWORD %s;", grantor, verifierOr(o.GrantorVerifier))
	line("GRANT CONNECT ON DATABASE %s TO %s;", db, grantor)
	if o.Major >= 16 {
		line("-- The provisioner gives memberships in the grantor's name, so that serve can end them.")
		line("GRANT %s TO %s WITH INHERIT TRUE, SET FALSE;", grantor, admin)
	}
	return b.String()
}

// comment keeps a name on the line of the comment it stands in: a superuser runs what comes after a line end.
func comment(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, name)
}

func verifierOr(v string) string {
	if v == "" {
		return "'…' /* put a password here, or a verifier made by: postern user hash */"
	}
	return quoteLiteral(v)
}

func membershipOptions(major int) string {
	if major >= 16 {
		return " WITH INHERIT TRUE, SET TRUE"
	}
	return ""
}
