package pgsql

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// On the inline tier (ENF-39 to 44) nothing of Postern is on the server. A statement is judged as on the walled tier, against the
// names of views that do not exist, and each such name is then replaced by the query that the view would be, with the identity of the
// subject as constants. What would need more than that, because it names a view where a query cannot stand, is refused.

// InlineIdentity is whose constants go into the queries (ENF-44).
type InlineIdentity struct {
	Role       string
	Attributes map[string]string
	Holds      map[string]time.Time // rule -> end
}

// InlineQuery takes a query over the tables, as the wall's view and row policies are written, and puts the subject's identity in the
// place of what the wall would look up. The result is canonical. A query that needs a table of Postern's is an error.
func InlineQuery(sql string, who InlineIdentity) (string, error) {
	tree, err := pg.Parse(sql)
	if err != nil {
		return "", fmt.Errorf("%w", err)
	}
	if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		return "", fmt.Errorf("one SELECT is wanted")
	}
	attributes, err := rowsOf(who.attributeRows())
	if err != nil {
		return "", err
	}
	holds, err := rowsOf(who.holdRows())
	if err != nil {
		return "", err
	}
	role := castTo(stringConst(who.Role), "name")
	eachNode(tree.ProtoReflect(), func(n *pg.Node) {
		if rv := n.GetRangeVar(); rv != nil && rv.Schemaname == "postern" {
			rows, columns := attributes, nameNodes("role", "key", "value")
			switch rv.Relname {
			case "attribute":
			case "holds":
				rows, columns = holds, nameNodes("role", "rule", "until")
			default:
				err = fmt.Errorf("it reads postern.%s, which is not on the server", rv.Relname)
				return
			}
			alias := rv.Relname
			if rv.Alias != nil {
				alias = rv.Alias.Aliasname
			}
			n.Node = &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{
				Subquery: proto.Clone(rows).(*pg.Node), Alias: &pg.Alias{Aliasname: alias, Colnames: columns},
			}}
		}
		if n.GetSqlvalueFunction().GetOp() == pg.SQLValueFunctionOp_SVFOP_CURRENT_USER && n.GetSqlvalueFunction() != nil {
			n.Node = proto.Clone(role).(*pg.Node).Node
		}
	})
	if err != nil {
		return "", err
	}
	return faithful(inProcess{}, tree)
}

// rowsOf is a query of constants.
func rowsOf(sql string) (*pg.Node, error) {
	tree, err := pg.Parse(sql)
	if err != nil {
		return nil, err
	}
	return tree.Stmts[0].Stmt, nil
}

func (who InlineIdentity) attributeRows() string {
	rows := make([]string, 0, len(who.Attributes))
	for _, key := range slices.Sorted(maps.Keys(who.Attributes)) {
		rows = append(rows, fmt.Sprintf("(%s::pg_catalog.name, %s::pg_catalog.text, %s::pg_catalog.text)", sqlLiteral(who.Role), sqlLiteral(key), sqlLiteral(who.Attributes[key])))
	}
	return valuesOr(rows, "SELECT NULL::pg_catalog.name, NULL::pg_catalog.text, NULL::pg_catalog.text WHERE false")
}

func (who InlineIdentity) holdRows() string {
	rows := make([]string, 0, len(who.Holds))
	for _, rule := range slices.Sorted(maps.Keys(who.Holds)) {
		rows = append(rows, fmt.Sprintf("(%s::pg_catalog.name, %s::pg_catalog.text, %s::pg_catalog.timestamptz)", sqlLiteral(who.Role), sqlLiteral(rule), sqlLiteral(who.Holds[rule].UTC().Format("2006-01-02 15:04:05.999999-07"))))
	}
	return valuesOr(rows, "SELECT NULL::pg_catalog.name, NULL::pg_catalog.text, NULL::pg_catalog.timestamptz WHERE false")
}

func valuesOr(rows []string, none string) string {
	if len(rows) == 0 {
		return none
	}
	return "VALUES " + strings.Join(rows, ", ")
}

// sqlLiteral writes a string constant that reads the same whatever standard_conforming_strings says.
func sqlLiteral(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// eachNode visits every Node below a message, outer ones first; what f puts into a node is not visited.
func eachNode(m protoreflect.Message, f func(*pg.Node)) {
	if n, ok := m.Interface().(*pg.Node); ok {
		before := n.Node
		f(n)
		if n.Node != before {
			return
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len(); i++ {
				eachNode(v.List().Get(i).Message(), f)
			}
		default:
			eachNode(v.Message(), f)
		}
		return true
	})
}

// inline replaces the views of a judged tree by their queries, and refuses what is left of them.
func (a *analysis) inline(tree *pg.ParseResult) {
	if a.w.Inline == nil || a.refusal != nil {
		return
	}
	queries := map[Name]*pg.Node{}
	for name, sql := range a.w.Inline {
		query, err := rowsOf(sql)
		if err != nil {
			a.construct(-1, "the query of a table cannot be read", "This is a defect of the guard; nothing was sent to the server.")
			return
		}
		queries[name] = query
	}
	eachNode(tree.ProtoReflect(), func(n *pg.Node) {
		rv := n.GetRangeVar()
		query := queries[Name{rv.GetSchemaname(), rv.GetRelname()}]
		if rv == nil || query == nil || rv.Alias == nil {
			return
		}
		n.Node = &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: proto.Clone(query).(*pg.Node), Alias: rv.Alias}}
		a.rewrote = true
	})
	a.inlineLeft(tree.ProtoReflect())
}

// inlineLeft refuses what still names something that only a wall has.
func (a *analysis) inlineLeft(m protoreflect.Message) {
	if a.refusal != nil {
		return
	}
	switch x := m.Interface().(type) {
	case *pg.RangeVar:
		a.inlineName(x.Schemaname, x.Relname)
	case *pg.FuncCall:
		if parts, ok := names(x.Funcname); ok && len(parts) == 2 {
			a.inlineName(parts[0], parts[1])
		}
	case *pg.TypeName:
		if parts, ok := names(x.Names); ok && len(parts) == 2 {
			a.inlineName(parts[0], parts[1])
		}
	case *pg.A_Const:
		if schema, name, ok := strings.Cut(x.GetSval().GetSval(), "."); ok && len(name) > 0 {
			a.inlineName(schema, name)
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len(); i++ {
				a.inlineLeft(v.List().Get(i).Message())
			}
		default:
			a.inlineLeft(v.Message())
		}
		return a.refusal == nil
	})
}

func (a *analysis) inlineName(schema, name string) {
	switch schema {
	case CatalogSchema:
		a.refuse(-1, Refusal{
			Reason: ReasonInline, Object: name, Message: fmt.Sprintf("the catalog is not available on this store: %s", name),
			Detail: "Postern has nothing on the server of this store (tier: inline), so the catalog cannot be shown for you.",
			Hint:   "Ask for the tables by name.",
		})
	case a.w.Profile, strings.Trim(a.w.Profile, `"`):
		a.refuse(-1, Refusal{
			Reason: ReasonInline, Object: name, Message: fmt.Sprintf("%s can only be read here", name),
			Detail: "This store's tables are masked and filtered by the gateway alone (tier: inline): they are read in FROM, and their types have no name.",
		})
	}
}
