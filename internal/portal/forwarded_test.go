package portal_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/postern-sec/postern/internal/portal"
)

// The address of a call is the client's where a proxy of the list says it, whatever the client says besides, and is nobody else's word.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("fe80::9/128")}
	for name, tt := range map[string]struct {
		from, header, said, want string
	}{
		"one client":                  {"10.0.0.5:4711", "X-Forwarded-For", "192.0.2.1", "192.0.2.1:0"},
		"with a port":                 {"10.0.0.5:4711", "X-Forwarded-For", "192.0.2.1:999", "192.0.2.1:0"},
		"what the client wrote":       {"10.0.0.5:4711", "X-Forwarded-For", "198.51.100.7, 192.0.2.1", "192.0.2.1:0"},
		"two proxies":                 {"10.0.0.5:4711", "X-Forwarded-For", "198.51.100.7, 192.0.2.1, 10.0.0.9", "192.0.2.1:0"},
		"Forwarded":                   {"10.0.0.5:4711", "Forwarded", `for=198.51.100.7, for=192.0.2.1;proto=https`, "192.0.2.1:0"},
		"Forwarded, IPv6":             {"[2001:db8::9]:4711", "Forwarded", `proto=https;For="[2001:db8:1::1]:4711"`, "[2001:db8:1::1]:0"},
		"by a link":                   {"[fe80::9%eth0]:4711", "X-Forwarded-For", "192.0.2.1", "192.0.2.1:0"},
		"by another link":             {"[fe80::8%eth0]:4711", "X-Forwarded-For", "192.0.2.1", "[fe80::8%eth0]:4711"},
		"by itself":                   {"10.0.0.5:4711", "X-Other", "192.0.2.1", "10.0.0.5:4711"},
		"from somebody else":          {"192.0.2.99:4711", "X-Forwarded-For", "192.0.2.1", "192.0.2.99:4711"},
		"no address":                  {"10.0.0.5:4711", "X-Forwarded-For", "unknown", "refused"},
		"nothing":                     {"10.0.0.5:4711", "X-Forwarded-For", "", "refused"},
		"Forwarded that hides it":     {"10.0.0.5:4711", "Forwarded", "for=_hidden", "refused"},
		"Forwarded that says nothing": {"10.0.0.5:4711", "Forwarded", "proto=https", "refused"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = tt.from
		r.Header.Set(tt.header, tt.said)
		if got := heardFrom(proxies, r); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		if tt.from == "10.0.0.5:4711" {
			if got := heardFrom(nil, r); got != tt.from {
				t.Errorf("%s, where no proxy is named: %s", name, got)
			}
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.5:4711"
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	r.Header.Set("Forwarded", "for=192.0.2.1")
	if got := heardFrom(proxies, r); got != "refused" {
		t.Errorf("two headers: %s", got)
	}
}

// heardFrom is the address under which a call is served.
func heardFrom(proxies []netip.Prefix, r *http.Request) string {
	got := "refused"
	w := httptest.NewRecorder()
	portal.Behind(proxies, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(w, r)
	if got == "refused" && w.Code != http.StatusBadRequest {
		return http.StatusText(w.Code)
	}
	return got
}
