package cli

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/portal"
)

// several says whether more than one is so.
func several(these ...bool) bool {
	n := 0
	for _, is := range these {
		if is {
			n++
		}
	}
	return n > 1
}

// delegate lets somebody decide in the caller's place.
func (a *app) delegate(cmd *cobra.Command, to, until, format string) error {
	end, err := moment("--until", until)
	if err != nil {
		return err
	}
	var out portal.Delegation
	if err := a.call(cmd.Context(), http.MethodPost, "delegations", portal.DelegateCall{To: to, Until: end}, &out); err != nil {
		return err
	}
	if format == "json" {
		return a.ui.json(out)
	}
	a.ui.printf("%s decides in your place until %s\n", printable(out.To), ending(out.End))
	return nil
}

// delegations lists who decides in whose place, as far as the caller is concerned.
func (a *app) delegations(cmd *cobra.Command, format string) error {
	var out portal.Away
	if err := a.call(cmd.Context(), http.MethodGet, "delegations", nil, &out); err != nil {
		return err
	}
	if format == "json" {
		return a.ui.json(out)
	}
	rows := [][]string{}
	for _, d := range append(out.Mine, out.For...) {
		rows = append(rows, []string{d.ID, d.From, d.To, ending(d.End)})
	}
	a.ui.table([]string{"delegation", "away", "decides", "until"}, rows)
	return nil
}

// recall ends a delegation before its time.
func (a *app) recall(cmd *cobra.Command, id, format string) error {
	var out portal.Delegation
	if err := a.call(cmd.Context(), http.MethodDelete, portal.Path("delegations", id), nil, &out); err != nil {
		return err
	}
	if format == "json" {
		return a.ui.json(out)
	}
	a.ui.printf("%s decides in the place of %s no longer\n", printable(out.To), printable(out.From))
	return nil
}
