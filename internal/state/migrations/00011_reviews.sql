-- +goose Up
-- The reviews of datasets, one after the other. Of two instances that begin the same one, one is told that it is taken.
CREATE TABLE access_review (
    dataset TEXT NOT NULL,
    number  INTEGER NOT NULL CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    open    INTEGER NOT NULL CHECK (open IN (0, 1)),
    doc     TEXT NOT NULL,
    PRIMARY KEY (dataset, number)
) STRICT;
-- At most one is open.
CREATE UNIQUE INDEX access_review_open ON access_review (dataset) WHERE open = 1;

-- +goose Down
DROP TABLE access_review;
