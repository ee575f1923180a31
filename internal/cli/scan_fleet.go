package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/scan"
)

// fleetAtOnce is how many servers are looked at at the same time.
const fleetAtOnce = 8

// fleetServer is one server of the fleet: the stores that live on it, and what came of looking.
type fleetServer struct {
	stores    []*config.Store
	standbyOf string
	evidence  *catalog.Evidence
	err       error
	report    *scan.Report
}

// names are the stores' names; the first one names the server in files.
func (s *fleetServer) names() []string {
	var out []string
	for _, st := range s.stores {
		out = append(out, st.Name)
	}
	return out
}

// fleetOf groups the stores by server: several databases of one server are looked at once.
func fleetOf(c *config.Config) []*fleetServer {
	var out []*fleetServer
	at := map[config.Address]*fleetServer{}
	for _, stores := range []map[string]*config.Store{c.Stores, c.Standbys} {
		for _, name := range slices.Sorted(maps.Keys(stores)) {
			st := stores[name]
			s := at[st.Address]
			if s == nil {
				s = &fleetServer{standbyOf: st.StandbyOf}
				at[st.Address] = s
				out = append(out, s)
			}
			s.stores = append(s.stores, st)
		}
	}
	return out
}

func (a *app) runFleet(ctx context.Context, args []string, f *scanFlags, env *scan.Env, o scan.Options) error {
	if err := f.fleetUse(args); err != nil {
		return err
	}
	c, err := a.load()
	if err != nil {
		return err
	}
	servers := fleetOf(c)
	a.lookAtFleet(ctx, servers, f, env)
	reached := 0
	for _, s := range servers {
		if s.evidence != nil {
			reached++
		}
	}
	if reached == 0 {
		for _, s := range servers {
			a.ui.warn("%s: %s", strings.Join(s.names(), ", "), printable(s.err.Error()))
		}
		return failed("postern scan --store NAME looks at one", errors.New("no server of the fleet could be looked at"))
	}
	if err := judgeFleet(servers, env, o); err != nil {
		return failed("postern scan checks lists them", err)
	}
	if f.keep {
		for _, s := range servers {
			if s.report == nil {
				continue
			}
			if err := keepScan(c, s.stores[0].Name, s.evidence.Taken, s.report); err != nil {
				return failed("", err)
			}
		}
	}
	if err := a.fleetFiles(servers, f); err != nil {
		return err
	}
	if err := a.printFleet(servers, f); err != nil {
		return failed("", fmt.Errorf("write the report: %w", err))
	}
	return fleetExit(servers)
}

// fleetUse refuses what speaks about one server.
func (f *scanFlags) fleetUse(args []string) error {
	switch {
	case len(args) > 0 || f.store != "":
		return failed("", errors.New("--fleet looks at all stores: give no connection string and no --store"))
	case f.fromSnapshot != "" || f.baseline != "" || len(f.outside) > 0 || f.fix:
		return failed("postern scan --store NAME takes them", errors.New("--from-snapshot, --baseline, --outside and --fix are about one server, and not for --fleet"))
	case f.format != "table" && f.format != "json":
		return failed("such as --output "+f.format+"=reports/{store}."+f.format, fmt.Errorf("--fleet prints a table or JSON; %s reports go to files", f.format))
	}
	for _, path := range append(slices.Clone(f.outputs), f.snapshot) {
		if path != "" && !strings.Contains(path, "{store}") {
			return failed("such as --output html=reports/{store}.html", fmt.Errorf("%s would be written once for each server: put {store} into its name", printable(path)))
		}
	}
	return nil
}

// lookAtFleet gathers from many servers at once. One that cannot be reached does not hold up the others.
func (a *app) lookAtFleet(ctx context.Context, servers []*fleetServer, f *scanFlags, env *scan.Env) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, fleetAtOnce)
	done := 0
	for _, s := range servers {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			target, err := storeTarget(ctx, s.stores[0])
			if err == nil {
				s.evidence, err = target.Gather(ctx, f.gather(env.Now))
			}
			if err == nil {
				err = a.fleetLabels(s)
			}
			s.err = err
			mu.Lock()
			defer mu.Unlock()
			done++
			a.ui.progress("looked at %d of %d servers", done, len(servers))
		})
	}
	wg.Wait()
	a.ui.progressDone()
}

