package scan

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/postern-sec/postern/internal/catalog"
)

// sampledChecks are the checks that look at stored values, with consent. Of a value nothing is kept but its shape.
func sampledChecks() []Check {
	return []Check{
		{ID: "ROL-015", Why: "It is the first thing that anybody tries.", Reads: []catalog.Fact{catalog.FactVerifiers}, Consent: TryPasswords, Eval: guessedPasswords},
		{ID: "EXT-011", Why: "The values were meant to be encrypted and stand there as they are.", Reads: []catalog.Fact{catalog.FactExtensions, catalog.FactColumns}, Consent: SampleData, Eval: plainCiphertext},
		{ID: "DAT-001", Why: "Whoever reads the table can log in as everybody in it.", Reads: sampleFacts, Consent: SampleData, Eval: passwordColumns("clear")},
		{ID: "DAT-002", Why: "A fast hash without a salt is turned back in minutes.", Reads: sampleFacts, Consent: SampleData, Eval: passwordColumns("hash")},
		{ID: "DAT-003", Why: "Card numbers in clear are what thieves look for first.", Reads: sampleFacts, Consent: SampleData, Eval: eachSample(func(s *catalog.ColumnSample) string {
			if s.Card > 0 && s.Card*2 >= s.Rows {
				return fmt.Sprintf("%d of %d sampled values pass for card numbers", s.Card, s.Rows)
			}
			return ""
		}, "replace the numbers by tokens, or encrypt them with a key that is kept elsewhere")},
		{ID: "DAT-004", Why: "There are so few card numbers that every one of their hashes can be computed.", Reads: sampleFacts, Consent: SampleData, Eval: eachSample(func(s *catalog.ColumnSample) string {
			if n := s.MD5 + s.SHA1 + s.SHA2; cardColumn.MatchString(s.Column) && n*2 > s.Rows {
				return fmt.Sprintf("%d of %d sampled values have the shape of a hash without a key", n, s.Rows)
			}
			return ""
		}, "use HMAC with a key that is kept elsewhere")},
		{ID: "DAT-005", Why: "These must not be kept after a payment, encrypted or not.", Reads: sampleFacts, Consent: SampleData, Eval: eachSample(func(s *catalog.ColumnSample) string {
			switch {
			case s.Track > 0:
				return fmt.Sprintf("%d of %d sampled values are a card's magnetic track", s.Track, s.Rows)
			case codeColumn.MatchString(s.Column) && s.Short*2 > s.Rows:
				return fmt.Sprintf("is named like a card's code, and %d of %d sampled values look like one", s.Short, s.Rows)
			}
			return ""
		}, "delete the values and the column")},
		{ID: "DAT-009", Why: "The key of the encryption is shown to whoever may look at statements.", Reads: []catalog.Fact{catalog.FactActivity}, Eval: keysInStatements},
	}
}

var sampleFacts = []catalog.Fact{catalog.FactColumns, catalog.FactRelations}

var (
	passwordColumn = regexp.MustCompile(`(?i)(^|_)(pass(word|wd|phrase)?|pwd|secret_answer)(_?(hash|digest|enc|encrypted))?(_|$)`)
	cardColumn     = regexp.MustCompile(`(?i)(^|_)(pan|card|cc|credit_?card|card_?(no|num|number))(_|$|num|no)`)
	codeColumn     = regexp.MustCompile(`(?i)(^|_)(cvv2?|cvc2?|cid|csc|card_?(code|verification)|pin|pin_?(code|block))(_|$)`)
	cipherColumn   = regexp.MustCompile(`(?i)(enc|encrypted|cipher|crypt|secret)`)
)

// notSampled is why a check of samples cannot pass: nothing was sampled, or a table was not.
func notSampled(e *catalog.Evidence) string {
	for _, u := range e.Unseen {
		if u.Fact == catalog.FactSamples {
			return "some tables were not sampled: " + u.Why
		}
	}
	if e.Sampled {
		return ""
	}
	return "the evidence holds no samples"
}

