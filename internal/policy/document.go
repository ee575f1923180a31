package policy

// This file holds the policy as it is written: every value with its place, nothing checked but the shape. Build turns it
// into a Policy. The tags are the one source of the decoder's keys, the JSON Schema and the reference: key is the name in the
// file, doc its meaning, default what its absence means, enum the values it can have, required that it must be there, later
// that this version knows the key and cannot act on it.

// Text is a scalar of the file. Value is empty when it was not given or was refused while decoding.
type Text struct {
	Value string
	Pos   Pos
	// Linear says that the text stands in the file as it is, on one line, from Content on. Places within it can then be named.
	Linear  bool
	Content Pos
}

// At is the place of a byte of the text, or the place of the text when it is not known more exactly.
func (t Text) At(offset int) Pos {
	if !t.Linear || offset < 0 || offset > len(t.Value) {
		return t.Pos
	}
	pos := t.Content
	pos.Column += len([]rune(t.Value[:offset]))
	return pos
}

// Flag is a true or false of the file.
type Flag struct {
	Value bool
	Set   bool
	Pos   Pos
}

// No says whether the author wrote false, where nothing written means true.
func (f Flag) No() bool { return f.Set && !f.Value }

// Map is a mapping of the file with names of the author's choice, in file order.
type Map[V any] struct {
	Entries []Entry[V]
	Pos     Pos
}

// Entry is one line of a Map.
type Entry[V any] struct {
	Key   Text
	Value V
}

// Append adds an entry and returns a pointer to its value, good until the next call. It is how a decoder fills a Map
// without knowing its type.
func (m *Map[V]) Append(key Text) any {
	m.Entries = append(m.Entries, Entry[V]{Key: key})
	return &m.Entries[len(m.Entries)-1].Value
}

// Place notes where the mapping stands.
func (m *Map[V]) Place(pos Pos) { m.Pos = pos }

// FlagOrList is true, false or a list of names.
type FlagOrList struct {
	Flag Flag
	List []Text
}

// Document is a policy as written.
type Document struct {
	Stores   []*Store // already checked
	Groups   Map[[]Text]
	Users    Map[UserEntry]
	Labels   Map[Text]
	Masks    Map[Map[Text]]
	Datasets Map[DatasetEntry]
	Rules    Map[RuleEntry]
	Baseline BaselineEntry
	Network  []NetworkEntry // nil: the default rules

	Purposes   []Text
	BreakGlass BreakGlassEntry
	// Credentials, Certificates, Tokens and NoFactor are of the file's key identity.
	Credentials  CredentialsEntry
	Certificates Flag
	Tokens       Flag
	NoFactor     Flag

	NetworkPos Pos // of the key above the network rules
}

// UserEntry is a user as written.
type UserEntry struct {
	SCRAM      Text      `key:"scram" doc:"SCRAM-SHA-256 verifier of the user's password, as 'postern user hash' prints it. Never the password. Without it the user cannot log in with one."`
	Attributes Map[Text] `key:"attributes" scalar:"any" empty:"true" name:"attribute" doc:"facts about the user that row filters may use as subject.NAME. subject.name is always the user's own name."`
	Role       Text      `key:"role" default:"chosen by postern" doc:"name of the user's identity role on the stores, where their own name is not wanted there."`
	Adopt      Flag      `key:"adopt" default:"false" doc:"take over a role of that name that exists on the server already. Its direct grants are listed and taken away."`
	Slack      Flag      `key:"slack" default:"true" doc:"whether this person is told in Slack, where the site has it."`
	Owner      Text      `key:"owner" doc:"the person who answers for a service account. With it the user is one: it approves nothing, and its owner approves nothing for it."`
	Pos        Pos
}

// DatasetEntry is a dataset as written.
type DatasetEntry struct {
	Owners    []Text              `key:"owners" doc:"users and groups (group:NAME) who answer for the data."`
	Include   []Text              `key:"include" required:"true" doc:"locations: store, store.schema or store.schema.table; * stands for any one name. The longest location that matches a table decides."`
	Exclude   []Text              `key:"exclude" doc:"locations to leave out. Of an include and an exclude of equal length, the exclude wins."`
	RowWall   Later               `key:"row_wall" doc:"filter rows in a view instead of by row level security."`
	Limits    Later               `key:"limits" doc:"rows and rates."`
	Slack     Text                `key:"slack" default:"notices" enum:"off|notices|deny|decide" doc:"what Slack is good for, where the site has it. off: nothing; notices: people are told there, and may ask; deny: approvers may also deny there; decide: they may approve there too. A click proves less than a sign-in at the portal: no address, no second factor."`
	Channel   Text                `key:"slack_channel" doc:"the id of a channel in Slack (C0123ABCD) where each request for the dataset, and each emergency, is posted: who, which rule and what became of it, without notes and without buttons. Being in the channel is no authority."`
	Statement Text                `key:"statement_text" default:"omit" enum:"omit|auto|full" doc:"what of the statement that goes with a request is told to who decides, in Slack, by mail and to the webhook. omit: that there is one; auto: the statement without its literals and comments, if the parser can read it; full: in Slack as its author wrote it, values and all, until the request is decided, then as auto; by mail and to the webhook as auto. Where it is not shown whole, nobody can approve. The portal and the command line show it whole."`
	Request   DatasetRequestEntry `key:"request" doc:"what applies to every rule on the dataset that is held by request."`
	Review    ReviewEntry         `key:"review" doc:"the owners confirm again and again what people hold on the dataset by grants, or drop it. Without it nobody is asked to."`
	Pos       Pos
}

