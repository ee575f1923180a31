package scan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/postern-sec/postern/internal/catalog"
)

// Repair is what puts findings right without a choice that only a person can make. It is never run by scan.
type Repair struct {
	IDs      []string // of the checks
	Object   string   // of the first finding
	Database string   // where SQL has to run; "" for any database of the server
	SQL      []string
	Reverse  []string
	Edits    []Edit
	Reason   string
	Risk     string
}

// Edit is the change of one line of a configuration file.
type Edit struct {
	File     string
	Line     int    // 0: at the end
	Old, New string // the rule as the server reads it; Old "" for a new line
	was, is  catalog.HBARule
}

// merge takes two edits of one line into one when they change different parts of the rule.
func (e *Edit) merge(o *Edit) bool {
	if e.Line == 0 || e.File != o.File || e.Line != o.Line {
		return false
	}
	if o.is.Type != o.was.Type {
		if e.is.Type != e.was.Type && e.is.Type != o.is.Type {
			return false
		}
		e.is.Type = o.is.Type
	}
	if o.is.Method != o.was.Method {
		if e.is.Method != e.was.Method && e.is.Method != o.is.Method {
			return false
		}
		e.is.Method, e.is.Options = o.is.Method, o.is.Options
	}
	e.New = e.is.String()
	return true
}

// Manual is a finding whose repair is not automatic, and why.
type Manual struct{ ID, Object, Fix, Why string }

// Repairs turns the open findings of a report into repairs, in the report's order, and lists those that need a person.
func Repairs(r *Report) (repairs []Repair, manual []Manual) {
	seen := map[string]int{}
	for i := range r.Results {
		res := &r.Results[i]
		for j := range res.Findings {
			f := &res.Findings[j]
			if f.Waiver != nil || strings.HasPrefix(res.Check.ID, "META-") {
				continue
			}
			fix, why := repairOf(r.Evidence, res.Check, f)
			if why != "" {
				manual = append(manual, Manual{res.Check.ID, f.Object, f.Fix, why})
				continue
			}
			if merged(repairs, fix) {
				continue
			}
			key := fmt.Sprint(fix.Database, fix.SQL)
			for _, e := range fix.Edits {
				key += fmt.Sprint(e.File, e.Line, e.New)
			}
			if at, known := seen[key]; known {
				repairs[at].IDs = append(repairs[at].IDs, res.Check.ID)
				continue
			}
			seen[key] = len(repairs)
			repairs = append(repairs, *fix)
		}
	}
	return conflicting(repairs, manual)
}

// merged puts a repair of a line into one that edits the same line already.
func merged(repairs []Repair, fix *Repair) bool {
	for i := range repairs {
		r := &repairs[i]
		if len(fix.Edits) == 1 && len(r.Edits) == 1 && r.Edits[0].merge(&fix.Edits[0]) {
			r.IDs = append(r.IDs, fix.IDs...)
			if !strings.Contains(r.Risk, fix.Risk) {
				r.Risk += "; " + fix.Risk
			}
			return true
		}
	}
	return false
}

// conflicting takes out repairs that give one setting, or one line of a file, different values: which one is right is a choice.
func conflicting(repairs []Repair, manual []Manual) ([]Repair, []Manual) {
	first, clash := map[string]string{}, map[string]bool{}
	for i := range repairs {
		for target, value := range repairs[i].targets() {
			if v, known := first[target]; known && v != value {
				clash[target] = true
			}
			first[target] = value
		}
	}
	var kept []Repair
	for i := range repairs {
		bad := ""
		for target := range repairs[i].targets() {
			if clash[target] {
				bad = target
			}
		}
		if bad == "" {
			kept = append(kept, repairs[i])
			continue
		}
		for _, id := range repairs[i].IDs {
			manual = append(manual, Manual{id, repairs[i].Object, strings.Join(repairs[i].SQL, " "), "another finding asks for another value of " + bad})
		}
	}
	return kept, manual
}

// targets are what a repair sets, with the value.
func (r *Repair) targets() map[string]string {
	out := map[string]string{}
	for _, sql := range r.SQL {
		if m := alterSystem.FindStringSubmatch(sql); m != nil {
			out["setting "+m[1]] = m[2]
		}
	}
	for _, e := range r.Edits {
		if e.Line > 0 {
			out[fmt.Sprintf("%s:%d", e.File, e.Line)] = e.New
		}
	}
	return out
}