// eachSample makes a check of sampled columns.
func eachSample(bad func(*catalog.ColumnSample) string, fix string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, d := range e.Databases {
			for i := range d.Samples {
				s := &d.Samples[i]
				if what := bad(s); what != "" && s.Rows > 0 {
					fs = append(fs, Finding{Object: inDB(d, "column", s.Table.String()+"."+s.Column), Evidence: what, Fix: fix})
				}
			}
		}
		if why := notSampled(e); why != "" && len(fs) == 0 {
			return notEvaluated(why)
		}
		return found(fs)
	}
}

func passwordColumns(kind string) func(*catalog.Evidence, *Env) Verdict {
	return eachSample(func(s *catalog.ColumnSample) string {
		if !passwordColumn.MatchString(s.Column) {
			return ""
		}
		weak := s.MD5 + s.SHA1 + s.SHA2
		switch {
		case kind == "hash" && weak*2 > s.Rows:
			return fmt.Sprintf("%d of %d sampled values are bare digests: %d MD5, %d SHA-1, %d SHA-2", weak, s.Rows, s.MD5, s.SHA1, s.SHA2)
		case kind == "clear" && s.Clear*2 > s.Rows:
			return fmt.Sprintf("%d of %d sampled values are no hash of any known kind", s.Clear, s.Rows)
		}
		return ""
	}, "store argon2id or bcrypt, made by the application, and have the passwords changed")
}

func guessedPasswords(e *catalog.Evidence, _ *Env) Verdict {
	if !e.Server.Tried {
		return notEvaluated("the verifiers themselves cannot be read with these rights, so nothing was tried")
	}
	var fs []Finding
	for _, v := range e.Server.Verifiers {
		if v.Weak != "" {
			fs = append(fs, Finding{Object: "role " + v.Role, Evidence: "its password is " + v.Weak, Fix: "ALTER ROLE " + quoteIdent(v.Role) + ` PASSWORD NULL; -- then \password`})
		}
	}
	return found(fs)
}

func plainCiphertext(e *catalog.Evidence, env *Env) Verdict {
	installed := slices.ContainsFunc(e.Databases, func(d *catalog.DatabaseEvidence) bool {
		return slices.ContainsFunc(d.Extensions, func(x catalog.Extension) bool { return x.Name == "pgcrypto" })
	})
	if !installed {
		return notApplicable("pgcrypto is not installed")
	}
	return eachSample(func(s *catalog.ColumnSample) string {
		if s.Bytes && cipherColumn.MatchString(s.Column) && s.Readable*2 > s.Rows {
			return fmt.Sprintf("is named like encrypted data, and %d of %d sampled values are readable text", s.Readable, s.Rows)
		}
		return ""
	}, "update the server, then encrypt the values anew")(e, env)
}

func keysInStatements(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for i := range e.Server.Activity {
		if a := &e.Server.Activity[i]; a.CallsCipher {
			fs = append(fs, Finding{Object: fmt.Sprintf("session %d of role %s", a.PID, a.User), Evidence: "its last statement passes a literal key to pgcrypto", Fix: "encrypt in the client, or pass the key as a parameter and log no parameters"})
		}
	}
	for _, d := range e.Databases {
		if d.KeyStatements > 0 {
			fs = append(fs, Finding{Object: "database " + d.Database.Name + ", pg_stat_statements", Evidence: fmt.Sprintf("%d statements pass a literal key to pgcrypto", d.KeyStatements), Fix: "encrypt in the client, then SELECT pg_stat_statements_reset();"})
		}
	}
	if e.Host != nil && e.Host.Logs != nil {
		for i := range e.Host.Logs.Keys {
			h := &e.Host.Logs.Keys[i]
			fs = append(fs, Finding{Object: "log " + where(h), Evidence: h.Kind, Place: where(h), Fix: "encrypt in the client, or log no such statements"})
		}
	}
	return found(fs)
}