// fleetLabels gathers the labels of all stores on a server.
func (a *app) fleetLabels(s *fleetServer) error {
	for _, st := range s.stores {
		labels, err := a.storeLabels(st.Name)
		if err != nil {
			return err
		}
		if s.evidence.Labels == nil {
			s.evidence.Labels = map[string]string{}
		}
		maps.Copy(s.evidence.Labels, labels)
	}
	return nil
}

// judgeFleet runs the checks on each server with the others beside it: a standby is compared with its primary.
func judgeFleet(servers []*fleetServer, env *scan.Env, o scan.Options) error {
	primary := map[string]*catalog.Evidence{}
	for _, s := range servers {
		for _, st := range s.stores {
			primary[st.Name] = s.evidence
		}
	}
	for _, s := range servers {
		if s.evidence == nil {
			continue
		}
		own := *env
		own.Fleet = nil
		for _, other := range servers {
			if other != s && other.evidence != nil {
				own.Fleet = append(own.Fleet, other.evidence)
			}
		}
		own.Primary = primary[s.standbyOf]
		var err error
		if s.report, err = scan.Run(s.evidence, &own, o); err != nil {
			return err
		}
		s.report.Warnings = append(s.report.Warnings, s.contradiction(primary)...)
	}
	idleWaivers(servers)
	return nil
}

// idleWaivers takes out warnings that a waiver covers nothing when it covers something on another server.
func idleWaivers(servers []*fleetServer) {
	count, judged := map[string]int{}, 0
	for _, s := range servers {
		if s.report != nil {
			judged++
			for _, w := range s.report.Warnings {
				count[w]++
			}
		}
	}
	for _, s := range servers {
		if s.report != nil {
			s.report.Warnings = slices.DeleteFunc(s.report.Warnings, func(w string) bool { return strings.HasPrefix(w, "waiver ") && count[w] < judged })
		}
	}
}

// contradiction says where the policy file and a server disagree on who is whose standby.
func (s *fleetServer) contradiction(primary map[string]*catalog.Evidence) []string {
	e := s.evidence
	switch p := primary[s.standbyOf]; {
	case s.standbyOf == "" && e.Server.InRecovery:
		return []string{"it is a standby, and the policy does not say of which store: add standby_of"}
	case s.standbyOf == "":
	case !e.Server.InRecovery:
		return []string{"the policy says that it is a standby of " + s.standbyOf + ", and it is none: it takes writes"}
	case p == nil:
		return []string{"its primary " + s.standbyOf + " could not be looked at, so it was not compared"}
	case p.Server.SystemID != "" && e.Server.SystemID != "" && p.Server.SystemID != e.Server.SystemID:
		return []string{"it is a standby, and not of " + s.standbyOf + ": the clusters have different identifiers"}
	case p.Server.VersionNum != e.Server.VersionNum:
		return []string{fmt.Sprintf("it runs %s, and its primary %s", e.Server.ServerVersion, p.Server.ServerVersion)}
	}
	return nil
}

// fleetFiles writes the reports and snapshots of each server.
func (a *app) fleetFiles(servers []*fleetServer, f *scanFlags) error {
	for _, s := range servers {
		if s.report == nil {
			continue
		}
		one := *f
		one.outputs, one.snapshot = nil, strings.ReplaceAll(f.snapshot, "{store}", s.stores[0].Name)
		for _, o := range f.outputs {
			one.outputs = append(one.outputs, strings.ReplaceAll(o, "{store}", s.stores[0].Name))
		}
		if err := one.writeOutputs(s.report); err != nil {
			return err
		}
		if one.snapshot != "" {
			if err := writeFile(one.snapshot, func(w *os.File) error { return scan.WriteSnapshot(w, s.evidence) }); err != nil {
				return failed("", fmt.Errorf("write the snapshot: %w", err))
			}
		}
	}
	return nil
}

