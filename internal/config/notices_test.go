package config

import (
	"strings"
	"testing"
)

// What tells people goes over TLS or stays on this machine.
func TestNotices(t *testing.T) {
	for text, wrong := range map[string]string{
		`{webhook: {url: "https://h/x", secret: {env: X}}, mail: {server: "m:587", from: "a@b"}}`:  "",
		`{webhook: {url: "http://127.0.0.1:9/", secret: {env: X}}}`:                                "",
		`{mail: {server: "127.0.0.1:25", from: "P <a@b>", tls: disable}}`:                          "",
		`{webhook: {url: "http://h/x", secret: {env: X}}}`:                                         "plain HTTP to another machine",
		`{webhook: {url: "https://u:p@h/x", secret: {env: X}}}`:                                    "not the address of a webhook",
		`{webhook: {url: "https://h/x"}}`:                                                          "missing key",
		`{mail: {server: "m:25", from: "a@b", tls: disable}}`:                                      "would be read on the way",
		`{mail: {server: "127.0.0.1:25", from: "a@b", tls: disable, user: u, password: {env: X}}}`: "over TLS alone",
		`{mail: {server: "m:587", from: "a@b", user: u}}`:                                          `missing key "password"`,
		`{mail: {server: m, from: "a@b"}}`:                                                         "not host:port",
		`{mail: {server: "m:587", from: nobody}}`:                                                  "not an address",
		`{mail: {server: "m:587"}}`:                                                                "missing key",
	} {
		_, err := Parse("p.yaml", []File{{"p.yaml", []byte(minimal + "notices: " + text + "\n")}}, testSyntax{})
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v, want %q", text, err, wrong)
		}
	}
}