const (
	reName  = `"(?:[^"]|"")+"`
	reText  = `'(?:[^']|'')*'`
	reload  = "SELECT pg_reload_conf();"
	restart = "-- then restart the server"
)

var (
	connectTo     = regexp.MustCompile(`^\\c (` + reName + `) `)
	alterSystem   = regexp.MustCompile(`^ALTER SYSTEM SET ([a-z_.0-9]+) = (` + reText + `);$`)
	alterReset    = regexp.MustCompile(`^ALTER (ROLE ` + reName + `(?: IN DATABASE ` + reName + `)?|DATABASE ` + reName + `) RESET ([A-Za-z_.0-9]+);$`)
	revokeOn      = regexp.MustCompile(`^REVOKE (GRANT OPTION FOR )?([A-Z ]+?)(?: \((` + reName + `)\))? ON (.+) FROM (` + reName + `|PUBLIC);$`)
	revokeRole    = regexp.MustCompile(`^REVOKE (` + reName + `) FROM (` + reName + `);$`)
	revokeAdmin   = regexp.MustCompile(`^REVOKE ADMIN OPTION FOR (` + reName + `) FROM (` + reName + `);$`)
	revokeDefault = regexp.MustCompile(`^ALTER DEFAULT PRIVILEGES FOR ROLE (` + reName + `)( IN SCHEMA ` + reName + `)? REVOKE (ALL|EXECUTE) ON ([A-Z ]+) FROM PUBLIC;$`)
	withoutAttr   = regexp.MustCompile(`^ALTER ROLE (` + reName + `) NO(SUPERUSER|CREATEROLE|CREATEDB|REPLICATION|BYPASSRLS|LOGIN);$`)
	rowSecurity   = regexp.MustCompile(`^ALTER TABLE (` + reName + `\.` + reName + `) (ENABLE|FORCE) ROW LEVEL SECURITY;$`)
	invokerView   = regexp.MustCompile(`^ALTER VIEW (` + reName + `\.` + reName + `) SET \(security_invoker = true\);$`)
	functionPath  = regexp.MustCompile(`^ALTER FUNCTION (.+\)) SET search_path = (.+);$`)
	editRule      = regexp.MustCompile(`^edit (.+:\d+): (.+); then SELECT pg_reload_conf\(\);$`)
	appendRule    = regexp.MustCompile(`^append to pg_hba.conf: (.+)$`)
)

// repairOf reads the fix of a finding as the statements it is. A fix that is not one of the known shapes, or leaves something open, is
// for a person; why says so.
func repairOf(e *catalog.Evidence, c *Check, f *Judged) (fix *Repair, why string) {
	switch {
	case e.Server == nil:
		return nil, "it was seen from outside, without a login"
	case c.Autofix == "n":
		return nil, "it cannot be repaired from here"
	case c.Autofix != "y":
		return nil, "it needs a choice"
	case f.Fix == "":
		return nil, "what to do depends on the case"
	}
	r := &Repair{IDs: []string{c.ID}, Object: f.Object, Reason: c.Why}
	text := strings.TrimSpace(f.Fix)
	if strings.HasPrefix(c.ID, "HBA-") && (editRule.MatchString(text) || appendRule.MatchString(text)) {
		return r, r.readRule(e, text)
	}
	if m := connectTo.FindStringSubmatch(text); m != nil {
		r.Database, text = unquote(m[1]), text[len(m[0]):]
	}
	if before, ok := strings.CutSuffix(text, restart); ok {
		text, r.Risk = strings.TrimSpace(before), "it takes effect when the server is restarted"
	}
	statements, comment := splitSQL(text)
	if comment || strings.Contains(text, "…") || len(statements) == 0 {
		return nil, "the statement leaves something for a person to fill in or decide"
	}
	for _, sql := range statements {
		reverse, risk, known := undo(e, r.Database, sql)
		if !known {
			return nil, "the fix is not one that scan knows how to take back"
		}
		r.SQL = append(r.SQL, sql)
		r.Reverse = append(reverse, r.Reverse...)
		if risk != "" && !strings.Contains(r.Risk, risk) {
			r.Risk = strings.TrimPrefix(r.Risk+"; "+risk, "; ")
		}
	}
	if i := slices.Index(r.Reverse, reload); i >= 0 { // last, as it was
		r.Reverse = append(slices.DeleteFunc(r.Reverse, func(s string) bool { return s == reload }), reload)
	}
	return r, ""
}

