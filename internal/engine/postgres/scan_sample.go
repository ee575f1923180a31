package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/md5" // #nosec G501 -- the server keeps such verifiers; this one is tried, not made
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/classify/checkdigit"
)

// The bounds of sampling for a scan: rows of a table, characters of a value, tables of a database.
const (
	scanSampleRows   = 200
	scanSampleLength = 256
	scanSampleTables = 500
)

// samples looks at some rows of the tables of a database, with consent. What a value looks like is counted, and the value dropped.
func (s *scanSession) samples(ctx context.Context, d *catalog.DatabaseEvidence) {
	if !s.gather.SampleData {
		return
	}
	s.evidence.Sampled = true
	n := 0
	for i := range d.Relations {
		r := &d.Relations[i]
		columns := sampledColumns(r)
		if r.Kind != 'r' || r.Extension != "" || len(columns) == 0 {
			continue
		}
		if n++; n > scanSampleTables {
			s.unsampled(d, fmt.Sprintf("database %s has more than %d tables", d.Database.Name, scanSampleTables), false)
			return
		}
		var out []catalog.ColumnSample
		err := s.within(ctx, func(ctx context.Context) (err error) { out, err = s.sampleTable(ctx, r, columns); return err })
		if s.lost != "" {
			s.unsampled(d, s.lost, true)
			return
		}
		if err != nil {
			s.unsampled(d, r.Name.String()+": "+whyUnseen(err), !turnedAway(err))
			continue
		}
		d.Samples = append(d.Samples, out...)
	}
}

func (s *scanSession) unsampled(d *catalog.DatabaseEvidence, why string, broken bool) {
	s.evidence.Unseen = append(s.evidence.Unseen, catalog.Unseen{Fact: catalog.FactSamples, Database: d.Database.Name, Why: why, Broken: broken})
}

// sampledTypes are types whose text is made by the server itself: no other code runs for a sample.
var sampledTypes = regexp.MustCompile(`^(?:text|bytea|bigint|numeric(?:\(.*\))?|integer|character(?: varying)?(?:\(\d+\))?)$`)

func sampledColumns(r *catalog.Relation) []*catalog.Column {
	var out []*catalog.Column
	for i := range r.Columns {
		if c := &r.Columns[i]; sampledTypes.MatchString(c.Type) && c.Generated != 'v' {
			out = append(out, c)
		}
	}
	return out
}

// sampleTable reads rows behind a savepoint. Row policies are not evaluated, since they are users' code: a table that has some for this login
// answers with an error instead.
func (s *scanSession) sampleTable(ctx context.Context, r *catalog.Relation, columns []*catalog.Column) ([]catalog.ColumnSample, error) {
	sub, err := s.tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer s.undo(ctx, sub)
	var exprs []string
	for _, c := range columns {
		name := quoteIdent(c.Name)
		if c.Type == "bytea" {
			exprs = append(exprs, fmt.Sprintf("pg_catalog.encode(pg_catalog.substring(%s, 1, %d), 'escape')", name, scanSampleLength))
			continue
		}
		exprs = append(exprs, fmt.Sprintf(`pg_catalog."left"(%s::pg_catalog.text, %d)`, name, scanSampleLength))
	}
	if _, err := sub.Exec(ctx, "SET LOCAL row_security = off"); err != nil {
		return nil, err
	}
	rows, err := sub.Query(ctx, fmt.Sprintf("SELECT %s FROM ONLY %s LIMIT %d", strings.Join(exprs, ", "), quoteIdent(r.Name.Schema)+"."+quoteIdent(r.Name.Name), scanSampleRows))
	if err != nil {
		return nil, err
	}
	out := make([]catalog.ColumnSample, len(columns))
	for i, c := range columns {
		out[i] = catalog.ColumnSample{Table: r.Name, Column: c.Name, Bytes: c.Type == "bytea"}
	}
	values := make([]*string, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		for i, v := range values {
			if v != nil && *v != "" {
				countShape(&out[i], *v)
			}
		}
		return nil
	})
	return out, err
}

var (
	strongHash = regexp.MustCompile(`^(?:\$(?:2[abxy]?|argon2(?:id|i|d)|scrypt|7|y|5|6)\$|\{(?:SSHA512|PBKDF2[^}]*|ARGON2|BCRYPT)\}|pbkdf2[_:]|scrypt:|SCRAM-SHA-256\$|argon2)`)
	hexDigest  = regexp.MustCompile(`^(?:\\x)?[0-9A-Fa-f]+$`)
	track      = regexp.MustCompile(`^%?B\d{12,19}\^|^;?\d{12,19}=\d{4}`)
	shortCode  = regexp.MustCompile(`^\d{3,6}$`)
	cardDigits = regexp.MustCompile(`^[3-6]\d{3}[ -]?\d{4,6}[ -]?\d{4,5}[ -]?\d{0,7}$`)
)

