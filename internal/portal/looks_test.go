package portal_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

// TestTrailSaysOfWhat: an event about a request or a grant says what it is on and for whom, and a time in it is one that the reader's
// browser puts into their zone; the view that is open is marked.
func TestTrailSaysOfWhat(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.writeTrail(time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC),
		audit.Event{Kind: audit.GrantPrepared, Subject: "dora", Reason: "until 2026-05-06T14:03:45Z", Detail: map[string]string{"dataset": "staff", "for": "sam"}},
		audit.Event{Kind: audit.GrantRevoked, Subject: "dora", Reason: "until further notice", Detail: map[string]string{"dataset": "staff"}},
	)
	_, text := p.call("auditor", http.MethodGet, "/trail?kind=grant.*", nil, nil)
	for _, want := range []string{
		`staff for sam</span>`, `until <time datetime="2026-05-06T14:03:45Z">`, `until further notice</span>`,
		`aria-current="true">Grants</a>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if strings.Count(text, `aria-current="true"`) != 1 {
		t.Error("more than one view is marked")
	}
	if _, text := p.call("auditor", http.MethodGet, "/trail?kind=grant.*&subject=dora", nil, nil); strings.Contains(text, `aria-current="true"`) {
		t.Error("a search that is no view is marked as one")
	}
}

// TestColumnsAreFiltered: a dataset with many columns offers to look among them, and one with few does not.
func TestColumnsAreFiltered(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	offers := func() bool {
		_, text := p.call("ana", http.MethodGet, "/datasets/staff", nil, nil)
		return strings.Contains(text, "Filter columns")
	}
	if offers() {
		t.Error("two columns are filtered")
	}
	columns := slices.Clone(p.columns)
	for i := range 20 {
		columns = append(columns, portal.Column{Column: policy.Column{Table: columns[0].Table, Column: "c" + strings.Repeat("x", i+1)}, Type: "text"})
	}
	p.columns = columns
	if !offers() {
		t.Error("twenty columns are not")
	}
}

// TestOverSince: a grant that is over says since when, on the pages of whoever oversees it.
func TestOverSince(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.putGrant("g1", "staff", 7)
	if _, text := p.call("dora", http.MethodGet, "/grants?all=1", nil, nil); !strings.Contains(text, `over since <time datetime="2026-05-06T00:07:00Z">`) {
		t.Errorf("%s", text)
	}
}
