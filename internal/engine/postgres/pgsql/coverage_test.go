package pgsql

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// places puts a node where a statement, an expression, an item of FROM and a list may stand.
var places = map[string]func(n *pg.Node) *pg.Node{
	"top": func(n *pg.Node) *pg.Node { return n },
	"target": func(n *pg.Node) *pg.Node {
		return selectNode(&pg.SelectStmt{TargetList: []*pg.Node{pg.MakeResTargetNodeWithVal(n, 0)}})
	},
	"target list": func(n *pg.Node) *pg.Node { return selectNode(&pg.SelectStmt{TargetList: []*pg.Node{n}}) },
	"from":        func(n *pg.Node) *pg.Node { return selectNode(&pg.SelectStmt{FromClause: []*pg.Node{n}}) },
	"where":       func(n *pg.Node) *pg.Node { return selectNode(&pg.SelectStmt{WhereClause: n}) },
	"locking":     func(n *pg.Node) *pg.Node { return selectNode(&pg.SelectStmt{LockingClause: []*pg.Node{n}}) },
	"with": func(n *pg.Node) *pg.Node {
		return selectNode(&pg.SelectStmt{WithClause: &pg.WithClause{Ctes: []*pg.Node{n}}})
	},
	"cte query": func(n *pg.Node) *pg.Node {
		c := &pg.CommonTableExpr{Ctename: "a", Ctequery: n}
		return selectNode(&pg.SelectStmt{WithClause: &pg.WithClause{Ctes: []*pg.Node{{Node: &pg.Node_CommonTableExpr{CommonTableExpr: c}}}}})
	},
	"argument": func(n *pg.Node) *pg.Node {
		call := &pg.FuncCall{Funcname: nameNodes("upper"), Args: []*pg.Node{n}, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL}
		return selectNode(&pg.SelectStmt{WhereClause: &pg.Node{Node: &pg.Node_FuncCall{FuncCall: call}}})
	},
	"list": func(n *pg.Node) *pg.Node {
		return selectNode(&pg.SelectStmt{WhereClause: &pg.Node{Node: &pg.Node_List{List: &pg.List{Items: []*pg.Node{n}}}}})
	},
	"prepare": func(n *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_PrepareStmt{PrepareStmt: &pg.PrepareStmt{Name: "p", Query: n}}}
	},
	"copy": func(n *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_CopyStmt{CopyStmt: &pg.CopyStmt{Query: n}}}
	},
	"declare": func(n *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_DeclareCursorStmt{DeclareCursorStmt: &pg.DeclareCursorStmt{Portalname: "k", Query: n}}}
	},
	"set": func(n *pg.Node) *pg.Node {
		s := &pg.VariableSetStmt{Kind: pg.VariableSetKind_VAR_SET_VALUE, Name: "application_name", Args: []*pg.Node{n}}
		return &pg.Node{Node: &pg.Node_VariableSetStmt{VariableSetStmt: s}}
	},
}

func selectNode(s *pg.SelectStmt) *pg.Node {
	s.LimitOption, s.Op = pg.LimitOption_LIMIT_OPTION_DEFAULT, pg.SetOperation_SETOP_NONE
	return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}
}

func judge(g *Guard, w *World, n *pg.Node) *Refusal {
	tree := &pg.ParseResult{Version: 170007, Stmts: []*pg.RawStmt{{Stmt: n}}}
	a := newAnalysis(g, w, "")
	a.statements(tree)
	if a.refusal == nil {
		a.cover(tree)
	}
	return a.refusal
}

// TestEveryNodeType feeds every node type of the grammar to the walk, empty and filled, in every kind of place: a type that
// is not on the list is always refused, and nothing panics (ENF-83).
func TestEveryNodeType(t *testing.T) {
	g, w := NewGuard(-1), shopWorld()
	w.Major = 17
	fields := (&pg.Node{}).ProtoReflect().Descriptor().Fields()
	listed := 0
	for i := range fields.Len() {
		fd := fields.Get(i)
		name := fd.Message().Name()
		if _, ok := g.nodes.fields[name]; ok {
			listed++
		}
		for place, put := range places {
			for _, full := range []bool{false, true} {
				n := &pg.Node{}
				inner := n.ProtoReflect().NewField(fd)
				if full {
					fill(inner.Message(), 3)
				}
				n.ProtoReflect().Set(fd, inner)
				r := judge(g, w, put(n))
				if _, ok := g.nodes.fields[name]; !ok && r == nil {
					t.Errorf("%s as %s is accepted", name, place)
				}
			}
		}
	}
	if fields.Len() < 250 || listed < 80 {
		t.Fatalf("%d node types, %d of them listed: the grammar was not read", fields.Len(), listed)
	}
}

// fill sets every field of a message, with nodes inside nodes to a depth.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if m.Descriptor().Name() == "Node" && fd.Name() != "string" && fd.Name() != "range_var" && fd.Name() != "func_call" {
			continue
		}
		switch {
		case fd.Message() != nil && depth == 0:
		case fd.IsList() && fd.Message() != nil:
			e := m.Mutable(fd).List().AppendMutable()
			fill(e.Message(), depth-1)
		case fd.IsList():
		case fd.Message() != nil:
			fill(m.Mutable(fd).Message(), depth-1)
		default:
			setScalar(m, fd)
		}
	}
}

