package scan

import (
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// What Postern builds on a server carries a marker as its comment. A marker is a word that anybody may write on what is his, so it never
// excuses by itself: each of these asks for the one form in which Postern's own object is no exposure.

// marker reports whether a comment is a marker of a kind.
func marker(comment, kind string) bool { return strings.HasPrefix(comment, "postern/1 "+kind+" ") }

// ownSchema returns the schema when Postern made it.
func ownSchema(d *catalog.DatabaseEvidence, name string) *catalog.Schema {
	s := d.Schema(name)
	if s == nil || !strings.HasPrefix(s.Comment, "postern/1 ") || s.Name != "postern" && !strings.HasPrefix(s.Name, "postern_") {
		return nil
	}
	return s
}

// catalogView reports whether a relation is one of the views by which subjects see the server's catalog: everybody may read it, as he may
// read the catalog itself. A table in that place, or a right to write, is none.
func catalogView(d *catalog.DatabaseEvidence, r *catalog.Relation, rights []string) bool {
	s := ownSchema(d, r.Name.Schema)
	return s != nil && s.Name == "postern_catalog" && r.Kind == 'v' && r.Owner == s.Owner && slices.Equal(rights, []string{"SELECT"})
}

// passPolicy reports whether a policy keeps the way of roles that Postern does not govern: what they may do is left to their privileges, as
// it was before the table had row security. One for PUBLIC would open the table for subjects too, and is no such policy.
func passPolicy(d *catalog.DatabaseEvidence, p *catalog.RowPolicy) bool {
	return ownSchema(d, "postern_catalog") != nil && marker(p.Comment, "pass") && strings.HasPrefix(p.Name, "postern_") && len(p.Roles) > 0 && !slices.Contains(p.Roles, "")
}

// profileOwner reports whether a role that may create in a profile's schema is its owner: it made the views, and could change them without a
// name that comes first.
func profileOwner(rights *catalog.Rights, s *catalog.Schema, role string) bool {
	return marker(s.Comment, "profile") && (role == s.Owner || rights.CanBecome(role, s.Owner))
}
