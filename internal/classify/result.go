package classify

import "slices"

// Source says where a piece of evidence comes from.
type Source uint8

// The sources of evidence (classification.md §10).
const (
	SourcePrior Source = iota
	SourceName
	SourceComment
	SourceType
	SourceStats
	SourceSample
	SourceSibling
	SourceKey
	SourceVerdict
	SourceCountry
)

var sourceNames = [...]string{"prior", "name", "comment", "type", "stats", "sample", "sibling", "fk", "verdict", "country"}

func (s Source) String() string { return sourceNames[s] }

// MarshalText writes the source's name.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a kept report.
func (s *Source) UnmarshalText(text []byte) error { return readWord(s, sourceNames[:], text) }

// readWord finds one of a closed set of words. One that this version does not know is none.
func readWord[T ~uint8](to *T, words []string, text []byte) error {
	*to = T(max(0, slices.Index(words, string(text)))) //nolint:gosec // the sets are small
	return nil
}

// Reason is why a piece of evidence weighs what it weighs: one of a closed set of sentences, so that it cannot carry a value.
type Reason uint8

// The reasons.
const (
	ReasonNone Reason = iota
	PriorOf
	NameWhole
	NameStrong
	NameStrongHead
	NameStrongMixed
	NameWeak
	NameNegated
	NameOther
	CommentSays
	DomainSays
	TypeImpossible
	TypeUnlikely
	TypeFits
	KeySurrogate
	KeyReference
	ValueChecksum
	ValueStrongShape
	ValueWeakShape
	ValueMisfit
	ValueDictionary
	ValueRange
	ValueVeto
	ValueMasked
	ValueTokenised
	ValueEmbedded
	ValuePaths
	ValueEncoded
	ValueEntropy
	FewDistinct
	PersonTable
	PlaceTable
	ThingTable
	CardGroup
	HealthGroup
	PairSibling
	NoPerson
	ReferenceTable
	CountrySeen
	CountryOther
	NeedsName
	CopyOf
	Verdict
	CustomRule
	OtherFits
	LogTable
	ValueEncrypted
	PartitionHolds
)

var reasonTexts = [...]string{
	ReasonNone: "", PriorOf: "prior of the class", NameWhole: "the whole name is a known phrase",
	NameStrong: "a strong phrase with neutral words", NameStrongHead: "a strong phrase as the head of the name",
	NameStrongMixed: "a strong phrase among other words", NameWeak: "a word that is weak alone",
	NameNegated: "the name is about the datum, not the datum", NameOther: "the name says another class",
	CommentSays: "the comment says so", DomainSays: "the domain's name says so", TypeImpossible: "the type cannot hold it",
	TypeUnlikely: "the type is unusual for it", TypeFits: "the type is made for it", KeySurrogate: "a surrogate key",
	KeyReference: "references a classified column", ValueChecksum: "check digits against chance",
	ValueStrongShape: "values of an unmistakable shape", ValueWeakShape: "values fit the shape", ValueMisfit: "values do not fit the shape",
	ValueDictionary: "values stand in the dictionary", ValueRange: "values lie in the range", ValueVeto: "check digits exclude it",
	ValueMasked: "values look masked", ValueTokenised: "right shape, check digits as by chance", ValueEmbedded: "matches inside the text",
	ValuePaths: "classified paths inside", ValueEncoded: "decoded once before testing", ValueEntropy: "random strings",
	FewDistinct: "too few distinct values", PersonTable: "stands in a table of people", PlaceTable: "stands in a table of places",
	ThingTable: "stands in a table of things", CardGroup: "stands beside card data", HealthGroup: "stands in a health table",
	PairSibling: "its counterpart stands beside it", NoPerson: "nothing beside it speaks of a person", ReferenceTable: "a reference list",
	CountrySeen: "the country is seen in this database", CountryOther: "other countries are seen in this database",
	NeedsName: "values alone do not decide this class", CopyOf: "same name and type as a classified column", Verdict: "a person's verdict",
	CustomRule: "a classifier of the policy file", OtherFits: "a more exact class fits the values", LogTable: "stands in a log", ValueEncrypted: "random strings under a name that says encrypted",
	PartitionHolds: "the same table, or a partition of it, holds it",
}

func (r Reason) String() string { return reasonTexts[r] }

// MarshalText writes the reason as a sentence.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a kept report.
func (r *Reason) UnmarshalText(text []byte) error { return readWord(r, reasonTexts[:], text) }

// State says in what form a column holds its data.
type State uint8

// The states of classification.md §10.
const (
	StatePlain State = iota
	StateMasked
	StateTokenised
	StateEncrypted
	StateEmpty
	StateNotExamined
)

var stateNames = [...]string{"plain", "masked", "tokenised", "encrypted", "empty", "not_examined"}

func (s State) String() string { return stateNames[s] }

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a kept report. A state that this version does not know is not taken for a good one.
func (s *State) UnmarshalText(text []byte) error {
	if !slices.Contains(stateNames[:], string(text)) {
		*s = StateNotExamined
		return nil
	}
	return readWord(s, stateNames[:], text)
}

