-- +goose Up
-- Numbers of the outbox are never used twice, however empty it becomes: a number tells an event that was written to the trail
-- again from a new one, and a delivery which notice it belongs to.
CREATE TABLE outbox_event_7 (
    id  INTEGER PRIMARY KEY AUTOINCREMENT,
    doc TEXT NOT NULL
) STRICT;
INSERT INTO outbox_event_7 (id, doc) SELECT id, doc FROM outbox_event;
DROP TABLE outbox_event;
ALTER TABLE outbox_event_7 RENAME TO outbox_event;

CREATE TABLE outbox_notice_7 (
    id  INTEGER PRIMARY KEY AUTOINCREMENT,
    at  INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
INSERT INTO outbox_notice_7 (id, at, doc) SELECT id, at, doc FROM outbox_notice;
DROP TABLE outbox_notice;
ALTER TABLE outbox_notice_7 RENAME TO outbox_notice;

-- +goose Down
CREATE TABLE outbox_event_6 (
    id  INTEGER PRIMARY KEY,
    doc TEXT NOT NULL
) STRICT;
INSERT INTO outbox_event_6 (id, doc) SELECT id, doc FROM outbox_event;
DROP TABLE outbox_event;
ALTER TABLE outbox_event_6 RENAME TO outbox_event;

CREATE TABLE outbox_notice_6 (
    id  INTEGER PRIMARY KEY,
    at  INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
INSERT INTO outbox_notice_6 (id, at, doc) SELECT id, at, doc FROM outbox_notice;
DROP TABLE outbox_notice;
ALTER TABLE outbox_notice_6 RENAME TO outbox_notice;
