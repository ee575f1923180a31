-- +goose Up
-- Guesses at passwords, by digests of addresses and users, until they are forgotten: what fails at one gateway counts at all.
CREATE TABLE guess (
    key      TEXT PRIMARY KEY,
    failures INTEGER NOT NULL CHECK (failures >= 0),
    last     INTEGER NOT NULL,
    due      INTEGER NOT NULL
) STRICT;
CREATE INDEX guess_due ON guess (due);
CREATE INDEX guess_last ON guess (last);

-- +goose Down
DROP TABLE guess;
