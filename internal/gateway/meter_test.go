package gateway

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// meterSession is a session of a subject under limits, without a connection.
func meterSession(g *Gateway, subject string, limits map[string]policy.Limits) *Session {
	s := &Session{g: g, claim: Claim{Store: "shop"}}
	s.state.Store(&state{subject: policy.Subject{Name: subject}, profile: &Profile{Limits: limits}})
	return s
}

// pass counts rows until a limit is met.
func pass(m *Meter, most int) (rows int, met *Exceeded) {
	for rows < most {
		if met = m.Row(); met != nil {
			return rows, met
		}
		rows++
	}
	return rows, nil
}

func TestMeters(t *testing.T) {
	t.Parallel()
	clk := newClock()
	g := &Gateway{config: Config{Clock: clk}}
	start := func(s *Session, q *Query, rules ...string) *Meter {
		t.Helper()
		m, met := s.Start(rules, 1, q)
		if met != nil {
			t.Fatalf("not started: %+v", met)
		}
		return m
	}

	t.Run("rows per query, over its pieces, the strictest rule's", func(t *testing.T) {
		s := meterSession(g, "ana", map[string]policy.Limits{"a": {RowsPerQuery: 100}, "b": {RowsPerQuery: 70}})
		q := &Query{}
		if rows, met := pass(start(s, q, "a", "b"), 50); rows != 50 || met != nil {
			t.Fatal(rows, met)
		}
		rows, met := pass(start(s, q, "b", "a"), 50)
		if rows != 20 || met == nil || met.Code != CodeRowsPerQuery || met.Max != 70 || met.Rule != "b" || !met.Reset.IsZero() {
			t.Errorf("%d %+v", rows, met)
		}
		if rows, met := pass(start(s, &Query{}, "a"), 200); rows != 100 || met == nil {
			t.Errorf("another query: %d %+v", rows, met)
		}
		if m := start(s, &Query{}, "c"); m != nil {
			t.Error("a rule without limits is counted")
		}
		if m := start(s, &Query{}); m != nil {
			t.Error("what touches nothing is counted")
		}
	})

	t.Run("rows per hour, over all sessions of one subject", func(t *testing.T) {
		limits := map[string]policy.Limits{"": {RowsPerHour: 1000}, "a": {RowsPerHour: 150}}
		one, two, other := meterSession(g, "bob", limits), meterSession(g, "bob", limits), meterSession(g, "cleo", limits)
		m := start(one, &Query{}, "a")
		if rows, met := pass(m, 90); rows != 90 || met != nil {
			t.Fatal(rows, met)
		}
		m.Close() // what was taken and not used comes back
		m = start(two, &Query{}, "a")
		rows, met := pass(m, 100)
		if rows != 60 || met == nil || met.Code != CodeRowsPerHour || met.Rule != "a" || met.Max != 150 || !met.Reset.Equal(clk.Now().Add(time.Hour)) {
			t.Errorf("%d %+v", rows, met)
		}
		m.Close()
		if _, met := two.Start([]string{"a"}, 1, &Query{}); met == nil || met.Code != CodeRowsPerHour {
			t.Errorf("with nothing left a query begins: %+v", met)
		}
		if rows, _ := pass(start(other, &Query{}, "a"), 10); rows != 10 {
			t.Error("one subject's use counts against another")
		}
		clk.advance(59 * time.Minute)
		if _, met := two.Start([]string{"a"}, 1, &Query{}); met == nil {
			t.Error("the hour has ended early")
		}
		clk.advance(time.Minute)
		if rows, met := pass(start(two, &Query{}, "a"), 150); rows != 150 || met != nil {
			t.Errorf("a new hour: %d %+v", rows, met)
		}
	})

	t.Run("queries per minute", func(t *testing.T) {
		limits := map[string]policy.Limits{"": {QueriesPerMinute: 5}}
		one, two := meterSession(g, "dan", limits), meterSession(g, "dan", limits)
		for i, s := range []*Session{one, two, one, two} {
			if _, met := s.Start([]string{"a"}, 1, &Query{}); met != nil {
				t.Fatal(i, met)
			}
		}
		_, met := one.Start([]string{"a"}, 2, &Query{})
		if met == nil || met.Code != CodeQueriesPerMinute || met.Rule != "" || !met.Reset.Equal(clk.Now().Add(time.Minute)) {
			t.Errorf("two statements with room for one: %+v", met)
		}
		if _, met := one.Start([]string{"a"}, 1, &Query{}); met != nil {
			t.Errorf("what was refused has been counted: %+v", met)
		}
		if _, met := two.Start([]string{"a"}, 1, &Query{}); met == nil {
			t.Error("a sixth query runs")
		}
		if _, met := two.Start(nil, 1, &Query{}); met != nil {
			t.Error("what touches no table is counted")
		}
		clk.advance(time.Minute)
		if _, met := two.Start([]string{"a"}, 5, &Query{}); met != nil {
			t.Errorf("a new minute: %+v", met)
		}
	})

	t.Run("several gateways", func(t *testing.T) { severalGateways(t) })

	t.Run("ended windows are forgotten", func(t *testing.T) {
		clk.advance(2 * time.Hour)
		g.meters.sweep(clk.Now())
		if n := len(g.meters.m); n != 0 || g.Metering() {
			t.Errorf("%d windows are kept", n)
		}
	})

	t.Run("words", func(t *testing.T) {
		x := Exceeded{Code: CodeRowsPerHour, Max: 5, Rule: "a", Reset: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		got := []string{x.Message(), x.Detail(), x.Hint()}
		want := []string{"the limit of 5 rows per hour is reached", "It is a limit of rule a (rows_per_hour).", "Try again after 2026-03-01 12:00:00 UTC."}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// severalGateways: what is used at one counts at the other from the next exchange on, also when the one has started again, and no longer
// than it would there; what is given back is there again; and without an exchange each goes on with what it knows.
func severalGateways(t *testing.T) {
	clk := newClock()
	told := map[string]map[string]Use{} // by gateway
	gateways := map[string]*Gateway{"one": {config: Config{Clock: clk}}, "two": {config: Config{Clock: clk}}}
	exchange := func(name string) {
		t.Helper()
		err := gateways[name].ShareUse(func(mine []Use) (map[string]Use, error) {
			if told[name] == nil {
				told[name] = map[string]Use{}
			}
			for _, u := range mine {
				told[name][u.Key] = u
			}
			out := map[string]Use{}
			for other, uses := range told {
				for key, u := range uses {
					if other != name {
						u.Used += out[key].Used
						out[key] = u
					}
				}
			}
			return out, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limits := map[string]policy.Limits{"a": {RowsPerHour: 150, QueriesPerMinute: 100}}
	reads := func(name string, most int) (int, *Exceeded) {
		t.Helper()
		m, met := meterSession(gateways[name], "bob", limits).Start([]string{"a"}, 1, &Query{})
		if met != nil {
			return 0, met
		}
		defer m.Close()
		return pass(m, most)
	}
	if rows, met := reads("one", 100); rows != 100 || met != nil {
		t.Fatal(rows, met)
	}
	if !gateways["one"].Metering() || gateways["two"].Metering() {
		t.Error("what meters is not who was read from")
	}
	exchange("one")
	exchange("two")
	first := clk.Now().Add(time.Hour)
	clk.advance(10 * time.Minute)
	rows, met := reads("two", 100)
	if rows != 50 || met == nil || met.Code != CodeRowsPerHour || !met.Reset.Equal(clk.Now().Add(time.Hour)) {
		t.Errorf("at the other gateway: %d %+v", rows, met)
	}
	exchange("two")
	exchange("one")
	if rows, met := reads("one", 1); rows != 0 || met == nil {
		t.Errorf("back at the first: %d %+v", rows, met)
	}
	if _, met := meterSession(gateways["two"], "cleo", limits).Start([]string{"a"}, 1, &Query{}); met != nil {
		t.Errorf("somebody else: %+v", met)
	}
	// A failed exchange changes nothing, and loses nothing.
	if err := gateways["one"].ShareUse(func([]Use) (map[string]Use, error) { return nil, errors.New("away") }); err == nil {
		t.Error("the error is lost")
	}
	if rows, met := reads("one", 1); rows != 0 || met == nil {
		t.Errorf("while state is away: %d %+v", rows, met)
	}
	// The second one starts again, and knows what its last run used.
	told["two, before"] = told["two"]
	delete(told, "two")
	gateways["two"] = &Gateway{config: Config{Clock: clk}}
	exchange("two")
	if rows, met := reads("two", 1); rows != 0 || met == nil {
		t.Errorf("after a start: %d %+v", rows, met)
	}
	clk.advance(first.Sub(clk.Now())) // what was used at the first one counts no longer
	exchange("one")
	if rows, met := reads("one", 150); rows != 100 || met == nil {
		t.Errorf("when the first hour is over: %d %+v", rows, met)
	}
}
