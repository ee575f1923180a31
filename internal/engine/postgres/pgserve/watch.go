package pgserve

import (
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres/pgwire"
	"github.com/postern-sec/postern/internal/plan"
)

// watcher shows values of results to discover (audit.classify_results).
type watcher struct{ watch *discover.Watch }

var _ pgwire.Watcher = watcher{}

func newWatcher(o daemon.ProtocolOptions) (pgwire.Watcher, error) {
	w, err := discover.NewWatch(o.Config.Audit.ClassifyResults, o.Config.Discover.Classifiers, o.Now, func(s discover.Sighting) {
		store, _, _ := strings.Cut(s.Place, ".")
		o.Sighted(daemon.Sighting{Store: store, Column: s.Place, Class: string(s.Class), Tested: s.Tested})
	})
	return watcher{w}, err
}

// Take implements pgwire.Watcher.
func (w watcher) Take() bool { return w.watch.Take() }

// Wants implements pgwire.Watcher.
func (w watcher) Wants(c *pgwire.WatchedColumn) bool { return w.watch.Wants(c.Place) }

// See implements pgwire.Watcher.
func (w watcher) See(c *pgwire.WatchedColumn, texts []string) {
	w.watch.See(c.Place, c.Name, c.Type, texts)
}

// watchedColumns lists a profile's columns that are shown as they are and have no label, by where the server says that fields of a
// result come from: the profile's view, or the table itself where it is shown whole.
func watchedColumns(store string, p *plan.Profile, snap *catalog.Snapshot) map[pgwire.Origin]*pgwire.WatchedColumn {
	out := map[pgwire.Origin]*pgwire.WatchedColumn{}
	for _, t := range p.Tables {
		oid := t.BaseOID
		if !t.Open {
			oid = viewOID(snap, t)
		}
		if oid == 0 || t.Source == nil {
			continue
		}
		for i, c := range t.Columns {
			if !c.Raw || c.Label != "" || i >= len(t.Source.Columns) {
				continue
			}
			num := int16(i + 1) //nolint:gosec // columns end at 1600
			if t.Open {
				num = int16(t.Source.Columns[i].Num) //nolint:gosec // columns end at 1600
			}
			typ := t.Source.Columns[i].Type
			out[pgwire.Origin{OID: uint32(oid), Num: num}] = &pgwire.WatchedColumn{
				Place: store + "." + t.Base.Schema + "." + t.Base.Name + "." + c.Name, Name: c.Name, Type: typ, Text: textual(typ),
			}
		}
	}
	return out
}

// viewOID finds a profile's view on the server.
func viewOID(snap *catalog.Snapshot, t *plan.Table) catalog.OID {
	for i := range snap.Relations {
		if snap.Relations[i].Name == t.View {
			return snap.Relations[i].OID
		}
	}
	return 0
}

// textual reports types whose binary form is their text.
func textual(typ string) bool {
	typ, _, _ = strings.Cut(typ, "(")
	switch typ {
	case "text", "character varying", "character", "citext", "name", "json", "xml":
		return true
	}
	return false
}
