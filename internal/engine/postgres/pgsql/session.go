package pgsql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// maxWorkMem is the highest work_mem in kB that a session may ask for: each sort of each statement may take as much.
const maxWorkMem = 256 << 10

// pins are the settings that change what the same bytes mean, or what they are allowed to do, with the values that a
// session has from login on (ENF-47). SET to one of these is accepted, to anything else refused.
var pins = map[string][]string{
	"role": {"none"}, "session_authorization": {}, "row_security": {"on"}, "standard_conforming_strings": {"on"},
	"backslash_quote": {"safe_encoding"}, "escape_string_warning": {"on"}, "client_encoding": {"utf8", "unicode", "utf-8"},
	"quote_all_identifiers": {"off"}, "session_replication_role": {"origin"}, "session_preload_libraries": {""},
	"local_preload_libraries": {""}, "default_table_access_method": {"heap"}, "plan_cache_mode": {"auto"},
}

// settable are the settings that a session may change (ENF-48), with the rule for the value.
var settable = map[string]func(a *analysis, name string, values []string) bool{
	"application_name": anyValue, "timezone": anyValue, "datestyle": anyValue, "intervalstyle": anyValue, "extra_float_digits": anyValue,
	"bytea_output": anyValue, "client_min_messages": quietMessages, "work_mem": smallMemory,
	"statement_timeout": timeoutValue, "lock_timeout": timeoutValue, "idle_in_transaction_session_timeout": timeoutValue,
	"idle_session_timeout": timeoutValue, "transaction_timeout": timeoutValue,
	"transaction_isolation": anyValue, "default_transaction_isolation": anyValue,
	"transaction_read_only": onlyOn, "default_transaction_read_only": onlyOn,
	"transaction_deferrable": anyValue, "default_transaction_deferrable": anyValue,
}

// readable are the settings beside pins and settable ones that SHOW and current_setting answer.
var readable = []string{
	"server_version", "server_version_num", "server_encoding", "lc_collate", "lc_ctype", "lc_messages", "lc_monetary",
	"lc_numeric", "lc_time", "max_identifier_length", "max_index_keys", "integer_datetimes", "block_size", "is_superuser",
	"in_hot_standby", "default_text_search_config", "xmlbinary", "xmloption", "ssl", "default_tablespace", "max_connections",
}

// readOnlySetting is what keeps the transactions of the inline tier from writing.
const readOnlySetting = "transaction_read_only"

func anyValue(*analysis, string, []string) bool { return true }

// quietMessages admits levels that do not open the server's chatter.
// notice is the default and what pgAdmin sets; under masks the session passes none on (ENF-61).
func quietMessages(_ *analysis, _ string, values []string) bool {
	return len(values) == 1 && slices.Contains([]string{"notice", "warning", "error", "fatal", "panic"}, strings.ToLower(values[0]))
}

// onlyOn admits a restriction, not its end.
func onlyOn(_ *analysis, _ string, values []string) bool {
	on, ok := parseBool(values)
	return ok && on
}

func parseBool(values []string) (on, ok bool) {
	if len(values) != 1 || values[0] == "" {
		return false, false
	}
	v := strings.ToLower(values[0])
	switch {
	case v == "1", v == "on", strings.HasPrefix("true", v), strings.HasPrefix("yes", v):
		return true, true
	case v == "0", strings.HasPrefix("off", v) && len(v) > 1, strings.HasPrefix("false", v), strings.HasPrefix("no", v):
		return false, true
	}
	return false, false
}

func smallMemory(_ *analysis, _ string, values []string) bool {
	kb, ok := quantity(values, map[string]float64{"": 1, "b": 1.0 / 1024, "kb": 1, "mb": 1 << 10, "gb": 1 << 20, "tb": 1 << 30})
	return ok && kb <= maxWorkMem
}

// timeoutValue admits lowering: a limit of the policy may not be passed or switched off.
func timeoutValue(a *analysis, name string, values []string) bool {
	ms, ok := quantity(values, map[string]float64{"": 1, "us": 0.001, "ms": 1, "s": 1000, "min": 60000, "h": 3600000, "d": 86400000})
	if !ok {
		return false
	}
	limit := float64(a.w.Timeouts[name])
	return limit == 0 || ms > 0 && ms <= limit
}

// quantity reads a number with a unit.
func quantity(values []string, units map[string]float64) (float64, bool) {
	if len(values) != 1 {
		return 0, false
	}
	text := strings.TrimSpace(values[0])
	end := len(text)
	for end > 0 && (text[end-1] >= 'a' && text[end-1] <= 'z' || text[end-1] >= 'A' && text[end-1] <= 'Z') {
		end--
	}
	factor, ok := units[strings.ToLower(text[end:])]
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text[:end]), 64)
	return n * factor, err == nil && n >= 0
}

