-- Version 2: who brought a package first.

-- A source keeps its place also while it shows nothing of the package: else whoever waits until it was withdrawn could
-- step in front.
CREATE TABLE package (
    repository INTEGER NOT NULL REFERENCES repository,
    name TEXT NOT NULL,
    source INTEGER NOT NULL REFERENCES source,
    since INTEGER NOT NULL,              -- the generation that brought it first
    PRIMARY KEY (repository, name, source)
) WITHOUT ROWID;
CREATE INDEX package_since ON package (since);
INSERT INTO package (repository, name, source, since)
    SELECT a.repository, a.name, l.source, min(l.since) FROM artifact a JOIN link l ON l.artifact = a.id
    GROUP BY a.repository, a.name, l.source;

-- The revision that first showed it. Generations begin in another order than they are published in; of those from before
-- this column only the former is known.
ALTER TABLE generation ADD COLUMN published INTEGER NOT NULL DEFAULT 0;

-- A snapshot that arrives late is held against those that overtook it, not against rows.
ALTER TABLE generation DROP COLUMN epoch;
ALTER TABLE generation DROP COLUMN sequence;
ALTER TABLE ref DROP COLUMN epoch;
ALTER TABLE ref DROP COLUMN sequence;
