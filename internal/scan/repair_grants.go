package scan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// grantsBack is the reverse of a REVOKE: the very privileges that the grantee has, with their grant options. m is a match of revokeOn:
// grant option, privilege, column, object, grantee.
func grantsBack(e *catalog.Evidence, database string, m []string) ([]string, string, bool) {
	option, privilege, column, object, to := m[1] != "", m[2], m[3], m[4], m[5]
	grantee := ""
	if to != "PUBLIC" {
		grantee = unquote(to)
	}
	on := object
	if column != "" {
		on += " (" + column + ")" // how aclOf names a column
	}
	acl, found := aclOf(e, database, on)
	if !found {
		if privilege == "ALL" || option {
			return nil, "", false
		}
		return []string{grantText(privilege, column, object, to, false)}, riskRefused, true
	}
	var plain, passing []string
	for _, g := range acl {
		if g.Grantee != grantee || privilege != "ALL" && g.Privilege != privilege {
			continue
		}
		if g.Grantable {
			passing = append(passing, g.Privilege)
		} else {
			plain = append(plain, g.Privilege)
		}
	}
	if option {
		plain = nil
	}
	var out []string
	for i, list := range [][]string{plain, passing} {
		slices.Sort(list)
		for _, p := range slices.Compact(list) {
			out = append(out, grantText(p, column, object, to, i == 1))
		}
	}
	if option {
		return out, "it can no longer pass the right on", len(out) > 0
	}
	return out, riskRefused, len(out) > 0
}

func grantText(privilege, column, object, to string, option bool) string {
	if column != "" {
		privilege += " (" + column + ")"
	}
	text := fmt.Sprintf("GRANT %s ON %s TO %s", privilege, object, to)
	if option {
		text += " WITH GRANT OPTION"
	}
	return text + ";"
}

// aclOf finds the ACL of an object named as the fixes name it.
func aclOf(e *catalog.Evidence, database, on string) ([]catalog.Grant, bool) {
	for i := range e.Server.Databases {
		if d := &e.Server.Databases[i]; on == "DATABASE "+quoteIdent(d.Name) {
			return d.ACL, true
		}
	}
	for i := range e.Server.Tablespaces {
		if t := &e.Server.Tablespaces[i]; on == "TABLESPACE "+quoteIdent(t.Name) {
			return t.ACL, true
		}
	}
	for _, p := range e.Server.Parameters {
		if on == "PARAMETER "+p.Parameter {
			return p.ACL, true
		}
	}
	for _, d := range e.Databases {
		if d.Database.Name == database {
			return aclIn(d, on)
		}
	}
	return nil, false
}

// aclIn is aclOf for the objects of a database.
func aclIn(d *catalog.DatabaseEvidence, on string) ([]catalog.Grant, bool) {
	for i := range d.Relations {
		r := &d.Relations[i]
		name := qualified(r.Name)
		if on == name || on == "SEQUENCE "+name {
			return r.ACL, true
		}
		if !strings.HasPrefix(on, name+" (") {
			continue
		}
		for j := range r.Columns {
			if on == name+" ("+quoteIdent(r.Columns[j].Name)+")" {
				return r.Columns[j].ACL, true
			}
		}
	}
	for i := range d.Schemas {
		if on == "SCHEMA "+quoteIdent(d.Schemas[i].Name) {
			return d.Schemas[i].ACL, true
		}
	}
	for i := range d.Functions {
		if f := &d.Functions[i]; on == "FUNCTION "+qualified(f.Name)+"("+f.Arguments+")" {
			return f.ACL, true
		}
	}
	for i := range d.ForeignServers {
		if on == "FOREIGN SERVER "+quoteIdent(d.ForeignServers[i].Name) {
			return d.ForeignServers[i].ACL, true
		}
	}
	for i := range d.LargeObjects {
		if on == "LARGE OBJECT "+strconv.FormatUint(uint64(d.LargeObjects[i].OID), 10) {
			return d.LargeObjects[i].ACL, true
		}
	}
	return nil, false
}
