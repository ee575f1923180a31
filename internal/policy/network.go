package policy

import (
	"fmt"
	"net/netip"
)

// AdmitAddress is the first look at the network rules, before TLS is spent on a peer and before anybody has said a name: it
// refuses where no name could be let in from there. Passing it promises nothing; NetworkOf has the last word.
func (p *Policy) AdmitAddress(addr netip.Addr, local bool) *Refusal {
	for _, r := range p.Network {
		if !r.from(addr, local) {
			continue
		}
		if r.Auth != AuthReject {
			return nil
		}
		if len(r.To) == 0 {
			return &Refusal{CodeNetworkRejected, fmt.Sprintf("connections from %s are rejected", from(addr, local))}
		}
	}
	return unlisted(addr, local)
}

// NetworkOf is the whole look at the network rules: the first one that matches the place and the subject decides, and what it
// demands of the transport must be so. The subject may be one that only claims its name; Auth of the answer says how it
// has to be proved. Store and At of the login play no part.
func (p *Policy) NetworkOf(l Login) (*NetworkRule, *Refusal) {
	for _, r := range p.Network {
		if !r.from(l.Address, l.Local) || len(r.To) > 0 && !l.Subject.Is(r.To) {
			continue
		}
		place := from(l.Address, l.Local)
		switch {
		case r.Auth == AuthReject:
			return nil, &Refusal{CodeNetworkRejected, fmt.Sprintf("connections from %s are rejected for %s", place, l.Subject.Name)}
		case r.TLS == TLSRequire && !l.TLS && !l.Local, r.TLS == TLSVerify && !l.TLS:
			return nil, &Refusal{CodeTLSRequired, fmt.Sprintf("connections from %s require TLS", place)}
		case (r.TLS == TLSVerify || r.Auth == AuthCert) && !(l.TLS && l.ClientCert):
			return nil, &Refusal{CodeCertRequired, fmt.Sprintf("connections from %s require a client certificate", place)}
		case r.Auth == AuthPeer && !l.Local:
			return nil, &Refusal{CodeNetworkRejected, fmt.Sprintf("peer authentication needs a Unix socket, not %s", place)}
		}
		return r, nil
	}
	return nil, unlisted(l.Address, l.Local)
}

func unlisted(addr netip.Addr, local bool) *Refusal {
	return &Refusal{CodeNetworkUnlisted, fmt.Sprintf("no network rule lets connections from %s in", from(addr, local))}
}

func (r *NetworkRule) from(addr netip.Addr, local bool) bool {
	if r.Any || local {
		return r.Any || r.Local
	}
	return containsAddr(r.From, addr)
}

// containsAddr looks an address up in prefixes. An IPv4 address in IPv6 clothes is the IPv4 address, and a zone is no part
// of it.
func containsAddr(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func from(addr netip.Addr, local bool) string {
	if local || !addr.IsValid() {
		return "a Unix socket"
	}
	return addr.Unmap().String()
}

// defaultNetwork is what applies when the file has no network rules: SCRAM from everywhere, and TLS from other machines.
func defaultNetwork() []*NetworkRule {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	return []*NetworkRule{
		{From: loopback, Local: true, Auth: AuthSCRAM},
		{Any: true, Auth: AuthSCRAM, TLS: TLSRequire},
	}
}