func setScalar(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		m.Set(fd, protoreflect.ValueOfBool(true))
	case protoreflect.StringKind:
		m.Set(fd, protoreflect.ValueOfString("payroll"))
	case protoreflect.Int32Kind:
		m.Set(fd, protoreflect.ValueOfInt32(1))
	case protoreflect.Int64Kind:
		m.Set(fd, protoreflect.ValueOfInt64(1))
	case protoreflect.Uint32Kind:
		m.Set(fd, protoreflect.ValueOfUint32(1))
	case protoreflect.Uint64Kind:
		m.Set(fd, protoreflect.ValueOfUint64(1))
	case protoreflect.DoubleKind:
		m.Set(fd, protoreflect.ValueOfFloat64(1))
	case protoreflect.EnumKind:
		m.Set(fd, protoreflect.ValueOfEnum(fd.Enum().Values().Get(fd.Enum().Values().Len()-1).Number()))
	}
}

// TestEveryField sets each field of each listed node that is not on its list, and sees it refused (ENF-83).
func TestEveryField(t *testing.T) {
	g, w := NewGuard(-1), shopWorld()
	w.Major = 17
	checked := 0
	for name, listed := range g.nodes.fields {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("pg_query").Append(name))
		if err != nil {
			t.Errorf("nodes.txt lists %s, which the grammar does not have", name)
			continue
		}
		for field := range listed {
			if mt.Descriptor().Fields().ByName(field) == nil {
				t.Errorf("nodes.txt lists field %s of %s, which the grammar does not have", field, name)
			}
		}
		for i := range mt.Descriptor().Fields().Len() {
			fd := mt.Descriptor().Fields().Get(i)
			if listed[fd.Name()] || isLocation(fd) {
				continue
			}
			checked++
			m := mt.New()
			switch {
			case fd.IsList() && fd.Message() == nil:
				m.Mutable(fd).List().Append(protoreflect.ValueOfUint64(1))
			case fd.IsList():
				m.Mutable(fd).List().AppendMutable()
			case fd.Message() != nil:
				m.Mutable(fd)
			default:
				setScalar(m, fd)
			}
			a := newAnalysis(g, w, "")
			a.mark(m.Interface())
			a.coverMessage(m)
			if a.refusal == nil {
				t.Errorf("field %s of %s is accepted", fd.Name(), name)
			}
		}
	}
	if checked < 60 {
		t.Errorf("only %d fields checked", checked)
	}
}

func TestUnknownPartsAreRefused(t *testing.T) {
	g, w := NewGuard(-1), shopWorld()
	s := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	s.ProtoReflect().SetUnknown(protoreflect.RawFields{0xfa, 0x7f, 0x00})
	if judge(g, w, &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}) == nil {
		t.Error("an unknown field is accepted")
	}
	s = &pg.SelectStmt{LimitOption: pg.LimitOption(99), Op: pg.SetOperation_SETOP_NONE}
	if judge(g, w, &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}) == nil {
		t.Error("an unknown value is accepted")
	}
}

// TestWalkMissesNothing takes the judgement of each node away in turn, and sees the coverage check refuse: a place that the
// walk forgets cannot pass (ENF-83).
func TestWalkMissesNothing(t *testing.T) {
	g, w := NewGuard(-1), shopWorld()
	w.Major = 17
	for _, text := range []string{
		"WITH x AS (SELECT id::text FROM customers c JOIN orders o USING (id) WHERE (c).name LIKE upper('a') ORDER BY id) SELECT * FROM x, generate_series(1, 2) g",
		"INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO NOTHING RETURNING id",
		"SELECT name COLLATE \"C\", current_user FROM customers, (SELECT 1) s WHERE EXISTS (SELECT 1 FROM orders FOR UPDATE)",
		"SELECT * FROM json_table('{}', '$' COLUMNS (a int)) j, xmltable('/a' PASSING '<a/>' COLUMNS a int) x",
	} {
		tree, err := pg.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		a := newAnalysis(g, w, text)
		a.statements(tree)
		if a.cover(tree); a.refusal != nil {
			t.Fatalf("%s: %s", text, a.refusal.Message)
		}
		tried := 0
		for m := range a.judged {
			if !mustBeJudged(m.ProtoReflect().Descriptor().Name()) {
				continue
			}
			tried++
			b := newAnalysis(g, w, text)
			b.judged = map[proto.Message]struct{}{}
			for other := range a.judged {
				if other != m {
					b.judged[other] = struct{}{}
				}
			}
			if b.cover(tree); b.refusal == nil {
				t.Errorf("%s: %s is not missed", text, strings.TrimSpace(string(m.ProtoReflect().Descriptor().Name())))
			}
		}
		if tried < 5 {
			t.Errorf("%s: only %d nodes tried", text, tried)
		}
	}
}
