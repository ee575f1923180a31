package pgsql

import pg "github.com/pganalyze/pg_query_go/v6"

func (a *analysis) setVariable(n *pg.Node, s *pg.VariableSetStmt) Statement {
	a.refusedStatement(n)
	return Statement{Tag: "SET"}
}
func (a *analysis) showVariable(n *pg.Node, s *pg.VariableShowStmt) Statement {
	a.refusedStatement(n)
	return Statement{Tag: "SHOW"}
}
func (a *analysis) setConfig(n *pg.Node, f *pg.FuncCall) { a.notConstant(f.Location, "set_config") }
func (a *analysis) currentSetting(n *pg.Node, f *pg.FuncCall, sc *scope) {
	a.notConstant(f.Location, "current_setting")
}
