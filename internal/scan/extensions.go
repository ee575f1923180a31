package scan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// extensionChecks are the checks of area EXT.
func extensionChecks() []Check {
	extensions := []catalog.Fact{catalog.FactExtensions}
	return []Check{
		{ID: "EXT-001", Why: "The files on disk have corrections that the database has not taken yet.", Reads: []catalog.Fact{catalog.FactExtensions, catalog.FactAvailable}, Eval: outdatedExtensions},
		{ID: "EXT-002", Why: "Each extension is code in the server; one that nobody asked for is one too many.", Reads: extensions, Given: func(env *Env) bool { return env.Expect != nil && env.Expect.Extensions != nil }, Eval: unexpectedExtensions},
		{ID: "EXT-003", Why: "It reaches files or other servers, or has a history of faults.", Reads: extensions, Eval: riskyExtensions},
		{ID: "EXT-004", Why: "The fault is in the extension, so it counts where the extension is installed.", Reads: extensions, Eval: extensionCVEs},
		{ID: "EXT-005", Why: "Its objects stand where others may stand too, or its owner is not an administrator.", Reads: []catalog.Fact{catalog.FactExtensions, catalog.FactRoles, catalog.FactMemberships}, Eval: extensionPlace},
		{ID: "EXT-006", Why: "A library loaded at start can do anything, in every session.", Given: func(env *Env) bool { return env.Expect != nil && env.Expect.Libraries != nil }, Eval: unknownLibraries},
		wrongSetting("EXT-009", "A library named here runs in the server for whoever may replicate.", "output_plugin_libraries", func(v string) bool {
			return slices.ContainsFunc(items(v), func(s string) bool { return s != "pgoutput" && s != "test_decoding" })
		}, "pgoutput, test_decoding"),
		wrongSetting("EXT-010", "The server no longer refuses values whose type is not what the code believes.", "composite_type_mismatch", func(v string) bool {
			return strings.ToLower(v) != "error"
		}, "error"),
		{ID: "EXT-012", Why: "With this option a cipher that fails passes for one that works.", Reads: []catalog.Fact{catalog.FactFunctions, catalog.FactRoutines}, Eval: cipherFailureIgnored},
		{ID: "EXT-013", Why: "The texts of other people's statements hold their data, and passwords when utility statements are recorded.", Reads: []catalog.Fact{catalog.FactExtensions, catalog.FactRelations}, Eval: statementsOpen},
		{ID: "EXT-014", Why: "It runs with every DDL statement, whoever gives it.", Reads: []catalog.Fact{catalog.FactEventTriggers, catalog.FactRoles, catalog.FactMemberships}, Eval: eventTriggerOwners},
	}
}

// eachExtension makes a check of installed extensions.
func eachExtension(e *catalog.Evidence, bad func(*catalog.DatabaseEvidence, *catalog.Extension) (what, fix string)) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Extensions {
			x := &d.Extensions[i]
			if what, fix := bad(d, x); what != "" {
				fs = append(fs, Finding{Object: inDB(d, "extension", x.Name), Evidence: what, Fix: onDB(d, fix)})
			}
		}
	}
	return found(fs)
}

func outdatedExtensions(e *catalog.Evidence, _ *Env) Verdict {
	return eachExtension(e, func(_ *catalog.DatabaseEvidence, x *catalog.Extension) (string, string) {
		for _, a := range e.Server.Available {
			if a.Name == x.Name && a.Default != x.Version {
				return fmt.Sprintf("version %s, %s is available", x.Version, a.Default), "ALTER EXTENSION " + quoteIdent(x.Name) + " UPDATE;"
			}
		}
		return "", ""
	})
}

func unexpectedExtensions(e *catalog.Evidence, env *Env) Verdict {
	return eachExtension(e, func(_ *catalog.DatabaseEvidence, x *catalog.Extension) (string, string) {
		if x.Name == "plpgsql" || slices.Contains(env.Expect.Extensions, x.Name) {
			return "", ""
		}
		return "is not among those that the site allows", "DROP EXTENSION " + quoteIdent(x.Name) + ";"
	})
}

// riskyExtension says why an extension is one to do without.
var riskyExtension = map[string]string{
	"adminpack": "writes files on the server", "file_fdw": "reads files on the server", "dblink": "connects to other servers",
	"plpython3u": "runs any code as the server's account", "plpythonu": "runs any code as the server's account", "plperlu": "runs any code as the server's account",
	"pltclu": "runs any code as the server's account", "lo": "deletes large objects by trigger", "xml2": "is obsolete and fetches what a document names",
	"refint": "is obsolete and had a hole that gave code execution", "http": "connects to other servers", "pg_net": "connects to other servers", "plsh": "runs any program",
}

