package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// flaw is a flaw of the server that lets subjects around row policies or views (ENF-87).
type flaw struct {
	id, matters string
	fixed       map[int]int // major -> first minor with the fix; majors not named never had it, or never get it
	dead        []int       // majors that will not get it
}

// flaws is the list of ENF-87.
func flaws() []flaw {
	return []flaw{
		{"CVE-2023-2455", "policies are ignored after inlining a set-returning function", map[int]int{15: 3, 14: 8, 13: 11}, nil},
		{"CVE-2023-39418", "MERGE skips row policies", map[int]int{15: 4}, nil},
		{"CVE-2024-10976", "row security below subqueries disregards the user", map[int]int{17: 1, 16: 5, 15: 9, 14: 14, 13: 17}, nil},
		{"CVE-2025-8713", "optimizer statistics expose data behind views and partitions", map[int]int{17: 6, 16: 10, 15: 14, 14: 19, 13: 22}, nil},
		{"CVE-2026-14666", "the plan cache of row security disregards role changes", map[int]int{18: 6, 17: 11, 16: 15, 15: 19, 14: 24}, []int{13}},
		{"CVE-2026-16237, CVE-2026-120154", "ON CONFLICT ignores the row visibility of views, or checks policies too late", map[int]int{15: 20}, nil},
	}
}

// advise adds what somebody should know before saying yes.
func (d *differ) advise() {
	major, minor := d.snap.Major(), d.snap.ServerVersionNum%10000
	for _, f := range flaws() {
		if fix, ok := f.fixed[major]; ok && minor < fix || slices.Contains(f.dead, major) {
			hint := fmt.Sprintf("update to %d.%d or later", major, fix)
			if !ok {
				hint = "move to a major version that is still maintained"
			}
			d.warn(policy.Pos{}, "version:"+f.id, hint, "PostgreSQL %d.%d has %s: %s", major, minor, f.id, f.matters)
		}
	}
	d.dependents()
	d.ownerWarnings()
	d.hba()
}

// dependents names what reads protected tables with its owner's rights: subjects get none of it (ENF-21).
func (d *differ) dependents() {
	reads := map[catalog.Name]bool{}
	for _, n := range d.protected() {
		reads[n] = true
	}
	for grown := true; grown; {
		grown = false
		for i := range d.snap.Relations {
			rel := &d.snap.Relations[i]
			if isOwnSchema(rel.Name.Schema) || reads[rel.Name] {
				continue
			}
			if slices.ContainsFunc(rel.DependsOn, func(n catalog.Name) bool { return reads[n] }) {
				reads[rel.Name] = true
				grown = true
				d.warn(policy.Pos{}, "dependent:"+rel.Name.String(), "", "%s reads protected tables with its owner's rights: subjects are denied it", rel.Name)
			}
		}
	}
	var definers []string
	for _, f := range d.snap.Functions {
		if f.SecurityDefiner && f.Extension == "" && !isOwnSchema(f.Name.Schema) {
			definers = append(definers, f.Name.String())
		}
	}
	if len(definers) > 0 {
		d.warn(policy.Pos{}, "definers", "", "routines that run with their owner's rights are denied to subjects: %s", strings.Join(slices.Compact(definers), ", "))
	}
}

// ownerWarnings says what membership in an owner brings along (ENF-94).
func (d *differ) ownerWarnings() {
	for _, p := range d.w.Profiles {
		for _, owner := range p.Owners {
			var others []string
			for i := range d.snap.Relations {
				rel := &d.snap.Relations[i]
				if rel.Owner == owner && rel.Kind != 'S' && p.Table(rel.Name) == nil && !rel.IsPartition {
					others = append(others, rel.Name.String())
				}
			}
			if len(others) > 0 {
				d.warn(causeOfProfile(p), "own:"+p.Schema+":"+owner, "give these tables another owner", "level own makes subjects members of %s, which also owns: %s", owner, strings.Join(others, ", "))
			}
		}
	}
}

// hba refuses HBA lines that let identity roles in without a password (ENF-91). Lines are looked at in their order, as the server
// does: a line that asks for a password shields what stands below it only for the addresses it covers, so only lines for all
// addresses end the search.
func (d *differ) hba() {
	if d.snap.HBA == nil && len(d.w.Identities) > 0 && d.snap.CurrentUser == d.w.Provisioner {
		name := quoteIdent(d.w.Provisioner)
		d.warn(policy.Pos{}, "hba", "GRANT SELECT ON pg_hba_file_rules TO "+name+"; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO "+name,
			"pg_hba.conf cannot be read: whether a line lets identity roles in without their password is unknown")
	}
	for _, i := range d.w.Identities {
		shielded := map[string]bool{}
		for _, line := range d.snap.HBA {
			local := line.Type == "local"
			if !d.hbaCovers(line, i) || shielded["local"] && local || shielded["host"] && !local {
				continue
			}
			switch line.Method {
			case "scram-sha-256", "md5", "reject": // md5 asks for SCRAM where the role has a SCRAM verifier
				if local {
					shielded["local"] = true
				} else if line.Type == "host" && (line.Address == "all" || line.Address == "") {
					shielded["host"] = true
				}
			default:
				d.problem(i.Pos, fmt.Sprintf("put a line above it: %s %s %s … scram-sha-256", line.Type, d.w.Database, i.Role),
					"line %d of pg_hba.conf lets role %q in by %s: identity roles log in by SCRAM only (ENF-91)", line.Line, i.Role, line.Method)
			}
		}
	}
}

// hbaCovers says whether a line is for an identity's role and database. A name the server would match by pattern counts as a match.
func (d *differ) hbaCovers(line catalog.HBALine, i *plan.Identity) bool {
	db := slices.ContainsFunc(line.Databases, func(n string) bool {
		return n == "all" || n == d.w.Database || n == "sameuser" && d.w.Database == i.Role || n == "samerole" || strings.HasPrefix(n, "/")
	})
	user := slices.ContainsFunc(line.Users, func(n string) bool {
		return n == "all" || n == i.Role || strings.HasPrefix(n, "/") ||
			strings.HasPrefix(n, "+") && (n[1:] == i.Profile.Role || canActAs(d.snap, i.Role, n[1:]))
	})
	return db && user && line.Type != "hostgssenc"
}
