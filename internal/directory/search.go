package directory

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// search asks one question, page by page, and returns all of the answer or why it is not all.
func (s *session) search(base string, scope int, filter string, attributes []string) ([]*ldap.Entry, error) {
	q := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, int(askLimit.Seconds()), false, filter, attributes, nil)
	page := ldap.NewControlPaging(uint32(s.s.PageSize)) //nolint:gosec // the file's, within bounds
	if scope != ldap.ScopeBaseObject {
		q.Controls = []ldap.Control{page}
	}
	var out []*ldap.Entry
	for {
		a, err := s.conn.Search(q)
		if err != nil {
			return nil, located(failure(err), base)
		}
		if len(a.Referrals) > 0 {
			return nil, &Failure{failRefer, "the directory says that part of the answer is elsewhere, which is not followed", "name bases that one server holds whole", fmt.Errorf("under %q", base)}
		}
		out = append(out, a.Entries...)
		if s.asked += len(a.Entries); s.asked > s.s.MaxEntries {
			return nil, &Failure{failLimit, fmt.Sprintf("the directory sent more than %d entries", s.s.MaxEntries), "name bases and filters that match fewer, or raise ldap.max_entries", nil}
		}
		if err := whole(a.Entries); err != nil {
			return nil, err
		}
		next, _ := ldap.FindControl(a.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if next == nil || len(next.Cookie) == 0 || scope == ldap.ScopeBaseObject {
			return out, nil
		}
		if len(a.Entries) == 0 {
			return nil, &Failure{failPartial, "the directory sends empty pages without end", "", nil}
		}
		page.SetCookie(next.Cookie)
	}
}

// located names the entry that is missing.
func located(err error, base string) error {
	var no *Failure
	if errors.As(err, &no) && no.Reason == failMissing {
		no.Text = "the directory has no entry " + base + ", or the account may not see it"
	}
	return err
}

// whole refuses entries of which some values were left out: Active Directory hands long lists out in ranges.
func whole(entries []*ldap.Entry) error {
	for _, e := range entries {
		for _, a := range e.Attributes {
			if _, options, _ := strings.Cut(strings.ToLower(a.Name), ";"); strings.Contains(options, "range=") {
				return &Failure{failPartial, "the directory sent only some of the values of " + a.Name, "", fmt.Errorf("entry %q", e.DN)}
			}
		}
	}
	return nil
}

// entry reads one entry.
func (s *session) entry(dn string, attributes ...string) (*ldap.Entry, error) {
	found, err := s.search(dn, ldap.ScopeBaseObject, "(objectClass=*)", attributes)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, located(&Failure{Reason: failMissing, Hint: missingHint}, dn)
	}
	return found[0], nil
}

// both is a filter for what fulfils all of some filters; empty ones say nothing.
func both(filters ...string) string {
	var b strings.Builder
	for _, f := range filters {
		b.WriteString(f)
	}
	return "(&" + b.String() + ")"
}

// identifiers are attributes that stay an entry's own when it is renamed or moved, and are never given to another.
var identifiers = []string{"entryUUID", "objectGUID", "ipaUniqueID", "nsUniqueId"}

// identifier is what an entry stays known by, "" if the directory does not say.
func identifier(e *ldap.Entry) string {
	for _, name := range identifiers {
		raw := e.GetEqualFoldRawAttributeValue(name)
		switch {
		case len(raw) == 0:
		case name == "objectGUID":
			return hex.EncodeToString(raw)
		default:
			return string(raw)
		}
	}
	return ""
}
