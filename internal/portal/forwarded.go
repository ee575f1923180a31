package portal

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Behind lets the address of a call be the client's where it comes through a proxy of the list: what the proxy says in X-Forwarded-For,
// or else in Forwarded (RFC 7239). Each proxy adds whom it heard, so that the last address that is no proxy's is the client's, and what a
// client wrote there itself stands before it. From anywhere else these headers say nothing. A proxy whose word cannot be read, or that
// says two things, is not believed at all: the call is refused.
func Behind(proxies []netip.Prefix, next http.Handler) http.Handler {
	if len(proxies) == 0 {
		return next
	}
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !trusted(addressOf(r)) {
			next.ServeHTTP(w, r)
			return
		}
		client, ok := forwardedFor(r.Header, trusted)
		if !ok {
			guard(w.Header())
			http.Error(w, "the proxy in front of the portal says for whom it asks in a way that cannot be read", http.StatusBadRequest)
			return
		}
		if client.IsValid() {
			r = r.Clone(r.Context())
			r.RemoteAddr = net.JoinHostPort(client.String(), "0") // the port is nobody's word
		}
		next.ServeHTTP(w, r)
	})
}

// forwardedFor is the last address of the headers that is not trusted: the zero address where there is none, as when a proxy asks for
// itself.
func forwardedFor(h http.Header, trusted func(netip.Addr) bool) (client netip.Addr, ok bool) {
	list, rfc := h.Values("X-Forwarded-For"), h.Values("Forwarded")
	if len(list) > 0 && len(rfc) > 0 {
		return client, false
	}
	var said []string
	for _, line := range list {
		said = append(said, strings.Split(line, ",")...)
	}
	for _, line := range rfc {
		for element := range strings.SplitSeq(line, ",") {
			said = append(said, forElement(element))
		}
	}
	for _, text := range slices.Backward(said) {
		addr, err := plainAddress(strings.TrimSpace(text))
		if err != nil {
			return client, false
		}
		if client = addr; !trusted(addr) {
			return client, true
		}
	}
	return client, true
}

// forElement is what an element of Forwarded says of "for", or "".
func forElement(element string) string {
	for pair := range strings.SplitSeq(element, ";") {
		if key, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(key, "for") {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// plainAddress reads an address, with a port or without.
func plainAddress(text string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().WithZone(""), nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return addr.Unmap().WithZone(""), err
}
