-- +goose Up
-- What signs client certificates. Of two gateways that make one at once the generation lets one win.
CREATE TABLE authority (
    id         TEXT PRIMARY KEY,
    generation INTEGER NOT NULL UNIQUE,
    doc        TEXT NOT NULL
) STRICT;

-- The session that a credential came from and ends with, or ''.
ALTER TABLE credential ADD COLUMN login TEXT NOT NULL DEFAULT '';
CREATE INDEX credential_login ON credential (login);

-- +goose Down
DROP INDEX credential_login;
ALTER TABLE credential DROP COLUMN login;
DROP TABLE authority;
