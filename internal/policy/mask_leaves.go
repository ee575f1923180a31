package policy

import "fmt"

// Leaves says in one plain sentence what somebody who sees the masked value still learns of the real one (ENF-30). It is what plan and the portal
// print beside a mask, for those who decide whether it is enough.
func (m Mask) Leaves() string {
	arg := func(i int) string {
		if i < len(m.Args) {
			return m.Args[i]
		}
		return "?"
	}
	switch m.Name {
	case Keep:
		return "The value is shown as it is."
	case Hidden:
		return "Nothing is left, not even whether there is a value."
	case Constant:
		return "Nothing is left but that the row exists."
	case Partial:
		return fmt.Sprintf("The first %s and last %s characters are left, which may be enough to know a short or well-known value.", arg(0), arg(1))
	case KeepLast:
		return fmt.Sprintf("The last %s characters are left, which tell most values of a small table apart.", arg(0))
	case PartialEmail:
		return "The first letter and the domain are left; a private domain names its owner."
	case EmailDomainOnly:
		return "The domain is left; a private domain names its owner."
	case Hash:
		return "Equal values stay equal and can be counted and joined; whoever can guess a value can check the guess."
	case Pseudonym:
		return "Equal values stay equal and can be counted and joined; nobody can check a guess without the key."
	case Year:
		return "The year is left."
	case Month:
		return "The year and month are left."
	case NullIf:
		return "Every value for which the condition is false is shown as it is, and a missing one tells that the condition holds."
	case Bucket:
		return fmt.Sprintf("The range of width %s that the number lies in is left, and its order among other ranges.", arg(0))
	case Round:
		return fmt.Sprintf("The number rounded to %s digits is left: its size, sign and order are known.", arg(0))
	case IPPrefix:
		return fmt.Sprintf("The network of the first %s bits is left, which names an organisation or a town; of IPv6, twice as many bits.", arg(0))
	case Noise:
		return fmt.Sprintf("The value is known to within %s; equal values stay equal, and sums and averages over many rows stay nearly right.", arg(0))
	case Expression:
		return "What is left is what the expression makes of the value; nobody has judged it but its author."
	}
	return "Nothing is known of this mask."
}