// DatasetRequestEntry is what the requests for a dataset have in common.
type DatasetRequestEntry struct {
	Approvers ApproversEntry `key:"approvers" default:"the owners" doc:"who approves, where a rule does not say. A rule's own approvers replace these."`
	Purpose   Text           `key:"purpose" default:"optional" enum:"optional|required" doc:"whether one of 'purposes' must be named."`
	Pos       Pos
}

// ReviewEntry is the reviews of a dataset, as written.
type ReviewEntry struct {
	Every   Text `key:"every" required:"true" doc:"how long after a review began the next one does: days, weeks, months or years. The first begins at once."`
	Due     Text `key:"due" default:"14d" doc:"how long the owners have to answer; shorter than every."`
	Overdue Text `key:"overdue" default:"keep" enum:"keep|revoke" doc:"what becomes of what nobody answered for in time. keep: it is listed until somebody does; revoke: it ends."`
	Pos     Pos
}

// RequestEntry is how a rule is asked for, as written.
type RequestEntry struct {
	Kind      Text           `key:"kind" required:"true" enum:"direct|self_service|on_request" doc:"direct: membership is enough, as without this key; self_service: the person takes it; on_request: approvers decide. For the last two, 'to' says who may ask."`
	Max       Text           `key:"max" default:"30d" doc:"the longest that can be asked for: a number and m (minutes), h, d, w, mo or y; or never."`
	Default   Text           `key:"default" default:"8h" doc:"what is asked for where nobody says how long."`
	Approvers ApproversEntry `key:"approvers" default:"the dataset's" doc:"who approves. Nobody approves a request of their own."`
	Note      Text           `key:"note" default:"none" enum:"none|requester|approver|both" doc:"who has to write a note."`
	Factor    Text           `key:"factor" default:"none" enum:"none|requester|approver|both" doc:"who has to have proved a second factor in the last five minutes. A token of a program and a click in Slack prove none."`
	Unused    Text           `key:"unused" default:"0" scalar:"any" doc:"days without a statement on the dataset after which a grant is revoked, such as 30d, at most 180d; 0: never."`
	Expires   Text           `key:"expires" default:"7d" doc:"how long a request waits for a decision."`
	Pos       Pos
}

// ApproversEntry is who approves, as written.
type ApproversEntry struct {
	Any   []Text      `key:"any" doc:"users, groups (group:NAME), owners (of the dataset), manager (whom the requester's attribute manager names): as many of these people as min says."`
	All   []Text      `key:"all" doc:"one person for each of these names. One person fills one place, even if in two groups."`
	Min   Text        `key:"min" default:"1" scalar:"any" doc:"how many distinct people of 'any'."`
	Steps []StepEntry `key:"steps" doc:"rounds of approval, one after the other."`
	Pos   Pos
}

// StepEntry is one round of approval, as written.
type StepEntry struct {
	Any       []Text `key:"any" doc:"as above."`
	All       []Text `key:"all" doc:"as above."`
	Min       Text   `key:"min" default:"1" scalar:"any" doc:"as above."`
	SkipAfter Text   `key:"skip_after" default:"never" doc:"after how long without a decision the next round begins. The trail says that the step was skipped. The last step cannot be."`
	Pos       Pos
}

// BreakGlassEntry is emergency access as written.
type BreakGlassEntry struct {
	Groups []Text `key:"groups" required:"true" doc:"groups whose members may take a rule that they could ask for, without approval, with a reason and a fresh second factor."`
	Max    Text   `key:"max" default:"1h" doc:"the longest that they can take it for."`
	Pos    Pos
}

// Later is a key that the policy language names and this version cannot act on.
type Later struct{ Pos Pos }

