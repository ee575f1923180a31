package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/postern-sec/postern/internal/catalog"
)

// server asks what is true of the whole cluster.
func (s *scanSession) server(ctx context.Context, address string) error {
	srv := &catalog.Server{}
	if err := s.askOne(ctx, serverMajor(s.conn), &scanQuestion{folder: "scan", file: "server", into: srv}); err != nil {
		return fmt.Errorf("read what the server is: %w", err)
	}
	srv.Address = address
	s.evidence.Server = srv
	conninfo := map[string]string{}
	all := []scanQuestion{
		{fact: catalog.FactSettings, folder: "scan", file: "settings", into: &srv.Settings},
		{fact: catalog.FactOverrides, folder: "scan", file: "overrides", into: &srv.Overrides},
		{fact: catalog.FactRoles, folder: "inspect", file: "roles", into: &srv.Roles},
		{fact: catalog.FactMemberships, folder: "inspect", file: "memberships", into: &srv.Memberships},
		{fact: catalog.FactDatabases, folder: "scan", file: "databases", into: &srv.Databases},
		{fact: catalog.FactActivity, folder: "scan", file: "activity", into: &srv.Activity},
		{fact: catalog.FactArchiver, folder: "scan", file: "archiver", into: &srv.Archiver},
		{fact: catalog.FactSlots, folder: "scan", file: "slots", into: &srv.Slots},
		{fact: catalog.FactChecksums, folder: "scan", file: "checksums", into: &srv.Checksums},
		{fact: catalog.FactTablespaces, folder: "scan", file: "tablespaces", into: &srv.Tablespaces},
		{fact: catalog.FactSubscriptions, folder: "scan", file: "subscriptions", into: &srv.Subscriptions},
		{fact: catalog.FactAvailable, folder: "scan", file: "available", into: &srv.Available},
		{fact: catalog.FactOwned, folder: "scan", file: "owned", into: &srv.Owned},
	}
	a := &srv.Access
	all = s.wanted(all, true, a.HBA, "SELECT on pg_hba_file_rules", scanQuestion{fact: catalog.FactHBA, folder: "scan", file: "hba", into: &srv.HBA})
	all = s.wanted(all, srv.Major() >= 15, a.Ident, "SELECT on pg_ident_file_mappings",
		scanQuestion{fact: catalog.FactIdent, folder: "scan", file: "ident", into: &srv.Ident})
	all = s.wanted(all, srv.Major() >= 15, true, "", scanQuestion{fact: catalog.FactParameters, folder: "scan", file: "parameters", into: &srv.Parameters})
	all = s.wanted(all, true, a.FileSettings, "SELECT on pg_file_settings",
		scanQuestion{fact: catalog.FactFileSettings, folder: "scan", file: "filesettings", into: &srv.FileSettings})
	verifiers := scanQuestion{fact: catalog.FactVerifiers, folder: "scan", file: "verifiers", into: &srv.Verifiers}
	if !a.Verifiers {
		verifiers.file = "verifiers_definer"
	}
	all = s.wanted(all, true, a.Verifiers || a.Definer, "superuser, or EXECUTE on postern_scan.verifier_kinds()", verifiers)
	all = s.wanted(all, true, a.Superuser, "superuser", scanQuestion{fact: catalog.FactConninfo, folder: "scan", file: "conninfo", into: &conninfo})
	all = s.wanted(all, true, a.StatFile && a.ReadSettings, "EXECUTE on pg_stat_file",
		scanQuestion{fact: catalog.FactHBAFile, folder: "scan", file: "hbafile", into: &srv.HBAFile})
	s.ask(ctx, "", all)
	finishServer(srv, conninfo)
	return nil
}

// wanted adds a question when the server has the thing and the login may ask for it; else it notes what is missing.
func (s *scanSession) wanted(all []scanQuestion, exists, allowed bool, need string, q scanQuestion) []scanQuestion {
	switch {
	case !exists:
		return all
	case !allowed:
		s.evidence.Unseen = append(s.evidence.Unseen, catalog.Unseen{Fact: q.fact, Why: "needs " + need})
		return all
	}
	return append(all, q)
}

// finishServer takes secrets out and brings lists into an order of our own.
func finishServer(srv *catalog.Server, conninfo map[string]string) {
	for i := range srv.Settings {
		v := &srv.Settings[i]
		if v.Type == "string" {
			v.Value, v.Boot, v.Reset = catalog.Redact(v.Value), catalog.Redact(v.Boot), catalog.Redact(v.Reset)
		}
	}
	for i := range srv.Overrides {
		srv.Overrides[i].Value = catalog.Redact(srv.Overrides[i].Value)
	}
	for i := range srv.Subscriptions {
		if c, ok := conninfo[srv.Subscriptions[i].Name]; ok {
			c = catalog.Redact(c)
			srv.Subscriptions[i].Conninfo = &c
		}
	}
	for i := range srv.HBA {
		for j, o := range srv.HBA[i].Options {
			srv.HBA[i].Options[j] = catalog.RedactOption(o)
		}
	}
	slices.SortFunc(srv.Settings, func(a, b catalog.Setting) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(srv.Roles, func(a, b catalog.Role) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(srv.Databases, func(a, b catalog.DatabaseFacts) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(srv.Memberships, func(a, b catalog.Membership) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Member, b.Member), cmp.Compare(a.Grantor, b.Grantor))
	})
	slices.SortFunc(srv.Overrides, func(a, b catalog.Override) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Database, b.Database), cmp.Compare(a.Name, b.Name))
	})
}

// routineText is a routine with the body that is looked at and dropped.
type routineText struct {
	catalog.Routine
	Source string
	Uses   []catalog.Name // of a body that the server has parsed (BEGIN ATOMIC)
}

