package attacks

import "strings"

// split cuts a text at the semicolons that end statements: not those in strings, quoted names, dollar quotes and
// comments. Empty statements are left out. It is good enough for the corpus, which is all it ever sees.
func split(sql string) []string {
	var out []string
	from, content := 0, false
	for i := 0; i < len(sql); {
		switch {
		case sql[i] == ';':
			if content {
				out = append(out, strings.TrimSpace(sql[from:i]))
			}
			i++
			from, content = i, false
		case strings.HasPrefix(sql[i:], "--"):
			i = after(sql, i, "\n")
		case strings.HasPrefix(sql[i:], "/*"):
			i = after(sql, i, "*/")
		case sql[i] == '\'':
			escapes := i > 0 && (sql[i-1] == 'E' || sql[i-1] == 'e')
			i, content = quoted(sql, i, '\'', escapes), true
		case sql[i] == '"':
			i, content = quoted(sql, i, '"', false), true
		case strings.HasPrefix(sql[i:], "$$"):
			i, content = after(sql, i+2, "$$"), true
		default:
			content = content || !strings.ContainsRune(" \t\r\n", rune(sql[i]))
			i++
		}
	}
	if content {
		out = append(out, strings.TrimSpace(sql[from:]))
	}
	return out
}

// after is the place behind the next end, or the end of the text.
func after(sql string, from int, end string) int {
	if at := strings.Index(sql[from:], end); at >= 0 {
		return from + at + len(end)
	}
	return len(sql)
}

// quoted is the place behind a quoted thing that begins at from. A doubled quote opens the next one, which is as good.
func quoted(sql string, from int, quote byte, escapes bool) int {
	for i := from + 1; i < len(sql); i++ {
		if escapes && sql[i] == '\\' {
			i++
		} else if sql[i] == quote {
			return i + 1
		}
	}
	return len(sql)
}
