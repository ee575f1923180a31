package sso

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Bounds of what a provider may say.
const (
	maxGroups    = 1000
	maxGroupName = 256
	maxAttribute = 1024
)

// claims are what a verified token says.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Party    string   `json:"azp"`
	Nonce    string   `json:"nonce"`
	Expires  *numeric `json:"exp"`
	Issued   *numeric `json:"iat"`
	Begins   *numeric `json:"nbf"`
	AuthTime *numeric `json:"auth_time"`
	Methods  []string `json:"amr"`

	all rawClaims
}

// rawClaims are claims by name, as they were sent.
type rawClaims = map[string]json.RawMessage

// audience is one name or a list.
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// numeric is seconds since 1970, as a JSON number.
type numeric float64

func (n numeric) time() time.Time {
	const most = 253402300799 // the end of the year 9999
	if n < 0 || n > most {
		return time.Time{}
	}
	return time.Unix(int64(n), 0)
}

// verified checks a token of the provider's about somebody: how it is signed, by whom, for whom, and when.
func (r *RelyingParty) verified(ctx context.Context, m *metadata, token string) (*claims, error) {
	c, err := r.signed(ctx, m, token)
	if err != nil {
		return nil, err
	}
	if err := r.check(c); err != nil {
		return nil, err
	}
	if c.Subject == "" {
		return nil, &fault{faultSubject, "the token is about nobody", ""}
	}
	return c, nil
}

// signed reads a token that one of the provider's keys has signed, in a way that the file allows.
func (r *RelyingParty) signed(ctx context.Context, m *metadata, token string) (*claims, error) {
	if alg := headerOf(token).Algorithm; !slices.Contains(r.c.Algorithms, alg) {
		return nil, &fault{faultAlgorithm, "the identity provider's token is signed in a way that is not allowed here", "portal.oidc.algorithms lists what is"}
	}
	t, err := m.verifier.Verify(ctx, token)
	if err != nil {
		if isAway(err) {
			return nil, err
		}
		r.c.Log.Warn("a token of the identity provider was refused", "error", err)
		return nil, &fault{faultToken, "the identity provider's token is not signed by one of its keys, or is no token", ""}
	}
	var c claims
	if t.Claims(&c) != nil || t.Claims(&c.all) != nil {
		return nil, &fault{faultToken, "the identity provider's token cannot be read", ""}
	}
	return &c, nil
}

// header is what a token says of itself.
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
}

// headerOf reads a token's header, which is empty if it cannot be read.
func headerOf(token string) (h header) {
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil || json.Unmarshal(raw, &h) != nil {
		return header{}
	}
	return h
}

// check holds a token's claims against who we are, and against the clock.
func (r *RelyingParty) check(c *claims) error {
	now := r.c.Now()
	switch {
	case c.Issuer != r.c.Issuer:
		return &fault{faultIssuer, "the token is of another issuer than the configured one", ""}
	case !slices.Contains(c.Audience, r.c.Client), c.Party != "" && c.Party != r.c.Client, len(c.Audience) > 1 && c.Party == "":
		return &fault{faultAudience, "the token is for another application", ""}
	case c.Expires == nil || c.Issued == nil:
		return &fault{faultToken, "the token does not say from when until when it holds", ""}
	case !now.Before(c.Expires.time().Add(maxSkew)):
		return &fault{faultExpired, "the identity provider's token has expired", "do its clock and this machine's agree"}
	case c.Issued.time().After(now.Add(maxSkew)), c.Begins != nil && c.Begins.time().After(now.Add(maxSkew)):
		return &fault{faultFuture, "the identity provider's token is from the future", "do its clock and this machine's agree"}
	}
	return nil
}

