-- +goose Up
-- Terminals that wait for somebody at a browser, under the hashes of their secrets.
CREATE TABLE person_device (
    hash    TEXT PRIMARY KEY,
    code    TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL CHECK (version > 0),
    due     INTEGER NOT NULL,
    doc     TEXT NOT NULL
) STRICT;
CREATE INDEX person_device_due ON person_device (due);

-- +goose Down
DROP TABLE person_device;