// Ident is the name of a catalog object or of a JSON key that several documents share. It never holds a value.
type Ident string

// Evidence is one term of the sum for one class.
type Evidence struct {
	Source  Source  `json:"source"`
	What    Reason  `json:"what"`
	Weight  float64 `json:"weight"`
	Tested  int     `json:"tested,omitempty"`
	Matched int     `json:"matched,omitempty"`
	Shape   Shape   `json:"shape,omitzero"`
	Via     Ident   `json:"via,omitempty"` // the column that a reference, sibling or copy points to
}

// Sum is the arithmetic of one class.
type Sum struct {
	Class      Class      `json:"class"`
	Total      float64    `json:"total"`
	Confidence float64    `json:"confidence"`
	Terms      []Evidence `json:"terms"`
	Vetoed     bool       `json:"vetoed,omitempty"` // check digits exclude it: no confidence, whatever the sum
	Named      bool       `json:"named,omitempty"`  // of a vetoed class: the column's name speaks for it
}

// Rate says how often a class was met inside free text.
type Rate struct {
	Class   Class `json:"class"`
	Tested  int   `json:"tested"`
	Matched int   `json:"matched"`
}

// Alternative is a class that also has some likelihood.
type Alternative struct {
	Class      Class   `json:"class"`
	Confidence float64 `json:"confidence"`
}

// Storage says how a password column keeps its passwords.
type Storage struct {
	Format Format  `json:"format"`
	Share  float64 `json:"share"`
}

// Finding is what Judge concludes about one column or one path inside it.
type Finding struct {
	Class        Class         `json:"class"` // empty: none
	Confidence   float64       `json:"confidence"`
	State        State         `json:"state"`
	Evidence     []Evidence    `json:"evidence,omitempty"`
	Alternatives []Alternative `json:"alternatives,omitempty"`
	Tags         []Tag         `json:"tags,omitempty"`
	Mask         Mask          `json:"suggested_mask,omitempty"`
	Severity     Severity      `json:"severity,omitzero"`
	Note         Note          `json:"finding,omitzero"`
	Storage      []Storage     `json:"password_storage,omitempty"`
	Inside       []Rate        `json:"inside,omitempty"` // sub-classes of free text
	Paths        []PathFinding `json:"paths,omitempty"`
	TestData     int           `json:"test_data,omitempty"` // values that documentation uses as examples
	Rows         int           `json:"rows_examined"`
	Tested       int           `json:"values_tested"`
	Sums         []Sum         `json:"-"` // the whole arithmetic, for --explain
}

// PathFinding is a finding inside a structured column. The steps are keys that several documents share, or [*].
type PathFinding struct {
	Path []Ident `json:"path"`
	Finding
}

// Mask is a mask of the policy language, such as keep_last(4). It is made by suggestMask or comes from the policy file.
type Mask string

// Severity orders findings about secrets, card verification data and password storage.
type Severity uint8

// The severities; zero means that there is no finding.
const (
	SeverityNone Severity = iota
	SeverityInfo
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

var severityNames = [...]string{"", "info", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severityNames[s] }

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a kept report.
func (s *Severity) UnmarshalText(text []byte) error { return readWord(s, severityNames[:], text) }

// Note is the sentence of a finding about storage.
type Note uint8

// The notes.
const (
	NoteNone Note = iota
	NotePasswordPlain
	NotePasswordReversible
	NotePasswordWeak
	NotePasswordUnsalted
	NotePasswordMedium
	NotePasswordParameters
	NotePasswordStrong
	NoteCardVerification
	NoteSecretPlain
	NotePasswordUnknown
)

var noteTexts = [...]string{
	"", "passwords are stored as plain text: store a one-way hash (argon2id or bcrypt), then drop this column and purge backups and logs",
	"passwords are stored so that they can be read back: use a one-way hash (argon2id or bcrypt) instead of encryption or encoding",
	"passwords are stored as weak hashes: wrap the old digest in argon2id or bcrypt and rehash at the next login",
	"passwords are stored as unsalted digests: wrap the old digest in argon2id or bcrypt and rehash at the next login",
	"passwords are stored with an ageing scheme: move to argon2id or bcrypt at the next login",
	"passwords are stored as strong hashes with parameters below today's advice: raise the cost at the next login",
	"passwords are stored as strong one-way hashes", "card verification data must not be kept after authorisation (PCI DSS 3.3)",
	"a secret is stored readable: move it to a secret store or encrypt it, and rotate it",
	"how passwords are stored is unknown, as no password was seen: they may be plain text, look again when the column is filled",
}

func (n Note) String() string { return noteTexts[n] }

// MarshalText writes the note's sentence.
func (n Note) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads a kept report.
func (n *Note) UnmarshalText(text []byte) error { return readWord(n, noteTexts[:], text) }
