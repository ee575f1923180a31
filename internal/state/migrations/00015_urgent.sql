-- +goose Up
-- Notices that wait for nobody: alarms are told before what was said earlier, however much of that there is.
ALTER TABLE outbox_notice ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_notice_order ON outbox_notice (urgent DESC, id);

-- +goose Down
DROP INDEX outbox_notice_order;
ALTER TABLE outbox_notice DROP COLUMN urgent;