// setVariable judges SET, SET LOCAL and RESET. n is the statement, which may be replaced.
func (a *analysis) setVariable(n *pg.Node, s *pg.VariableSetStmt) Statement {
	name := strings.ToLower(s.Name)
	st := Statement{Tag: "SET", Effects: []Effect{{Kind: SetVariable, Name: name}}}
	switch s.Kind {
	case pg.VariableSetKind_VAR_SET_VALUE:
		values, ok := settingValues(s.Args)
		if !ok {
			a.misplaced(s)
			break
		}
		if name == "search_path" {
			if a.samePath(values) {
				// The session's own path leads to the profile's schema: back to what the login set.
				s.Kind, s.Args = pg.VariableSetKind_VAR_SET_DEFAULT, nil
				a.rewrote = true
				break
			}
		}
		a.mayStand(name, values)
		a.markArgs(s.Args)
	case pg.VariableSetKind_VAR_SET_DEFAULT, pg.VariableSetKind_VAR_RESET:
		if s.Kind == pg.VariableSetKind_VAR_RESET {
			st.Tag = "RESET"
		}
		a.mayReset(s, name)
	case pg.VariableSetKind_VAR_RESET_ALL:
		// The session sends its pins after it (ENF-49).
		return Statement{Tag: "RESET", Effects: []Effect{{Kind: SetVariable, Name: "all"}}}
	case pg.VariableSetKind_VAR_SET_MULTI:
		if s.Name != "TRANSACTION" && s.Name != "SESSION CHARACTERISTICS" {
			a.noSetting(strings.ToLower(s.Name))
		}
		a.transactionModes(s.Args)
	default: // SET … FROM CURRENT, which belongs to CREATE FUNCTION
		a.misplaced(s)
	}
	return st
}

// markArgs notes that the type in SET TIME ZONE INTERVAL '1' HOUR is judged.
func (a *analysis) markArgs(args []*pg.Node) {
	for _, n := range args {
		a.markAll(n)
	}
}

// settingValues reads the constants of SET.
func settingValues(args []*pg.Node) ([]string, bool) {
	var out []string
	for _, n := range args {
		if cast := n.GetTypeCast(); cast != nil {
			parts, _ := names(cast.GetTypeName().GetNames())
			if len(parts) != 2 || parts[1] != "interval" {
				return nil, false
			}
			n = cast.Arg
		}
		c := n.GetAConst()
		switch {
		case c.GetSval() != nil:
			out = append(out, c.GetSval().Sval)
		case c.GetIval() != nil:
			out = append(out, strconv.Itoa(int(c.GetIval().Ival)))
		case c.GetFval() != nil:
			out = append(out, c.GetFval().Fval)
		case c.GetBoolval() != nil:
			out = append(out, strconv.FormatBool(c.GetBoolval().Boolval))
		default:
			return nil, false
		}
	}
	return out, len(out) > 0
}

// mayStand refuses a setting, or a value of it, that a session may not have.
func (a *analysis) mayStand(name string, values []string) {
	if own, pinned := pins[name]; pinned || name == "search_path" {
		if len(values) == 1 && (slices.Contains(own, strings.ToLower(values[0])) || sameSwitch(own, values)) {
			return
		}
		r := Refusal{
			Reason: ReasonSetting, Object: name, Message: fmt.Sprintf("permission denied to set parameter %q", name),
			Detail: "It changes what statements mean or may do, and stays as the gateway has set it.",
		}
		if name == "search_path" {
			r.Hint = fmt.Sprintf("The path is %s; qualify other names with their schema.", a.logicalPath())
		}
		a.refuse(-1, r)
		return
	}
	rule, ok := settable[name]
	if !ok {
		a.noSetting(name)
		return
	}
	if !rule(a, name, values) {
		r := Refusal{Reason: ReasonSettingValue, Object: name, Message: fmt.Sprintf("this value of parameter %q is not available", name)}
		if limit := a.w.Timeouts[name]; limit > 0 {
			r.Detail = fmt.Sprintf("The policy's limit is %d ms; it may be lowered, not raised.", limit)
		}
		a.refuse(-1, r)
	}
}

// sameSwitch tells whether a pin's only value is a switch and the text another spelling of it.
func sameSwitch(own, values []string) bool {
	if len(own) != 1 || own[0] != "on" && own[0] != "off" {
		return false
	}
	on, ok := parseBool(values)
	return ok && on == (own[0] == "on")
}

func (a *analysis) noSetting(name string) {
	a.refuse(-1, Refusal{
		Reason: ReasonSetting, Object: name, Message: fmt.Sprintf("permission denied to set parameter %q", name),
		Detail: "Settings are an allow-list; this one is not on it.",
	})
}

// mayReset judges RESET name and SET name TO DEFAULT. Where the default is the server's and not the login's, a pin is set
// to its own value instead.
func (a *analysis) mayReset(s *pg.VariableSetStmt, name string) {
	own, pinned := pins[name]
	if a.w.Inline != nil && name == readOnlySetting {
		own, pinned = []string{"on"}, true // its default is off, whatever that of a session is
	}
	switch {
	case name == "search_path", name == "role", name == "session_authorization":
	case pinned && own[0] != "":
		s.Kind, s.Args = pg.VariableSetKind_VAR_SET_VALUE, []*pg.Node{stringConst(own[0])}
		a.rewrote = true
	case settable[name] == nil:
		a.noSetting(name)
	}
}