// splitSQL splits at semicolons outside quotes; comment reports a comment, which leaves something to a person.
func splitSQL(text string) (statements []string, comment bool) {
	start, quote := 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '\'' || b == '"':
			quote = b
		case b == '-' && strings.HasPrefix(text[i:], "--"):
			return nil, true
		case b == ';':
			statements = append(statements, strings.TrimSpace(text[start:i+1]))
			start = i + 1
		}
	}
	if strings.TrimSpace(text[start:]) != "" {
		return nil, false // words, not a statement
	}
	return statements, false
}

func unquote(name string) string {
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(name, `"`), `"`), `""`, `"`)
}

// delicate settings are left to a person: a library that is not installed keeps the server from starting.
var delicate = []string{"shared_preload_libraries"}

const (
	riskRefused = "whoever relied on it is refused from then on"
	riskSetting = "it holds for every session from the reload on"
)

// undo is the reverse of a statement and what it can break.
func undo(e *catalog.Evidence, database, sql string) (reverse []string, risk string, known bool) {
	one := func(risk, format string, args ...any) ([]string, string, bool) {
		return []string{fmt.Sprintf(format, args...)}, risk, true
	}
	if sql == reload {
		return []string{reload}, "", true
	}
	if m := alterSystem.FindStringSubmatch(sql); m != nil && !slices.Contains(delicate, m[1]) {
		back, ok := settingBack(e, m[1])
		return []string{back}, riskSetting, ok
	}
	if m := alterReset.FindStringSubmatch(sql); m != nil {
		return overrideBack(e, m[1], m[2])
	}
	if m := revokeDefault.FindStringSubmatch(sql); m != nil {
		return defaultsBack(e, database, m)
	}
	if m := revokeOn.FindStringSubmatch(sql); m != nil {
		return grantsBack(e, database, m)
	}
	if m := revokeAdmin.FindStringSubmatch(sql); m != nil {
		return one("it can no longer pass the role on", "GRANT %s TO %s WITH ADMIN OPTION;", m[1], m[2])
	}
	if m := revokeRole.FindStringSubmatch(sql); m != nil {
		return membershipBack(e, unquote(m[1]), unquote(m[2]))
	}
	if m := withoutAttr.FindStringSubmatch(sql); m != nil {
		return one("what the role does with it is refused from then on", "ALTER ROLE %s %s;", m[1], m[2])
	}
	if m := rowSecurity.FindStringSubmatch(sql); m != nil {
		word := map[string]string{"ENABLE": "DISABLE", "FORCE": "NO FORCE"}[m[2]]
		return one("without a policy that admits them, roles see no row", "ALTER TABLE %s %s ROW LEVEL SECURITY;", m[1], word)
	}
	if m := invokerView.FindStringSubmatch(sql); m != nil {
		return one("whoever reads the view needs the right on its tables from then on", "ALTER VIEW %s RESET (security_invoker);", m[1])
	}
	if m := functionPath.FindStringSubmatch(sql); m != nil {
		return pathBack(e, database, m[1])
	}
	return nil, "", false
}

// settingBack puts a setting back: to what postgresql.auto.conf had, or to nothing there.
func settingBack(e *catalog.Evidence, name string) (string, bool) {
	v := e.Server.Setting(name)
	if v != nil && strings.HasSuffix(v.File, "postgresql.auto.conf") {
		if strings.Contains(v.Reset, catalog.Hidden) {
			return "", false
		}
		return "ALTER SYSTEM SET " + name + " = " + quoteLiteral(v.Reset) + ";", true
	}
	return "ALTER SYSTEM RESET " + name + ";", true
}

// overrideBack sets a role's or database's own value again.
func overrideBack(e *catalog.Evidence, whose, name string) ([]string, string, bool) {
	for _, o := range e.Server.Overrides {
		if "ALTER "+whose+" RESET "+name+";" != reset(o) {
			continue
		}
		if strings.Contains(o.Value, catalog.Hidden) {
			return nil, "", false
		}
		return []string{"ALTER " + whose + " SET " + name + " = " + quoteLiteral(o.Value) + ";"}, "it holds from the role's next session on", true
	}
	return nil, "", false
}

// membershipBack gives a membership again with its options.
func membershipBack(e *catalog.Evidence, role, member string) ([]string, string, bool) {
	for _, m := range e.Server.Memberships {
		if m.Role != role || m.Member != member {
			continue
		}
		with := ""
		if e.Server.Major() >= 16 {
			with = fmt.Sprintf(" WITH ADMIN %t, INHERIT %t, SET %t", m.Admin, m.Inherit, m.Set)
		} else if m.Admin {
			with = " WITH ADMIN OPTION"
		}
		return []string{fmt.Sprintf("GRANT %s TO %s%s;", quoteIdent(role), quoteIdent(member), with)}, riskRefused, true
	}
	return nil, "", false
}

