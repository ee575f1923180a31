-- +goose Up
-- What is used of allowances by the hour and the minute, by digests of who may use what and by runs of gateways, until it no longer counts:
-- several gateways give no more than one.
CREATE TABLE meter (
    key  TEXT NOT NULL,
    run  TEXT NOT NULL,
    used INTEGER NOT NULL CHECK (used >= 0),
    due  INTEGER NOT NULL,
    PRIMARY KEY (key, run)
) STRICT;
CREATE INDEX meter_due ON meter (due);

-- +goose Down
DROP TABLE meter;
