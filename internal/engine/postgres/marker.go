package postgres

import (
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
)

// marker is the comment on every object that Postern makes. Nothing without one is ever dropped, and one that names another
// installation stops apply (ENF-09).
type marker struct {
	Kind         string
	Installation string
	Store        string // "" for what is the cluster's
	Digest       string // of what the object was made from, "" when there is nothing to tell apart
}

// The kinds of marked objects.
const (
	kindSchema   = "schema" // postern, postern_catalog
	kindRule     = "rule"
	kindOpen     = "open"
	kindMasker   = "masker"
	kindProfile  = "profile"
	kindIdentity = "identity"
	kindAdopted  = "adopted" // an identity role that was there before
	kindPublic   = "public"
	kindPolicy   = "policy"
	kindPass     = "pass" // a policy that keeps the way of foreign roles
	kindView     = "view"
	kindPlace    = "place" // a schema in which subjects keep tables
)

const markerHead = "postern/1"

// String is the comment's text.
func (m marker) String() string {
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return strings.Join([]string{markerHead, m.Kind, m.Installation, dash(m.Store), dash(m.Digest)}, " ")
}

// parseMarker reads a comment; ok is false when it is not a marker.
func parseMarker(comment string) (marker, bool) {
	words := strings.Fields(comment)
	if len(words) != 5 || words[0] != markerHead {
		return marker{}, false
	}
	undash := func(s string) string {
		if s == "-" {
			return ""
		}
		return s
	}
	return marker{Kind: words[1], Installation: words[2], Store: undash(words[3]), Digest: undash(words[4])}, true
}

// clusterWide says whether a kind of object is shared by the stores of an installation.
func (m marker) clusterWide() bool {
	return m.Kind == kindIdentity || m.Kind == kindAdopted || m.Kind == kindPublic
}

// isOurs says whether the marker is one of this installation and store.
func (m marker) isOurs(w *plan.Wanted) bool {
	return m.Installation == w.Installation && (m.Store == w.Store || m.clusterWide())
}

// ProfileDigests reads the digest that each profile schema of a store carries (ENF-95). A profile whose digest differs from that of
// its plan.Profile must not be used: its wall is another policy's. A suspended store has none.
func ProfileDigests(snap *catalog.Snapshot, installation, store string) map[string]string {
	out := map[string]string{}
	if snap.Wall != nil && snap.Wall.Suspended {
		return out
	}
	for _, s := range snap.Schemas {
		if m, ok := parseMarker(s.Comment); ok && m.Kind == kindProfile && m.Installation == installation && m.Store == store {
			out[s.Name] = m.Digest
		}
	}
	return out
}
