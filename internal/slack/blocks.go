package slack

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	api "github.com/slack-go/slack"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
)

// Slack's limits: docs.slack.dev/reference/block-kit. Lengths are in characters.
const (
	maxText   = 3000 // of a section
	maxLine   = 150  // of what a message says first; ours
	maxOption = 75   // of a choice
	maxChoice = 100  // choices
)

// The actions, callbacks and fields of our messages and forms.
const (
	actApprove = "approve"
	actReason  = "approve_note" // an approval that wants a note
	actDeny    = "deny"
	actOpen    = "open"

	kindNew = "request.new"

	formAsk    = "ask"
	formDecide = "decide"

	fieldRule    = "rule"
	fieldFor     = "for"
	fieldPurpose = "purpose"
	fieldNote    = "note"
)

// escape makes text that somebody wrote mean nothing in Slack's own markup: no mention, no link (ACC-47).
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// cut shortens text, and says whether it had to.
func cut(s string, most int) (string, bool) {
	if utf8.RuneCountInString(s) <= most {
		return s, false
	}
	return string([]rune(s)[:most-1]) + "…", true
}

// plain is a paragraph in which nothing is markup.
func plain(s string) *api.SectionBlock {
	s, _ = cut(s, maxText)
	return api.NewSectionBlock(literal(s), nil, nil)
}

func literal(s string) *api.TextBlockObject {
	return api.NewTextBlockObject(api.PlainTextType, s, false, false)
}

// message is what a notice looks like. r is the request that it is about, if it is about one.
func (a *App) message(m *notify.Message, r *access.Request) (fallback string, blocks []api.Block, err error) {
	title, _, err := notify.Compose(a.c.Texts, m)
	if err != nil {
		return "", nil, err
	}
	title, _ = cut(strings.TrimSpace(title), maxLine)
	post := m.Channel != ""
	if r != nil && (m.Kind == kindNew || post && !r.Breaking) && r.State != access.Pending {
		title, _ = cut(fmt.Sprintf("%s asked for %s: %s", r.Subject, r.Dataset, r.State), maxLine)
	}
	body, short := cut(facts(m, r), maxText)
	blocks = []api.Block{plain(title), plain(body)}
	if r != nil {
		if done := progress(r, !post); done != "" {
			blocks = append(blocks, plain(done))
		}
	}
	more, whole := statement(a.c.Policy(), m, r)
	blocks = append(blocks, more...)
	if p := a.c.Policy(); answerable(m, r) && p.Datasets[r.Dataset] != nil && p.Datasets[r.Dataset].Slack.Approves() && wantsFactor(p, r) {
		blocks = append(blocks, plain("To approve it wants a fresh second factor: decide in the portal."))
	}
	if buttons := a.buttons(m, r, short || !whole); len(buttons) > 0 {
		blocks = append(blocks, api.NewActionBlock("", buttons...))
	}
	return escape(title), blocks, nil
}

// statement is what somebody wants to run, for who decides on it, and whether they read all of it here (ACC-37). In a channel it is not
// shown, since nobody decides there.
func statement(p *policy.Policy, m *notify.Message, r *access.Request) (blocks []api.Block, whole bool) {
	if r == nil || r.Statement == nil || m.Channel != "" || !notify.Decides(m.Kind) {
		return nil, true
	}
	text, whole := r.Outside(notify.StatementText(p, r.Dataset), true)
	text, short := cut(notify.Within(text), maxText)
	switch {
	case text == "":
		return []api.Block{plain("A statement goes with it: read it in the portal.")}, false
	case !whole || short:
		return []api.Block{plain("The statement, not whole: read it in the portal."), plain(text)}, false
	}
	return []api.Block{plain("The statement:"), plain(text)}, true
}

// facts are the lines under the title.
func facts(m *notify.Message, r *access.Request) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	line("Person", m.Subject)
	line("Dataset", m.Dataset)
	line("Rule", m.Rule)
	if r != nil {
		line("Level", r.Level)
		if !r.Until.IsZero() {
			line("Until", stamp(r.Until))
		} else {
			line("For", r.For.String())
		}
		if !r.Start.IsZero() {
			line("From", stamp(r.Start))
		}
		if m.Channel == "" {
			line("Purpose", r.Purpose)
		}
		line("Request", r.ID)
	} else if !m.Until.IsZero() && m.Until.Before(policy.Never()) {
		line("Until", stamp(m.Until))
	}
	line("Grant", m.Grant)
	for _, g := range m.Grants {
		line("Ended", g.Dataset+", rule "+g.Rule+", grant "+g.Grant)
	}
	if m.Urgent {
		line("Break-glass", "yes")
	}
	if m.Channel == "" { // a channel has readers whom nobody chose: what people write is not for them
		line("Note", notify.Within(m.Note))
		line("Reason", notify.Within(m.Reason))
	}
	if b.Len() == 0 {
		return m.Kind
	}
	return strings.TrimSpace(b.String())
}

// progress is who has said what, with their notes or without.
func progress(r *access.Request, notes bool) string {
	var lines []string
	for _, d := range r.Decisions {
		who := d.By
		if d.For != "" && d.For != d.By {
			who += " for " + d.For
		}
		word := map[string]string{"approve": "Approved by ", "deny": "Denied by "}[d.Verdict] + who
		if d.Verdict == "skip" {
			word = fmt.Sprintf("Step %d was skipped", d.Step+1)
		}
		if word += ", " + stamp(d.At); d.Note != "" && notes {
			word += ": " + notify.Within(d.Note)
		}
		lines = append(lines, word)
	}
	if len(r.Steps) > 1 && r.State == access.Pending {
		lines = append(lines, fmt.Sprintf("Step %d of %d", r.Step+1, len(r.Steps)))
	}
	if r.State != access.Pending {
		lines = append(lines, "The request is "+string(r.State)+".")
	}
	return strings.Join(lines, "\n")
}

