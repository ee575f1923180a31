-- +goose Up
-- Searches of the trail that people keep, each under a name of its own.
CREATE TABLE saved_view (
    id      TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    name    TEXT NOT NULL,
    query   TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX saved_view_name ON saved_view (subject, name);

-- What each policy that was in force said, without what proves passwords, so that two of them can be compared.
CREATE TABLE policy_version (
    digest TEXT PRIMARY KEY,
    at     INTEGER NOT NULL,
    doc    TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE policy_version;
DROP TABLE saved_view;
