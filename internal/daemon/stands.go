package daemon

import (
	"time"

	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/policy"
)

// Standing is what somebody's login would come to at one moment. Policy, rules and profile are of the same moment.
type Standing struct {
	Known     bool // store and subject are in the policy, and the store was looked at; the rest is empty without
	Policy    *policy.Policy
	Subject   policy.Subject
	Admission policy.Admission
	// Profile is what their statements would be decided with; nil: the admission or Unavailable says why they would not come so far.
	Profile     *gateway.Profile
	Unavailable *gateway.Unavailable
	// Shadow is what would be decided with beside it; see gateway.Profile.
	Shadow any
	At     time.Time
}

// stands is Stands. What the network rules say of an address is not asked: the login is one from this machine, with every proof.
func (d *daemon) stands(user, store string) Standing {
	now := d.world.current.Load()
	v, looked := now.views[store]
	subject, known := now.policy.Subject(user)
	if !looked || !known || now.policy.Stores[store] == nil {
		return Standing{}
	}
	out := Standing{Known: true, Policy: now.policy, Subject: subject, At: d.opts.Clock.Now()}
	out.Admission = now.policy.Decide(policy.Login{
		Subject: subject, Store: store, Local: true, TLS: true, ClientCert: true, At: out.At,
	})
	if v.view != nil {
		out.Shadow = v.view.Shadow(subject)
	}
	if out.Unavailable = v.why; out.Unavailable != nil || out.Admission.Refusal != nil {
		return out
	}
	h := gateway.Holder{Subject: subject, Store: store, Ended: out.Admission.Ended(), Observed: now.policy.Observes(subject, store)}
	for _, r := range out.Admission.Profile {
		h.Rules = append(h.Rules, r.Name)
	}
	var err error
	if out.Profile, err = v.view.Profile(h); err != nil {
		out.Profile, out.Unavailable = nil, unavailable(store, err)
	}
	return out
}
