-- +goose Up
-- When the identity provider last ended a sign-in, by digests of whose or which, for as long as one from before may still be under way; and
-- when a logout token had done its work, by its digest, for longer than it holds.
CREATE TABLE sso_logout (
    key TEXT PRIMARY KEY,
    at  INTEGER NOT NULL
) STRICT;
CREATE INDEX sso_logout_at ON sso_logout (at);

-- +goose Down
DROP TABLE sso_logout;
