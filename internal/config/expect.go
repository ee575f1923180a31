package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// This file is the tests that a policy brings along: what somebody says that it does, held to what it does by 'postern policy test'.

type testDoc struct {
	As          policy.Text   `key:"as" required:"true" doc:"the user whose statement or login it is."`
	Store       policy.Text   `key:"store" default:"the only one" doc:"the store."`
	SQL         policy.Text   `key:"sql" doc:"the statement, which is decided and never run. Without one the test is about the login alone."`
	Holds       []policy.Text `key:"holds" doc:"rules on request that the user is to hold in this test. What people hold by grants does not count in tests."`
	From        policy.Text   `key:"from" default:"local" doc:"the address that the user comes from; local: a Unix socket."`
	TLS         policy.Flag   `key:"tls" default:"true" doc:"whether the connection is encrypted."`
	Certificate policy.Flag   `key:"certificate" default:"false" doc:"whether the client shows a certificate that is good."`
	At          policy.Text   `key:"at" scalar:"any" default:"now" doc:"when: 2027-06-30T12:00:00Z, or a day, which means its first moment in UTC."`
	Verdict     policy.Text   `key:"verdict" required:"true" enum:"allow|refuse" doc:"what becomes of it. A statement that is rewritten is allowed."`
	Reason      policy.Text   `key:"reason" doc:"with verdict: refuse, the word for the reason, which 'postern explain --format json' shows."`
	Masked      []policy.Text `key:"masked" doc:"columns that the statement reads and the user does not see as they are, as table.column or schema.table.column."`
	Raw         []policy.Text `key:"raw" doc:"columns that the statement reads and the user sees as they are."`
	Filtered    []policy.Text `key:"filtered" doc:"tables that the statement reads and of which the user does not see every row."`
	Whole       []policy.Text `key:"whole" doc:"tables that the statement reads and of which the user sees every row."`
	Pos         policy.Pos
}

// Expectation is one test of the policy.
type Expectation struct {
	Name, User, Store, SQL string // SQL "": about the login
	Holds                  []string
	Address                netip.Addr // not valid: through a Unix socket
	TLS, Certificate       bool
	At                     time.Time // zero: now
	Allow                  bool
	Reason                 string // "": any
	Masked, Raw            []policy.Text
	Filtered, Whole        []policy.Text
	Pos                    policy.Pos
}

// expectations reads the tests. It stands behind the policy, which says what there is.
func (b *builder) expectations(docs policy.Map[testDoc]) {
	if b.c.Policy == nil {
		return
	}
	for _, e := range docs.Entries {
		b.c.Tests = append(b.c.Tests, b.expectation(e.Key, e.Value))
	}
}

func (b *builder) expectation(name policy.Text, doc testDoc) Expectation {
	t := Expectation{
		Name: name.Value, User: doc.As.Value, Store: doc.Store.Value, SQL: strings.TrimSpace(doc.SQL.Value), TLS: !doc.TLS.Set || doc.TLS.Value,
		Certificate: doc.Certificate.Value, Allow: doc.Verdict.Value == "allow", Reason: doc.Reason.Value,
		Masked: doc.Masked, Raw: doc.Raw, Filtered: doc.Filtered, Whole: doc.Whole, Pos: name.Pos,
	}
	if _, known := b.c.Policy.Subject(t.User); t.User != "" && !known {
		b.report(policy.KindDangling, doc.As.Pos, "", "test %s: there is no user %q", t.Name, t.User)
	}
	b.testStore(&t, doc)
	for _, rule := range doc.Holds {
		r := b.c.Policy.Rule(rule.Value)
		switch {
		case r == nil:
			b.report(policy.KindDangling, rule.Pos, "", "test %s: there is no rule %q", t.Name, rule.Value)
		case r.Request == nil:
			b.report(policy.KindConflict, rule.Pos, "take it out of holds", "test %s: rule %s is held by whom it is to, and not by a grant", t.Name, rule.Value)
		default:
			t.Holds = append(t.Holds, rule.Value)
		}
	}
	if from := doc.From; from.Value != "" && from.Value != "local" {
		var err error
		if t.Address, err = netip.ParseAddr(from.Value); err != nil {
			b.report(policy.KindValue, from.Pos, "write 10.1.2.3 or local", "test %s: %q is no address", t.Name, from.Value)
		}
	}
	if at := doc.At; at.Value != "" {
		var err error
		if t.At, err = instant(at.Value); err != nil {
			b.report(policy.KindValue, at.Pos, "write 2027-06-30T12:00:00Z or 2027-06-30", "test %s: %q is no time", t.Name, at.Value)
		}
	}
	b.testClaims(&t, doc)
	return t
}

func (b *builder) testStore(t *Expectation, doc testDoc) {
	switch {
	case t.Store == "" && len(b.c.Stores) == 1:
		for name := range b.c.Stores {
			t.Store = name
		}
	case t.Store == "" && len(b.c.Stores) > 1:
		b.report(policy.KindMissing, doc.Pos, "add store: NAME", "test %s: the policy has several stores", t.Name)
	case t.Store != "" && b.c.Stores[t.Store] == nil:
		b.report(policy.KindDangling, doc.Store.Pos, "", "test %s: there is no store %q", t.Name, t.Store)
	}
}

// testClaims checks that what a test says of the answer goes with its verdict: a claim that nothing looks at would be no test.
func (b *builder) testClaims(t *Expectation, doc testDoc) {
	about := [][]policy.Text{t.Masked, t.Raw, t.Filtered, t.Whole}
	for i, list := range about {
		for _, c := range list {
			parts := strings.Count(c.Value, ".")
			switch columns := i < 2; {
			case t.SQL == "":
				b.report(policy.KindConflict, c.Pos, "add sql: a statement that reads it", "test %s: a login reads nothing", t.Name)
			case !t.Allow:
				b.report(policy.KindConflict, c.Pos, "", "test %s: a statement that is refused shows nothing", t.Name)
			case columns && parts != 1 && parts != 2:
				b.report(policy.KindValue, c.Pos, "write customers.email or public.customers.email", "test %s: %q is no column", t.Name, c.Value)
			case !columns && parts > 1:
				b.report(policy.KindValue, c.Pos, "write customers or public.customers", "test %s: %q is no table", t.Name, c.Value)
			}
		}
	}
	if t.Allow && t.Reason != "" {
		b.report(policy.KindConflict, doc.Reason.Pos, "", "test %s: only a refusal has a reason", t.Name)
	}
}

// instant reads a time, or a day as its first moment in UTC.
func instant(text string) (time.Time, error) {
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	return time.Parse(time.RFC3339, text)
}
