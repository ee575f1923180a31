package classify

import (
	"fmt"
	"strings"
)

// Reference renders docs/reference/classes.md: every class with its group, tags, prior and the mask that discover suggests.
func (c *Classifier) Reference() string {
	var b strings.Builder
	b.WriteString("# Classes\n\nGenerated from `internal/classify/taxonomy.tsv` and `model.go`; do not edit. `postern discover` knows these classes; policies refer to them as labels,\n" +
		"and mask patterns such as `id.*` to their groups. The names are stable.\n\n" +
		"*Decided by*: `values` means that values alone can decide; `name` that a name, a comment or a domain must speak for the class first.\n" +
		"*Mask* is the one that discover suggests for text columns; where a column's type does not take it, or this version does not have it, `hidden`.\n")
	group := ""
	for _, k := range c.kinds {
		if k.class.group() != group {
			group = k.class.group()
			fmt.Fprintf(&b, "\n## %s\n\n| class | tags | prior | decided by | mask |\n|---|---|---|---|---|\n", group)
		}
		by := "values"
		if k.byName {
			by = "name"
		}
		tags := make([]string, len(k.tags))
		for i, t := range k.tags {
			tags[i] = string(t)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %g | %s | `%s` |\n", k.class, strings.Join(tags, ", "), k.prior, by, k.mask)
	}
	b.WriteString("\n## Tags\n\n| tag | means |\n|---|---|\n| pii | about a person, or identifying one directly |\n| quasi | identifying in combination |\n| phi | health |\n| pci | card data |\n" +
		"| art9 | special category of the GDPR |\n| art10 | criminal data |\n| secret | a secret of a person or a system |\n")
	return b.String()
}