// complete adds what only the provider's userinfo tells, if the groups or the name are not in the token.
func (r *RelyingParty) complete(ctx context.Context, m *metadata, c *claims, access oauth2.TokenSource) error {
	named := c.has(r.c.Name) && (r.c.Name != byEmail || c.has("email_verified"))
	if m.provider.UserInfoEndpoint() == "" || named && c.has(r.c.Groups) || r.pointer(c) {
		return nil
	}
	info, err := m.provider.UserInfo(ctx, access)
	if err != nil {
		return err
	}
	if info.Subject != c.Subject {
		return &fault{faultSubject, "the identity provider's answers are about two people", ""}
	}
	var more rawClaims
	if err := info.Claims(&more); err != nil {
		return &fault{faultToken, "the identity provider's answer about you cannot be read", ""}
	}
	c.add(more)
	return nil
}

// add takes up what another document says of the same person. An address and whether it is verified are of one document: the word of one
// about its address is none about the other's.
func (c *claims) add(more rawClaims) {
	if _, said := more["email"]; said && !(c.has("email") && c.has("email_verified")) {
		delete(c.all, "email")
		delete(c.all, "email_verified")
	} else {
		delete(more, "email")
		delete(more, "email_verified")
	}
	for name, value := range more {
		if !c.has(name) {
			c.all[name] = value
		}
	}
}

func (c *claims) has(name string) bool { _, ok := c.all[name]; return ok }

// text is a claim of one line, "" if it is none.
func (c *claims) text(name string) string {
	var s string
	if json.Unmarshal(c.all[name], &s) != nil || len(s) > maxAttribute || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return s
}

// verifiedEmail is the address, if the provider has verified it. Some write the flag as text.
func (c *claims) verifiedEmail() string {
	var yes bool
	var word string
	raw := c.all["email_verified"]
	if json.Unmarshal(raw, &yes) != nil && json.Unmarshal(raw, &word) == nil {
		yes = word == "true"
	}
	if !yes {
		return ""
	}
	return strings.ToLower(c.text("email"))
}

// pointer says whether the provider left the groups out because they are too many, and names a place to ask instead (ACC-55).
func (r *RelyingParty) pointer(c *claims) bool {
	var names map[string]json.RawMessage
	if json.Unmarshal(c.all["_claim_names"], &names) == nil {
		if _, ok := names[r.c.Groups]; ok {
			return true
		}
	}
	var has bool
	return json.Unmarshal(c.all["hasgroups"], &has) == nil && has
}

// groups reads the groups. known is false when the provider did not say: no claim, a pointer, or something that is no list.
func (r *RelyingParty) groups(c *claims) (groups []string, known bool) {
	raw, ok := c.all[r.c.Groups]
	if !ok || r.pointer(c) {
		return nil, false
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil || list == nil {
		var one string
		if json.Unmarshal(raw, &one) != nil || one == "" {
			return nil, false
		}
		list = []string{one}
	}
	if len(list) > maxGroups || slices.ContainsFunc(list, func(g string) bool { return g == "" || len(g) > maxGroupName }) {
		return nil, false
	}
	slices.Sort(list)
	return slices.Compact(list), true
}

// attributes are what the file maps, and the verified address.
func (r *RelyingParty) attributes(c *claims) map[string]string {
	out := map[string]string{}
	if email := c.verifiedEmail(); email != "" {
		out["email"] = email
	}
	for name, claim := range r.c.Attributes {
		if v := c.text(claim); v != "" && (claim != "email" || c.verifiedEmail() != "") {
			out[name] = v
		}
	}
	return out
}

// describes says whether anything is said of what the attributes come from: else what was said before goes on.
func (r *RelyingParty) describes(c *claims) bool {
	for _, claim := range r.c.Attributes {
		if c.has(claim) {
			return true
		}
	}
	return c.has("email")
}

// strong says whether the provider saw more than one factor, and when (RFC 8176).
func (c *claims) strong(now time.Time) (yes bool, at time.Time) {
	second := slices.ContainsFunc(c.Methods, func(m string) bool { return slices.Contains([]string{"otp", "hwk", "swk", "sc", "fpt"}, m) })
	yes = slices.Contains(c.Methods, "mfa") || second && slices.Contains(c.Methods, "pwd")
	if yes && c.AuthTime != nil && !c.AuthTime.time().After(now.Add(maxSkew)) {
		at = c.AuthTime.time()
	}
	return yes, at
}
