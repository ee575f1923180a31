package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// suite is a row of IANA's registry of cipher suites, without the TLS_ that each name begins with.
type suite struct {
	id   uint16
	name string
}

func (s *suite) ecdhe() bool { return strings.HasPrefix(s.name, "ECDH") }
func (s *suite) dhe() bool   { return strings.HasPrefix(s.name, "DH") }
func (s *suite) tls13() bool { return s.id>>8 == 0x13 }

func suiteOf(id uint16) *suite {
	if i := slices.IndexFunc(suites, func(s suite) bool { return s.id == id }); i >= 0 {
		return &suites[i]
	}
	return nil
}

// suites are those that an OpenSSL of the last twenty years may have, by number.
var suites = []suite{
	{0x0001, "RSA_WITH_NULL_MD5"},
	{0x0002, "RSA_WITH_NULL_SHA"},
	{0x0003, "RSA_EXPORT_WITH_RC4_40_MD5"},
	{0x0004, "RSA_WITH_RC4_128_MD5"},
	{0x0005, "RSA_WITH_RC4_128_SHA"},
	{0x0006, "RSA_EXPORT_WITH_RC2_CBC_40_MD5"},
	{0x0007, "RSA_WITH_IDEA_CBC_SHA"},
	{0x0008, "RSA_EXPORT_WITH_DES40_CBC_SHA"},
	{0x0009, "RSA_WITH_DES_CBC_SHA"},
	{0x000A, "RSA_WITH_3DES_EDE_CBC_SHA"},
	{0x0011, "DHE_DSS_EXPORT_WITH_DES40_CBC_SHA"},
	{0x0014, "DHE_RSA_EXPORT_WITH_DES40_CBC_SHA"},
	{0x0015, "DHE_RSA_WITH_DES_CBC_SHA"},
	{0x0016, "DHE_RSA_WITH_3DES_EDE_CBC_SHA"},
	{0x0017, "DH_anon_EXPORT_WITH_RC4_40_MD5"},
	{0x0018, "DH_anon_WITH_RC4_128_MD5"},
	{0x0019, "DH_anon_EXPORT_WITH_DES40_CBC_SHA"},
	{0x001A, "DH_anon_WITH_DES_CBC_SHA"},
	{0x001B, "DH_anon_WITH_3DES_EDE_CBC_SHA"},
	{0x002F, "RSA_WITH_AES_128_CBC_SHA"},
	{0x0033, "DHE_RSA_WITH_AES_128_CBC_SHA"},
	{0x0034, "DH_anon_WITH_AES_128_CBC_SHA"},
	{0x0035, "RSA_WITH_AES_256_CBC_SHA"},
	{0x0039, "DHE_RSA_WITH_AES_256_CBC_SHA"},
	{0x003A, "DH_anon_WITH_AES_256_CBC_SHA"},
	{0x003B, "RSA_WITH_NULL_SHA256"},
	{0x003C, "RSA_WITH_AES_128_CBC_SHA256"},
	{0x003D, "RSA_WITH_AES_256_CBC_SHA256"},
	{0x0041, "RSA_WITH_CAMELLIA_128_CBC_SHA"},
	{0x0045, "DHE_RSA_WITH_CAMELLIA_128_CBC_SHA"},
	{0x0046, "DH_anon_WITH_CAMELLIA_128_CBC_SHA"},
	{0x0067, "DHE_RSA_WITH_AES_128_CBC_SHA256"},
	{0x006B, "DHE_RSA_WITH_AES_256_CBC_SHA256"},
	{0x006C, "DH_anon_WITH_AES_128_CBC_SHA256"},
	{0x006D, "DH_anon_WITH_AES_256_CBC_SHA256"},
	{0x0084, "RSA_WITH_CAMELLIA_256_CBC_SHA"},
	{0x0088, "DHE_RSA_WITH_CAMELLIA_256_CBC_SHA"},
	{0x0089, "DH_anon_WITH_CAMELLIA_256_CBC_SHA"},
	{0x0096, "RSA_WITH_SEED_CBC_SHA"},
	{0x009A, "DHE_RSA_WITH_SEED_CBC_SHA"},
	{0x009B, "DH_anon_WITH_SEED_CBC_SHA"},
	{0x009C, "RSA_WITH_AES_128_GCM_SHA256"},
	{0x009D, "RSA_WITH_AES_256_GCM_SHA384"},
	{0x009E, "DHE_RSA_WITH_AES_128_GCM_SHA256"},
	{0x009F, "DHE_RSA_WITH_AES_256_GCM_SHA384"},
	{0x00A6, "DH_anon_WITH_AES_128_GCM_SHA256"},
	{0x00A7, "DH_anon_WITH_AES_256_GCM_SHA384"},
	{0x00BA, "RSA_WITH_CAMELLIA_128_CBC_SHA256"},
	{0x00BE, "DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256"},
	{0x00BF, "DH_anon_WITH_CAMELLIA_128_CBC_SHA256"},
	{0x00C0, "RSA_WITH_CAMELLIA_256_CBC_SHA256"},
	{0x00C4, "DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256"},
	{0x00C5, "DH_anon_WITH_CAMELLIA_256_CBC_SHA256"},
	{0xC006, "ECDHE_ECDSA_WITH_NULL_SHA"},
	{0xC007, "ECDHE_ECDSA_WITH_RC4_128_SHA"},
	{0xC008, "ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"},
	{0xC009, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA"},
	{0xC00A, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA"},
	{0xC010, "ECDHE_RSA_WITH_NULL_SHA"},
	{0xC011, "ECDHE_RSA_WITH_RC4_128_SHA"},
	{0xC012, "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"},
	{0xC013, "ECDHE_RSA_WITH_AES_128_CBC_SHA"},
	{0xC014, "ECDHE_RSA_WITH_AES_256_CBC_SHA"},
	{0xC015, "ECDH_anon_WITH_NULL_SHA"},
	{0xC016, "ECDH_anon_WITH_RC4_128_SHA"},
	{0xC017, "ECDH_anon_WITH_3DES_EDE_CBC_SHA"},
	{0xC018, "ECDH_anon_WITH_AES_128_CBC_SHA"},
	{0xC019, "ECDH_anon_WITH_AES_256_CBC_SHA"},
	{0xC023, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"},
	{0xC024, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"},
	{0xC027, "ECDHE_RSA_WITH_AES_128_CBC_SHA256"},
	{0xC028, "ECDHE_RSA_WITH_AES_256_CBC_SHA384"},
	{0xC02B, "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
	{0xC02C, "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
	{0xC02F, "ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
	{0xC030, "ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
	{0xC050, "RSA_WITH_ARIA_128_GCM_SHA256"},
	{0xC051, "RSA_WITH_ARIA_256_GCM_SHA384"},
	{0xC052, "DHE_RSA_WITH_ARIA_128_GCM_SHA256"},
	{0xC053, "DHE_RSA_WITH_ARIA_256_GCM_SHA384"},
	{0xC05C, "ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256"},
	{0xC05D, "ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384"},
	{0xC060, "ECDHE_RSA_WITH_ARIA_128_GCM_SHA256"},
	{0xC061, "ECDHE_RSA_WITH_ARIA_256_GCM_SHA384"},
	{0xC072, "ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256"},
	{0xC073, "ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384"},
	{0xC076, "ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256"},
	{0xC077, "ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384"},
	{0xC09C, "RSA_WITH_AES_128_CCM"},
	{0xC09D, "RSA_WITH_AES_256_CCM"},
	{0xC09E, "DHE_RSA_WITH_AES_128_CCM"},
	{0xC09F, "DHE_RSA_WITH_AES_256_CCM"},
	{0xC0A0, "RSA_WITH_AES_128_CCM_8"},
	{0xC0A1, "RSA_WITH_AES_256_CCM_8"},
	{0xC0A2, "DHE_RSA_WITH_AES_128_CCM_8"},
	{0xC0A3, "DHE_RSA_WITH_AES_256_CCM_8"},
	{0xC0AC, "ECDHE_ECDSA_WITH_AES_128_CCM"},
	{0xC0AD, "ECDHE_ECDSA_WITH_AES_256_CCM"},
	{0xC0AE, "ECDHE_ECDSA_WITH_AES_128_CCM_8"},
	{0xC0AF, "ECDHE_ECDSA_WITH_AES_256_CCM_8"},
	{0xCCA8, "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0xCCA9, "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0xCCAA, "DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0x1301, "AES_128_GCM_SHA256"},
	{0x1302, "AES_256_GCM_SHA384"},
	{0x1303, "CHACHA20_POLY1305_SHA256"},
	{0x1304, "AES_128_CCM_SHA256"},
	{0x1305, "AES_128_CCM_8_SHA256"},
}

// curves are the groups that are asked for, by IANA's number, with OpenSSL's names.
var curves = []suite{
	{0x11EC, "X25519MLKEM768"},
	{29, "X25519"},
	{23, "prime256v1"},
	{30, "X448"},
	{24, "secp384r1"},
	{25, "secp521r1"},
	{28, "brainpoolP512r1"},
	{27, "brainpoolP384r1"},
	{26, "brainpoolP256r1"},
	{22, "secp256k1"},
	{21, "secp224r1"},
	{19, "secp192r1"},
	{20, "secp224k1"},
	{18, "secp192k1"},
	{17, "secp160r2"},
	{16, "secp160r1"},
	{15, "secp160k1"},
	{14, "sect571r1"},
	{13, "sect571k1"},
	{12, "sect409r1"},
	{11, "sect409k1"},
	{10, "sect283r1"},
	{9, "sect283k1"},
	{8, "sect239k1"},
	{7, "sect233r1"},
	{6, "sect233k1"},
	{5, "sect193r2"},
	{4, "sect193r1"},
	{3, "sect163r2"},
	{2, "sect163r1"},
	{1, "sect163k1"},
	{256, "ffdhe2048"},
	{257, "ffdhe3072"},
	{258, "ffdhe4096"},
}

func numbers(list []suite, keep func(*suite) bool) []uint16 {
	var out []uint16
	for i := range list {
		if keep(&list[i]) {
			out = append(out, list[i].id)
		}
	}
	return out
}

// mostAsked bounds the connections that one list costs.
const mostAsked = 128

// pickAll offers a list, takes out what the server chose and offers the rest, until it refuses: one connection for each that it accepts.
func (p *prober) pickAll(ctx context.Context, list []uint16, offer func([]uint16) *hello, chosen func(*answerHello) uint16) ([]uint16, error) {
	list = slices.Clone(list)
	var out []uint16
	for range mostAsked {
		if len(list) == 0 {
			return out, nil
		}
		a, err := p.ask(ctx, offer(list))
		if errors.Is(err, errRefused) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if a.dhBits > 0 && (p.out.DHBits == 0 || a.dhBits < p.out.DHBits) {
			p.out.DHBits = a.dhBits
		}
		i := slices.Index(list, chosen(a))
		if i < 0 {
			return out, nil // it chose what was not offered, so it will not stop by itself
		}
		out = append(out, list[i])
		list = slices.Delete(list, i, i+1)
	}
	return out, nil
}

// enumerate lists the suites and groups that the server accepts, and whose order decides. Nothing is authenticated or encrypted: each
// connection ends at the server's choice.
func (p *prober) enumerate(ctx context.Context) error {
	all := numbers(curves, func(*suite) bool { return true })
	p.out.Suites = nil
	for _, v := range []struct {
		name string
		id   uint16
		keep func(*suite) bool
	}{
		{"TLSv1.3", versionTLS13, (*suite).tls13},
		{"TLSv1.2", versionTLS12, func(s *suite) bool { return !s.tls13() }},
		{"TLSv1.1", 0x0302, func(s *suite) bool { return !s.tls13() }},
		{"TLSv1", 0x0301, func(s *suite) bool { return !s.tls13() }},
	} {
		accepted, err := p.pickAll(ctx, numbers(suites, v.keep), func(list []uint16) *hello { return &hello{version: v.id, suites: list, groups: all} }, func(a *answerHello) uint16 {
			if a.version != v.id {
				return 0
			}
			return a.suite
		})
		if err != nil {
			return err
		}
		if len(accepted) > 0 && !slices.Contains(p.out.Versions, v.name) {
			p.out.Versions = append(p.out.Versions, v.name) // one that this program's own TLS could not speak
		}
		for _, id := range accepted {
			p.out.Suites = append(p.out.Suites, catalog.Suite{Name: "TLS_" + suiteOf(id).name, ID: id, Version: v.name})
		}
		if v.id == versionTLS12 && len(accepted) > 1 {
			if err := p.order(ctx, accepted, all); err != nil {
				return err
			}
		}
	}
	p.oldest(ctx)
	if err := p.groupsOf(ctx, all); err != nil {
		return err
	}
	p.out.Enumerated = true
	return nil
}

// oldest tries SSL 3.
func (p *prober) oldest(ctx context.Context) {
	p.out.Tried = append(p.out.Tried, "SSLv3")
	a, err := p.ask(ctx, &hello{version: versionSSL3, suites: numbers(suites, func(s *suite) bool { return !s.tls13() })})
	if err == nil && a.version == versionSSL3 {
		p.out.Versions = append(p.out.Versions, "SSLv3")
	}
}

// order offers what the server takes in its own order and turned round.
func (p *prober) order(ctx context.Context, accepted, groups []uint16) error {
	turned := slices.Clone(accepted)
	slices.Reverse(turned)
	a, err := p.ask(ctx, &hello{version: versionTLS12, suites: turned, groups: groups})
	if err != nil {
		return err
	}
	p.out.Server = "server"
	if a.suite == turned[0] {
		p.out.Server = "client"
	}
	return nil
}

// groupsOf lists the groups, by the newest version that the server speaks.
func (p *prober) groupsOf(ctx context.Context, all []uint16) error {
	for _, h := range []hello{{version: versionTLS13, suites: numbers(suites, (*suite).tls13)}, {version: versionTLS12, suites: numbers(suites, (*suite).ecdhe)}} {
		accepted, err := p.pickAll(ctx, all, func(list []uint16) *hello { return &hello{version: h.version, suites: h.suites, groups: list} }, func(a *answerHello) uint16 { return a.group })
		if err != nil {
			return err
		}
		for _, id := range accepted {
			name := curves[slices.IndexFunc(curves, func(s suite) bool { return s.id == id })].name
			if !slices.Contains(p.out.Groups, name) {
				p.out.Groups = append(p.out.Groups, name)
			}
		}
	}
	return nil
}
