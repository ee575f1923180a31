package pgsql

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// statements judges every statement of a text: all or nothing (ENF-68).
func (a *analysis) statements(tree *pg.ParseResult) []Statement {
	out := make([]Statement, 0, len(tree.Stmts))
	a.statementCount = len(tree.Stmts)
	for _, raw := range tree.Stmts {
		if a.refusal != nil {
			break
		}
		a.touches, a.effects, a.location = nil, nil, raw.StmtLocation
		st := a.statement(raw.Stmt)
		a.ungrouped()
		st.Effects = append(st.Effects, a.effects...)
		for _, t := range a.touches {
			st.Touches = append(st.Touches, t.result())
		}
		out = append(out, st)
	}
	return out
}

// statement judges the top of one statement by its kind (ENF-66). What is not listed is refused.
func (a *analysis) statement(n *pg.Node) Statement {
	switch x := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		a.top = x.SelectStmt
		before := a.rows
		a.selectStmt(x.SelectStmt, nil)
		if x.SelectStmt.IntoClause != nil {
			a.noRows(before)
		}
		return Statement{Tag: "SELECT"}
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		a.write(n, nil)
		return Statement{Tag: writeTag(n)}
	case *pg.Node_TransactionStmt:
		return a.transaction(x.TransactionStmt)
	case *pg.Node_CopyStmt:
		return a.copyStatement(x.CopyStmt)
	case *pg.Node_DeclareCursorStmt:
		return a.declare(x.DeclareCursorStmt)
	case *pg.Node_FetchStmt:
		st := Statement{Tag: "FETCH", Effects: []Effect{{Kind: UseCursor, Name: x.FetchStmt.Portalname}}}
		if x.FetchStmt.Ismove {
			st.Tag = "MOVE"
		}
		return st
	case *pg.Node_ClosePortalStmt:
		return Statement{Tag: "CLOSE CURSOR", Effects: []Effect{{Kind: CloseCursor, Name: x.ClosePortalStmt.Portalname}}}
	case *pg.Node_PrepareStmt:
		return a.prepare(x.PrepareStmt)
	case *pg.Node_ExecuteStmt:
		a.nodeList(x.ExecuteStmt.Params, nil)
		return Statement{Tag: "EXECUTE", Effects: []Effect{{Kind: Execute, Name: x.ExecuteStmt.Name}}}
	case *pg.Node_DeallocateStmt:
		return Statement{Tag: "DEALLOCATE", Effects: []Effect{{Kind: Deallocate, Name: x.DeallocateStmt.Name}}}
	case *pg.Node_VariableSetStmt:
		return a.setVariable(n, x.VariableSetStmt)
	case *pg.Node_VariableShowStmt:
		return a.showVariable(n, x.VariableShowStmt)
	case *pg.Node_DiscardStmt:
		return a.discard(x.DiscardStmt)
	case *pg.Node_ConstraintsSetStmt:
		return a.constraints(x.ConstraintsSetStmt)
	case *pg.Node_ExplainStmt:
		return a.explain(n, x.ExplainStmt)
	case *pg.Node_CreateTableAsStmt:
		return a.createTableAs(n, x.CreateTableAsStmt)
	case *pg.Node_CreateStmt:
		return a.createTable(n, x.CreateStmt)
	case *pg.Node_DropStmt:
		if a.dropTemporary(x.DropStmt) {
			return Statement{Tag: "DROP TABLE"}
		}
		if st, ok := a.ddl(n); ok {
			return st
		}
	case *pg.Node_TruncateStmt:
		if a.onlyTemporary(x.TruncateStmt.Relations) {
			a.mark(x.TruncateStmt)
			return Statement{Tag: "TRUNCATE TABLE"}
		}
		if st, ok := a.ddl(n); ok {
			return st
		}
	case *pg.Node_IndexStmt:
		if a.indexTemporary(x.IndexStmt) {
			return Statement{Tag: "CREATE INDEX"}
		}
		if st, ok := a.ddl(n); ok {
			return st
		}
	case *pg.Node_AlterTableStmt, *pg.Node_CommentStmt:
		if st, ok := a.ddl(n); ok {
			return st
		}
	case *pg.Node_ListenStmt, *pg.Node_UnlistenStmt, *pg.Node_NotifyStmt:
		return a.channel(n)
	case *pg.Node_CallStmt:
		if st, ok := a.call(x.CallStmt); ok {
			return st
		}
	}
	a.refusedStatement(n)
	return Statement{Tag: statementTag(n)}
}

