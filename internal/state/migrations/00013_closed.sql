-- +goose Up
-- When a grant came to its end, in microseconds, so that the latest are found without reading all: 0 while it lives, -1 in rows from
-- before, until the next start reads it out of doc. And what it is on, for those who answer for that alone.
ALTER TABLE access_grant ADD COLUMN closed INTEGER NOT NULL DEFAULT -1;
ALTER TABLE access_grant ADD COLUMN dataset TEXT NOT NULL DEFAULT '';
CREATE INDEX access_grant_closed ON access_grant (closed, id);
CREATE INDEX access_grant_dataset ON access_grant (dataset, closed, id);
-- What somebody held and asked for, without what all others did.
CREATE INDEX access_grant_subject ON access_grant (subject, closed, id);
CREATE INDEX access_request_subject ON access_request (subject);
-- What lives and what waits, in the order in which it is read, without what is over: of that there is more and more.
CREATE INDEX access_grant_live ON access_grant (id) WHERE open = 1;
CREATE INDEX access_grant_live_on ON access_grant (dataset, id) WHERE open = 1;
CREATE INDEX access_request_live ON access_request (id) WHERE open = 1;

-- +goose Down
DROP INDEX access_request_live;
DROP INDEX access_grant_live_on;
DROP INDEX access_grant_live;
DROP INDEX access_request_subject;
DROP INDEX access_grant_subject;
DROP INDEX access_grant_dataset;
DROP INDEX access_grant_closed;
ALTER TABLE access_grant DROP COLUMN dataset;
ALTER TABLE access_grant DROP COLUMN closed;
