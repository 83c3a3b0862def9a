-- Version 3: what clients write into hosted repositories.

-- Blobs that a client brought for an artifact that is still to come. A label is whatever clients ask for them by.
CREATE TABLE deposit (
    repository INTEGER NOT NULL REFERENCES repository,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    blob BLOB NOT NULL,
    size INTEGER NOT NULL,
    since INTEGER NOT NULL,              -- seconds since 1970
    PRIMARY KEY (repository, name, label)
) WITHOUT ROWID;
CREATE INDEX deposit_blob ON deposit (blob);
CREATE INDEX deposit_label ON deposit (label);
