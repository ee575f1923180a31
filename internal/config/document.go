package config

import "github.com/postern-sec/postern/internal/policy"

// This file is the format of the policy file, with policy/document.go. The tags are read by the decoder, by the JSON Schema
// and by the reference: see policy/document.go for what they mean.

type document struct {
	Version     policy.Text                         `key:"version" required:"true" scalar:"any" enum:"1" doc:"version of the format."`
	State       policy.Text                         `key:"state" default:"sqlite:postern.db" doc:"where postern remembers: sqlite:PATH, or postgres://USER@HOST/DATABASE when several gateways share it. A URL holds no password: see keys.state. Over a network the server's certificate is verified unless the URL has an sslmode."`
	Keys        keysDoc                             `key:"keys" doc:"postern's own secrets, made by 'postern init'."`
	Stores      policy.Map[storeDoc]                `key:"stores" required:"true" name:"store" doc:"the databases that postern protects. A client names a store as its database."`
	Gateway     gatewayDoc                          `key:"gateway" doc:"where clients come in."`
	Groups      policy.Map[[]policy.Text]           `key:"groups" name:"group" doc:"groups and their members: users, other groups as group:NAME, at most 10 deep, groups of the identity provider as provider:NAME, by the name or better the id that its tokens give them, and groups of the directory as ldap:NAME, by their name in ldap.groups."`
	Users       policy.Map[policy.UserEntry]        `key:"users" name:"user" doc:"people and services."`
	Identity    identityDoc                         `key:"identity" doc:"what people who have proved who they are get to go on with."`
	Labels      policy.Map[policy.Text]             `key:"labels" name:"store.schema.table.column" doc:"what columns hold: column to label. A label is one to three lower-case words with dots between, such as contact.email."`
	Masks       policy.Map[policy.Map[policy.Text]] `key:"masks" name:"profile" inner:"pattern" doc:"mask profiles: pattern to mask. The most specific pattern decides: a column, a label, the longest label prefix (id.*), * for other labelled columns, unlabelled for the rest. A column that no pattern matches is hidden."`
	Datasets    policy.Map[policy.DatasetEntry]     `key:"datasets" name:"dataset" doc:"named sets of tables. A table is in the dataset that names it by the longest location; two equally long ones are an error."`
	Rules       policy.Map[policy.RuleEntry]        `key:"rules" name:"rule" doc:"who may reach which dataset, and how. Without a rule nothing is shown. Of several rules a person sees the union of the rows, and in each row the least masked form of a column among the rules that admit the row."`
	Discover    discoverDoc                         `key:"discover" doc:"looking for sensitive data on a schedule."`
	Classifiers []classifierDoc                     `key:"classifiers" doc:"the site's own classes of data. One that fails its own examples is refused."`
	Verdicts    policy.Map[verdictDoc]              `key:"verdicts" name:"store.schema.table.column" doc:"what people decided about columns, or about a path inside one (store.schema.table.column$.contacts[*].email); * stands for any one name. Discover never overrides a verdict; it says when the evidence disagrees."`
	Baseline    policy.BaselineEntry                `key:"baseline" doc:"what applies outside of rules."`
	Audit       auditDoc                            `key:"audit" doc:"the trail."`
	Hardening   policy.Later                        `key:"hardening" doc:"what the server itself should be like."`
	Portal      portalDoc                           `key:"portal" doc:"where requests, approvals and logins of the command line are answered. Without it there are none."`
	LDAP        ldapDoc                             `key:"ldap" doc:"a directory that says in which groups people are, and whether they are still in it. It signs nobody in. Without it, or with {}, none is asked."`
	Notices     noticesDoc                          `key:"notices" doc:"how people are told of requests, grants and emergencies. Whoever is told is named by the workflow; here are the ways."`
	Purposes    []policy.Text                       `key:"purposes" doc:"what data may be asked for; a dataset can require that one is named."`
	Slack       slackDoc                            `key:"slack" doc:"requests, approvals and notices in Slack, as direct messages of an app. Without it, or with {}, nothing goes there. Statements and data never do."`
	Tests       policy.Map[testDoc]                 `key:"tests" name:"test" doc:"what the policy is meant to do, statement by statement and login by login. 'postern policy test' holds it to that; serve does not look at them."`
	BreakGlass  policy.BreakGlassEntry              `key:"break_glass" doc:"emergency access: rules on request taken without approval, loudly. Without it there is none."`
	Pos         policy.Pos
}

