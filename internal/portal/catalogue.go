package portal

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
)

// card is a dataset in the catalogue.
type card struct {
	Name   string
	Owners []string
	Labels []string
	Tables int
	Open   bool // whoever looks may see its columns
	Held   bool
	Until  time.Time
	Ask    string // the rule to ask for; "" where there is none
	Asked  bool   // and the answer is not there yet
}

type catalogueData struct {
	Search string
	Cards  []card
	Total  int
}

func (p *Portal) cataloguePage(r *http.Request, v *viewer) (shown, error) {
	pol, columns := p.c.Policy(), p.c.Columns()
	open, err := p.c.Access.Requests(r.Context(), access.Filter{Subject: v.Subject.Name, Open: true})
	if err != nil {
		return shown{}, err
	}
	out := catalogueData{Search: strings.TrimSpace(r.URL.Query().Get("q"))}
	for _, name := range sortedNames(pol.Datasets) {
		c := p.cardOf(pol, v, pol.Datasets[name], columns)
		c.Asked = slices.ContainsFunc(open, func(q access.Request) bool { return q.Dataset == name })
		out.Total++
		if hit(out.Search, c.Name, c.Owners, c.Labels) {
			out.Cards = append(out.Cards, c)
		}
	}
	return shown{"catalogue", "Catalogue", out}, nil
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

// cardOf says of a dataset what its reader may know: whoever can neither see nor ask for it learns its name and its owners.
func (p *Portal) cardOf(pol *policy.Policy, v *viewer, d *policy.Dataset, columns []Column) card {
	c := card{Name: d.Name, Owners: plainNames(d.Owners)}
	for _, rule := range pol.Rules {
		if rule.On != d.Name || !rule.Enabled || !pol.Holds(v.Subject, rule) {
			continue
		}
		until := pol.Until(v.Subject, rule)
		if !until.IsZero() && !until.After(p.c.Desk.Now()) {
			continue
		}
		if !c.Held || until.IsZero() || !c.Until.IsZero() && until.After(c.Until) {
			c.Until = until
		}
		c.Held = true
	}
	for _, rule := range pol.Askable(v.Subject, "") {
		if rule.On == d.Name && !pol.Holds(v.Subject, rule) && c.Ask == "" {
			c.Ask = rule.Name
		}
	}
	c.Open = c.Held || c.Ask != "" || v.Subject.Is(d.Owners) || v.role != people.NoRole
	if !c.Open {
		return c
	}
	tables := map[policy.Table]bool{}
	for _, col := range columns {
		if pol.DatasetOf(col.Table) != d {
			continue
		}
		tables[col.Table] = true
		if l := pol.LabelOf(col.Column); l != "" && !slices.Contains(c.Labels, l) {
			c.Labels = append(c.Labels, l)
		}
	}
	c.Tables = len(tables)
	slices.Sort(c.Labels)
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

// tableShown is a table of a dataset with what its reader sees.
type tableShown struct {
	Name    string
	Rows    []string // conditions on rows, each with its rule
	Columns []columnShown
}

type columnShown struct {
	Name, Type, Label string
	Now, Then         seen
}

// seen is how a column is shown, in words; Kind is raw, masked or none.
type seen struct{ Kind, Text string }

type datasetData struct {
	card
	Tables  []tableShown
	Rules   []*policy.Rule // to ask for
	Holders []access.Grant // for those who answer for the dataset
	Direct  []string
	Answers bool
	As      string // whose view it is, for those who read the policy
	MayAs   bool
}

func (p *Portal) datasetPage(r *http.Request, v *viewer) (shown, error) {
	pol, columns := p.c.Policy(), p.c.Columns()
	d := pol.Datasets[r.PathValue("name")]
	if d == nil {
		return shown{}, access.ErrNotFound
	}
	out := datasetData{card: p.cardOf(pol, v, d, columns)}
	open, err := p.c.Access.Requests(r.Context(), access.Filter{Subject: v.Subject.Name, Open: true})
	if err != nil {
		return shown{}, err
	}
	out.Asked = slices.ContainsFunc(open, func(q access.Request) bool { return q.Dataset == d.Name })
	seer := v.Subject
	if out.MayAs = policyReaders(v); out.MayAs {
		out.As = strings.TrimSpace(r.URL.Query().Get("as"))
		if other, known := pol.Subject(out.As); known {
			seer = other
		} else if out.As != "" {
			return shown{}, &access.Refusal{Code: codeBadCall, Text: "There is no " + out.As + " in the policy.", Hint: "Go back and write the name as the policy file has it."}
		}
	}
	for _, rule := range pol.Askable(seer, "") {
		if rule.On == d.Name && !pol.Holds(seer, rule) {
			out.Rules = append(out.Rules, rule)
		}
	}
	if out.Open {
		out.Tables = p.tablesOf(pol, seer, d, columns, out.Rules)
	}
	if out.Answers = v.Subject.Is(d.Owners) || trailReaders(v); out.Answers {
		live, err := p.c.Access.Grants(r.Context(), access.Filter{Open: true})
		if err != nil {
			return shown{}, err
		}
		out.Holders = slices.DeleteFunc(live, func(g access.Grant) bool { return g.Dataset != d.Name })
		for _, rule := range pol.Rules {
			if rule.On == d.Name && rule.Enabled && rule.Request == nil {
				out.Direct = append(out.Direct, strings.Join(plainNames(rule.To), ", ")+" by rule "+rule.Name)
			}
		}
	}
	return shown{"dataset", d.Name, out}, nil
}

// tablesOf says for each column what somebody sees now, and what they would with the first of the rules they can ask for.
func (p *Portal) tablesOf(pol *policy.Policy, s policy.Subject, d *policy.Dataset, columns []Column, ask []*policy.Rule) []tableShown {
	var out []tableShown
	held := map[string][]*policy.Rule{}
	for name := range pol.Stores {
		held[name] = slices.DeleteFunc(pol.RulesOf(s, name), func(r *policy.Rule) bool {
			until := pol.Until(s, r)
			return !until.IsZero() && !until.After(p.c.Desk.Now())
		})
	}
	for _, c := range columns {
		if pol.DatasetOf(c.Table) != d {
			continue
		}
		name := c.Table.String()
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, tableShown{Name: name, Rows: rowsOf(c.Table, d, held[c.Store], ask)})
		}
		t := &out[len(out)-1]
		col := columnShown{Name: c.Column.Column, Type: c.Type, Label: pol.LabelOf(c.Column), Now: seenBy(pol, held[c.Store], c.Column)}
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

func seenBy(pol *policy.Policy, rules []*policy.Rule, c policy.Column) seen {
	forms := pol.Branches(rules, c)
	if len(forms) == 0 {
		return seen{"none", "no access"}
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

func seenAs(m policy.Mask) seen {
	switch {
	case m.IsRaw():
		return seen{"raw", "as it is"}
	case m.Strength() == policy.Null:
		return seen{"none", "hidden"}
	case m.Name == "keep_last" && len(m.Args) == 1:
		return seen{"masked", "only the last " + m.Args[0]}
	case maskWords[m.Name] != "":
		return seen{"masked", maskWords[m.Name]}
	}
	return seen{"masked", "masked: " + m.String()}
}

type askData struct {
	Rule     *policy.Rule
	Level    string
	Deciders []string
	Purposes []string
	Note     string
	For      string
	Key      string // the same form sent twice is one request
	Spans    []string
}

func (p *Portal) askPage(r *http.Request, v *viewer) (shown, error) {
	pol := p.c.Policy()
	name := r.PathValue("rule")
	for _, rule := range pol.Askable(v.Subject, "") {
		if rule.Name != name {
			continue
		}
		out := askData{
			Rule: rule, Level: rule.Level.String(), Note: r.PostFormValue("note"), For: r.PostFormValue("for"), Key: p.newID(),
			Spans: spans(rule.Request, p.c.Desk.Now()),
		}
		if out.For == "" {
			out.For = rule.Request.Default.String()
		}
		for _, s := range rule.Request.Approvers {
			out.Deciders = append(out.Deciders, strings.Join(plainNames(s.Names), ", "))
		}
		if rule.Request.Purpose || pol.Datasets[rule.On].Purpose {
			out.Purposes = pol.Purposes
		}
		return shown{"ask", "Ask for " + rule.On, out}, nil
	}
	return shown{}, access.ErrNotFound
}

// spans are the durations that a form offers: round ones within the rule's longest, and its own default.
func spans(q *policy.Request, now time.Time) []string {
	out := []string{q.Default.String()}
	for _, text := range []string{"1h", "4h", "8h", "1d", "7d", "30d"} {
		s, err := policy.ParseSpan(text)
		if err == nil && s.Within(q.Max, now) && !slices.Contains(out, s.String()) {
			out = append(out, s.String())
		}
	}
	return out
}

func (p *Portal) askAct(r *http.Request, v *viewer) (string, error) {
	out, err := p.askFor(r, v, AskCall{
		What: r.PathValue("rule"), For: r.PostFormValue("for"), Note: strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("note"), "\r", "")),
		Purpose: r.PostFormValue("purpose"), Key: r.PostFormValue("key"),
	})
	switch {
	case err != nil:
		return "", err
	case out.Grant != nil:
		return "/mine?done=taken", nil
	}
	return "/mine?done=asked", nil
}