// samePath tells whether a search_path is the logical one; "$user" and pg_catalog, which find nothing else, are passed over.
func (a *analysis) samePath(path []string) bool { return a.w.samePath(path) }

func (w *World) samePath(path []string) bool {
	path = slices.DeleteFunc(slices.Clone(path), func(s string) bool { return s == "$user" || s == "pg_catalog" })
	return slices.Equal(path, w.Schemas)
}

// HasPath tells whether a text, as the server would read it, is the logical search path.
func (w *World) HasPath(text string) bool {
	path, ok := splitPath(text)
	return ok && w.samePath(path)
}

func (a *analysis) logicalPath() string {
	quoted := make([]string, len(a.w.Schemas))
	for i, s := range a.w.Schemas {
		quoted[i] = quoteIdent(s)
	}
	return strings.Join(quoted, ", ")
}

// mayRead tells whether SHOW and current_setting answer a name.
func mayRead(name string) bool {
	return pins[name] != nil || settable[name] != nil || slices.Contains(readable, name)
}

// showVariable judges SHOW. The path is answered as the client knows it.
func (a *analysis) showVariable(n *pg.Node, s *pg.VariableShowStmt) Statement {
	name := strings.ToLower(s.Name)
	if name == "search_path" {
		value := castTo(stringConst(a.logicalPath()), "text")
		target := pg.MakeResTargetNodeWithNameAndVal("search_path", value, 0)
		n.Node = &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{
			TargetList:  []*pg.Node{target},
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
		}}
		a.markAll(n)
		a.rewrote = true
	} else if !mayRead(name) {
		a.unreadable(name)
	}
	return Statement{Tag: "SHOW"}
}

func (a *analysis) unreadable(name string) {
	a.refuse(-1, Refusal{
		Reason: ReasonSetting, Object: name, Message: fmt.Sprintf("permission denied to examine %q", name),
		Detail: "Readable settings are an allow-list; this one is not on it.",
	})
}

// currentSetting judges current_setting('name' [, missing_ok]).
func (a *analysis) currentSetting(n *pg.Node, f *pg.FuncCall, sc *scope) {
	name, ok := textConst(argument(f, 0))
	if ok && len(f.Args) == 2 {
		_, ok = boolConst(f.Args[1])
	}
	if len(f.Args) == 0 || len(f.Args) > 2 {
		a.notConstant(f.Location, "current_setting")
		return
	}
	if !ok {
		// A name that is computed, as psql does over pg_settings, is answered by the same view, which does not have those that
		// tell how a profile is made.
		target, _ := CatalogFunction("current_setting", a.w.Major)
		f.Funcname, f.Funcformat = nameNodes(target.Schema, target.Name), pg.CoercionForm_COERCE_EXPLICIT_CALL
		a.rewrote = true
		a.callParts(f, "current_setting", sc)
		return
	}
	name = strings.ToLower(name)
	switch {
	case name == "search_path":
		a.replace(n, castTo(stringConst(a.logicalPath()), "text"))
	case mayRead(name):
		f.Funcname = nameNodes("pg_catalog", "current_setting")
		a.nodeList(f.Args, sc)
	default:
		a.unreadable(name)
	}
}

// setConfig judges set_config with three constants as the SET that it is.
func (a *analysis) setConfig(n *pg.Node, f *pg.FuncCall) {
	name, ok1 := textConst(argument(f, 0))
	_, ok3 := boolConst(argument(f, 2))
	value, ok2 := textConst(argument(f, 1))
	reset := argument(f, 1).GetAConst().GetIsnull()
	if !ok1 || !ok3 || !ok2 && !reset || len(f.Args) != 3 {
		a.notConstant(f.Location, "set_config")
		return
	}
	name = strings.ToLower(name)
	if name == "search_path" && !reset {
		if path, ok := splitPath(value); ok && a.samePath(path) {
			a.replace(n, castTo(stringConst(a.logicalPath()), "text"))
			return
		}
	}
	if reset {
		if settable[name] == nil || a.w.Inline != nil && name == readOnlySetting {
			a.noSetting(name)
		}
	} else {
		a.mayStand(name, []string{value})
	}
	a.effects = append(a.effects, Effect{Kind: SetVariable, Name: name})
	f.Funcname = nameNodes("pg_catalog", "set_config")
	a.nodeList(f.Args, nil)
}

// splitPath splits the text of a search_path.
func splitPath(text string) ([]string, bool) {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		names, ok := splitIdentifier(part)
		if strings.TrimSpace(part) == `"$user"` {
			names, ok = []string{"$user"}, true
		}
		if !ok || len(names) != 1 {
			return nil, false
		}
		out = append(out, names[0])
	}
	return out, true
}