// answerable says whether a notice is one that its reader may answer with a button.
func answerable(m *notify.Message, r *access.Request) bool {
	return r != nil && m.Channel == "" && notify.Decides(m.Kind) && r.State == access.Pending && !said(r, m.To)
}

// buttons are what somebody can do about a notice. Nobody approves what they cannot read whole (ACC-37).
func (a *App) buttons(m *notify.Message, r *access.Request, short bool) []api.BlockElement {
	var out []api.BlockElement
	if answerable(m, r) {
		p := a.c.Policy()
		value := fmt.Sprintf("%s:%d", r.ID, r.Version)
		set := p.Datasets[r.Dataset]
		if set != nil && set.Slack.Approves() && !short && !wantsFactor(p, r) {
			action := actApprove
			if rule := p.Rule(r.Rule); rule != nil && rule.Request != nil && rule.Request.Note.Answers() {
				action = actReason
			}
			out = append(out, api.NewButtonBlockElement(action, value, literal("Approve")).WithStyle(api.StylePrimary))
		}
		if set != nil && set.Slack.Denies() {
			out = append(out, api.NewButtonBlockElement(actDeny, value, literal("Deny")).WithStyle(api.StyleDanger))
		}
	}
	if a.c.Link != "" {
		out = append(out, api.NewButtonBlockElement(actOpen, "", literal("Open in the portal")).WithURL(strings.TrimRight(a.c.Link, "/")+"/inbox"))
	}
	return out
}

// wantsFactor says whether who approves a request has to prove a second factor, which no click can.
func wantsFactor(p *policy.Policy, r *access.Request) bool {
	rule := p.Rule(r.Rule)
	return rule != nil && rule.Request != nil && rule.Request.Factor.Answers()
}

// said says whether somebody has decided on a request, or somebody for them.
func said(r *access.Request, name string) bool {
	return slices.ContainsFunc(r.Decisions, func(d access.Decision) bool { return d.By == name || d.For == name })
}

// modal is a form, or with no submit a notice in a window.
func modal(callback, meta, title, submit string, blocks ...api.Block) api.ModalViewRequest {
	v := api.ModalViewRequest{Type: api.VTModal, CallbackID: callback, PrivateMetadata: meta, Title: literal(title), Close: literal("Close"), Blocks: api.Blocks{BlockSet: blocks}}
	if submit != "" {
		v.Submit = literal(submit)
	}
	return v
}

func input(name, label, hint string, optional bool, e api.BlockElement) *api.InputBlock {
	b := api.NewInputBlock(name, literal(label), nil, e)
	if hint != "" {
		b.Hint = literal(hint)
	}
	b.Optional = optional
	return b
}

func text(lines bool, most int) *api.PlainTextInputBlockElement {
	e := api.NewPlainTextInputBlockElement(nil, "v")
	e.Multiline, e.MaxLength = lines, most
	return e
}

func choice(names []string) *api.SelectBlockElement {
	var out []*api.OptionBlockObject
	for _, n := range names[:min(len(names), maxChoice)] {
		shown, _ := cut(n, maxOption)
		out = append(out, api.NewOptionBlockObject(n, literal(shown), nil))
	}
	return api.NewOptionsSelectBlockElement(api.OptTypeStatic, nil, "v", out...)
}

// reasonForm asks why.
func reasonForm(verdict, value string) api.ModalViewRequest {
	title, submit := "Deny the request", "Deny"
	if verdict == actReason {
		title, submit = "Approve the request", "Approve"
	}
	return modal(formDecide, verdict+" "+value, title, submit, input(fieldNote, "Reason", "The requester reads it.", false, text(true, 1000)))
}

// askForm is the form to ask with. What somebody cannot ask for in Slack is not in it.
func askForm(p *policy.Policy, s policy.Subject) api.ModalViewRequest {
	var rules []string
	more := false
	for _, r := range p.Askable(s, "") {
		set := p.Datasets[r.On]
		switch {
		case set == nil || set.Slack == policy.SlackOff:
		case utf8.RuneCountInString(r.Name) > 150 || len(rules) == maxChoice: // a choice's value has 150 characters at most
			more = true
		default:
			rules = append(rules, r.Name)
		}
	}
	if len(rules) == 0 {
		return notice("Request access", "There is nothing that you can ask for in Slack.")
	}
	blocks := []api.Block{
		input(fieldRule, "Rule", "", false, choice(rules)),
		input(fieldFor, "For how long", "Such as 1h or 7d. Empty: as the rule has it.", true, text(false, 40)),
	}
	if purposes := slices.DeleteFunc(slices.Clone(p.Purposes), func(s string) bool { return utf8.RuneCountInString(s) > 150 }); len(purposes) > 0 {
		blocks = append(blocks, input(fieldPurpose, "Purpose", "", true, choice(purposes)))
	}
	blocks = append(blocks, input(fieldNote, "Why", "Whoever decides reads it.", true, text(true, 1000)))
	if more {
		blocks = append(blocks, plain("There is more to ask for than a form in Slack holds: the portal has all of it."))
	}
	return modal(formAsk, "", "Request access", "Send", blocks...)
}

// notice is a window with a line.
func notice(title, line string) api.ModalViewRequest { return modal("", "", title, "", plain(line)) }