// fleetExit is the worst of the servers: findings before what is incomplete, and a server that was not reached is incomplete.
func fleetExit(servers []*fleetServer) error {
	code := exitOK
	for _, s := range servers {
		switch {
		case s.report == nil || s.report.Exit() == exitIncomplete:
			if code == exitOK {
				code = exitIncomplete
			}
		case s.report.Exit() == exitFindings:
			code = exitFindings
		}
	}
	if code == exitOK {
		return nil
	}
	return silently(code)
}

// fleetEntry is a server in JSON.
type fleetEntry struct {
	Stores    []string        `json:"stores"`
	StandbyOf string          `json:"standby_of,omitempty"`
	Error     string          `json:"error,omitempty"`
	Report    json.RawMessage `json:"report,omitempty"`
}

func (a *app) printFleet(servers []*fleetServer, f *scanFlags) error {
	if f.format == "json" {
		out := struct {
			Servers []fleetEntry `json:"servers"`
		}{}
		for _, s := range servers {
			e := fleetEntry{Stores: s.names(), StandbyOf: s.standbyOf}
			if s.err != nil {
				e.Error = s.err.Error()
			} else {
				var text bytes.Buffer
				if err := s.report.Write(&text, "json"); err != nil {
					return err
				}
				e.Report = text.Bytes()
			}
			out.Servers = append(out.Servers, e)
		}
		return a.ui.json(out)
	}
	if f.verbose {
		for _, s := range servers {
			if s.report == nil {
				continue
			}
			a.ui.printf("%s\n", a.ui.style(styleBold, "store "+strings.Join(s.names(), ", ")))
			if err := s.report.WriteTable(a.ui.out, scan.Table{All: true, Colour: a.ui.colour}); err != nil {
				return err
			}
			a.ui.printf("\n")
		}
	}
	a.fleetTable(servers)
	return nil
}

// fleetTable is one line for each server, then the checks that fail on most of them.
func (a *app) fleetTable(servers []*fleetServer) {
	rows := [][]string{}
	type tally struct {
		check *scan.Check
		worst scan.Severity
		on    []string
	}
	failing := map[string]*tally{}
	for _, s := range servers {
		name := strings.Join(s.names(), ", ")
		if s.report == nil {
			rows = append(rows, []string{name, s.standbyOf, "", "not reached", "", "", "", printable(s.err.Error())})
			continue
		}
		open, _ := s.report.Counts()
		sv := s.evidence.Server
		rows = append(rows, []string{
			name, s.standbyOf, sv.ServerVersion, s.report.Score().String(), strconv.Itoa(open[scan.Critical]), strconv.Itoa(open[scan.High]), strconv.Itoa(open[scan.Medium]), sv.Address,
		})
		for _, w := range s.report.Warnings {
			a.ui.warn("%s: %s", name, printable(w))
		}
		for i := range s.report.Results {
			res := &s.report.Results[i]
			if w := res.Worst(); w >= scan.High {
				if failing[res.Check.ID] == nil {
					failing[res.Check.ID] = &tally{check: res.Check}
				}
				t := failing[res.Check.ID]
				t.worst, t.on = max(t.worst, w), append(t.on, s.stores[0].Name)
			}
		}
	}
	a.ui.table([]string{"store", "standby of", "version", "score", "critical", "high", "medium", "server"}, rows)
	order := slices.SortedFunc(maps.Values(failing), func(x, y *tally) int {
		if x.worst != y.worst {
			return int(y.worst - x.worst)
		}
		if len(x.on) != len(y.on) {
			return len(y.on) - len(x.on)
		}
		return strings.Compare(x.check.ID, y.check.ID)
	})
	rows = nil
	for _, t := range order[:min(len(order), fleetShown)] {
		rows = append(rows, []string{t.worst.String(), t.check.ID, t.check.Title, strings.Join(t.on, ", ")})
	}
	if len(rows) > 0 {
		a.ui.printf("\n")
		a.ui.table([]string{"severity", "check", "what", "on"}, rows)
	}
	if n := len(order) - len(rows); n > 0 {
		a.ui.printf("%s\n", a.ui.style(styleDim, fmt.Sprintf("and %d more checks fail: -v shows each server's report", n)))
	}
}

// fleetShown is how many failing checks stand under the table.
const fleetShown = 12