// RuleEntry is a rule as written.
type RuleEntry struct {
	To      []Text          `key:"to" required:"true" doc:"users and groups (group:NAME) who hold the rule."`
	On      Text            `key:"on" required:"true" doc:"the dataset."`
	Level   Text            `key:"level" default:"read" enum:"read|write|own" doc:"read; write, exactly what the key 'write' names; or own, which is membership in the tables' owner role: unmasked, unfiltered, with DDL."`
	Rows    Map[Text]       `key:"rows" name:"store.schema.table" doc:"row filters: table to SQL condition. subject.NAME stands for an attribute of the subject. Tables without one are not filtered."`
	Masks   Text            `key:"masks" default:"none: columns are shown as they are" doc:"the mask profile."`
	Write   Map[WriteEntry] `key:"write" name:"store.schema.table" doc:"what may be written, table by table. Only with level write. Masked columns are never writable."`
	Until   Text            `key:"until" default:"no end" scalar:"any" doc:"when the rule ends: a date, which ends at 24:00 UTC of that day, or an RFC 3339 time with its zone."`
	Require RequireEntry    `key:"require" doc:"conditions that every login of a holder must meet. They restrict, no other rule widens them, and they bind after the rule has ended too, until it is suspended or taken out of the file."`
	Allow   AllowEntry      `key:"allow" doc:"what its holders may do beside reading and writing. What several rules allow adds up."`
	Enabled Flag            `key:"enabled" default:"true" doc:"false suspends the rule."`
	Shadow  Flag            `key:"shadow" default:"false" doc:"true: the rule grants nothing yet. Every statement of its holders is decided with it as well, and the trail says what would have come of it."`
	Request RequestEntry    `key:"request" doc:"the rule is held by a grant, until a time, and not by membership."`
	Limits  LimitsEntry     `key:"limits" doc:"how much a holder may read. Limits restrict: no other rule widens them. The gateway enforces them, the wall does not."`
	Pos     Pos
}

// AllowEntry is what a rule allows beside reading and writing.
type AllowEntry struct {
	Explain   Text   `key:"explain" default:"none" enum:"none|plain" doc:"plain: EXPLAIN without options shows the shape of a plan: no costs, rows, conditions or hidden tables. Which shape the server chooses still depends on all rows."`
	Temporary Flag   `key:"temporary" default:"false" doc:"temporary tables of the session's own: what can be put into them is masked already. It lets the login create functions in its temporary schema where it comes around the gateway."`
	CreateIn  []Text `key:"create_in" name:"store.schema" doc:"schemas in which holders may keep results by CREATE TABLE … AS and SELECT INTO, as store.schema. Postern makes them; they are none of the store's schemas. Each table is its maker's alone, and holds what they were shown, also when they are shown it no longer."`
	Channels  []Text `key:"channels" doc:"channels for LISTEN and NOTIFY. What others send there is not masked."`
	Functions []Text `key:"functions" name:"store.schema.function" doc:"the application's functions and procedures that may be called, as store.schema.name; all of that name. One that runs with its owner's rights reads what its owner may, unmasked: plan warns."`
	Pos       Pos
}

// WriteEntry is what a rule lets be written in one table.
type WriteEntry struct {
	Update []Text     `key:"update" doc:"columns that may be changed."`
	Insert FlagOrList `key:"insert" default:"false" doc:"true: new rows, every unmasked column; or a list of the columns that may be given."`
	Delete Flag       `key:"delete" default:"false" doc:"whether rows may be deleted."`
	Pos    Pos
}

// RequireEntry is the conditions of a rule.
type RequireEntry struct {
	Network      []Text `key:"network" doc:"addresses and networks to come from; 'local' is a Unix socket."`
	TLS          Flag   `key:"tls" default:"false" doc:"only over TLS. A Unix socket counts: it does not leave the machine."`
	Hours        Later  `key:"hours" doc:"times of day."`
	SecondFactor Later  `key:"second_factor" doc:"a fresh second factor."`
	Pos          Pos
}

// BaselineEntry is the baseline as written.
type BaselineEntry struct {
	OutsideDatasets Text `key:"outside_datasets" default:"block" enum:"block|read" doc:"tables that no dataset holds: block them, or show them with every labelled column hidden."`
	Pos             Pos
}

// CredentialsEntry is how long what people are given lives, as written.
type CredentialsEntry struct {
	Life  Text      `key:"life" default:"8h" doc:"how long temporary credentials and client certificates live, at most a week. A certificate also ends with the login that it came from."`
	Lives Map[Text] `key:"lives" name:"user or group:NAME" doc:"users and groups (group:NAME) for whom another time holds. Of several the shortest."`
	Pos   Pos
}

// NetworkEntry is a network rule as written.
type NetworkEntry struct {
	From []Text `key:"from" required:"true" doc:"addresses and networks; 'local' is a Unix socket, 'all' is everything, sockets included."`
	To   []Text `key:"to" default:"everybody" doc:"users and groups (group:NAME) the line is about."`
	Auth Text   `key:"auth" required:"true" enum:"scram|cert|cert_or_scram|peer|reject" doc:"how the client proves who it is, or reject. cert: a client certificate, signed by client_ca of the listener, or issued by 'postern login' where identity.certificates is on; cert_or_scram: a client that shows a certificate is held to it, any other is asked for a password."`
	TLS  Text   `key:"tls" default:"not required" enum:"require|verify" doc:"require: plain connections are refused; verify: with a client certificate that is verified. A Unix socket meets require."`
	Pos  Pos
}
