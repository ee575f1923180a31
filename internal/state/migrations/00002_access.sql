-- +goose Up
CREATE TABLE access_request (
    id      TEXT PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version > 0),
    subject TEXT NOT NULL,
    rule    TEXT NOT NULL,
    open    INTEGER NOT NULL CHECK (open IN (0, 1)),
    due     INTEGER NOT NULL,
    doc     TEXT NOT NULL
) STRICT;
-- One open request of a person for a rule, whoever asks twice at once.
CREATE UNIQUE INDEX access_request_open ON access_request (subject, rule) WHERE open = 1;
CREATE INDEX access_request_due ON access_request (due) WHERE due > 0;

CREATE TABLE access_grant (
    id      TEXT PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version > 0),
    request TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    rule    TEXT NOT NULL,
    open    INTEGER NOT NULL CHECK (open IN (0, 1)),
    closing INTEGER NOT NULL CHECK (closing IN (0, 1)),
    due     INTEGER NOT NULL,
    doc     TEXT NOT NULL
) STRICT;
-- One live grant of a person for a rule, and one grant of a request.
CREATE UNIQUE INDEX access_grant_open ON access_grant (subject, rule) WHERE open = 1;
CREATE INDEX access_grant_due ON access_grant (due) WHERE due > 0;
CREATE INDEX access_grant_closing ON access_grant (closing) WHERE closing = 1;

CREATE TABLE access_delegation (
    id  TEXT PRIMARY KEY,
    due INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE access_outcome (
    key     TEXT PRIMARY KEY,
    outcome TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

-- What waits to be written to the trail, and to be told to people.
CREATE TABLE outbox_event (
    id  INTEGER PRIMARY KEY,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE outbox_notice (
    id  INTEGER PRIMARY KEY,
    at  INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;

-- Tokens and temporary credentials. Of a secret only what proves it is kept.
CREATE TABLE credential (
    id      TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    kind    TEXT NOT NULL,
    hash    TEXT UNIQUE,
    expires INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    doc     TEXT NOT NULL
) STRICT;
CREATE INDEX credential_subject ON credential (subject);

-- Changes whenever a request, a grant, a person or a secret does, so that other instances see it cheaply.
CREATE TABLE change_count (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO change_count (one, value) VALUES (1, 0);

-- +goose Down
DROP TABLE change_count;
DROP TABLE credential;
DROP TABLE outbox_notice;
DROP TABLE outbox_event;
DROP TABLE access_outcome;
DROP TABLE access_delegation;
DROP TABLE access_grant;
DROP TABLE access_request;