func riskyExtensions(e *catalog.Evidence, _ *Env) Verdict {
	return eachExtension(e, func(_ *catalog.DatabaseEvidence, x *catalog.Extension) (string, string) {
		if why := riskyExtension[x.Name]; why != "" {
			return why, "DROP EXTENSION " + quoteIdent(x.Name) + ";"
		}
		return "", ""
	})
}

func extensionCVEs(e *catalog.Evidence, env *Env) Verdict {
	open, _ := env.Advisories.Open(e.Server.Major(), e.Server.Minor(), "contrib", "pl")
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Extensions {
			x := &d.Extensions[i]
			var mine []CVE
			for _, c := range open {
				if slices.Contains(c.Extensions, x.Name) {
					mine = append(mine, c)
				}
			}
			if len(mine) == 0 {
				continue
			}
			fs = append(fs, Finding{
				Object: inDB(d, "extension", x.Name), Evidence: fmt.Sprintf("%d open: %s", len(mine), cveList(mine)), Severity: severityOf(mine), Moved: "by the worst of them",
				Fix: updateTo(e, env),
			})
		}
	}
	return found(fs)
}

func extensionPlace(e *catalog.Evidence, _ *Env) Verdict {
	return eachExtension(e, func(_ *catalog.DatabaseEvidence, x *catalog.Extension) (string, string) {
		owner := e.Server.Role(x.Owner)
		switch {
		case owner != nil && !owner.Superuser && !administrator(e, owner):
			return "is owned by " + x.Owner + ", who is no administrator", "DROP EXTENSION " + quoteIdent(x.Name) + "; -- and let an administrator create it"
		case x.Schema == "public":
			return "stands in schema public", "ALTER EXTENSION " + quoteIdent(x.Name) + " SET SCHEMA …;"
		}
		return "", ""
	})
}

func unknownLibraries(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for _, name := range []string{"shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"} {
		for _, lib := range items(value(e, name)) {
			if !slices.Contains(env.Expect.Libraries, strings.TrimPrefix(lib, "$libdir/")) {
				fs = append(fs, Finding{Object: "library " + lib, Evidence: show(e, name), Place: place(e, name), Fix: "take it out of " + name})
			}
		}
	}
	return found(fs)
}

func cipherFailureIgnored(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Routines {
			if f := d.Function(d.Routines[i].OID); f != nil && d.Routines[i].Body.CipherFailure {
				fs = append(fs, Finding{Object: inDB(d, "function", f.Signature()), Evidence: "names the option ignore-cipher-failure", Fix: "take the option out"})
			}
		}
	}
	return found(fs)
}

func statementsOpen(e *catalog.Evidence, _ *Env) Verdict {
	installed := false
	var fs []Finding
	for _, d := range e.Databases {
		for _, x := range d.Extensions {
			installed = installed || x.Name == "pg_stat_statements"
		}
		for i := range d.Relations {
			r := &d.Relations[i]
			if r.Extension != "pg_stat_statements" || r.Name.Name != "pg_stat_statements" {
				continue
			}
			for _, g := range r.ACL {
				// PUBLIC may read the view by default; other roles' texts show to pg_read_all_stats alone.
				if g.Grantee != "" && g.Grantee != r.Owner && !superuserName(e, g.Grantee) && !catalog.Predefined(g.Grantee) {
					fs = append(fs, Finding{Object: inDB(d, "view", r.Name.String()) + ", " + grantee(g.Grantee), Evidence: g.Privilege, Fix: onDB(d, "REVOKE ALL ON "+qualified(r.Name)+" FROM "+quoteIdent(g.Grantee)+";")})
				}
			}
		}
	}
	if !installed && !seen(e, "pg_stat_statements.track_utility") {
		return notApplicable("pg_stat_statements is not installed")
	}
	if on(e.Server.Value("pg_stat_statements.track_utility")) {
		fs = append(fs, badSetting(e, "pg_stat_statements.track_utility", "off"))
	}
	return found(fs)
}

func eventTriggerOwners(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	any := false
	for _, d := range e.Databases {
		for _, t := range d.EventTriggers {
			any = true
			if r := e.Server.Role(t.Owner); r != nil && !r.Superuser && !administrator(e, r) {
				fs = append(fs, Finding{Object: inDB(d, "event trigger", t.Name), Evidence: "is owned by " + t.Owner, Fix: onDB(d, "ALTER EVENT TRIGGER "+quoteIdent(t.Name)+" OWNER TO …;")})
			}
		}
	}
	if v := e.Server.Setting("event_triggers"); v != nil && !on(v.Value) && any {
		fs = append(fs, badSetting(e, "event_triggers", "on"))
	}
	return found(fs)
}
