-- +goose Up
CREATE TABLE installation (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    id      TEXT NOT NULL,
    created TEXT NOT NULL
) STRICT;

CREATE TABLE trail_head (
    instance   TEXT PRIMARY KEY,
    count      INTEGER NOT NULL CHECK (count > 0),
    head       TEXT NOT NULL CHECK (length(head) = 64),
    time       TEXT NOT NULL,
    checkpoint INTEGER NOT NULL,
    updated    TEXT NOT NULL
) STRICT;

CREATE TABLE generation (
    name    TEXT PRIMARY KEY,
    value   INTEGER NOT NULL CHECK (value > 0),
    updated TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE generation;
DROP TABLE trail_head;
DROP TABLE installation;
