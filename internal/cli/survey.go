package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/policy"
)

// survey is what init knows of a server. The exported fields are the template's.
type survey struct {
	Known                        bool // asked of a server, not an example
	Store, Address, Database     string
	TLS, CA                      string // mode where the default is another, and path
	Schemas                      []string
	Owners                       []string // of the tables, superusers left out
	Provisioner, ProvisionerFile string
	Grantor, GrantorFile         string
	Tables                       []string // as the policy file names them
	Labelled                     string   // a column for the example

	major       int
	superOwners []string
}

// exampleSurvey stands in for a server that nobody named.
func exampleSurvey() *survey {
	s := &survey{Store: "shop", Address: "db1.internal:5432", Database: "shop", Schemas: []string{"public"}, TLS: string(postgres.TLSVerifyFull)}
	s.name(nil)
	s.Tables = []string{s.table("public", "customers"), s.table("public", "orders")}
	s.Labelled = s.Tables[0] + ".email"
	return s
}

// exampleTables bounds the list in the example.
const exampleTables = 20

// surveyOf takes from a snapshot what the policy file and the SQL need.
func surveyOf(login postgres.Config, snap *catalog.Snapshot) *survey {
	s := &survey{Known: true, Store: storeName(login.Database), Address: addressOf(login), Database: login.Database, CA: login.CAFile, major: snap.Major()}
	switch {
	case strings.HasPrefix(login.Host, "/"):
	case login.TLS == postgres.TLSDisable && isLoopback(login.Host): // the default there
	default:
		s.TLS = string(login.TLS)
	}
	s.name(snap.Roles)
	for i := range snap.Relations {
		rel := &snap.Relations[i]
		if rel.Kind != 'r' && rel.Kind != 'p' || rel.Extension != "" || isServerSchema(rel.Name.Schema) {
			continue
		}
		s.Schemas = addOnce(s.Schemas, rel.Name.Schema)
		if r := snap.Role(rel.Owner); r != nil && r.Superuser {
			s.superOwners = addOnce(s.superOwners, rel.Owner)
		} else {
			s.Owners = addOnce(s.Owners, rel.Owner)
		}
		if rel.IsPartition || len(s.Tables) == exampleTables {
			continue
		}
		s.Tables = append(s.Tables, s.table(rel.Name.Schema, rel.Name.Name))
		s.label(rel)
	}
	if s.Schemas == nil {
		s.Schemas = []string{"public"}
	}
	// Plain names keep working for the first schema, which is public wherever that is used.
	slices.SortFunc(s.Schemas, func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == "public" || b != "public" && a < b:
			return -1
		}
		return 1
	})
	slices.Sort(s.Owners)
	slices.Sort(s.superOwners)
	return s
}

// name chooses names for Postern's two logins that are still free, and the files of their passwords.
func (s *survey) name(roles []catalog.Role) {
	free := func(name string) string {
		taken := func(n string) bool {
			return slices.ContainsFunc(roles, func(r catalog.Role) bool { return r.Name == n })
		}
		for i, base := 0, name; taken(name); i++ {
			name = base + "_" + s.Store
			if i > 0 {
				name += strconv.Itoa(i + 1)
			}
		}
		return name
	}
	s.Provisioner, s.Grantor = free("postern_admin"), free("postern_grantor")
	s.ProvisionerFile, s.GrantorFile = "secrets/"+s.Store, "secrets/"+s.Store+"_grantor"
}

func (s *survey) table(schema, name string) string {
	return policy.Table{Store: s.Store, Schema: schema, Name: name}.String()
}

// label takes the first text column that sounds like an address for the example.
func (s *survey) label(rel *catalog.Relation) {
	for _, c := range rel.Columns {
		if s.Labelled == "" && c.Type == "text" && strings.Contains(strings.ToLower(c.Name), "mail") && c.Generated == 0 {
			s.Labelled = policy.Column{Table: policy.Table{Store: s.Store, Schema: rel.Name.Schema, Name: rel.Name.Name}, Column: c.Name}.String()
		}
	}
}

func isServerSchema(name string) bool {
	return strings.HasPrefix(name, "pg_") || name == "information_schema" || name == "postern" || strings.HasPrefix(name, "postern_")
}

func addOnce(all []string, s string) []string {
	if slices.Contains(all, s) {
		return all
	}
	return append(all, s)
}

// storeName is the database's name, without what would have to be quoted in locations or makes no file name.
func storeName(database string) string {
	name := regexp.MustCompile(`[^A-Za-z0-9_-]+`).ReplaceAllString(database, "_")
	if name == "" {
		return "store"
	}
	return name
}

// addressOf writes an address as the policy file does.
func addressOf(c postgres.Config) string {
	port := strconv.Itoa(int(c.Port))
	switch {
	case !strings.HasPrefix(c.Host, "/"):
		return net.JoinHostPort(c.Host, port)
	case c.Port == 5432:
		return c.Host
	}
	return fmt.Sprintf("%s:%s", c.Host, port)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// plainYAML is text that YAML reads as itself without quotes. What reads as something else although it looks plain is in yamlText.
var plainYAML = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*(:[0-9]+)?$`)

// yamlText writes a string so that it is read as this very string, on one line.
func yamlText(s string) (string, error) {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plainYAML.MatchString(s) {
			return s, nil
		}
	}
	text, err := json.Marshal(s) // a JSON string is a YAML string
	return string(text), err
}

func yamlList(all []string) (string, error) {
	var out []string
	for _, s := range all {
		text, err := yamlText(s)
		if err != nil {
			return "", err
		}
		out = append(out, text)
	}
	return strings.Join(out, ", "), nil
}
