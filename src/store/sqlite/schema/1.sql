-- Version 1. Frozen: later versions are further files beside this one.
--
-- What is visible: a row of a source is seen when since <= source.visible < until (until NULL: no end).
-- Generations are numbered over all sources and only ever grow, but each source looks at its own number, so
-- that publishing one source never shows what another has staged.

CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    revision INTEGER NOT NULL,
    audit_length INTEGER NOT NULL,
    audit_head BLOB NOT NULL
);
INSERT INTO state VALUES (0, 0, 0, zeroblob(32));

-- Who links: a channel, or the hosted repositories (which have no name).
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    hosted INTEGER NOT NULL,
    name TEXT NOT NULL,
    visible INTEGER NOT NULL DEFAULT 0,
    previous INTEGER NOT NULL DEFAULT 0, -- visible before that: kept, so that one can go back to it
    floor INTEGER NOT NULL DEFAULT 0,    -- rows that ended at or before this generation are gone
    epoch INTEGER NOT NULL DEFAULT 0,    -- the high-water mark
    sequence INTEGER NOT NULL DEFAULT 0,
    UNIQUE (hosted, name)
);

CREATE TABLE generation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL REFERENCES source,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    base INTEGER NOT NULL,               -- what was visible when it began
    state INTEGER NOT NULL               -- 0 staging, 1 merged, 2 published
);
CREATE UNIQUE INDEX generation_open ON generation (source) WHERE state < 2;

CREATE TABLE repository (
    id INTEGER PRIMARY KEY,
    ecosystem TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (ecosystem, name)
);
CREATE TABLE repository_link (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repository,
    origin TEXT NOT NULL,
    source INTEGER NOT NULL REFERENCES source,
    since INTEGER NOT NULL,
    until INTEGER,
    UNIQUE (repository, source, since)
);

-- A record, once for all sources; it goes with its last link.
CREATE TABLE artifact (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repository,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    qualifier TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,         -- of record
    record TEXT NOT NULL                 -- canonical JSON
);
CREATE INDEX artifact_name ON artifact (name, repository, version, qualifier);

-- What must be found by path or blob; the rest of a file is in the record, at this position.
CREATE TABLE file (
    artifact INTEGER NOT NULL REFERENCES artifact,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,
    blob BLOB NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (artifact, position)
) WITHOUT ROWID;
CREATE INDEX file_blob ON file (blob);
CREATE INDEX file_path ON file (path) WHERE path <> '';

CREATE TABLE link (
    id INTEGER PRIMARY KEY,
    artifact INTEGER NOT NULL REFERENCES artifact,
    source INTEGER NOT NULL REFERENCES source,
    since INTEGER NOT NULL,
    until INTEGER,
    UNIQUE (artifact, source, since)
);
CREATE INDEX link_since ON link (since);
CREATE INDEX link_until ON link (source, until);

CREATE TABLE ref (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repository,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    version TEXT NOT NULL,
    epoch INTEGER NOT NULL,              -- the order of the snapshot that set it
    sequence INTEGER NOT NULL,
    source INTEGER NOT NULL REFERENCES source,
    since INTEGER NOT NULL,
    until INTEGER,
    UNIQUE (repository, name, label, source, since)
);
CREATE INDEX ref_since ON ref (since);
CREATE INDEX ref_until ON ref (source, until);

-- What an open generation lists, linked anew or not.
CREATE TABLE staged (
    generation INTEGER NOT NULL,
    artifact INTEGER NOT NULL,
    PRIMARY KEY (generation, artifact)
) WITHOUT ROWID;

CREATE TABLE snapshot (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    created TEXT NOT NULL,
    accepted TEXT NOT NULL,
    signers TEXT NOT NULL,               -- JSON: key ids
    generation INTEGER NOT NULL,
    UNIQUE (source, epoch, sequence)
);
CREATE TABLE snapshot_blob (
    snapshot INTEGER NOT NULL REFERENCES snapshot,
    position INTEGER NOT NULL,           -- 0 the snapshot, 1 its signatures, then its segments
    blob BLOB NOT NULL,
    PRIMARY KEY (snapshot, position)
) WITHOUT ROWID;
CREATE INDEX snapshot_blob_blob ON snapshot_blob (blob);

CREATE TABLE audit (
    position INTEGER PRIMARY KEY,        -- from 0, without gaps
    line TEXT NOT NULL,                  -- canonical JSON
    digest BLOB NOT NULL                 -- sha256 of the digest before it (or 32 zeros) and the line
);

-- Claims keep blobs that nothing refers to yet; times are seconds since 1970.
CREATE TABLE session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    seconds INTEGER NOT NULL,
    expires INTEGER NOT NULL
);
CREATE TABLE claim (
    blob BLOB NOT NULL,
    session INTEGER NOT NULL REFERENCES session,
    PRIMARY KEY (blob, session)
) WITHOUT ROWID;
CREATE INDEX claim_session ON claim (session);

CREATE TABLE answer (
    key TEXT PRIMARY KEY,
    body BLOB NOT NULL,
    etag TEXT,
    last_modified TEXT,
    content_type TEXT NOT NULL,
    confirmed TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX answer_body ON answer (body);
CREATE INDEX answer_confirmed ON answer (confirmed);

CREATE TABLE miss (
    id INTEGER PRIMARY KEY,
    ecosystem TEXT NOT NULL,
    repository TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    count INTEGER NOT NULL,
    last TEXT NOT NULL,
    UNIQUE (ecosystem, repository, name, version)
);
