package scan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// on reads a boolean the way PostgreSQL does.
func on(v string) bool {
	return slices.Contains([]string{"on", "true", "yes", "1", "t", "y"}, strings.ToLower(v))
}

// number reads a whole number; what is none is 0.
func number(v string) int64 {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// items splits a comma-separated setting; quotes around an item are taken off.
func items(v string) []string {
	var out []string
	for _, s := range strings.Split(v, ",") {
		if s = strings.Trim(strings.TrimSpace(s), `"`); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// value is the server's value of a setting that the check names in the catalogue; the runner has made sure that it was seen.
func value(e *catalog.Evidence, name string) string { return e.Server.Value(name) }

// seen reports whether this server has a setting.
func seen(e *catalog.Evidence, name string) bool { return e.Server.Setting(name) != nil }

// alter is the line that changes a server's setting.
func alter(e *catalog.Evidence, name, to string) string {
	if p := ProviderOf(e); p != nil { // which refuses ALTER SYSTEM
		return "set " + name + " = " + quoteLiteral(to) + " in " + p.Settings
	}
	line := "ALTER SYSTEM SET " + name + " = " + quoteLiteral(to) + ";"
	if v := e.Server.Setting(name); v != nil && v.Context == "postmaster" {
		return line + " -- then restart the server"
	}
	return line + " SELECT pg_reload_conf();"
}

// place is where a setting was set.
func place(e *catalog.Evidence, name string) string {
	v := e.Server.Setting(name)
	if v == nil || v.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", v.File, v.Line)
}

// show is "name = value", for evidence.
func show(e *catalog.Evidence, name string) string {
	v := e.Server.Setting(name)
	if v == nil {
		return name + " is not set"
	}
	unit := v.Unit
	if unit != "" {
		unit = " " + unit
	}
	return fmt.Sprintf("%s = %s%s", name, quoteLiteral(v.Value), unit)
}

// badSetting is the finding that a server's setting has a bad value.
func badSetting(e *catalog.Evidence, name, to string) Finding {
	return Finding{Object: "setting " + name, Evidence: show(e, name), Place: place(e, name), Fix: alter(e, name, to)}
}

// bearer says whose setting an override is.
func bearer(o catalog.Override) string {
	switch {
	case o.Role != "" && o.Database != "":
		return "role " + o.Role + " in database " + o.Database
	case o.Role != "":
		return "role " + o.Role
	}
	return "database " + o.Database
}

// reset is the line that takes an override away.
func reset(o catalog.Override) string {
	switch {
	case o.Role != "" && o.Database != "":
		return fmt.Sprintf("ALTER ROLE %s IN DATABASE %s RESET %s;", quoteIdent(o.Role), quoteIdent(o.Database), o.Name)
	case o.Role != "":
		return fmt.Sprintf("ALTER ROLE %s RESET %s;", quoteIdent(o.Role), o.Name)
	}
	return fmt.Sprintf("ALTER DATABASE %s RESET %s;", quoteIdent(o.Database), o.Name)
}

// badOverrides are the findings for roles and databases that set a value of their own.
func badOverrides(e *catalog.Evidence, name string, bad func(string) bool) []Finding {
	var fs []Finding
	for _, o := range e.Server.Overrides {
		if o.Name == name && bad(o.Value) {
			fs = append(fs, Finding{
				Object: bearer(o) + ", setting " + name, Evidence: fmt.Sprintf("%s = %s", name, quoteLiteral(o.Value)), Fix: reset(o),
			})
		}
	}
	return fs
}

// wrongSetting makes a check of one setting: the server's value, and those that roles and databases set for themselves.
func wrongSetting(id, why, name string, bad func(string) bool, to string) Check {
	return Check{ID: id, Why: why, Eval: func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		if bad(value(e, name)) {
			fs = append(fs, badSetting(e, name, to))
		}
		return found(append(fs, badOverrides(e, name, bad)...))
	}}
}

func isOff(v string) bool { return !on(v) }

// boolean reports what a boolean spelling says, so that overrides written as true or 1 are understood.
func isOn(v string) bool { return on(v) }

func oneOf(words ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(words, strings.ToLower(strings.TrimSpace(v))) }
}
