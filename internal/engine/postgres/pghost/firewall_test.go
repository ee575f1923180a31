package pghost

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// filters are rules in nft's own language and in iptables', and who reaches port 5432 through them.
var filters = []struct {
	name, nft, v4, v6 string
	allowed           string
	limits, unclear   bool
}{
	{name: "nothing", nft: "", v4: "", allowed: "0.0.0.0/0 ::/0"},
	{
		name:    "closed but for two networks",
		nft:     "table inet f { chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iif lo accept; tcp dport 5432 ip saddr { 10.0.0.0/8, 192.168.1.5 } accept; tcp dport 22 accept; } }",
		v4:      ":INPUT DROP\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 5432 -j ACCEPT\n-A INPUT -s 192.168.1.5/32 -p tcp -m tcp --dport 5432 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n",
		v6:      ":INPUT DROP\n",
		allowed: "10.0.0.0/8 192.168.1.5/32",
	},
	{
		name:    "open but for one, the order counts",
		nft:     "table ip f { chain input { type filter hook input priority 0; policy accept; ip saddr 10.1.0.0/16 accept; ip saddr 10.0.0.0/8 tcp dport 5000-6000 drop; } }",
		v4:      ":INPUT ACCEPT\n-A INPUT -s 10.1.0.0/16 -j ACCEPT\n-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 5000:6000 -j DROP\n",
		allowed: "0.0.0.0/5 8.0.0.0/7 10.1.0.0/16 11.0.0.0/8 12.0.0.0/6 16.0.0.0/4 32.0.0.0/3 64.0.0.0/2 128.0.0.0/1 ::/0",
	},
	{
		name:    "through a chain of its own, and not for another port",
		nft:     "table inet f { chain db { ip saddr != 10.0.0.0/8 drop; accept; } chain input { type filter hook input priority 0; policy drop; tcp dport { 22, 5432 } jump db; tcp dport 80 accept; } }",
		v4:      ":INPUT DROP\n:DB - \n-A INPUT -p tcp -m multiport --dports 22,5432 -j DB\n-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n-A DB ! -s 10.0.0.0/8 -j DROP\n-A DB -j ACCEPT\n",
		v6:      ":INPUT DROP\n",
		allowed: "10.0.0.0/8",
	},
	{
		name:    "a verdict map and a named set",
		nft:     "table inet f { set db { type ipv4_addr; flags interval; elements = { 10.0.0.0-10.0.0.255 }; } chain input { type filter hook input priority 0; policy drop; ct state vmap { established : accept, invalid : drop }; ip saddr @db tcp dport vmap { 5432 : accept, 80 : drop }; } }",
		allowed: "10.0.0.0/24",
	},
	{
		name:    "two filters: the stricter one decides",
		nft:     "table inet a { chain input { type filter hook input priority 0; policy accept; } } table inet b { chain input { type filter hook input priority 10; policy drop; ip6 saddr fd00::/8 tcp dport 5432 accept; } }",
		allowed: "fd00::/8",
	},
	{
		name:    "a limit is no lock",
		nft:     "table inet f { chain input { type filter hook input priority 0; policy accept; tcp dport 5432 limit rate over 10/second drop; } }",
		v4:      ":INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 5432 -m hashlimit --hashlimit-above 10/sec --hashlimit-mode srcip --hashlimit-name db -j DROP\n",
		allowed: "0.0.0.0/0 ::/0", limits: true, unclear: true,
	},
	{
		name:    "an interface that nobody can tell counts as open",
		nft:     `table inet f { chain input { type filter hook input priority 0; policy drop; iifname "eth1" tcp dport 5432 accept; } }`,
		v4:      ":INPUT DROP\n-A INPUT -i eth1 -p tcp -m tcp --dport 5432 -j ACCEPT\n",
		v6:      ":INPUT DROP\n",
		allowed: "0.0.0.0/0 ::/0", unclear: true,
	},
}

// TestFilters evaluates listings: nft's as the tool itself prints them, iptables' as iptables-save does.
func TestFilters(t *testing.T) {
	for _, f := range filters {
		check := func(t *testing.T, r *ruleset, allowed string) {
			t.Helper()
			var got []string
			for _, p := range r.allowed() {
				got = append(got, p.String())
			}
			if want := strings.Fields(allowed); !slices.Equal(got, want) {
				t.Errorf("reached by %v, want %v", got, want)
			}
			if r.limits != f.limits || len(r.unclear) > 0 != f.unclear {
				t.Errorf("limits %v, unclear %q", r.limits, r.unclear)
			}
		}
		t.Run("nft "+f.name, func(t *testing.T) {
			r := &ruleset{port: 5432, chains: map[string]*fwChain{}}
			if err := r.readNFT(listNFT(t, f.name, f.nft)); err != nil {
				t.Fatal(err)
			}
			check(t, r, f.allowed)
		})
		if f.v4 == "" {
			continue
		}
		t.Run("iptables "+f.name, func(t *testing.T) {
			r := &ruleset{port: 5432, chains: map[string]*fwChain{}}
			r.readSave("*nat\n:INPUT DROP\nCOMMIT\n*filter\n"+f.v4+"COMMIT\n", false)
			if f.v6 != "" {
				r.readSave("*filter\n"+f.v6+"COMMIT\n", true)
			}
			allowed := f.allowed
			if f.unclear && f.v6 != "" {
				allowed = strings.TrimSuffix(allowed, " ::/0")
			}
			check(t, r, allowed)
		})
	}
}

var update = flag.Bool("update", false, "record nft's listings anew; needs nft and the right to make a network namespace")

// listNFT returns what nft lists for some rules. The listings are recorded from the tool itself, in a network namespace of its own.
func listNFT(t *testing.T, name, rules string) []byte {
	t.Helper()
	golden := filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "", ":", "").Replace(name)+".json")
	if !*update {
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	lines := strings.NewReplacer("; }", ";\n}\n", "} table", "}\ntable") // nft wants the end of a block on a line of its own
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(lines.Replace(rules)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// #nosec G204 -- a test's own rules
	out, err := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--net", "sh", "-c", `nft -f "$0" && nft -j list ruleset`, file).CombinedOutput()
	if err != nil {
		t.Fatalf("nft in a namespace: %v\n%s", err, out)
	}
	if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(golden, out, 0o600)); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBetween(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.0-10.0.0.255": "10.0.0.0/24", "10.0.0.1-10.0.0.4": "10.0.0.1/32 10.0.0.2/31 10.0.0.4/32", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "::/0", "0.0.0.0-255.255.255.255": "0.0.0.0/0",
	} {
		low, high, _ := strings.Cut(in, "-")
		var got []string
		for _, p := range between(netip.MustParseAddr(low), netip.MustParseAddr(high)) {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is %v, want %s", in, got, want)
		}
	}
}
