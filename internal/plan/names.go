package plan

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// maxName is the longest name that servers keep whole: PostgreSQL truncates at 63 bytes with no more than a NOTICE (ENF-09).
const maxName = 63

// PublicRole holds what PUBLIC had before Postern took it back; every role outside Postern is a member of it (ENF-88).
const PublicRole = "postern_public"

// baselineRule is the name of the rule that baseline.outside_datasets stands for. A rule of the file cannot have a dot in its name.
const baselineRule = "baseline.outside_datasets"

// InstallationID names this installation of Postern in the markers of its objects. It follows from the root key, so that every
// instance that shares the key has the same one, and tells nothing of the key.
func InstallationID(root secret.Text) string {
	mac := hmac.New(sha256.New, []byte(root.Reveal()))
	mac.Write([]byte("postern installation"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// ProfileName is the name of the schema of a set of rules on a store: postern_<store>_<slug>_<8 hex of the set's SHA-256>. The
// order of the rules plays no part.
func ProfileName(store string, rules []string) string {
	sorted := slices.Clone(rules)
	slices.Sort(sorted)
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	head := "postern_" + slug(store) + "_"
	tail := "_" + hex.EncodeToString(sum[:4])
	// The names of the masker and the profile role are the schema's with a suffix of five bytes.
	room := maxName - len("_mask") - len(tail)
	if len(head) > room-2 {
		head = shorten(head, room-2)
	}
	return head + cut(slug(strings.Join(sorted, "_")), room-len(head)) + tail
}

// RuleRoleName is the role of a rule on a store.
func RuleRoleName(store, rule string) string {
	return shorten("postern_"+slug(store)+"_rule_"+exactSlug(rule), maxName)
}

// OpenRoleName is the role of a rule for the tables it shows whole. Rule names are at most as long as names of the server, so the
// word stands in front where truncation cannot take it.
func OpenRoleName(store, rule string) string {
	return shorten("postern_"+slug(store)+"_open_"+exactSlug(rule), maxName)
}

// ViewName is the name of a table's view in a profile's schema: the table's own for the first schema, "schema.table" for others.
func ViewName(table catalog.Name, first string) string {
	if table.Schema == first {
		return table.Name
	}
	return shorten(table.Schema+"."+table.Name, maxName)
}

// slug keeps lower-case letters, digits and underscores; everything else becomes an underscore.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, s)
}

// exactSlug is slug with a hash behind it wherever two names could have the same slug: rule names in lower case with dashes,
// which is how most are written, need none.
func exactSlug(s string) string {
	simple := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	}) < 0
	if simple {
		return slug(s)
	}
	return slug(s) + "_" + hash8(s)
}

// shorten cuts a name to n bytes; a name that was cut ends in a hash of the whole.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return cut(s, n-9) + "_" + hash8(s)
}

// cut keeps at most n bytes and no half rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

func hash8(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// ruleNames lists the names of rules in their order.
func ruleNames(rules []*policy.Rule) []string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.Name
	}
	return names
}