// channel judges LISTEN, UNLISTEN and NOTIFY: of channels that a rule opens. UNLISTEN takes back only what the session has.
func (a *analysis) channel(n *pg.Node) Statement {
	var name string
	switch x := n.GetNode().(type) {
	case *pg.Node_ListenStmt:
		name = x.ListenStmt.Conditionname
	case *pg.Node_NotifyStmt:
		name = x.NotifyStmt.Conditionname
	case *pg.Node_UnlistenStmt:
		if name = x.UnlistenStmt.Conditionname; name == "" && len(a.w.Channels) > 0 {
			return Statement{Tag: "UNLISTEN"}
		}
	}
	if !a.w.Channels[name] {
		a.refusedStatement(n)
	}
	return Statement{Tag: statementTag(n)}
}

// call judges CALL of a procedure that a rule lets be called. false: it is none of them.
func (a *analysis) call(c *pg.CallStmt) (Statement, bool) {
	f := c.Funccall
	parts, ok := names(f.GetFuncname())
	target, found := a.callable(parts)
	if !ok || !found || a.w.Callable[target] != 'p' {
		return Statement{}, false
	}
	a.mark(c)
	a.mark(f)
	a.location = f.Location
	a.callRoutine(f, target, nil)
	return Statement{Tag: "CALL", Effects: []Effect{{Kind: MayCommit}}}, true
}

// transaction lets control of the own transaction through; what outlives the connection does not pass.
func (a *analysis) transaction(t *pg.TransactionStmt) Statement {
	st := Statement{Tag: strings.ReplaceAll(strings.TrimPrefix(t.Kind.String(), "TRANS_STMT_"), "_", " ")}
	if t.Kind == pg.TransactionStmtKind_TRANS_STMT_PREPARE {
		st.Tag = "PREPARE TRANSACTION"
	}
	switch t.Kind {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		st.Tag = "BEGIN"
		a.transactionModes(t.Options)
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT, pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		st.Effects = []Effect{{Kind: EndTransaction}}
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		st.Effects = []Effect{{Kind: SetSavepoint, Name: t.SavepointName}}
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		st.Effects = []Effect{{Kind: ReleaseSavepoint, Name: t.SavepointName}}
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		st.Effects = []Effect{{Kind: RollbackTo, Name: t.SavepointName}}
	default:
		a.refuse(-1, Refusal{
			Reason: ReasonStatement, Object: st.Tag, Message: st.Tag + " is not available",
			Detail: "A prepared transaction outlives the connection that made it.",
		})
	}
	return st
}

// transactionModes judges the options of BEGIN and SET TRANSACTION. On the inline tier a transaction only reads, on the server too: READ
// WRITE, which drivers say without meaning to write, is sent as READ ONLY.
func (a *analysis) transactionModes(list []*pg.Node) {
	for _, n := range list {
		switch d := n.GetDefElem(); d.GetDefname() {
		case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
			if d.Arg.GetAConst() == nil {
				a.misplaced(d)
			} else if a.w.Inline != nil && d.Defname == "transaction_read_only" && d.Arg.GetAConst().GetIval().GetIval() == 0 {
				d.Arg.GetAConst().Val = &pg.A_Const_Ival{Ival: &pg.Integer{Ival: 1}}
				a.rewrote = true
			}
		default:
			a.misplaced(n)
		}
	}
}

