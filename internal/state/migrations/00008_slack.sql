-- +goose Up
-- Every message that stands in Slack, so that it can be edited when what it says is no longer so.
CREATE TABLE slack_copy (
    id      TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    ts      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    request TEXT NOT NULL,
    person  TEXT NOT NULL,
    version INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX slack_copy_request ON slack_copy (request);

-- Every call from Slack under its id, kept before it is acknowledged: a second delivery finds it here, and so does a restart.
CREATE TABLE slack_call (
    id    TEXT PRIMARY KEY,
    doc   TEXT NOT NULL,
    tries INTEGER NOT NULL,
    due   INTEGER NOT NULL,
    done  INTEGER NOT NULL CHECK (done IN (0, 1)),
    at    INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE slack_call;
DROP TABLE slack_copy;
