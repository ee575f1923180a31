package pgsql

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// catalogsWithOID are the retargeted relations of the catalog whose rows have an OID of their own.
const catalogsWithOID = `pg_am pg_attrdef pg_class pg_constraint pg_conversion pg_database pg_event_trigger pg_foreign_data_wrapper
	pg_foreign_server pg_language pg_namespace pg_operator pg_policy pg_proc pg_publication pg_rewrite pg_statistic_ext pg_tablespace
	pg_transform pg_trigger pg_ts_parser pg_ts_template pg_type`

// catalogTableOID writes x.tableoid of a catalog relation, of which the stand-in is a view and has none, as the constant that it is:
// psql and its kin join descriptions by it. A row that an outer join made up has none, so its OID is asked.
func (a *analysis) catalogTableOID(n *pg.Node, ref *pg.ColumnRef, sc *scope) bool {
	parts, ok := names(ref.Fields)
	if !ok || len(parts) != 2 || parts[1] != "tableoid" || sc == nil {
		return false
	}
	it, _ := sc.find(parts[0])
	if it == nil || !it.catalog || it.of.Schema != "pg_catalog" || !slices.Contains(strings.Fields(catalogsWithOID), it.of.Name) {
		return false
	}
	row := &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: nameNodes(parts[0], "oid"), Location: -1}}}
	class := castTo(castTo(stringConst("pg_catalog."+it.of.Name), "regclass"), "oid")
	a.replace(n, &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{
		Expr:   &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: row, Nulltesttype: pg.NullTestType_IS_NOT_NULL}}},
		Result: class,
	}}}}}}})
	return true
}
