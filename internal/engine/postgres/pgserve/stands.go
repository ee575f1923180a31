package pgserve

import (
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/plan"
)

// standing is how the wall on a server compares with what a policy wants of it (ENF-95).
type standing struct {
	digests   map[string]string // of the profiles on the server, by schema
	broken    postgres.Broken
	suspended bool
	snap      *catalog.Snapshot
}

func lookAt(w *plan.Wanted, snap *catalog.Snapshot) (*standing, error) {
	broken, err := postgres.FindBroken(w, snap)
	if err != nil {
		return nil, err
	}
	return &standing{
		digests: postgres.ProfileDigests(snap, w.Installation, w.Store), broken: broken, suspended: snap.Wall != nil && snap.Wall.Suspended, snap: snap,
	}, nil
}

// differs says whether a profile is not on the server as the policy wants it, and, where it was changed by hand, how.
func (s *standing) differs(p *plan.Profile) (differs bool, why string) {
	if s.digests[p.Schema] != p.Digest {
		return true, ""
	}
	if reasons := s.broken.Profiles[p.Schema]; len(reasons) > 0 {
		return true, ": " + strings.Join(reasons, "; ")
	}
	return false, ""
}

// hasLogin says whether a subject has an identity role on the server.
func (s *standing) hasLogin(i *plan.Identity) bool { return s.snap.Role(i.Role) != nil }

// Refused is what the gateway would tell a subject whose statements a policy admits and whom the wall of the store does not let in as
// that policy has it: nil where it does, and where there is no wall to ask.
func Refused(w *plan.Wanted, snap *catalog.Snapshot, i *plan.Identity, observed bool) (*gateway.Unavailable, error) {
	if observed || w.Inline {
		return nil, nil
	}
	s, err := lookAt(w, snap)
	if err != nil {
		return nil, err
	}
	differs, _ := s.differs(i.Profile)
	switch {
	case s.suspended:
		return suspended(w.Store), nil
	case !s.hasLogin(i):
		return notBuilt(w.Store), nil
	case differs, len(s.broken.Subjects[i.User]) > 0:
		return outdated(w.Store), nil
	}
	return nil, nil
}

func suspended(store string) *gateway.Unavailable {
	return &gateway.Unavailable{
		Code: gateway.CodeProfileSuspended, Message: "store " + store + " is suspended while its tables are changed", Hint: "try again later",
	}
}

func notBuilt(store string) *gateway.Unavailable {
	return &gateway.Unavailable{
		Code: gateway.CodeProfilePending, Message: "store " + store + " has nothing built for your rules yet", Hint: "an operator has to run postern apply",
	}
}

func outdated(store string) *gateway.Unavailable {
	return &gateway.Unavailable{
		Code: gateway.CodeProfileOutdated, Message: "the wall of store " + store + " is not what the policy says", Hint: "an operator has to run postern apply",
	}
}