// defaultsBack gives PUBLIC its default privileges again.
func defaultsBack(e *catalog.Evidence, database string, m []string) ([]string, string, bool) {
	what := m[3]
	if what == "ALL" {
		for _, d := range e.Databases {
			for _, a := range d.DefaultACLs {
				in := ""
				if a.Schema != "" {
					in = " IN SCHEMA " + quoteIdent(a.Schema)
				}
				if d.Database.Name == database && quoteIdent(a.Role) == m[1] && in == m[2] && defaultKinds[a.Kind] == m[4] {
					what = strings.Join(public(a.ACL), ", ")
				}
			}
		}
	}
	if what == "ALL" || what == "" {
		return nil, "", false
	}
	return []string{fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s%s GRANT %s ON %s TO PUBLIC;", m[1], m[2], what, m[4])}, "objects made from then on need a grant for whoever uses them", true
}

// pathBack is the function's search_path as it was.
func pathBack(e *catalog.Evidence, database, signature string) ([]string, string, bool) {
	for _, d := range e.Databases {
		for i := range d.Routines {
			f := d.Function(d.Routines[i].OID)
			if f == nil || d.Database.Name != database || qualified(f.Name)+"("+f.Arguments+")" != signature {
				continue
			}
			back := "ALTER FUNCTION " + signature + " RESET search_path;"
			if path, set := option(d.Routines[i].Config, "search_path"); set {
				back = "ALTER FUNCTION " + signature + " SET search_path = " + path + ";"
			}
			return []string{back}, "names in its body that are not in these schemas are no longer found", true
		}
	}
	return nil, "", false
}

// readRule reads an edit of pg_hba.conf.
func (r *Repair) readRule(e *catalog.Evidence, text string) (why string) {
	r.Reverse, r.SQL = []string{reload}, []string{reload}
	if m := appendRule.FindStringSubmatch(text); m != nil {
		file := e.Server.Value("hba_file")
		if file == "" {
			file = "pg_hba.conf"
		}
		r.Edits, r.Risk = []Edit{{File: file, New: m[1]}}, "who is let in by nothing but a default is refused, as before"
		return ""
	}
	m := editRule.FindStringSubmatch(text)
	i := slices.IndexFunc(e.Server.HBA, func(x catalog.HBARule) bool { return rulePlace(&x) == m[1] })
	if i < 0 {
		return "the rule is not among those that were read"
	}
	was := e.Server.HBA[i]
	rule := was
	switch words := m[2]; {
	case strings.Contains(strings.Join(was.Options, " "), catalog.Hidden):
		return "the rule holds a secret that was not read"
	case strings.HasPrefix(words, "hostssl"):
		rule.Type, r.Risk = "hostssl", "clients without TLS are refused"
	case strings.HasPrefix(words, "peer or scram-sha-256") && was.Type == "local":
		rule.Method, rule.Options, r.Risk = "peer", nil, "on the socket only the system account of a role's own name gets in"
	case strings.Contains(words, "scram-sha-256"):
		rule.Method, rule.Options, r.Risk = "scram-sha-256", nil, "roles without a SCRAM verifier are refused: set their passwords first"
	default:
		return "the rule needs a choice: " + words
	}
	file := was.File
	if file == "" {
		if file = e.Server.Value("hba_file"); file == "" {
			file = "pg_hba.conf"
		}
	}
	r.Edits = []Edit{{File: file, Line: was.Line, Old: was.String(), New: rule.String(), was: was, is: rule}}
	return ""
}

var quotedName = regexp.MustCompile(reName)

// SafeSQL writes a statement so that a terminal and psql see nothing but the statement: names that hold control characters become U&"…".
func SafeSQL(sql string) string {
	return quotedName.ReplaceAllStringFunc(sql, func(name string) string {
		if !strings.ContainsFunc(name, unicode.IsControl) {
			return name
		}
		var b strings.Builder
		for _, r := range name {
			switch {
			case r == '\\':
				b.WriteString(`\\`)
			case unicode.IsControl(r):
				_, _ = fmt.Fprintf(&b, `\%04x`, r)
			default:
				b.WriteRune(r)
			}
		}
		return "U&" + b.String()
	})
}
