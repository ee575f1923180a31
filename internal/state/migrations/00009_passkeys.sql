-- +goose Up
-- Whose a passkey is, under the hash of the id that its device gave it: somebody who signs in with one says no name. The keys stand
-- with the account, so that one compare-and-swap changes all that proves somebody.
CREATE TABLE person_passkey (
    hash   TEXT PRIMARY KEY,
    person TEXT NOT NULL
) STRICT;
CREATE INDEX person_passkey_person ON person_passkey (person);

-- Challenges that were answered, until they would have ended anyway: none is answered twice, at whichever instance.
CREATE TABLE person_challenge (
    hash TEXT PRIMARY KEY,
    due  INTEGER NOT NULL
) STRICT;
CREATE INDEX person_challenge_due ON person_challenge (due);

-- +goose Down
DROP TABLE person_challenge;
DROP TABLE person_passkey;