// declare judges a cursor's query.
func (a *analysis) declare(d *pg.DeclareCursorStmt) Statement {
	const (
		holdOption       = 0x0020 // CURSOR_OPT_HOLD
		asensitiveOption = 0x0010 // CURSOR_OPT_ASENSITIVE
	)
	q := d.Query.GetSelectStmt()
	if q == nil {
		a.misplaced(d)
		return Statement{Tag: "DECLARE CURSOR"}
	}
	a.selectStmt(q, nil)
	d.Options &^= asensitiveOption // what every cursor is that says nothing; the deparser does not write it
	return Statement{Tag: "DECLARE CURSOR", Effects: []Effect{{Kind: DeclareCursor, Name: d.Portalname, Hold: d.Options&holdOption != 0}}}
}

// prepare judges the statement that is prepared; EXECUTE of it touches what it touches.
func (a *analysis) prepare(p *pg.PrepareStmt) Statement {
	for _, n := range p.Argtypes {
		t := n.GetTypeName()
		if t == nil {
			a.misplaced(n)
			break
		}
		a.typeName(t, false)
	}
	inner := Statement{Tag: statementTag(p.Query)}
	switch x := p.Query.GetNode().(type) {
	case *pg.Node_SelectStmt:
		a.selectStmt(x.SelectStmt, nil)
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		a.write(p.Query, nil)
	default:
		a.refusedStatement(p.Query)
	}
	for _, t := range a.touches {
		inner.Touches = append(inner.Touches, t.result())
	}
	a.touches = nil
	return Statement{Tag: "PREPARE", Effects: []Effect{{Kind: Prepare, Name: p.Name, Prepared: &inner}}}
}

func (a *analysis) discard(d *pg.DiscardStmt) Statement {
	st := Statement{Tag: strings.ReplaceAll(d.Target.String(), "_", " ")}
	switch d.Target {
	case pg.DiscardMode_DISCARD_ALL:
		st.Effects = []Effect{{Kind: DiscardAll}}
	case pg.DiscardMode_DISCARD_PLANS, pg.DiscardMode_DISCARD_SEQUENCES, pg.DiscardMode_DISCARD_TEMP:
	default:
		a.misplaced(d)
	}
	return st
}

// constraints judges SET CONSTRAINTS: ALL only, since constraints are named in schemas that the session does not see.
func (a *analysis) constraints(c *pg.ConstraintsSetStmt) Statement {
	if len(c.Constraints) > 0 {
		a.refuse(-1, Refusal{
			Reason: ReasonStatement, Object: "SET CONSTRAINTS", Message: "SET CONSTRAINTS takes ALL here",
			Hint: "Use SET CONSTRAINTS ALL.",
		})
	}
	return Statement{Tag: "SET CONSTRAINTS"}
}

