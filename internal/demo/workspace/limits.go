package workspace

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The limits are those of docs.slack.dev/reference/block-kit and reference/methods, in characters.
type limits struct{ wrong []string }

func (l *limits) check(ok bool, format string, args ...any) {
	if !ok {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

func (l *limits) text(t *Text, what string, most int, plain bool) {
	if t == nil {
		l.check(false, "%s is missing", what)
		return
	}
	n := utf8.RuneCountInString(t.Text)
	l.check(n >= 1 && n <= most, "%s has %d characters, of 1 to %d", what, n, most)
	l.check(t.Type == "plain_text" || t.Type == "mrkdwn" && !plain, "%s is of type %q", what, t.Type)
}

// checkMessage reads the blocks of a message and says what Slack would not take.
func checkMessage(fallback, raw string) ([]Block, string) {
	var blocks []Block
	if err := json.Unmarshal([]byte(raw), &blocks); err != nil {
		return nil, "blocks: " + err.Error()
	}
	var l limits
	l.check(utf8.RuneCountInString(fallback) <= 4000, "text is longer than 4,000 characters")
	l.check(fallback != "", "there is no text for notifications")
	l.check(len(blocks) >= 1 && len(blocks) <= 50, "%d blocks, of 1 to 50", len(blocks))
	l.blocks(blocks)
	return blocks, strings.Join(l.wrong, "; ")
}

func checkView(v *View) string {
	var l limits
	l.check(v.Type == "modal", "a view of type %q", v.Type)
	l.text(v.Title, "title", 24, true)
	if v.Submit != nil {
		l.text(v.Submit, "submit", 24, true)
	}
	if v.Close != nil {
		l.text(v.Close, "close", 24, true)
	}
	l.check(utf8.RuneCountInString(v.Meta) <= 3000, "private_metadata is longer than 3,000 characters")
	l.check(utf8.RuneCountInString(v.Callback) <= 255, "callback_id is longer than 255 characters")
	l.check(len(v.Blocks) >= 1 && len(v.Blocks) <= 100, "%d blocks, of 1 to 100", len(v.Blocks))
	l.blocks(v.Blocks)
	for _, b := range v.Blocks {
		l.check(b.Type != "input" || v.Submit != nil, "inputs without submit")
	}
	return strings.Join(l.wrong, "; ")
}

func (l *limits) blocks(blocks []Block) {
	seen := map[string]bool{}
	for _, b := range blocks {
		l.check(utf8.RuneCountInString(b.BlockID) <= 255, "block_id is longer than 255 characters")
		l.check(b.BlockID == "" || !seen[b.BlockID], "block_id %q twice", b.BlockID)
		seen[b.BlockID] = true
		switch b.Type {
		case "section":
			l.text(b.Text, "text of a section", 3000, false)
		case "actions":
			l.check(len(b.Elements) >= 1 && len(b.Elements) <= 25, "%d elements of actions, of 1 to 25", len(b.Elements))
			actions := map[string]bool{}
			for _, e := range b.Elements {
				l.check(!actions[e.ActionID], "action_id %q twice", e.ActionID)
				actions[e.ActionID] = true
				l.part(e)
			}
		case "input":
			l.text(b.Label, "label", 2000, true)
			if b.Hint != nil {
				l.text(b.Hint, "hint", 2000, true)
			}
			if b.Element == nil {
				l.check(false, "an input without element")
				continue
			}
			l.part(*b.Element)
		default:
			l.check(false, "a block of type %q", b.Type)
		}
	}
}

func (l *limits) part(e Part) {
	l.check(utf8.RuneCountInString(e.ActionID) <= 255, "action_id is longer than 255 characters")
	switch e.Type {
	case "button":
		l.text(e.Text, "text of a button", 75, true)
		l.check(utf8.RuneCountInString(e.Value) <= 2000, "value of a button is longer than 2,000 characters")
		l.check(utf8.RuneCountInString(e.URL) <= 3000, "url is longer than 3,000 characters")
	case "static_select":
		l.check(len(e.Options) >= 1 && len(e.Options) <= 100, "%d options, of 1 to 100", len(e.Options))
		for _, o := range e.Options {
			l.text(o.Text, "text of an option", 75, true)
			n := utf8.RuneCountInString(o.Value)
			l.check(n >= 1 && n <= 150, "value of an option has %d characters, of 1 to 150", n)
		}
	case "plain_text_input":
		l.check(e.MaxLength <= 3000, "max_length is more than 3,000")
	default:
		l.check(false, "an element of type %q", e.Type)
	}
}
