package postgres

import (
	"errors"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// Engine is what plan asks of PostgreSQL. It has no state.
type Engine struct{}

var _ plan.Engine = Engine{}

// filterError carries the place of a mistake in a filter's text to plan, which does not know the parser's types.
type filterError struct{ err *pgsql.SyntaxError }

func (e filterError) Error() string { return e.err.Message }
func (e filterError) Position() int { return e.err.Offset }
func (e filterError) Unwrap() error { return e.err }

// Filter compiles a row filter of a table.
func (Engine) Filter(snap *catalog.Snapshot, schemas []string, table *catalog.Relation, text string, rows map[catalog.Name]string, currentUser bool) (*plan.Filter, error) {
	opts := pgsql.FilterOptions{Schemas: schemas, Tables: map[pgsql.Name]pgsql.FilterTable{}, Types: map[pgsql.Name]bool{}, Rows: map[pgsql.Name]string{}, CurrentUser: currentUser}
	for n, sql := range rows {
		opts.Rows[pgsql.Name(n)] = sql
	}
	for i := range snap.Relations {
		rel := &snap.Relations[i]
		if rel.Kind != 'S' && !isOwnSchema(rel.Name.Schema) && len(rel.Columns) > 0 {
			opts.Tables[pgsql.Name(rel.Name)] = filterTable(rel)
		}
	}
	for _, t := range snap.Types {
		opts.Types[pgsql.Name(t.Name)] = true
	}
	f, err := pgsql.CompileFilter(text, filterTable(table), opts)
	if err != nil {
		var syntax *pgsql.SyntaxError
		if errors.As(err, &syntax) {
			return nil, filterError{syntax}
		}
		return nil, err
	}
	out := &plan.Filter{
		Text: text, SQL: f.SQL, Attributes: f.Attributes, Columns: f.Columns, CurrentUser: f.CurrentUser,
		ReadColumns: map[catalog.Name][]string{},
	}
	for _, n := range f.Reads {
		out.Reads = append(out.Reads, catalog.Name(n))
		out.ReadColumns[catalog.Name(n)] = f.ReadColumns[n]
	}
	return out, nil
}

func filterTable(rel *catalog.Relation) pgsql.FilterTable {
	t := pgsql.FilterTable{Name: pgsql.Name(rel.Name)}
	for _, col := range rel.Columns {
		typ := col.Type
		if col.BaseType != "" {
			typ = col.BaseType
		}
		t.Columns = append(t.Columns, pgsql.FilterColumn{Name: col.Name, Type: typ})
	}
	return t
}

// Mask compiles a mask of a column.
func (Engine) Mask(mask policy.Mask, col catalog.Column) (plan.Form, error) {
	ref := quoteIdent(col.Name)
	form := plan.Form{Mask: mask, SQL: ref, Rank: int(mask.Strength()), Uses: []string{col.Name}}
	if mask.IsRaw() {
		return form, nil
	}
	sql, err := MaskSQL(mask, col, ref)
	if err != nil {
		return plan.Form{}, err
	}
	form.SQL = sql
	form.Keys = MaskReadsKey(mask)
	if form.Rank >= int(policy.Constantly) {
		form.Uses = nil // a constant reads nothing
		if strings.Contains(sql, ref) {
			form.Uses = []string{col.Name}
		}
	}
	return form, nil
}

// Derived recomputes a generated column from the masked forms of its inputs (ENF-19).
func (Engine) Derived(col catalog.Column, inputs map[string]plan.Form) (plan.Form, error) {
	refs := map[string]string{}
	form := plan.Form{Mask: policy.Mask{Name: policy.Expression, Args: []string{"recomputed from masked columns"}}, Derived: true, Rank: int(policy.Partially)}
	for name, in := range inputs {
		refs[name] = in.SQL
		form.Rank = max(form.Rank, in.Rank)
		form.Keys = form.Keys || in.Keys
		form.Uses = append(form.Uses, in.Uses...)
	}
	sql, err := DerivedSQL(col, refs)
	if err != nil {
		return plan.Form{}, err
	}
	form.SQL = sql
	return form, nil
}

// Case writes the union of several forms of a column.
func (Engine) Case(col catalog.Column, branches []plan.Guarded) (string, error) {
	var b strings.Builder
	b.WriteString("CASE")
	for i, g := range branches {
		if len(g.When) == 0 && i == len(branches)-1 {
			b.WriteString(" ELSE " + g.Form.SQL + " END")
			return b.String(), nil
		}
		var when []string
		for _, p := range g.When {
			when = append(when, predicate(p.Rule, p.Filter))
		}
		b.WriteString(" WHEN " + strings.Join(when, " OR ") + " THEN " + g.Form.SQL)
	}
	// A domain that is NOT NULL has no NULL to hide behind: there the strongest of the rules' own forms stands (ENF-35).
	strongest := branches[len(branches)-1].Form.SQL
	if hidden, err := HiddenSQL(col); err == nil {
		strongest = hidden
	}
	b.WriteString(" ELSE " + strongest + " END")
	return b.String(), nil
}

// predicate says which rows a rule admits, and until when (ENF-91).
func predicate(r *plan.Rule, f *plan.Filter) string {
	var parts []string
	if f != nil {
		parts = append(parts, "("+f.SQL+")")
	}
	if r.Ends {
		// statement_timestamp(), not now(): a transaction that stays open must not keep access alive.
		parts = append(parts, "(statement_timestamp() < ANY (ARRAY(SELECT h.until FROM postern.holds h WHERE h.role = current_user AND h.rule = "+quoteLiteral(r.Name)+")))")
	}
	if len(parts) == 0 {
		return "true"
	}
	return strings.Join(parts, " AND ")
}
