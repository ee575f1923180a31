package daemon

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/state"
)

// authorityInfo derives what the keys of authorities are sealed under.
const authorityInfo = "postern certificate authority v1"

// authorityTries is how often to look again when another gateway was faster.
const authorityTries = 4

// certifier signs client certificates with the authorities that state keeps. The first is made when it is first needed, and the next
// long before that one ends. It is safe for concurrent use, by several gateways too.
type certifier struct {
	st           *state.DB
	seal         cipher.AEAD
	installation string
	audit        audit.Recorder
	now          func() time.Time
	random       io.Reader
}

func newCertifier(ctx context.Context, st *state.DB, root secret.Text, trail audit.Recorder, now func() time.Time, random io.Reader) (*certifier, error) {
	key, err := hkdf.Key(sha256.New, []byte(root.Reveal()), nil, authorityInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive from keys.root: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	here, err := st.Installation(ctx)
	return &certifier{st, seal, here.ID, trail, now, random}, err
}

// Certify implements portal.Certifier.
func (c *certifier) Certify(ctx context.Context, request []byte, i *identity.Issued) ([]byte, error) {
	a, err := c.authority(ctx)
	if err != nil {
		return nil, err
	}
	i.Authority = a.Kept(0).ID
	return a.Certify(request, c.installation, i, c.random)
}

// authority is the one that signs now.
func (c *certifier) authority(ctx context.Context) (*identity.Authority, error) {
	for try := 1; ; try++ {
		kept, err := c.st.Authorities(ctx)
		if err != nil {
			return nil, err
		}
		if len(kept) > 0 && kept[0].Signs(c.now()) {
			return c.open(kept[0])
		}
		a, err := c.make(ctx, kept, "renewed")
		if err == nil || !errors.Is(err, access.ErrConflict) || try == authorityTries {
			return a, err
		}
	}
}

// open takes an authority's key out of its seal.
func (c *certifier) open(k identity.KeptAuthority) (*identity.Authority, error) {
	key, err := c.seal.Open(nil, nil, k.Key, []byte(k.ID))
	if err != nil {
		return nil, fmt.Errorf("authority %s is sealed under another keys.root: postern certs rotate --distrust makes a new one", k.ID)
	}
	return identity.OpenAuthority(k, secret.New(string(key)))
}

// make makes the next authority.
func (c *certifier) make(ctx context.Context, before []identity.KeptAuthority, why string) (*identity.Authority, error) {
	a, err := identity.NewAuthority(c.installation, c.now(), c.random)
	if err != nil {
		return nil, err
	}
	generation := 1
	if len(before) > 0 {
		generation += before[0].Generation
	} else {
		why = "first"
	}
	key, err := a.Key()
	if err != nil {
		return nil, err
	}
	k := a.Kept(generation)
	k.Key = c.seal.Seal(nil, nil, []byte(key.Reveal()), []byte(k.ID))
	if _, err := c.audit.Record(context.WithoutCancel(ctx), audit.Event{Kind: audit.AuthorityMade, Reason: why, Detail: map[string]string{
		"authority": k.ID, "until": k.Expires.Format(time.RFC3339),
	}}); err != nil {
		return nil, fmt.Errorf("record %s: %w", audit.AuthorityMade, err)
	}
	return a, c.st.KeepAuthority(ctx, k)
}

// rotate makes a new authority now. With distrust nothing that those before it signed is good any more.
func (c *certifier) rotate(ctx context.Context, distrust bool) error {
	before, err := c.st.Authorities(ctx)
	if err != nil {
		return err
	}
	if _, err := c.make(ctx, before, "asked for"); err != nil || !distrust {
		return err
	}
	for _, k := range before {
		if !k.Trusted(c.now()) {
			continue
		}
		if _, err := c.audit.Record(ctx, audit.Event{Kind: audit.AuthorityEnded, Reason: "distrusted", Detail: map[string]string{"authority": k.ID}}); err != nil {
			return err
		}
		k.Ended = c.now()
		if err := c.st.EndAuthority(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// readIssuers takes up which client certificates count, and adds their ids to those of what is live.
func (g *grants) readIssuers(ctx context.Context, live []identity.Issued, ids map[string]bool) error {
	kept, err := g.st.Authorities(ctx)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		g.issuers.Store(nil)
		return nil
	}
	here, err := g.st.Installation(ctx)
	if err != nil {
		return err
	}
	now := g.desk.Now()
	trusted := map[string]bool{}
	for i := range kept {
		trusted[kept[i].ID] = kept[i].Trusted(now)
	}
	good := slices.DeleteFunc(slices.Clone(live), func(i identity.Issued) bool {
		return i.Kind != identity.ClientCertificate || !trusted[i.Authority]
	})
	for i := range good {
		ids[good[i].ID] = true
	}
	next, err := identity.NewIssuers(here.ID, kept, good, now)
	if err != nil {
		return err
	}
	g.issuers.Store(next)
	return nil
}

// Registrar looks after client certificates for an operator at the machine, while serve runs or not.
type Registrar struct {
	c  *certifier
	st *state.DB
}

// Certificate is what a Registrar shows of one.
type Certificate struct {
	ID      string    `json:"id"`
	Subject string    `json:"user"`
	Store   string    `json:"store,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// OpenRegistrar opens the state of an installation. Close lets go of it.
func OpenRegistrar(ctx context.Context, c *config.Config, clock func() time.Time, random io.Reader) (*Registrar, error) {
	root, err := c.Keys.Root.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys.root: %w", err)
	}
	st, err := OpenState(ctx, c)
	if err != nil {
		return nil, err
	}
	made, err := newCertifier(ctx, st, root, outbox{st, clock}, clock, random)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return &Registrar{made, st}, nil
}

// Close lets go of the state.
func (r *Registrar) Close() error { return r.st.Close() }

// Certificates lists the live certificates of somebody, or with "" of everybody.
func (r *Registrar) Certificates(ctx context.Context, user string) ([]Certificate, error) {
	live, err := r.st.Credentials(ctx, user, r.c.now())
	if err != nil {
		return nil, err
	}
	out := []Certificate{}
	for _, i := range live {
		if i.Kind == identity.ClientCertificate {
			out = append(out, Certificate{i.ID, i.Subject, i.Store, i.Created, i.Expires})
		}
	}
	return out, nil
}

// Revoke ends a certificate by its id. The sessions that came in with it are closed as soon as serve hears of it.
func (r *Registrar) Revoke(ctx context.Context, id string) error {
	live, err := r.Certificates(ctx, "")
	if err != nil {
		return err
	}
	at := slices.IndexFunc(live, func(c Certificate) bool { return c.ID == id })
	if at < 0 {
		return fmt.Errorf("there is no live certificate %s", id)
	}
	if _, err := r.c.audit.Record(ctx, audit.Event{Kind: audit.CredentialRevoked, Detail: map[string]string{"for": live[at].Subject, "credential": id}}); err != nil {
		return err
	}
	return r.st.RevokeCredential(ctx, live[at].Subject, id, r.c.now())
}

// Rotate makes a new authority. With distrust every certificate that there is ends.
func (r *Registrar) Rotate(ctx context.Context, distrust bool) error {
	return r.c.rotate(ctx, distrust)
}
