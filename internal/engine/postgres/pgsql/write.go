package pgsql

import pg "github.com/pganalyze/pg_query_go/v6"

func (a *analysis) write(n *pg.Node, outer *scope) shape { a.refusedStatement(n); return shape{} }

func writeTag(n *pg.Node) string { return statementTag(n) }
