package classify

// verdict is what one probe says of one value.
type verdict uint8

const (
	misfit  verdict = iota // another shape
	fits                   // the shape is right and there is nothing more to check, or the check fails softly
	failed                 // the shape is right, the check digit or list is not
	passed                 // right throughout
	example                // a value that documentation uses
)

// method says how counts of a probe become log-odds.
type method uint8

const (
	byChecksum method = iota // lift against chance p0
	byShape                  // unmistakable shape, ln(p1/p0) per value
	byWeak                   // shape that cannot decide alone
	byList                   // share of distinct values found in a dictionary
	bySet                    // nearly all distinct values belong to a small set
)

// probe tests values for one class. A class may have several; the best one counts.
type probe struct {
	class  Class
	how    method
	p0     float64 // chance that a random value of the shape passes; for lists the background rate
	limit  float64 // 0: the model's limit of the method
	soft   bool    // a valid value may fail the check
	named  bool    // counts only where the name says the class
	fams   string  // families it is run on; empty: text
	region string  // country that a passing value speaks for
	test   func(v *value) verdict
}

// tally is what a probe found in a column.
type tally struct {
	fit, pass, fail, examples int
}

// probes lists every probe, group by group.
func (c *Classifier) probes() []probe {
	var out []probe
	out = append(out, personProbes(c.dict)...)
	out = append(out, contactProbes(c.dict)...)
	out = append(out, financeProbes(c.dict)...)
	out = append(out, healthProbes(c.dict)...)
	out = append(out, idProbes()...)
	out = append(out, secretProbes(c.mnemonics)...)
	out = append(out, networkProbes(c.dict)...)
	out = append(out, specialProbes(c.dict)...)
	return out
}

func check(ok bool) verdict {
	if ok {
		return passed
	}
	return failed
}

func shapeOnly(ok bool) verdict {
	if ok {
		return passed
	}
	return misfit
}