type identityDoc struct {
	Credentials  policy.CredentialsEntry `key:"credentials" doc:"temporary credentials and certificates."`
	Certificates policy.Flag             `key:"certificates" default:"false" doc:"whether 'postern login' gets a client certificate, for a key that it makes, and the gateway takes it where a network rule says auth: cert or cert_or_scram. Every listener with TLS then asks clients for one."`
	Tokens       policy.Flag             `key:"personal_tokens" default:"true" doc:"whether people make personal access tokens, and those that were made open anything. Each store can say no for itself."`
	NoFactor     policy.Flag             `key:"owners_without_factor" default:"false" doc:"whether owners of datasets who sign in with a password of an account or of this file may do so without a second factor. Without it they set one up at their next sign-in."`
	Emergency    emergencyDoc            `key:"emergency_admin" doc:"an admin for when nobody else gets in, emergency-admin, who signs in through a socket of this machine alone. Without it there is none."`
	Pos          policy.Pos
}

type emergencyDoc struct {
	Socket   policy.Text `key:"socket" required:"true" doc:"path of the Unix socket, with mode 0600: for root and the account that runs postern serve."`
	Password policy.Text `key:"password" required:"true" doc:"the password's hash, which 'postern user hash --emergency' prints."`
	Pos      policy.Pos
}

type keysDoc struct {
	Root  sourceDoc `key:"root" default:"{file: secrets/root.key}" doc:"the key that passwords of identity roles and pseudonyms are derived from. Losing it means new passwords and new pseudonyms."`
	Audit sourceDoc `key:"audit" default:"{file: secrets/audit.key}" doc:"the key that signs the trail's checkpoints."`
	State sourceDoc `key:"state" doc:"the password of the user in state: postgres://…, if the server asks for one."`
	Pos   policy.Pos
}

// sourceDoc is where a secret is.
type sourceDoc struct {
	Env     policy.Text   `key:"env" doc:"an environment variable."`
	File    policy.Text   `key:"file" doc:"a file; one line end at its end is dropped."`
	Command []policy.Text `key:"command" doc:"a program and its arguments, run without a shell; its output is the secret."`
	Pos     policy.Pos
}

type storeDoc struct {
	Engine      policy.Text            `key:"engine" required:"true" enum:"postgres|mysql|mariadb" doc:"what kind of server it is. (Only postgres in this version.)"`
	Address     policy.Text            `key:"address" required:"true" doc:"host, host:port, or the folder of a Unix socket (with :port if it is not 5432)."`
	Database    policy.Text            `key:"database" default:"the store's name" doc:"the database's name on the server."`
	Schemas     []policy.Text          `key:"schemas" default:"[public]" doc:"the schemas that hold the application's tables. The first keeps plain names; tables of the others are called schema.table."`
	Extensions  []policy.Text          `key:"extensions" doc:"extensions whose functions and operators subjects may use: citext, hstore, ltree, pg_trgm, pgcrypto, postgis, unaccent, uuid-ossp, vector. Of each, those that were reviewed."`
	TLS         storeTLSDoc            `key:"tls" doc:"the transport to the server."`
	Provisioner accountDoc             `key:"provisioner" doc:"the login of plan, apply and verify; 'postern init' prints the SQL that makes it."`
	Grantor     accountDoc             `key:"grantor" doc:"the login of serve: it can grant and end access, and reaches no application table."`
	Scanner     accountDoc             `key:"scanner" default:"the provisioner" doc:"the login of discover: reads tables (pg_read_all_data) and changes nothing. With provision: manual, serve looks for sensitive data only where there is one."`
	Provision   policy.Text            `key:"provision" default:"manual" enum:"manual|auto" doc:"manual: only 'postern apply' changes the wall; auto: serve applies the access part itself."`
	StandbyOf   policy.Text            `key:"standby_of" doc:"the store whose standby this server is. 'postern scan --fleet' looks at it and compares it with its primary, and discover reads samples there; nothing else of postern does."`
	Mode        policy.Text            `key:"mode" default:"guard" enum:"guard|observe" doc:"guard: what is not allowed is refused. observe: every statement is decided, recorded and sent as it is; nothing is enforced, and only users of upstream come in."`
	Tier        policy.Text            `key:"tier" default:"walled" enum:"walled|inline" doc:"walled: the server itself enforces the policy, and so does the gateway. inline: for a server on which nothing may be created: the gateway alone masks and filters, and everything is read only. See docs/guide/inline.md for what it does not promise."`
	Reader      accountDoc             `key:"reader" doc:"with tier: inline, the role that every statement runs as. 'postern plan' prints the rights that it needs."`
	SSH         policy.Later           `key:"ssh" doc:"reach the store through an SSH host."`
	Observe     []policy.Text          `key:"observe" doc:"users and groups (group:NAME) whose statements are decided and recorded, and sent as they are: nothing of the policy is enforced for them."`
	Upstream    policy.Map[accountDoc] `key:"upstream" name:"user" doc:"logins of observed users: roles that exist on the server already. Whoever is observed and has none is not let in."`
	Tokens      policy.Flag            `key:"personal_tokens" default:"true" doc:"whether personal access tokens open the store."`
	Limits      policy.LimitsEntry     `key:"limits" doc:"how much one person may read from the store, whatever rules they hold. The gateway enforces it, the wall does not."`
	Pos         policy.Pos
}

