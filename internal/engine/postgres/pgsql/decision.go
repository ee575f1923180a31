package pgsql

// Verdict is what the guard says of a text.
type Verdict int

// The verdicts. Refuse is the zero value, so that a forgotten verdict refuses.
const (
	Refuse  Verdict = iota
	Allow           // send Text; it means the same as the client's text
	Rewrite         // send Text; relations were retargeted
	Empty           // nothing to run: the server answers EmptyQueryResponse to Text
)

// Decision is the guard's answer to one text. It is immutable and may be shared by sessions of the same World.
type Decision struct {
	Verdict    Verdict
	Text       string // deparsed text for the server; never the client's bytes
	Statements []Statement
	Refusal    *Refusal // set when Verdict is Refuse
	Redacted   string   // the client's statements with every literal replaced, for the trail; "" when it could not be parsed
	Generation uint64
}

// Statement is one statement of a text.
type Statement struct {
	Tag     string // command tag family: SELECT, UPDATE, SET, BEGIN, …
	Touches []Touch
	Effects []Effect
	// Explain: the answer is a plan, of which a PlanFilter says what may be shown.
	Explain bool
	// Subplans: the statement that is explained has subqueries or CTEs, so that not every subplan is a row filter's.
	Subplans bool
	// ReturnsCopy is 'o' for COPY TO STDOUT, 'i' for COPY FROM STDIN, else 0.
	ReturnsCopy byte
}

// Touch is one relation that a statement reads or writes.
type Touch struct {
	Relation Name
	Action   string   // select insert update delete lock
	Columns  []string // sorted; empty when whole rows are used
	Labels   []string // sorted labels of those columns
	Rules    []string // that admit the relation, in file order; none for catalogs
	Masked   bool
}

// EffectKind says how a statement changes the names a session knows (PRO-62).
type EffectKind int

// The effects on the session's name space.
const (
	Prepare          EffectKind = iota + 1 // PREPARE Name
	Execute                                // EXECUTE Name: refused by the session unless it knows the name
	Deallocate                             // DEALLOCATE Name; Name "" is ALL
	DeclareCursor                          // DECLARE Name; Hold tells WITH HOLD
	UseCursor                              // FETCH, MOVE, CLOSE Name; Name "" is ALL (CLOSE ALL)
	CloseCursor                            // CLOSE Name
	DiscardAll                             // DISCARD ALL: statements, cursors, temp
	EndTransaction                         // COMMIT, ROLLBACK
	SetVariable                            // SET, RESET or set_config of Name; "all" is RESET ALL, which the pins must follow (ENF-49)
	SetSavepoint                           // SAVEPOINT Name
	ReleaseSavepoint                       // RELEASE Name
	RollbackTo                             // ROLLBACK TO Name: cursors opened since are gone
	MayCommit                              // CALL: outside of a transaction block its procedure can end transactions
)

// Effect is one change of, or need for, a name of the session.
type Effect struct {
	Kind EffectKind
	Name string
	Hold bool
	// Prepared is, for Prepare, the statement's own decision data (what EXECUTE of it touches).
	Prepared *Statement
}

// Refusal says what was refused, why, and what to do.
type Refusal struct {
	SQLState string // 42501 unless no policy could allow it (0A000), a syntax error (42601), or a limit (54000, 54001)
	Reason   string // stable reason code, such as function_not_allowed
	Message  string // what
	Detail   string // why: the rule
	Hint     string // what to do
	Position int    // 1-based character position in the client's text, 0 if unknown
	Object   string // what it is about: a function, relation or setting name
	Dataset  string // the dataset to ask for, or ""
	// Spoken says that Message, Detail or Object repeats a literal of the client's: it may be told to the client, and must
	// not stand in the trail.
	Spoken bool
}
