package portal

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
)

// Card is a dataset in the catalogue.
type Card struct {
	Name   string    `json:"name"`
	Owners []string  `json:"owners"`
	Labels []string  `json:"labels,omitempty"` // of its columns
	Count  int       `json:"table_count,omitempty"`
	Open   bool      `json:"open"` // whoever looks may see its columns
	Held   bool      `json:"held"`
	Until  time.Time `json:"until,omitzero"`  // that it is held; zero: without an end
	Ask    string    `json:"ask,omitempty"`   // the rule to ask for
	Take   bool      `json:"take,omitempty"`  // which nobody has to approve
	Asked  bool      `json:"asked,omitempty"` // and the answer is not there yet
}

// CatalogueQuery searches the catalogue.
type CatalogueQuery struct {
	Search string `json:"q,omitempty"` // words of a dataset's name, its owners or labels
}

// Catalogue is what there is, as far as whoever looks may know.
type Catalogue struct {
	Cards []Card `json:"datasets"`
	Total int    `json:"total"` // without the search
}

// catalogueCalls are those of finding data.
func (p *Portal) catalogueCalls() {
	route(p, Call{
		Pattern: "GET /api/v1/catalogue", Scope: identity.ScopeRead, pages: []string{"GET /catalogue"},
		Summary: "Find datasets, with their owners and what they hold",
	}, p.catalogue)
	route(p, Call{
		Pattern: "GET /api/v1/datasets/{name}", Scope: identity.ScopeRead, pages: []string{"GET /datasets/{name}"},
		Summary: "The columns of a dataset, what you see of them and would see, and who has it",
	}, p.dataset)
	route(p, Call{
		Pattern: "GET /api/v1/askable/{rule}", Scope: identity.ScopeRead, pages: []string{"GET /ask/{rule}"},
		Summary: "What there is to fill in to ask for a rule, and who decides",
	}, p.askForm)
}

func (p *Portal) catalogue(r *http.Request, v *viewer, q CatalogueQuery) (Catalogue, error) {
	pol := p.c.Policy()
	all := p.layout(pol)
	open, err := p.c.Access.Requests(r.Context(), access.Filter{Subject: v.Subject.Name, Open: true})
	if err != nil {
		return Catalogue{}, err
	}
	out := Catalogue{Cards: []Card{}}
	on := rulesFor(pol, v.Subject)
	for _, name := range sortedNames(pol.Datasets) {
		c := p.cardOf(pol, v, pol.Datasets[name], all, on[name])
		c.Asked = slices.ContainsFunc(open, func(q access.Request) bool { return q.Dataset == name })
		out.Total++
		if hit(q.Search, c.Name, c.Owners, c.Labels) {
			out.Cards = append(out.Cards, c)
		}
	}
	return out, nil
}

func (p *Portal) cataloguePage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.catalogue, func(q CatalogueQuery, out Catalogue) shown {
		return shown{"catalogue", "Catalogue", struct {
			CatalogueQuery
			Catalogue
		}{q, out}}
	})
}