type storeTLSDoc struct {
	Mode policy.Text `key:"mode" default:"verify-full; disable for a socket or a loopback address" enum:"disable|require|verify-ca|verify-full" doc:"require encrypts and checks nothing; verify-ca checks who signed the server's certificate; verify-full also that it is this host's."`
	CA   policy.Text `key:"ca" default:"the system's certificates" doc:"file with the certificates to trust."`
	Cert policy.Text `key:"cert" doc:"file with postern's client certificate."`
	Key  policy.Text `key:"key" doc:"file with its key."`
	Pos  policy.Pos
}

type accountDoc struct {
	User     policy.Text `key:"user" required:"true" doc:"the role's name."`
	Password sourceDoc   `key:"password" doc:"its password, if the server asks for one."`
	Pos      policy.Pos
}

type gatewayDoc struct {
	Listeners []listenerDoc         `key:"listeners" doc:"addresses and sockets to listen on."`
	Network   []policy.NetworkEntry `key:"network" default:"scram from everywhere, over TLS from other machines" doc:"who may connect from where. The first line that matches address and user decides; where none does, the connection is refused."`
	Parser    policy.Text           `key:"parser" default:"embedded" enum:"embedded|isolated" doc:"where statements are parsed. embedded: in the gateway's process; isolated: in processes of their own, so that a statement that crashes the parser is refused and nothing else happens. See docs/benchmarks.md for what it costs."`
	Limits    policy.Later          `key:"limits" doc:"connections and rates."`
	Pos       policy.Pos
}

type listenerDoc struct {
	Engine  policy.Text    `key:"engine" required:"true" enum:"postgres|mysql|mariadb" doc:"the protocol to speak. (Only postgres in this version.)"`
	Address policy.Text    `key:"address" doc:"host:port; either this or socket."`
	Socket  policy.Text    `key:"socket" doc:"folder of a Unix socket; either this or address."`
	Port    policy.Text    `key:"port" default:"5432" scalar:"any" doc:"the number in the socket's name, .s.PGSQL.PORT."`
	Mode    policy.Text    `key:"mode" default:"0770" scalar:"any" doc:"permissions of the socket, in octal."`
	Group   policy.Text    `key:"group" default:"the process's" doc:"the operating system's group that owns the socket."`
	TLS     listenerTLSDoc `key:"tls" doc:"the transport to clients. Needed wherever other machines can connect."`
	Proxies []policy.Text  `key:"trusted_proxies" doc:"addresses and networks of load balancers that say by the PROXY protocol, version 1 or 2, for whom they connect. They have to; from anywhere else it is refused."`
	Cancel  policy.Later   `key:"cancel" doc:"whether cancel requests must be encrypted."`
	Pos     policy.Pos
}

type listenerTLSDoc struct {
	Mode       policy.Text `key:"mode" default:"require; prefer on a loopback address" enum:"disable|prefer|require" doc:"require: plain connections are refused; prefer: the client chooses; disable: no TLS, in the full knowledge that everything can be read on the way."`
	Cert       policy.Text `key:"cert" doc:"file with the certificate and those that signed it."`
	Key        policy.Text `key:"key" doc:"file with its key."`
	MinVersion policy.Text `key:"min_version" default:"1.2" scalar:"any" enum:"1.2|1.3" doc:"lowest TLS version."`
	ClientCA   policy.Text `key:"client_ca" doc:"file with the certificates that sign clients' certificates. Without it clients are not asked for one."`
	Pos        policy.Pos
}

