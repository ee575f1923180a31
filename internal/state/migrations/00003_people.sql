-- +goose Up
CREATE TABLE person (
    name    TEXT PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version > 0),
    invite  TEXT UNIQUE,
    doc     TEXT NOT NULL
) STRICT;

-- Sign-ins of browsers and of the command line, under the hashes of their tokens.
CREATE TABLE person_session (
    hash    TEXT PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    due     INTEGER NOT NULL,
    doc     TEXT NOT NULL
) STRICT;
CREATE INDEX person_session_subject ON person_session (subject);
CREATE INDEX person_session_due ON person_session (due);

-- +goose Down
DROP TABLE person_session;
DROP TABLE person;
