-- +goose Up
-- How far each transport is with each notice. One without a row was not tried yet.
CREATE TABLE notice_delivery (
    notice    INTEGER NOT NULL,
    transport TEXT NOT NULL,
    tries     INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    done      INTEGER NOT NULL CHECK (done IN (0, 1)),
    error     TEXT NOT NULL,
    PRIMARY KEY (notice, transport)
) STRICT;

-- +goose Down
DROP TABLE notice_delivery;