type portalDoc struct {
	Address policy.Text   `key:"address" required:"true" doc:"host:port to listen on."`
	TLS     portalTLSDoc  `key:"tls" doc:"the transport. Needed wherever other machines can connect."`
	Proxies []policy.Text `key:"trusted_proxies" doc:"addresses and networks of proxies that say in X-Forwarded-For or Forwarded for whom they ask. From anywhere else these headers say nothing."`
	URL     policy.Text   `key:"url" doc:"the address under which browsers reach the portal, such as https://postern.example. Needed with oidc. Hints of refused statements lead there."`
	OIDC    oidcDoc       `key:"oidc" doc:"single sign-on by OpenID Connect. The provider has to allow the address url and /sign-in/callback behind it."`
	Pos     policy.Pos
}

type oidcDoc struct {
	Issuer     policy.Text             `key:"issuer" doc:"the provider, exactly as its tokens name it: an https address."`
	Client     policy.Text             `key:"client_id" doc:"what the provider calls postern."`
	Secret     sourceDoc               `key:"client_secret" doc:"what postern proves itself with; a public client has none."`
	CA         policy.Text             `key:"ca" default:"the system's certificates" doc:"file with the certificates to trust."`
	Label      policy.Text             `key:"label" default:"Single sign-on" doc:"what the button on the sign-in page says."`
	Scopes     []policy.Text           `key:"scopes" default:"[openid, profile, email, offline_access]" doc:"what is asked of the provider. Without offline_access most give no refresh token, and a sign-in ends at recheck_limit."`
	Prompt     policy.Text             `key:"prompt" default:"what the provider does by itself" enum:"login|consent|select_account" doc:"what the provider is to ask the person. Some give a refresh token after consent alone."`
	Name       policy.Text             `key:"name" default:"email" doc:"the claim that names somebody. With email it has to be verified, and a user of the file with that address in the attribute email is that person. Another claim is taken for the user's name as it is: name one that nobody can choose at the provider."`
	Create     policy.Flag             `key:"create" default:"true" doc:"whether people of the provider who are not in the file are users too. They hold what their groups hold."`
	Groups     policy.Text             `key:"groups" default:"groups" doc:"the claim that lists the groups."`
	Attributes policy.Map[policy.Text] `key:"attributes" name:"attribute" doc:"attributes of users, each with the claim that holds it. What the file says of a user comes first."`
	Algorithms []policy.Text           `key:"algorithms" default:"[RS256, ES256, PS256]" doc:"how tokens may be signed, of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512 and EdDSA."`
	Recheck    policy.Text             `key:"recheck" default:"5m" doc:"how often the provider is asked whether somebody is still known, and in which groups; at most 1h."`
	Limit      policy.Text             `key:"recheck_limit" default:"1h" doc:"how long groups count while the provider cannot be asked, or does not say."`
	Pos        policy.Pos
}

type ldapDoc struct {
	URL       policy.Text             `key:"url" doc:"ldaps://HOST, or ldap://HOST with StartTLS, which is demanded. A port may follow."`
	TLS       policy.Text             `key:"tls" default:"verify" enum:"verify|disable" doc:"disable: in the clear, with ldap:// to this machine alone."`
	CA        policy.Text             `key:"ca" default:"the system's certificates" doc:"file with the certificates to trust."`
	BindDN    policy.Text             `key:"bind_dn" doc:"the account that postern reads as. It needs no more than to read people and groups."`
	Password  sourceDoc               `key:"bind_password" doc:"its password."`
	UserBase  policy.Text             `key:"user_base" doc:"the DN under which people are."`
	Filter    policy.Text             `key:"user_filter" default:"(objectClass=person)" doc:"the filter of entries that are people."`
	Match     policy.Text             `key:"match" default:"email" enum:"email|name" doc:"email: an entry is the user's whose attribute email it has: the file's, or the address that the identity provider has verified. name: the user's whose name it has."`
	Attribute policy.Text             `key:"user_attribute" default:"mail; with match: name, uid" doc:"the attribute of an entry that match compares."`
	Active    policy.Text             `key:"active" default:"everybody; on Active Directory those whose account is not disabled" doc:"the filter of people who are not disabled, such as (!(nsAccountLock=TRUE)). Whoever it does not match may do nothing."`
	Groups    policy.Map[policy.Text] `key:"groups" name:"name" doc:"groups that matter here, each with its DN. Members of groups name them as ldap:NAME."`
	GroupBase policy.Text             `key:"group_base" doc:"the DN under which groups are, so that groups in groups are followed, at most 10 deep. Without it only members of the groups themselves count. Active Directory follows them by itself."`
	GroupKind policy.Text             `key:"group_filter" default:"(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group))" doc:"the filter of entries that are groups."`
	Members   policy.Text             `key:"group_member" default:"member" doc:"the attribute of a group that lists the DNs of its members; memberOf: the attribute of that name of people and groups counts instead."`
	PageSize  policy.Text             `key:"page_size" default:"500" scalar:"any" doc:"entries that are asked for at a time, 1 to 10000."`
	Most      policy.Text             `key:"max_entries" default:"50000" scalar:"any" doc:"entries in all answers together. More is a failure, not a part."`
	MaxLoss   policy.Text             `key:"max_loss" default:"30%" doc:"the share of people who may vanish from the directory, or from a group, at once; three always may. More looks like a mistake, and the answer does not count."`
	Interval  policy.Text             `key:"interval" default:"5m" doc:"how often the directory is asked, at most 1h."`
	Limit     policy.Text             `key:"limit" default:"1h" doc:"how long groups count while the directory cannot be asked, or its answers do not count."`
	Pos       policy.Pos
}