// refusedStatement says why a kind of statement is not available, and what to do.
func (a *analysis) refusedStatement(n *pg.Node) {
	tag := statementTag(n)
	r := Refusal{Reason: ReasonStatement, Object: tag, Message: tag + " is not available through the gateway"}
	switch x := n.GetNode().(type) {
	case *pg.Node_ExplainStmt:
		r.Reason, r.Message = ReasonExplain, "EXPLAIN is not available"
		r.Detail = "A plan tells row counts and conditions of rows that you do not see."
		r.Hint = RuleCanAllow + "its plain form: allow: {explain: plain}."
	case *pg.Node_CreateTableAsStmt, *pg.Node_CreateStmt:
		r.Detail = "Tables cannot be made through the gateway."
		r.Hint = "Use a WITH query, or keep the result on your side."
		if n.GetCreateStmt() == nil {
			r.Hint = RuleCanAllow + "a schema for results: allow: {create_in: [store.schema]}."
			if len(a.w.Places) > 0 {
				r.Hint = "Make it in schema " + quoteIdent(slices.Min(slices.Collect(maps.Keys(a.w.Places)))) + ", which a rule of yours allows."
			}
		}
		if isTemporary(n) {
			r.Reason, r.Detail = ReasonTemporary, "No rule that you hold allows temporary tables."
			r.Hint = RuleCanAllow + "them: allow: {temporary: true}."
		} else if a.w.Own && len(a.w.Places) == 0 {
			r.Detail = "A new table would belong to your own login, not to the role that owns the others, and would stay yours when your access ends."
			r.Hint = "Run it with the migration tool's own login."
		} else if a.w.Temp && len(a.w.Places) == 0 {
			r.Hint = "Make it a temporary table."
		}
	case *pg.Node_LockStmt:
		r.Reason, r.Hint = ReasonLock, "Lock the rows you change with SELECT … FOR UPDATE."
	case *pg.Node_ListenStmt, *pg.Node_NotifyStmt, *pg.Node_UnlistenStmt:
		r.Detail = "Notifications carry data around every mask, and no rule opens this channel."
		r.Hint = RuleCanAllow + "the channel: allow: {channels: […]}."
	case *pg.Node_CallStmt:
		r.Detail = "The guard cannot see what a procedure reads."
		r.Hint = RuleCanAllow + "the procedure: allow: {functions: […]}."
	case *pg.Node_DoStmt:
		r.Detail = "The guard cannot see what a block reads."
	case *pg.Node_CreateRoleStmt, *pg.Node_AlterRoleStmt, *pg.Node_AlterRoleSetStmt:
		r.Detail = "Roles, their passwords and their settings are managed by the policy."
	case *pg.Node_VacuumStmt:
		if !x.VacuumStmt.IsVacuumcmd {
			r.Message = "ANALYZE is not available through the gateway"
		}
		r.Detail = "Its messages count rows that you do not see."
	default:
		if a.w.Own {
			r.SQLState = stateUnsupported
			r.Detail = "Level own has ALTER TABLE, CREATE and DROP INDEX, DROP TABLE, TRUNCATE and COMMENT, of the tables that you own."
			r.Hint = "Run it with the migration tool's own login."
		}
	}
	a.refuse(-1, r)
}

func isTemporary(n *pg.Node) bool {
	if c := n.GetCreateStmt(); c != nil {
		return c.GetRelation().GetRelpersistence() == "t"
	}
	return n.GetCreateTableAsStmt().GetInto().GetRel().GetRelpersistence() == "t"
}

