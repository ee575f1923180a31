package pgsql

import (
	_ "embed"
	"strings"
)

//go:embed extensions.txt
var extensionsText string

// ExtensionFunctions returns the reviewed functions of extensions, by extension (ENF-52).
func ExtensionFunctions() map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(extensionsText) {
		if f := strings.Fields(line); len(f) > 1 && !strings.HasPrefix(line, "#") {
			out[f[0]] = f[1:]
		}
	}
	return out
}