func hit(search, name string, lists ...[]string) bool {
	text := strings.ToLower(name + " " + strings.Join(slices.Concat(lists...), " "))
	for _, word := range strings.Fields(strings.ToLower(search)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// datasetRules are the rules on a dataset that somebody holds, and those that they could ask for.
type datasetRules struct{ held, ask []*policy.Rule }

// rulesFor sorts somebody's rules by their datasets, once for all.
func rulesFor(pol *policy.Policy, s policy.Subject) map[string]datasetRules {
	out := map[string]datasetRules{}
	for _, rule := range pol.Rules {
		if rule.Enabled && pol.Holds(s, rule) {
			on := out[rule.On]
			on.held = append(on.held, rule)
			out[rule.On] = on
		}
	}
	for _, rule := range pol.Askable(s, "") {
		if !pol.Holds(s, rule) {
			on := out[rule.On]
			on.ask = append(on.ask, rule)
			out[rule.On] = on
		}
	}
	return out
}

// cardOf says of a dataset what its reader may know: whoever can neither see nor ask for it learns its name and its owners.
func (p *Portal) cardOf(pol *policy.Policy, v *viewer, d *policy.Dataset, all *layout, on datasetRules) Card {
	c := Card{Name: d.Name, Owners: plainNames(d.Owners)}
	for _, rule := range on.held {
		until := pol.Until(v.Subject, rule)
		if !until.IsZero() && !until.After(p.c.Desk.Now()) {
			continue
		}
		if !c.Held || until.IsZero() || !c.Until.IsZero() && until.After(c.Until) {
			c.Until = until
		}
		c.Held = true
	}
	if len(on.ask) > 0 {
		c.Ask, c.Take = on.ask[0].Name, on.ask[0].Request.Kind == policy.SelfService
	}
	c.Open = c.Held || c.Ask != "" || v.Subject.Is(d.Owners) || v.role != people.NoRole
	if !c.Open {
		return c
	}
	in := all.in(d)
	c.Count, c.Labels = in.tables, in.labels
	return c
}

func sortedNames[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// plainNames writes subjects for people: without the mark of a group.
func plainNames(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.TrimPrefix(n, policy.GroupPrefix)
	}
	return out
}

// TableShown is a table of a dataset with what its reader sees.
type TableShown struct {
	Name    string        `json:"name"`
	Rows    []string      `json:"rows,omitempty"` // conditions on rows, each with its rule
	Columns []ColumnShown `json:"columns"`
}

// ColumnShown is a column with what its reader sees.
type ColumnShown struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Label string `json:"label,omitempty"`
	Now   Seen   `json:"now"`
	Then  Seen   `json:"then,omitzero"` // with the first of the rules to ask for
}

// Seen is how a column is shown.
type Seen struct {
	Kind   string `json:"kind"`             // raw, masked or none
	Text   string `json:"text"`             // the same in words
	Leaves string `json:"leaves,omitempty"` // masked: what of the value is left all the same (ENF-30)
}

// DatasetQuery says whose view of a dataset it is.
type DatasetQuery struct {
	As string `json:"as,omitempty"` // a person of the policy: for those who read the policy
}

// Dataset is a dataset as somebody sees it.
type Dataset struct {
	Card
	Tables  []TableShown   `json:"tables"`
	Rules   []Askable      `json:"askable"`
	Answers bool           `json:"answers"`            // whoever looks answers for it, or oversees those who do
	Holders []access.Grant `json:"holders,omitempty"`  // for those who answer for it
	Direct  []string       `json:"standing,omitempty"` // who has it by rules that nobody has to ask for
	Used    *Usage         `json:"used,omitempty"`     // for the same: how it was used of late
	As      string         `json:"as,omitempty"`
	MayAs   bool           `json:"may_see_as"`
}

func (p *Portal) dataset(r *http.Request, v *viewer, q DatasetQuery) (Dataset, error) {
	pol := p.c.Policy()
	all := p.layout(pol)
	d := pol.Datasets[r.PathValue("name")]
	if d == nil {
		return Dataset{}, access.ErrNotFound
	}
	out := Dataset{Card: p.cardOf(pol, v, d, all, rulesFor(pol, v.Subject)[d.Name]), Tables: []TableShown{}, Rules: []Askable{}}
	open, err := p.c.Access.Requests(r.Context(), access.Filter{Subject: v.Subject.Name, Open: true})
	if err != nil {
		return Dataset{}, err
	}
	out.Asked = slices.ContainsFunc(open, func(q access.Request) bool { return q.Dataset == d.Name })
	seer := v.Subject
	if out.MayAs = policyReaders(v); out.MayAs {
		out.As = q.As
		if other, known := pol.Subject(out.As); known {
			seer = other
		} else if out.As != "" {
			return Dataset{}, &access.Refusal{Code: codeBadCall, Text: "There is no " + out.As + " in the policy.", Hint: "Go back and write the name as the policy file has it."}
		}
	}
	var ask []*policy.Rule
	for _, rule := range pol.Askable(seer, "") {
		if rule.On == d.Name && !pol.Holds(seer, rule) {
			ask = append(ask, rule)
			out.Rules = append(out.Rules, askableOf(pol, rule))
		}
	}
	if out.Open {
		out.Tables = notNil(p.tablesOf(pol, seer, d, all, ask))
	}
	return out, p.holders(r, v, d, &out)
}

// holders adds who has a dataset, for those who answer for it.
func (p *Portal) holders(r *http.Request, v *viewer, d *policy.Dataset, out *Dataset) error {
	if out.Answers = v.Subject.Is(d.Owners) || trailReaders(v); !out.Answers {
		return nil
	}
	var err error
	if out.Holders, err = p.c.Access.Grants(r.Context(), access.Filter{Open: true, Datasets: []string{d.Name}}); err != nil {
		return err
	}
	for _, rule := range p.c.Policy().Rules {
		if rule.On == d.Name && rule.Enabled && rule.Request == nil {
			out.Direct = append(out.Direct, strings.Join(plainNames(rule.To), ", ")+" by rule "+rule.Name)
		}
	}
	used, err := p.usages.of(r.Context(), p.c.Trail, p.c.Look, p.c.Policy(), d.Name, p.c.Desk.Now())
	out.Used = &used
	return err
}

// manyColumns is how many there have to be for a page to offer to look among them.
const manyColumns = 12

type datasetData struct {
	Dataset
	Many  bool   // columns
	Event string // of the refusal that led here
	Bars  []usedBar
}

func (p *Portal) datasetPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.dataset, func(_ DatasetQuery, out Dataset) shown {
		n := 0
		for i := range out.Tables {
			n += len(out.Tables[i].Columns)
		}
		data := datasetData{Dataset: out, Many: n > manyColumns, Event: refusedEvent(r)}
		if out.Used != nil {
			data.Bars = usedBars(out.Used.Days)
		}
		return shown{"dataset", out.Name, data}
	})
}

