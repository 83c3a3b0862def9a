-- Version 5: bundles of which not all volumes have arrived.

CREATE TABLE arrival (
    packing BLOB PRIMARY KEY,            -- the digest of the packing list
    snapshot BLOB NOT NULL,
    channel TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    volumes INTEGER NOT NULL,            -- how many there are
    session INTEGER NOT NULL,            -- keeps what has arrived
    began TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE arrived (
    packing BLOB NOT NULL REFERENCES arrival,
    volume INTEGER NOT NULL,
    checked INTEGER NOT NULL,            -- whether its blobs were held against what the snapshot claims of them
    PRIMARY KEY (packing, volume)
) WITHOUT ROWID;