// countShape counts what one value looks like.
func countShape(c *catalog.ColumnSample, v string) {
	c.Rows++
	digest := ""
	if hexDigest.MatchString(v) {
		digest = strings.TrimPrefix(v, `\x`)
	}
	digits := strings.NewReplacer(" ", "", "-", "").Replace(v)
	switch {
	case strongHash.MatchString(v):
		c.Strong++
	case len(digest) == 32 || strings.HasPrefix(v, "md5") && len(v) == 35 || strings.HasPrefix(v, "{MD5}") || strings.HasPrefix(v, "$1$"):
		c.MD5++
	case len(digest) == 40 || strings.HasPrefix(v, "{SHA}"):
		c.SHA1++
	case len(digest) == 56 || len(digest) == 64 || len(digest) == 96 || len(digest) == 128:
		c.SHA2++
	case track.MatchString(v):
		c.Track++
	case cardDigits.MatchString(v) && checkdigit.Luhn(digits):
		c.Card++
		c.Clear++
	default:
		c.Clear++
	}
	if shortCode.MatchString(v) {
		c.Short++
	}
	if utf8.ValidString(v) && !strings.ContainsAny(v, "\\\x00") && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' }) {
		c.Readable++
	}
}

// statements counts the statements of pg_stat_statements that pass a literal key to pgcrypto, where the database has that view.
func (s *scanSession) statements(ctx context.Context, d *catalog.DatabaseEvidence) {
	i := slices.IndexFunc(d.Extensions, func(x catalog.Extension) bool { return x.Name == "pg_stat_statements" })
	if i < 0 {
		return
	}
	err := s.within(ctx, func(ctx context.Context) error {
		sub, err := s.tx.Begin(ctx)
		if err != nil {
			return err
		}
		defer s.undo(ctx, sub)
		return sub.QueryRow(ctx, `SELECT count(*) FROM `+quoteIdent(d.Extensions[i].Schema)+`.pg_stat_statements s
		WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND s.query ~* '(pgp_sym_(en|de)crypt|\m(en|de)crypt(_iv)?|\mhmac)\s*\([^;]*,\s*''[^'']+'''`).Scan(&d.KeyStatements)
	})
	if err != nil {
		s.evidence.Unseen = append(s.evidence.Unseen, catalog.Unseen{Fact: catalog.FactStatements, Database: d.Database.Name, Why: whyUnseen(err), Broken: !turnedAway(err)})
	}
}

// The bounds of trying passwords: nobody's verifier is tried for longer than this together.
const tryLimit = 5 * time.Second

// commonPasswords head every published list, in our order of trying.
var commonPasswords = strings.Fields(`postgres password 123456 12345678 123456789 1234567890 qwerty admin secret changeme welcome letmein root test
	pass passw0rd Password1 P@ssw0rd postgresql database default guest master oracle 111111 000000 abc123 iloveyou monkey dragon`)

// tryPasswords tests the verifiers that a superuser may read against each role's own name and a short list, here and not by logging in.
func (s *scanSession) tryPasswords(ctx context.Context, srv *catalog.Server, now func() time.Time) {
	if !s.gather.TryPasswords || !srv.Access.Verifiers {
		return
	}
	type entry struct{ role, verifier string }
	var all []entry
	err := s.within(ctx, func(ctx context.Context) error {
		rows, err := s.tx.Query(ctx, question("scan", "verifiertexts", srv.Major()))
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (entry, error) {
			var e entry
			return e, r.Scan(&e.role, &e.verifier)
		})
		return err
	})
	if err != nil {
		s.evidence.Unseen = append(s.evidence.Unseen, catalog.Unseen{Fact: catalog.FactVerifiers, Why: whyUnseen(err), Broken: !turnedAway(err)})
		return
	}
	end := now().Add(tryLimit)
	for _, e := range all {
		i := slices.IndexFunc(srv.Verifiers, func(v catalog.Verifier) bool { return v.Role == e.role })
		if i < 0 {
			continue
		}
		for n, guess := range append([]string{e.role, strings.ToLower(e.role), e.role + "1", e.role + "123"}, commonPasswords...) {
			if now().After(end) {
				s.evidence.Unseen = append(s.evidence.Unseen, catalog.Unseen{Fact: catalog.FactVerifiers, Why: "not all passwords were tried in " + tryLimit.String()})
				return
			}
			if verifierFits(e.verifier, e.role, guess) {
				srv.Verifiers[i].Weak = map[bool]string{true: "made of the role's own name", false: "a common password"}[n < 4]
				break
			}
		}
	}
	srv.Tried = true
}

// verifierFits reports whether a password belongs to a verifier.
func verifierFits(verifier, role, password string) bool {
	if hash, ok := strings.CutPrefix(verifier, "md5"); ok {
		sum := md5.Sum([]byte(password + role)) // #nosec G401 -- what the server did
		return hex.EncodeToString(sum[:]) == hash
	}
	rest, ok := strings.CutPrefix(verifier, "SCRAM-SHA-256$")
	head, keys, ok2 := strings.Cut(rest, "$")
	count, salt64, ok3 := strings.Cut(head, ":")
	stored64, _, ok4 := strings.Cut(keys, ":")
	iterations, err := strconv.Atoi(count)
	if !ok || !ok2 || !ok3 || !ok4 || err != nil || iterations > 1<<16 {
		return false
	}
	salt, err1 := base64.StdEncoding.DecodeString(salt64)
	stored, err2 := base64.StdEncoding.DecodeString(stored64)
	salted, err3 := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err1 != nil || err2 != nil || err3 != nil {
		return false
	}
	mac := hmac.New(sha256.New, salted)
	mac.Write([]byte("Client Key"))
	key := sha256.Sum256(mac.Sum(nil))
	return hmac.Equal(key[:], stored)
}