// foundText is a text that may hold a credential.
type foundText struct{ Object, Text string }

// database asks what is true of the database that was entered.
func (s *scanSession) database(ctx context.Context) {
	d := &catalog.DatabaseEvidence{}
	name := s.conn.Config().Database
	var (
		columns  []ofRelation[catalog.Column]
		keys     []ofRelation[catalog.Key]
		foreign  []ofRelation[catalog.ForeignKey]
		policies []ofRelation[catalog.RowPolicy]
		triggers []ofRelation[catalog.Trigger]
		views    []view
		routines []routineText
		texts    []foundText
	)
	if err := s.askOne(ctx, serverMajor(s.conn), &scanQuestion{folder: "scan", file: "systemid", into: &d.Snapshot}); err != nil {
		s.evidence.Unseen = append(s.evidence.Unseen, catalog.Unseen{Fact: catalog.FactRelations, Database: name, Why: whyUnseen(err), Broken: true})
		return
	}
	all := []scanQuestion{
		{fact: catalog.FactSchemas, folder: "inspect", file: "schemas", into: &d.Schemas},
		{fact: catalog.FactRelations, folder: "scan", file: "relations", into: &d.Relations},
		{fact: catalog.FactColumns, folder: "scan", file: "columns", into: &columns},
		{fact: catalog.FactPolicies, folder: "inspect", file: "policies", into: &policies},
		{fact: catalog.FactTriggers, folder: "scan", file: "triggers", into: &triggers},
		{fact: catalog.FactViews, folder: "scan", file: "views", into: &views},
		{fact: catalog.FactKeys, folder: "scan", file: "keys", into: &keys},
		{fact: catalog.FactForeignKeys, folder: "scan", file: "foreignkeys", into: &foreign},
		{fact: catalog.FactFunctions, folder: "inspect", file: "functions", into: &d.Functions},
		{fact: catalog.FactRoutines, folder: "scan", file: "routines", into: &routines},
		{fact: catalog.FactTypes, folder: "scan", file: "typeacls", into: &d.TypeACLs},
		{fact: catalog.FactLanguages, folder: "inspect", file: "languages", into: &d.Languages},
		{fact: catalog.FactExtensions, folder: "inspect", file: "extensions", into: &d.Extensions},
		{fact: catalog.FactLargeObjects, folder: "scan", file: "largeobjects", into: &d.LargeObjects},
		{fact: catalog.FactDefaultACLs, folder: "inspect", file: "defaultacls", into: &d.DefaultACLs},
		{fact: catalog.FactSystemGrants, folder: "scan", file: "systemgrants", into: &d.SystemGrants},
		{fact: catalog.FactForeignServers, folder: "scan", file: "foreignservers", into: &d.ForeignServers},
		{fact: catalog.FactUserMappings, folder: "scan", file: "usermappings", into: &d.UserMappings},
		{fact: catalog.FactPublications, folder: "scan", file: "publications", into: &d.Publications},
		{fact: catalog.FactEventTriggers, folder: "scan", file: "eventtriggers", into: &d.EventTriggers},
		{fact: catalog.FactTexts, folder: "scan", file: "texts", into: &texts},
		{fact: catalog.FactSecLabels, folder: "scan", file: "seclabels", into: &d.SecLabels},
	}
	if m := serverMajor(s.conn); m >= 14 && m <= 16 {
		all = append(all, scanQuestion{fact: catalog.FactStatsExt, folder: "scan", file: "statsext", into: &d.OldStatsExt})
	}
	s.ask(ctx, name, all)
	byOID := map[catalog.OID]*catalog.Relation{}
	for i := range d.Relations {
		byOID[d.Relations[i].OID] = &d.Relations[i]
	}
	for _, parts := range []any{&columns, &keys, &foreign, &policies, &triggers, &views} {
		attach(byOID, parts)
	}
	finishDatabase(d, routines, texts)
	s.samples(ctx, d)
	s.statements(ctx, d)
	s.evidence.Databases = append(s.evidence.Databases, d)
}

// finishDatabase looks at texts, drops them, and sorts.
func finishDatabase(d *catalog.DatabaseEvidence, routines []routineText, texts []foundText) {
	names, definer := map[catalog.OID]string{}, map[catalog.OID]bool{}
	for i := range d.Functions {
		names[d.Functions[i].OID], definer[d.Functions[i].OID] = d.Functions[i].Signature(), d.Functions[i].SecurityDefiner
	}
	relations := map[string][]catalog.Name{}
	for i := range d.Relations {
		relations[d.Relations[i].Name.Name] = append(relations[d.Relations[i].Name.Name], d.Relations[i].Name)
	}
	for _, r := range routines {
		r.Body = catalog.LookAtBody("function "+names[r.OID], r.Source)
		if definer[r.OID] {
			r.Body.Names, r.Body.Bound = catalog.NamesIn(r.Source, relations), r.Uses
		}
		for i, c := range r.Config {
			r.Config[i] = catalog.Redact(c)
		}
		d.Routines = append(d.Routines, r.Routine)
	}
	for _, t := range texts {
		d.Secrets = append(d.Secrets, catalog.FindSecrets(t.Object, t.Text)...)
	}
	for i := range d.ForeignServers {
		for j, o := range d.ForeignServers[i].Options {
			d.ForeignServers[i].Options[j] = catalog.RedactOption(o)
		}
	}
	sortSnapshot(&d.Snapshot)
	slices.SortFunc(d.Routines, func(a, b catalog.Routine) int { return cmp.Compare(a.OID, b.OID) })
}