type noticesDoc struct {
	Link    policy.Text `key:"link" doc:"the address under which people reach the portal, for the messages."`
	Webhook webhookDoc  `key:"webhook" doc:"every notice as JSON by POST. The header Postern-Signature is v1= and the HMAC-SHA-256, in hex, of the header Postern-Timestamp, a dot and the body; Postern-Id is the same at every attempt."`
	Mail    mailDoc     `key:"mail" doc:"mails to the address in the attribute 'email' of a user."`
	Pos     policy.Pos
}

type slackDoc struct {
	Bot     sourceDoc     `key:"bot_token" doc:"the app's bot token (xoxb-…)."`
	App     sourceDoc     `key:"app_token" doc:"the app-level token (xapp-…) for Socket Mode: postern calls Slack, and needs no public address."`
	Signing sourceDoc     `key:"signing_secret" doc:"the secret that Slack signs its calls with, to the portal's path /slack. Without it that path does not exist."`
	Domains []policy.Text `key:"domains" doc:"domains of e-mail addresses. Who clicks is recognised by a confirmed address in one of them, equal to the attribute 'email' of one user."`
	API     policy.Text   `key:"api" default:"https://slack.com/api/" doc:"where Slack's interface is; GovSlack has another."`
	Pos     policy.Pos
}

type webhookDoc struct {
	URL    policy.Text `key:"url" required:"true" doc:"https address; http on this machine alone."`
	Secret sourceDoc   `key:"secret" required:"true" doc:"the key that messages are signed with."`
	Pos    policy.Pos
}

type mailDoc struct {
	Server    policy.Text `key:"server" required:"true" doc:"host:port of the mail server."`
	From      policy.Text `key:"from" required:"true" doc:"the sender's address."`
	TLS       policy.Text `key:"tls" default:"starttls" enum:"starttls|implicit|disable" doc:"starttls is demanded and never given up; disable on this machine alone."`
	User      policy.Text `key:"user" doc:"the user at the mail server."`
	Password  sourceDoc   `key:"password" doc:"its password."`
	Templates policy.Text `key:"templates" doc:"a file with templates (Go's text/template) that replace ours, or a folder of .tmpl files: one template for each kind of notice, and 'default'. The first line is the subject. 'postern policy check' tries them."`
	Pos       policy.Pos
}

type portalTLSDoc struct {
	Cert policy.Text `key:"cert" required:"true" doc:"file with the certificate and those that signed it."`
	Key  policy.Text `key:"key" required:"true" doc:"file with its key."`
	Pos  policy.Pos
}

type auditDoc struct {
	Folder          policy.Text `key:"folder" default:"audit" doc:"where the trail's files are."`
	Sync            policy.Text `key:"sync" default:"always" doc:"always: every record is on disk before its effect; or a time such as 100ms: power loss may cost the records of that time."`
	ClassifyResults policy.Text `key:"classify_results" default:"off" doc:"off, or the share of statements whose result columns the gateway looks at for sensitive data without a label, such as 1%. At most 200 values of a column are kept, in memory, until they are counted."`
	Sinks           laterList   `key:"sinks" doc:"other places for the trail. Must be empty."`
	Pos             policy.Pos
}

// laterList is a list that this version can only leave empty.
type laterList struct{ Pos policy.Pos }