// tablesOf says for each column what somebody sees now, and what they would with the first of the rules they can ask for.
func (p *Portal) tablesOf(pol *policy.Policy, s policy.Subject, d *policy.Dataset, all *layout, ask []*policy.Rule) []TableShown {
	var out []TableShown
	held := map[string][]*policy.Rule{}
	for name := range pol.Stores {
		held[name] = slices.DeleteFunc(pol.RulesOf(s, name), func(r *policy.Rule) bool {
			until := pol.Until(s, r)
			return !until.IsZero() && !until.After(p.c.Desk.Now())
		})
	}
	for _, c := range all.in(d).columns {
		name := c.Table.String()
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, TableShown{Name: name, Rows: rowsOf(c.Table, d, held[c.Store], ask)})
		}
		t := &out[len(out)-1]
		col := ColumnShown{Name: c.Column.Column, Type: c.Type, Label: pol.LabelOf(c.Column), Now: seenBy(pol, held[c.Store], c.Column)}
		if len(ask) > 0 {
			col.Then = seenBy(pol, append(slices.Clone(held[c.Store]), ask[0]), c.Column)
		}
		t.Columns = append(t.Columns, col)
	}
	return out
}

func rowsOf(t policy.Table, d *policy.Dataset, held, ask []*policy.Rule) []string {
	var out []string
	for i, r := range slices.Concat(held, ask) {
		if r.On != d.Name {
			continue
		}
		text := "every row"
		if f, ok := r.Rows[t]; ok {
			text = "rows where " + f.SQL
		}
		if i >= len(held) {
			text = "once approved (" + r.Name + "): " + text
		}
		out = append(out, text)
	}
	return out
}

func seenBy(pol *policy.Policy, rules []*policy.Rule, c policy.Column) Seen {
	forms := pol.Branches(rules, c)
	if len(forms) == 0 {
		return Seen{Kind: "none", Text: "no access"}
	}
	out := seenAs(forms[0].Mask)
	if len(forms) > 1 {
		out.Text += ", in some rows " + seenAs(forms[len(forms)-1].Mask).Text
	}
	return out
}

// maskWords are masks as people say them. What is not here is named as the policy names it.
var maskWords = map[string]string{
	"partial_email": "a***@example.org", "email_domain_only": "only what follows the @", "year": "only the year", "month": "only the month",
	"hash": "a code instead", "pseudonym": "the same code for the same value",
}

func seenAs(m policy.Mask) Seen {
	words := "masked: " + m.String()
	switch {
	case m.IsRaw():
		return Seen{Kind: "raw", Text: "as it is"}
	case m.Strength() == policy.Null:
		return Seen{Kind: "none", Text: "hidden"}
	case m.Name == "keep_last" && len(m.Args) == 1:
		words = "only the last " + m.Args[0]
	case maskWords[m.Name] != "":
		words = maskWords[m.Name]
	}
	return Seen{Kind: "masked", Text: words, Leaves: m.Leaves()}
}
