package pgsql

import (
	"regexp"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// EXPLAIN in its plain form (ENF-65): the server is asked for a plan without costs, and PlanFilter leaves of what it prints the nodes, the
// admitted relations and their constraints' indexes. Which plan the server chose still depends on all rows, hidden ones included: that
// is what a policy that allows it gives away.

// explain judges EXPLAIN. Only a rule that says so lets it through, alone in its message and without options that tell more.
func (a *analysis) explain(n *pg.Node, x *pg.ExplainStmt) Statement {
	st := Statement{Tag: "EXPLAIN", Explain: true}
	if !a.w.Explain {
		a.refusedStatement(n)
		return st
	}
	if a.statementCount > 1 {
		a.refuse(-1, Refusal{Reason: ReasonExplain, Object: "EXPLAIN", Message: "EXPLAIN stands alone", Hint: "Send it by itself."})
		return st
	}
	for _, o := range x.Options {
		d := o.GetDefElem()
		if !plainOption(d) {
			a.refuse(d.GetLocation(), Refusal{
				Reason: ReasonExplain, Object: d.GetDefname(), Message: "EXPLAIN is available without options that tell more than the shape of a plan",
				Detail: "Costs, row counts, timings and conditions tell of rows that you do not see.", Hint: "Write EXPLAIN and the statement.",
			})
			return st
		}
	}
	a.mark(x)
	off := &pg.DefElem{Defname: "costs", Arg: &pg.Node{Node: &pg.Node_String_{String_: &pg.String{Sval: "off"}}}, Defaction: pg.DefElemAction_DEFELEM_UNSPEC}
	x.Options = []*pg.Node{{Node: &pg.Node_DefElem{DefElem: off}}}
	a.rewrote = true
	switch q := x.Query.GetNode().(type) {
	case *pg.Node_SelectStmt:
		a.selectStmt(q.SelectStmt, nil)
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		a.write(x.Query, nil)
	case *pg.Node_ExecuteStmt:
		a.nodeList(q.ExecuteStmt.Params, nil)
		st.Effects = append(st.Effects, Effect{Kind: Execute, Name: q.ExecuteStmt.Name})
	case *pg.Node_CreateTableAsStmt:
		st.Effects = append(st.Effects, a.createTableAs(x.Query, q.CreateTableAsStmt).Effects...)
	case *pg.Node_DeclareCursorStmt:
		a.declare(q.DeclareCursorStmt) // no cursor comes of it
	default:
		a.refusedStatement(x.Query)
	}
	for m := range a.judged {
		switch m.(type) {
		case *pg.SubLink, *pg.CommonTableExpr:
			st.Subplans = true
		}
	}
	return st
}

// plainOption tells whether an option says no more than that there are none: COSTS OFF, ANALYZE false, FORMAT text and the like.
func plainOption(d *pg.DefElem) bool {
	value := strings.ToLower(d.GetArg().GetString_().GetSval())
	if i := d.GetArg().GetInteger(); i != nil && i.Ival == 0 {
		value = "off"
	}
	if d.GetDefname() == "format" {
		return value == "text"
	}
	return value == "off" || value == "false"
}

// PlanFilter takes a plan as the server prints it, line by line, and keeps its shape. A subplan that reads something hidden, which
// those of row filters do, is left out whole. It is made for one result and is not safe for concurrent use.
type PlanFilter struct {
	relations map[string]map[string]bool // admitted relations by bare name -> names of their keys
	parts     map[string]string          // what is read through one of them, and is named after it
	subplans  bool                       // some may be the client's own
	begun     bool
	broken    bool     // the result does not begin at the top of a plan: nothing of it is shown
	skip      int      // lines deeper than this are left out; -1: none
	held      []string // lines of a subplan that is not known to be harmless yet
	label     int      // how deep the label of the held subplan stands; -1: nothing is held
	hidden    bool     // the held subplan reads something hidden
}

// NewPlanFilter returns a filter for a plan of a session of w. Without subplans of the client's own, all that the plan has are left out.
func NewPlanFilter(w *World, subplans bool) *PlanFilter {
	p := &PlanFilter{relations: map[string]map[string]bool{}, parts: w.Parts, subplans: subplans, skip: -1, label: -1}
	for name, rel := range w.Relations {
		if p.relations[name.Name] == nil {
			p.relations[name.Name] = map[string]bool{}
		}
		for key := range rel.Unique {
			p.relations[name.Name][key] = true
		}
	}
	return p
}

var (
	planNode  = regexp.MustCompile(`^( *)(->  )?([A-Z][A-Za-z ]*?)(?: using ("(?:[^"]|"")*"|\S+))?(?: on ("(?:[^"]|"")*"|\S+)(?: ("(?:[^"]|"")*"|\S+))?)?$`)
	planLabel = regexp.MustCompile(`^( *)(?:InitPlan|SubPlan|CTE) `)
)

// Line takes the next line and returns those that may be shown now.
func (p *PlanFilter) Line(line string) []string {
	var out []string
	if m := planLabel.FindStringSubmatch(line); m != nil && p.begun {
		depth := len(m[1])
		if p.label < 0 || depth <= p.label {
			out = p.Flush()
			p.label, p.hidden = depth, !p.subplans
		}
		return out
	}
	m := planNode.FindStringSubmatch(line)
	if m == nil || m[2] == "" && p.begun || p.broken {
		return nil // a property of the node above, or nothing that is known
	}
	depth := len(m[1])
	if !p.begun {
		p.begun, p.broken = true, m[2] != "" || depth > 0
		if p.broken {
			return nil
		}
	}
	if p.label >= 0 && depth <= p.label {
		out = p.Flush()
	}
	if p.skip >= 0 && depth > p.skip {
		return out
	}
	p.skip = -1
	shown, ok := p.node(m)
	switch {
	case p.label >= 0:
		p.held, p.hidden = append(p.held, shown), p.hidden || !ok
	case ok:
		out = append(out, shown)
	default:
		p.skip = depth
	}
	return out
}

// Flush returns what is held back, at the end of a subplan or of the plan.
func (p *PlanFilter) Flush() []string {
	out := p.held
	if p.hidden {
		out = nil
	}
	p.held, p.hidden, p.label = nil, false, -1
	return out
}

// node writes one node; false when it reads what is hidden.
func (p *PlanFilter) node(m []string) (string, bool) {
	name, index, on, alias := m[3], m[4], m[5], m[6]
	text := m[1] + m[2] + name
	switch {
	case on == "", name == "Bitmap Index Scan", name == "Function Scan", name == "Table Function Scan":
		return text, true // an index or a function by itself may be a filter's
	case name == "CTE Scan", name == "Subquery Scan", name == "WorkTable Scan", name == "Values Scan":
		return text + " on " + on, true
	}
	bare := strings.ReplaceAll(strings.Trim(on, `"`), `""`, `"`)
	keys, admitted := p.relations[bare]
	if whole, ok := p.parts[bare]; ok && !admitted {
		return text + " on " + quoteIdent(whole), true // a partition's own name may tell what is in it
	}
	if !admitted {
		return text, false
	}
	if index != "" && keys[strings.ReplaceAll(strings.Trim(index, `"`), `""`, `"`)] {
		text += " using " + index
	}
	text += " on " + on
	if alias != "" {
		text += " " + alias
	}
	return text, true
}
