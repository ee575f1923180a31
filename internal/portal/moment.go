package portal

import (
	"html/template"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
)

// A form's field of a day and a time is read in the reader's zone where scripts run, which send an instant, and in UTC where they do not.
const momentLayout = "2006-01-02T15:04"

// moment is such a field.
type moment struct {
	Name     string
	Value    string // in UTC, or whatever was typed
	At       string // the same instant, for scripts; "": there is none
	Min, Max string
	Required bool
	Bad      bool // what was sent for it is at fault
}

// withFault is a field as it comes again.
func withFault(m moment, bad bool) moment {
	m.Bad = bad
	return m
}

func momentField(r *http.Request, name string, earliest, latest time.Time) moment {
	out := moment{Name: name, Min: instant(earliest), Max: instant(latest), Value: r.PostFormValue(name)}
	if at, err := momentOf(r, name); err == nil && !at.IsZero() {
		out.Value, out.At = at.Format(momentLayout), instant(at)
	}
	return out
}

func instant(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// momentOf reads what was sent for a field; zero: nothing.
func momentOf(r *http.Request, name string) (time.Time, error) {
	text := strings.TrimSpace(r.PostFormValue(name))
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, momentLayout} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, &access.Refusal{Code: access.CodeTime, Text: strings.ToValidUTF8(text, "?") + " is not a day and a time", Hint: "Write it as 2027-01-31T09:00.", Field: name}
}

var instants = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// told writes what was said to a person so that the instants in it come in their zone.
func told(text string) template.HTML {
	var out strings.Builder
	from := 0
	for _, at := range instants.FindAllStringIndex(text, -1) {
		when, err := time.Parse(time.RFC3339, text[at[0]:at[1]])
		if err != nil {
			continue
		}
		out.WriteString(template.HTMLEscapeString(text[from:at[0]]))
		out.WriteString(`<time datetime="` + instant(when) + `">` + when.Format("2 Jan 2006, 15:04 UTC") + `</time>`)
		from = at[1]
	}
	out.WriteString(template.HTMLEscapeString(text[from:]))
	return template.HTML(out.String()) //nolint:gosec // every part is escaped, or a time that was written here
}
