-- Rows as version 1 wrote them. Frozen, like its schema.
PRAGMA application_id = 1634104427;
PRAGMA user_version = 1;
PRAGMA journal_mode = wal;
UPDATE state SET revision = 1, audit_length = 1, audit_head = x'550b6fbc424e3f7bb721b00f62339cac04504924d351b19b8860a13913db9ccb';
INSERT INTO source (id, hosted, name, visible, previous, floor, epoch, sequence) VALUES (1, 0, 'prod', 3, 1, 0, 1, 7);
INSERT INTO generation (id, source, epoch, sequence, base, state) VALUES (3, 1, 1, 7, 1, 2);
INSERT INTO repository (id, ecosystem, name) VALUES (1, 'npm', 'registry.example.test');
INSERT INTO repository_link (repository, origin, source, since) VALUES (1, '', 1, 3);
INSERT INTO artifact (id, repository, name, version, qualifier, digest, record) VALUES (1, 1, 'a', '1', '',
    x'adae69efe6aa68f7fc671fe6a00d31807c38cf10f7ac9f4fbf3bae829d75a3ce',
    '{"attributes":{},"ecosystem":"npm","files":[{"blob":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","checksums":[],"media_type":"","origin":"","path":"a/-/a-1.0","role":"tarball","size":1}],"name":"a","qualifier":"","repository":"registry.example.test","requires":[],"schema":"npm/1","version":"1"}');
INSERT INTO file (artifact, position, path, blob, size) VALUES (1, 0, 'a/-/a-1.0', x'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb', 1);
INSERT INTO link (artifact, source, since) VALUES (1, 1, 3);
INSERT INTO ref (repository, name, label, version, epoch, sequence, source, since)
    VALUES (1, 'a', 'latest', '1', 1, 7, 1, 3);
INSERT INTO snapshot (id, source, epoch, sequence, created, accepted, signers, generation)
    VALUES (1, 1, 1, 7, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '["key"]', 3);
INSERT INTO snapshot_blob (snapshot, position, blob) VALUES
    (1, 0, x'16a0eeb0791b6c92451fd284dd9f599e0a7dbe7f6ebea6e2d2d06c7f74aec112'),
    (1, 1, x'0316e180931892ae5b478d9408ec7271cf86a01016a15701bd41db3394c6ef31'),
    (1, 2, x'03e71c6d7dc6bd4e89ceaf32f6488ca0aa69b0de784b706cac5818d680e9d97f');
INSERT INTO audit (position, line, digest) VALUES (0,
    '{"action":"import","subject":{"channel":"prod"},"time":"2026-01-01T00:00:00Z"}',
    x'550b6fbc424e3f7bb721b00f62339cac04504924d351b19b8860a13913db9ccb');