// statementTag names a kind of statement for people: CREATE TABLE AS, ALTER ROLE.
func statementTag(n *pg.Node) string {
	m := unwrap(n)
	if m == nil {
		return "this statement"
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_DropStmt:
		return "DROP " + objectWord(x.DropStmt.RemoveType)
	case *pg.Node_GrantStmt:
		if !x.GrantStmt.IsGrant {
			return "REVOKE"
		}
		return "GRANT"
	case *pg.Node_CreateRoleStmt:
		return "CREATE " + strings.TrimPrefix(x.CreateRoleStmt.StmtType.String(), "ROLESTMT_")
	case *pg.Node_VacuumStmt:
		if !x.VacuumStmt.IsVacuumcmd {
			return "ANALYZE"
		}
	case *pg.Node_CreateFunctionStmt:
		if x.CreateFunctionStmt.IsProcedure {
			return "CREATE PROCEDURE"
		}
	case *pg.Node_RenameStmt:
		return "ALTER " + objectWord(x.RenameStmt.RenameType) + " RENAME"
	case *pg.Node_DefineStmt:
		return "CREATE " + objectWord(x.DefineStmt.Kind)
	}
	name := string(m.ProtoReflect().Descriptor().Name())
	if tag, ok := oddTags[name]; ok {
		return tag
	}
	var b strings.Builder
	for i, c := range strings.TrimSuffix(name, "Stmt") {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}

// oddTags are the kinds whose node is not called like the statement.
var oddTags = map[string]string{
	"CreateStmt": "CREATE TABLE", "ViewStmt": "CREATE VIEW", "IndexStmt": "CREATE INDEX", "RuleStmt": "CREATE RULE",
	"CreateSeqStmt": "CREATE SEQUENCE", "AlterSeqStmt": "ALTER SEQUENCE", "CreateTrigStmt": "CREATE TRIGGER", "CreatedbStmt": "CREATE DATABASE",
	"DropdbStmt": "DROP DATABASE", "CreatePLangStmt": "CREATE LANGUAGE", "AlterRoleSetStmt": "ALTER ROLE SET", "GrantRoleStmt": "GRANT ROLE",
	"RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW", "CheckPointStmt": "CHECKPOINT", "CreateTableAsStmt": "CREATE TABLE AS",
	"SecLabelStmt": "SECURITY LABEL", "CreateFdwStmt": "CREATE FOREIGN DATA WRAPPER", "AlterFdwStmt": "ALTER FOREIGN DATA WRAPPER",
	"CompositeTypeStmt": "CREATE TYPE", "CreateEnumStmt": "CREATE TYPE", "CreateRangeStmt": "CREATE TYPE", "AlterEnumStmt": "ALTER TYPE",
	"CreateEventTrigStmt": "CREATE EVENT TRIGGER", "AlterEventTrigStmt": "ALTER EVENT TRIGGER", "CreateStatsStmt": "CREATE STATISTICS",
	"AlterDatabaseSetStmt": "ALTER DATABASE SET", "DropOwnedStmt": "DROP OWNED", "ReassignOwnedStmt": "REASSIGN OWNED",
	"AlterStatsStmt": "ALTER STATISTICS", "CreateOpClassStmt": "CREATE OPERATOR CLASS", "CreateOpFamilyStmt": "CREATE OPERATOR FAMILY",
	"AlterOpFamilyStmt": "ALTER OPERATOR FAMILY", "AlterTSDictionaryStmt": "ALTER TEXT SEARCH DICTIONARY",
	"AlterTSConfigurationStmt": "ALTER TEXT SEARCH CONFIGURATION", "AlterObjectSchemaStmt": "ALTER … SET SCHEMA",
	"AlterObjectDependsStmt": "ALTER … DEPENDS ON EXTENSION", "AlterTableMoveAllStmt": "ALTER TABLE ALL IN TABLESPACE",
	"CreateTableSpaceStmt": "CREATE TABLESPACE", "DropTableSpaceStmt": "DROP TABLESPACE", "AlterTableSpaceOptionsStmt": "ALTER TABLESPACE",
	"AlterDatabaseRefreshCollStmt": "ALTER DATABASE", "CreateForeignServerStmt": "CREATE SERVER", "AlterForeignServerStmt": "ALTER SERVER",
	"AlterExtensionContentsStmt": "ALTER EXTENSION", "AlterOwnerStmt": "ALTER OWNER", "CreateAmStmt": "CREATE ACCESS METHOD",
}

func objectWord(t pg.ObjectType) string {
	word := strings.ReplaceAll(strings.TrimPrefix(t.String(), "OBJECT_"), "_", " ")
	if rest, ok := strings.CutPrefix(word, "TS"); ok {
		return "TEXT SEARCH " + rest
	}
	return word
}

// copyStatement judges COPY: reading becomes a COPY of a query, since a view cannot be copied; writing is INSERT's business.
func (a *analysis) copyStatement(c *pg.CopyStmt) Statement {
	st := Statement{Tag: "COPY", ReturnsCopy: 'o'}
	switch {
	case c.IsProgram || c.Filename != "":
		a.refuse(-1, Refusal{
			Reason: ReasonCopy, Object: "COPY", Message: "COPY with a file or a program is not available",
			Detail: "It would run on the server's machine.", Hint: "Use COPY … TO STDOUT, or \\copy in psql.",
		})
		return st
	case c.IsFrom && a.copyFrom(c):
		st.ReturnsCopy = 'i'
		return st
	case c.IsFrom:
		a.refuse(-1, Refusal{
			SQLState: stateUnsupported, Reason: ReasonCopy, Object: "COPY FROM", Message: "COPY FROM is not available",
			Detail: "PostgreSQL does not copy into tables with row level security or into views.", Hint: "Use INSERT instead.",
		})
		return st
	}
	for _, n := range c.Options {
		a.copyOption(n.GetDefElem())
	}
	if c.Relation == nil {
		q := c.Query.GetSelectStmt()
		if q == nil {
			a.refuse(-1, Refusal{
				Reason: ReasonCopy, Object: "COPY", Message: "COPY takes a SELECT here",
				Detail: "INSERT, UPDATE and DELETE inside COPY are not available.",
			})
			return st
		}
		a.selectStmt(q, nil)
		for _, t := range a.touches {
			if t.action != "select" {
				a.refuse(-1, Refusal{
					Reason: ReasonCopy, Object: "COPY", Message: "COPY takes a query that only reads",
					Detail: "INSERT, UPDATE and DELETE inside COPY are not available.",
				})
			}
		}
		return st
	}
	a.copyTable(c)
	return st
}

// copyFrom judges COPY FROM STDIN into a table that is shown whole: the data goes where INSERT could put it, column by column. false: it
// is another table.
func (a *analysis) copyFrom(c *pg.CopyStmt) bool {
	if c.Relation == nil || a.refusal != nil {
		return false
	}
	r, ok := a.resolve(c.Relation)
	if !ok {
		return true // refused, with the reason
	}
	if r.rel == nil || !r.rel.Open || c.WhereClause != nil {
		return false
	}
	_, _, _ = a.target(c.Relation)
	if c.Relation.Alias != nil {
		c.Relation.Alias = nil
	}
	a.may(r.rel.Insert, c.Relation, r, "insert into", "INSERT")
	t := a.touch(r, "insert")
	columns, _ := names(c.Attlist)
	if len(columns) == 0 {
		for _, col := range r.rel.Columns {
			columns = append(columns, col.Name)
		}
	}
	for _, column := range columns {
		a.insertColumn(r.rel, column, t)
	}
	for _, n := range c.Options {
		a.copyOption(n.GetDefElem())
	}
	return true
}

// copyTable turns COPY t (a, b) into COPY (SELECT a, b FROM t), with every column in order when none is named.
func (a *analysis) copyTable(c *pg.CopyStmt) {
	rv := c.Relation
	it := a.relationItem(rv, &scope{})
	if a.refusal != nil {
		return
	}
	columns, _ := names(c.Attlist)
	if it.rel != nil && it.rel.Temp {
		rv.Alias = nil
		return // the server knows its columns
	}
	if it.rel == nil {
		a.refuse(rv.Location, Refusal{
			Reason: ReasonCopy, Object: "COPY", Message: "COPY of a system catalog is not available",
			Hint: "Use COPY (SELECT …) TO STDOUT.",
		})
		return
	}
	if len(columns) == 0 {
		columns = it.names
	}
	q := &pg.SelectStmt{
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
		FromClause: []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: rv}}},
	}
	for _, column := range columns {
		if !it.shape.has(column) {
			a.refuse(rv.Location, Refusal{
				SQLState: stateNoColumn, Reason: ReasonColumnUnknown, Object: column,
				Message: fmt.Sprintf("column %q of relation %q does not exist", column, it.alias),
			})
			return
		}
		it.touch.column(column)
		ref := pg.MakeColumnRefNode(nameNodes(column), 0)
		q.TargetList = append(q.TargetList, pg.MakeResTargetNodeWithVal(ref, 0))
	}
	query := &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: q}}
	a.markAll(query)
	c.Relation, c.Attlist, c.Query = nil, nil, query
	a.rewrote = true
}

func (a *analysis) copyOption(d *pg.DefElem) {
	switch d.GetDefname() {
	case "format", "delimiter", "null", "header", "quote", "escape", "force_quote", "force_not_null", "force_null", "default", "on_error":
	case "encoding":
		if s := d.Arg.GetString_(); s == nil || !isUTF8(s.Sval) {
			a.refuse(d.Location, Refusal{Reason: ReasonSettingValue, Object: "encoding", Message: "COPY is available in UTF8 only"})
		}
	default:
		a.refuse(d.GetLocation(), Refusal{
			Reason: ReasonCopy, Object: d.GetDefname(),
			Message: fmt.Sprintf("COPY option %q is not available", d.GetDefname()),
		})
	}
}

func isUTF8(name string) bool {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "utf8", "unicode":
		return true
	}
	return false
}
