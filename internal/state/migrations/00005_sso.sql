-- +goose Up
-- Who is known to the identity provider, under the hash of issuer and subject. A name is one person's.
CREATE TABLE sso_link (
    key     TEXT PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version > 0),
    name    TEXT NOT NULL UNIQUE,
    doc     TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE sso_link;
