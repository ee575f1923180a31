package config

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/policy"
)

func parseFile(t *testing.T, path string) (*Config, error) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Parse("etc", []File{{Name: filepath.Base(path), Text: text}}, testSyntax{})
}

// Each file of testdata/bad holds mistakes of one sort; its .golden holds every message, hints included.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	kinds := map[string]bool{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := parseFile(t, file)
			if c != nil {
				t.Fatal("accepted")
			}
			problems, ok := err.(Problems) //nolint:errorlint // Parse promises this very type
			if !ok || len(problems) == 0 {
				t.Fatalf("not a list of problems: %v", err)
			}
			for _, p := range problems {
				if p.Pos.File == "" || p.Pos.Line == 0 || p.Pos.Column == 0 || p.Kind == "" || p.Message == "" {
					t.Errorf("without place or kind: %+v", p)
				}
				if strings.Contains(p.Message+p.Hint, "hunter2") {
					t.Errorf("a secret is repeated: %+v", p)
				}
				kinds[string(p.Kind)+" "+shape(p.Message)] = true
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", []byte(problems.Error()+"\n"))
		})
	}
	if len(kinds) < 40 {
		t.Errorf("only %d kinds of mistake are covered", len(kinds))
	}
}

// shape reduces a message to its first unquoted words, so that one mistake on two names counts once.
func shape(message string) string {
	words := strings.FieldsFunc(message, func(r rune) bool { return r == ' ' })
	var out []string
	for _, w := range words {
		if !strings.ContainsAny(w, "\"0123456789:") {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

// Each file of testdata/good loads; its .golden holds what it means.
func TestGoodFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := parseFile(t, file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", []byte(dump(c)))
		})
	}
}

// dump prints a configuration for reading: connection facts, then what each user may do.
func dump(c *Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "state %s\nroot key %s\naudit key %s\ntrail %s, sync %s\n", c.State.SQLite, c.Keys.Root, c.Keys.Audit, c.Audit.Folder, c.Audit.Sync)
	for _, name := range sortedKeys(c.Stores) {
		s := c.Stores[name]
		fmt.Fprintf(&b, "store %s: %+v database %s schemas %q tls %+v %s\n", name, s.Address, s.Database, s.Schemas, s.TLS, s.Provision)
		fmt.Fprintf(&b, "  provisioner %q (%s), grantor %q (%s), scanner %q (%s)\n", s.Provisioner.User, s.Provisioner.Password, s.Grantor.User, s.Grantor.Password, s.Scanner.User, s.Scanner.Password)
	}
	for _, name := range sortedKeys(c.Stores) {
		if s := c.Stores[name]; !s.Limits.IsZero() {
			fmt.Fprintf(&b, "limits of store %s: %s\n", name, s.Limits)
		}
	}
	for _, l := range c.Gateway.Listeners {
		fmt.Fprintf(&b, "listener %q %q port %d mode %o group %q tls %+v\n", l.Address, l.Socket, l.Port, l.Mode, l.Group, l.TLS)
	}
	for _, n := range c.Policy.Network {
		fmt.Fprintf(&b, "network %v any=%t local=%t to %q: %s tls=%q\n", n.From, n.Any, n.Local, n.To, n.Auth, n.TLS)
	}
	for _, r := range c.Policy.Rules {
		fmt.Fprintf(&b, "rule %s: to %q on %s level %d masks %q until %s require %v %t %t enabled %t\n", r.Name, r.To, r.On, r.Level, r.Masks,
			r.Until.UTC(), r.Require.Network, r.Require.Local, r.Require.TLS, r.Enabled)
		if !r.Limits.IsZero() {
			fmt.Fprintf(&b, "  limits %s\n", r.Limits)
		}
		if q := r.Request; q != nil {
			fmt.Fprintf(&b, "  request %s max %s default %s approvers %+v note %s factor %s purpose %t unused %d expires %s\n",
				q.Kind, q.Max, q.Default, q.Approvers, q.Note, q.Factor, q.Purpose, q.Unused, q.Expires)
		}
		for _, t := range sortedKeys(r.Rows) {
			fmt.Fprintf(&b, "  rows %s: %s %q at %s\n", t, r.Rows[t].SQL, r.Rows[t].Attributes, r.Rows[t].Pos)
		}
		for _, t := range sortedKeys(r.Write) {
			w := r.Write[t]
			fmt.Fprintf(&b, "  write %s: update %q insert %t %q delete %t\n", t, w.Update, w.Insert, w.InsertOnly, w.Delete)
		}
	}
	for _, name := range sortedKeys(c.Policy.Masks) {
		for _, e := range c.Policy.Masks[name].Entries {
			fmt.Fprintf(&b, "mask %s: %s -> %s (%s)\n", name, e.Pattern, e.Mask, e.Mask.Strength())
		}
	}
	for _, name := range sortedKeys(c.Policy.Datasets) {
		fmt.Fprintf(&b, "dataset %s: %v - %v owners %q\n", name, patterns(c.Policy.Datasets[name].Include), patterns(c.Policy.Datasets[name].Exclude), c.Policy.Datasets[name].Owners)
	}
	for _, s := range c.Policy.Subjects() {
		fmt.Fprintf(&b, "subject %s groups %q attributes %q\n", s.Name, s.Groups, s.Attributes)
	}
	if d := c.Discover; d.Every != 0 {
		fmt.Fprintf(&b, "discover every %s, new tables %t, countries %q\n", d.Every, d.NewTables, d.Countries)
	}
	for _, x := range c.Discover.Classifiers {
		fmt.Fprintf(&b, "classifier %s%s off=%t: tags %q mask %s names %q not %q types %q pattern %q check %+v needs %q siblings %q scope %q\n",
			x.Class, x.Extend, x.Off, x.Tags, x.Mask, x.Names, x.NotNames, x.Types, x.Pattern, x.Check, x.Needs, x.Siblings, x.Scope)
	}
	for _, v := range c.Discover.Verdicts {
		fmt.Fprintf(&b, "verdict %s: %q by %s on %s because %q at %s\n", v.Column, v.Class, v.By, v.At.Format("2006-01-02"), v.Reason, v.Pos)
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(&b, "warning %s\n", w)
	}
	return b.String()
}

func patterns(list []policy.TablePattern) []string {
	out := []string{}
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}

func sortedKeys[K comparable, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool { return fmt.Sprint(out[i]) < fmt.Sprint(out[j]) })
	return out
}
