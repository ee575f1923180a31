package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/scan"
)

// whoCanFlags are the flags of postern who-can.
type whoCanFlags struct {
	role, store, dsn, fromSnapshot, format string
	verbose                                bool
}

func (a *app) whoCan() *cobra.Command {
	var f whoCanFlags
	cmd := &cobra.Command{
		Use:   "who-can VERB [STORE.]SCHEMA.TABLE[.COLUMN] | --role ROLE",
		Short: "list who can reach a table or column, and by which path",
		Long: `Lists every role of the server that comes to a table or column, with each path: memberships that
inherit, SET ROLE, what a role may grant itself, ownership, predefined roles, PUBLIC, column
grants, views and functions that run with their owner's rights, parents of partitions, row
policies. With a policy it also lists the people who come to it through Postern, and whether
they see each column raw, masked, filtered (raw, and not in every row) or not at all (none).

VERB is a privilege of PostgreSQL (select, insert, update, delete, truncate, references,
trigger, maintain), or read, write or own. --role says what one role can do instead.

Nothing is run but questions to the catalog. "perhaps" stands where a view's or function's own
text decides what it shows.

Exit codes: 0 answered, 2 could not look or wrong use, 3 something that should have been looked
at was not.`,
		Example: `  postern who-can read public.customers
  postern who-can select shop.public.customers.email --format json
  postern who-can write public.orders --dsn "host=db1 dbname=shop user=postern_scanner"
  postern who-can --role app`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runWhoCan(cmd.Context(), args, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.role, "role", "", "say what this `role` can do")
	fl.StringVar(&f.dsn, "dsn", "", "ask the server that this `connection string` names; no policy is read")
	fl.StringVar(&f.fromSnapshot, "from-snapshot", "", "answer from what postern scan --snapshot saved in `file`; its only database, or the one that --store names")
	storeFlag(cmd, &f.store)
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show every path, those of Postern's own roles too")
	formatFlag(cmd, &f.format, "text", "json")
	return cmd
}

// whoCanAnswer is the JSON form.
type whoCanAnswer struct {
	Verb       string           `json:"verb"`
	Privileges []string         `json:"privileges"`
	Store      string           `json:"store,omitempty"`
	Database   string           `json:"database"`
	Table      string           `json:"table"`
	Column     string           `json:"column,omitempty"`
	Server     string           `json:"server"`
	Subjects   []subjectAccess  `json:"subjects,omitempty"`
	Roles      []catalog.Holder `json:"roles"`
	// Opaque functions run with an owner's rights that would do, and their text does not tell what they touch.
	Opaque []string `json:"opaque_functions,omitempty"`
	Unseen []string `json:"unseen,omitempty"`

	own map[string]bool // Postern's own roles
}

// accessScene is what an answer is made from.
type accessScene struct {
	config   *config.Config // nil without a policy
	store    *config.Store
	evidence *catalog.Evidence
	database *catalog.DatabaseEvidence
	reach    *catalog.Reacher
}

func (a *app) runWhoCan(ctx context.Context, args []string, f *whoCanFlags) error {
	switch {
	case f.role != "" && len(args) > 0:
		return failed("see postern who-can --help", errors.New("give --role, or a verb and a table, not both"))
	case f.role == "" && len(args) < 2:
		return failed("such as postern who-can read public.customers", errors.New("say what and on which table, or --role ROLE"))
	case f.dsn != "" && f.fromSnapshot != "":
		return failed("", errors.New("give --dsn or --from-snapshot, not both"))
	}
	if f.role != "" {
		s, err := a.accessScene(ctx, f, "")
		if err != nil {
			return err
		}
		return a.answerRole(s, f)
	}
	parts, err := policy.SplitName(args[1])
	if err != nil || len(parts) < 2 || len(parts) > 4 {
		return failed("such as public.customers or shop.public.customers.email", fmt.Errorf("%s is not [STORE.]SCHEMA.TABLE[.COLUMN]", printable(args[1])))
	}
	s, err := a.accessScene(ctx, f, parts[0])
	if err != nil {
		return err
	}
	rel, column, err := s.find(parts)
	if err != nil {
		return failed("names are exact; put those with dots into double quotes", err)
	}
	return a.answerTable(ctx, s, f, args[0], rel, column)
}

// accessScene looks at the server. first is the first part of the name, which may be a store's.
func (a *app) accessScene(ctx context.Context, f *whoCanFlags, first string) (*accessScene, error) {
	s := &accessScene{}
	database := ""
	switch {
	case f.fromSnapshot != "":
		file, err := os.Open(f.fromSnapshot)
		if err != nil {
			return nil, failed("", err)
		}
		defer func() { _ = file.Close() }()
		if s.evidence, err = scan.ReadSnapshot(file); err != nil {
			return nil, failed("--from-snapshot takes what postern scan --snapshot wrote", err)
		}
		database = f.store
	case f.dsn != "":
		if f.store != "" {
			return nil, failed("", errors.New("give --dsn or --store, not both"))
		}
		target, err := a.scanTarget(ctx, []string{f.dsn}, "")
		if err != nil {
			return nil, err
		}
		if s.evidence, err = gatherOne(ctx, target); err != nil {
			return nil, err
		}
	default:
		if err := a.storeScene(ctx, s, f, first); err != nil {
			return nil, err
		}
	}
	return s, s.choose(database)
}

// storeScene looks at a store of the policy.
func (a *app) storeScene(ctx context.Context, s *accessScene, f *whoCanFlags, first string) (err error) {
	if s.config, err = a.load(); err != nil {
		return err
	}
	name := f.store
	if name == "" && s.config.Stores[first] != nil {
		name = first
	}
	if s.store, err = pickStore(s.config, name); err != nil {
		return err
	}
	target, err := a.scanTarget(ctx, nil, s.store.Name)
	if err != nil {
		return err
	}
	s.evidence, err = gatherOne(ctx, target)
	return err
}

// gatherOne looks at the database of the login and at no other.
func gatherOne(ctx context.Context, target *postgres.ScanTarget) (*catalog.Evidence, error) {
	// A list of databases that names none of the server's keeps the look to the one that the login names.
	e, err := target.Gather(ctx, postgres.Gather{Databases: []string{""}, Now: time.Now()})
	if err != nil {
		return nil, failed("any login will do", err)
	}
	return e, nil
}

// choose takes the database, and prepares the answers.
func (s *accessScene) choose(name string) error {
	e := s.evidence
	var names []string
	for _, d := range e.Databases {
		names = append(names, d.Database.Name)
		if d.Database.Name == name || name == "" && len(e.Databases) == 1 {
			s.database = d
		}
	}
	if s.database == nil {
		return failed("add --store DATABASE", fmt.Errorf("what was saved holds the databases %s", printable(strings.Join(names, ", "))))
	}
	for i := range e.Server.Databases {
		if e.Server.Databases[i].Name == s.database.Database.Name {
			s.reach = catalog.NewReacher(e.Server, s.database, &e.Server.Databases[i].Database)
			return nil
		}
	}
	return failed("", errors.New("the list of databases could not be read"))
}

// find reads the parts of a name: with a store before them, or without.
func (s *accessScene) find(parts []string) (*catalog.Relation, string, error) {
	var found []*catalog.Relation
	column := ""
	try := func(rest []string) {
		if len(rest) < 2 || len(rest) > 3 {
			return
		}
		if rel := s.database.Relation(catalog.Name{Schema: rest[0], Name: rest[1]}); rel != nil && (len(rest) == 2 || rel.Column(rest[2]) != nil) {
			found = append(found, rel)
			column = strings.Join(rest[2:], "")
		}
	}
	if s.store != nil && parts[0] == s.store.Name {
		try(parts[1:])
	}
	if len(parts) < 4 {
		try(parts)
	}
	name := printable(strings.Join(parts, "."))
	switch len(found) {
	case 0:
		return nil, "", fmt.Errorf("database %s has no %s", printable(s.database.Database.Name), name)
	case 1:
		return found[0], column, nil
	}
	return nil, "", fmt.Errorf("%s is the name of a table and of a column: write it with its store in front", name)
}

// unseen lists what the answer rests on and could not be read.
func (s *accessScene) unseen() []string {
	needed := []catalog.Fact{
		catalog.FactRoles, catalog.FactMemberships, catalog.FactDatabases, catalog.FactSchemas, catalog.FactRelations, catalog.FactColumns, catalog.FactPolicies,
		catalog.FactViews, catalog.FactFunctions, catalog.FactRoutines,
	}
	var out []string
	for _, u := range s.evidence.Unseen {
		if slices.Contains(needed, u.Fact) && (u.Database == "" || u.Database == s.database.Database.Name) {
			out = append(out, fmt.Sprintf("%s: %s", u.Fact, u.Why))
		}
	}
	return out
}

func (a *app) answerTable(ctx context.Context, s *accessScene, f *whoCanFlags, verb string, rel *catalog.Relation, column string) error {
	privileges, err := catalog.Verb(verb, rel, column, s.evidence.Server.Major())
	if err != nil {
		return failed("see postern who-can --help", err)
	}
	out := &whoCanAnswer{
		Verb: strings.ToLower(verb), Privileges: privileges, Database: s.database.Database.Name, Table: rel.Name.String(), Column: column,
		Server: s.evidence.Server.Address, Roles: s.reach.WhoCan(rel, column, privileges), Opaque: s.reach.Opaque(rel, privileges), Unseen: s.unseen(),
	}
	if s.config != nil {
		out.Store = s.store.Name
		if err := a.subjects(ctx, s, out, rel); err != nil {
			return err
		}
	}
	if f.format == "json" {
		err = a.ui.json(out)
	} else {
		a.printWhoCan(out, f.verbose)
	}
	if err == nil && len(out.Unseen) > 0 {
		return silently(exitIncomplete)
	}
	return err
}

// waysShown bounds the paths of one role on the screen.
const waysShown = 4

func (a *app) printWhoCan(out *whoCanAnswer, all bool) {
	what := out.Table
	if out.Column != "" {
		what += "." + out.Column
	}
	a.printSubjects(out)
	a.ui.printf("%s %s %s\n", a.ui.style(styleBold, "roles"), "that can "+out.Verb, printable(what+", on "+out.Server))
	rows := publicRows(out, all)
	hidden := 0
	for _, h := range out.Roles {
		shown := 0
		for i := range h.Ways {
			w := &h.Ways[i]
			switch {
			case w.Public && !all:
			case !all && (out.postern(w) || shown == waysShown):
				hidden++
			default:
				shown++
				rows = append(rows, []string{h.Role, yesNo(h.Login), w.Privilege, when(w), strings.Join(w.Roles, " > ") + ", " + how(w)})
			}
		}
	}
	if len(rows) == 0 {
		a.ui.printf("  nobody\n")
	} else {
		a.ui.table([]string{"role", "login", "privilege", "when", "how"}, rows)
	}
	if hidden > 0 {
		a.ui.printf("%s\n", a.ui.style(styleDim, fmt.Sprintf("and %s, Postern's own among them: add -v", count(hidden, "more path"))))
	}
	for _, o := range out.Opaque {
		a.ui.warn("function %s runs with its owner's rights, and its text does not tell what it touches", printable(o))
	}
	for _, u := range out.Unseen {
		a.ui.warn("not seen: %s", printable(u))
	}
}

// publicRows says once what every role has, unless all paths of all roles are asked for. What row policies and schemas leave of it can
// differ from role to role.
func publicRows(out *whoCanAnswer, all bool) [][]string {
	if all {
		return nil
	}
	var rows [][]string
	at := map[string]int{}
	for _, h := range out.Roles {
		for i := range h.Ways {
			w := &h.Ways[i]
			if !w.Public {
				continue
			}
			bare := *w
			bare.Rows, bare.Lacks = "", nil
			key := w.Privilege + " " + how(&bare)
			row := []string{"PUBLIC", "all", w.Privilege, when(w), how(w)}
			if j, known := at[key]; !known {
				at[key] = len(rows)
				rows = append(rows, row)
			} else if !slices.Equal(rows[j], row) {
				rows[j][3], rows[j][4] = "differs by role", how(&bare)+", row policies or rights on the schema decide (-v)"
			}
		}
	}
	return rows
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// when is the column of that name: what stands between, and whether the way is closed.
func when(w *catalog.Way) string {
	switch {
	case len(w.Lacks) > 0:
		return "closed"
	case w.Perhaps:
		return "perhaps, " + w.When.String()
	}
	return w.When.String()
}

// how is the end of a path in words.
func how(w *catalog.Way) string {
	text := string(w.Kind)
	if w.Through != "" && w.Kind != catalog.WaySchemaOwner {
		text += " " + w.Through
	}
	if len(w.Columns) > 0 {
		text += " (" + strings.Join(w.Columns, ", ") + ")"
	}
	if w.Grantor != "" {
		text += " by " + w.Grantor
	}
	if w.Rows != "" {
		text += ", rows: " + w.Rows
	}
	if len(w.Lacks) > 0 {
		text += ", lacks " + strings.Join(w.Lacks, " and ")
	}
	return text
}

func (a *app) answerRole(s *accessScene, f *whoCanFlags) error {
	r := s.reach.Role(f.role)
	if r == nil {
		return failed("names are exact", fmt.Errorf("%s has no role %s", s.evidence.Server.Address, printable(f.role)))
	}
	unseen := s.unseen()
	var err error
	if f.format == "json" {
		err = a.ui.json(struct {
			*catalog.RoleReport
			Database string   `json:"database"`
			Server   string   `json:"server"`
			Unseen   []string `json:"unseen,omitempty"`
		}{r, s.database.Database.Name, s.evidence.Server.Address, unseen})
	} else {
		a.printRole(s, r)
	}
	for _, u := range unseen {
		a.ui.warn("not seen: %s", printable(u))
	}
	if err == nil && len(unseen) > 0 {
		return silently(exitIncomplete)
	}
	return err
}

func (a *app) printRole(s *accessScene, r *catalog.RoleReport) {
	line := func(name string, words []string) {
		if len(words) > 0 {
			a.ui.printf("  %-18s %s\n", name, printable(strings.Join(words, ", ")))
		}
	}
	a.ui.printf("%s %s\n", a.ui.style(styleBold, "role"), printable(r.Role+", on "+s.evidence.Server.Address))
	line("attributes", r.Attributes)
	if !r.Connect {
		a.ui.printf("  %-18s %s\n", "connect", "no: it lacks CONNECT on this database")
	}
	if r.Superuser != "" {
		a.ui.printf("  %-18s %s\n", "superuser", a.ui.style(styleRed, strings.ReplaceAll(r.Superuser, "_", " ")))
	}
	line("has rights of", r.Has)
	line("by SET ROLE", r.SetRole)
	line("may grant itself", r.SelfGrant)
	var rows [][]string
	for _, o := range r.Objects {
		owner := ""
		if o.Owner {
			owner = "owner"
		}
		rows = append(rows, []string{o.Kind, o.Name, owner, strings.Join(o.Now, " "), strings.Join(o.SetRole, " "), strings.Join(o.SelfGrant, " ")})
	}
	a.ui.table([]string{"kind", "object", "owner", "now", "by SET ROLE", "by granting itself"}, rows)
}
