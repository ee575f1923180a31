package scan_test

import "github.com/postern-sec/postern/internal/catalog"

// listed is an endpoint whose suites were listed; TestProbeSuites holds the listing itself to real servers and to sslscan.
func listed(name string, suites ...string) *catalog.Outside {
	o := &catalog.Outside{Endpoint: name + ":5432", Host: name, Addresses: []string{name}, Reachable: true, TLS: "S", Enumerated: true, Direct: "alpn", Groups: []string{"X25519"}}
	for _, s := range suites {
		o.Suites = append(o.Suites, catalog.Suite{Name: s, Version: "TLSv1.2"})
	}
	o.Chain = []catalog.Certificate{{Subject: "CN=" + name, Issuer: "CN=between", SPKI: name}}
	return o
}

func outsideWorlds() []world {
	return []world{
		{
			name: "endpoints with every bad suite", recorded: "bad", derived: "endpoints are edited in, with suites that no OpenSSL of today has, before a server made to be of 17",
			edit: func(e *catalog.Evidence) {
				e.Server.VersionNum = 170005
				o := listed("10.0.0.1", "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
				o.DHBits, o.Direct, o.ChainError, o.Groups = 1024, "any", "x509: certificate signed by unknown authority", []string{"secp192r1"}
				twin := listed("10.0.0.2")
				twin.Chain[0].SPKI = "10.0.0.1"
				e.Outside = []*catalog.Outside{o, twin}
				e.Host = nil
			},
			expect: `
				fail TLS-004 endpoint 10.0.0.1
				fail TLS-005 endpoint 10.0.0.1
				fail TLS-006 endpoint 10.0.0.1
				fail TLS-009 endpoint 10.0.0.1
				fail TLS-010 endpoint 10.0.0.1
				fail TLS-018 endpoint 10.0.0.1
				fail TLS-020 endpoint 10.0.0.2
				fail TLS-039 endpoint 10.0.0.1`,
		},
		{
			name: "endpoints with good suites", recorded: "bad", derived: "endpoints are edited in, and the server is made to be of 17",
			edit: func(e *catalog.Evidence) {
				e.Server.VersionNum = 170005
				e.Outside = []*catalog.Outside{listed("10.0.0.1", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"), listed("10.0.0.2", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256")}
			},
			expect: "pass TLS-004 TLS-005 TLS-006 TLS-010 TLS-018 TLS-020 TLS-039",
		},
		{
			name: "the setting alone", recorded: "bad", derived: "the setting is edited",
			edit:   func(e *catalog.Evidence) { setting(e, "ssl_ciphers", "HIGH:MEDIUM:+3DES:!aNULL") },
			expect: "fail TLS-004 setting ssl_ciphers\nblind TLS-005 TLS-006 TLS-018 TLS-020",
		},
		{
			name: "a strict setting alone", recorded: "bad", derived: "the setting is edited",
			edit:   func(e *catalog.Evidence) { setting(e, "ssl_ciphers", "ECDHE+AESGCM:ECDHE-RSA-CHACHA20-POLY1305") },
			expect: "pass TLS-004 TLS-005",
		},
		{
			name: "a setting without authentication", recorded: "bad", derived: "the setting is edited",
			edit:   func(e *catalog.Evidence) { setting(e, "ssl_ciphers", "HIGH:!kRSA:aNULL") },
			expect: "fail TLS-005 setting ssl_ciphers\nblind TLS-004",
		},
	}
}
