-- Rules of this schema:
-- * tables of persons lead with subject_id, so that a distributed database can shard on it and every hot
--   query stays on one shard; the others are look-ups (identifier, request, device_sequence) and registers;
-- * nothing readable: ciphertexts of the vault, keyed hashes, closed words, masked numbers and times;
-- * times are milliseconds since 1970-01-01 UTC; words are those of the matcher's core.

CREATE TABLE device (
    id TEXT NOT NULL PRIMARY KEY,
    institution TEXT NOT NULL,
    counter TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('counter', 'enrolment')),
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    certificate_sha256 BLOB NOT NULL UNIQUE CHECK (length(certificate_sha256) = 32),
    certificate_expires_at INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Sequence numbers that devices have used, each with the envelope it was used for.
CREATE TABLE device_sequence (
    device_id TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    envelope_digest BLOB NOT NULL CHECK (length(envelope_digest) = 32),
    PRIMARY KEY (device_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE subject (
    subject_id BLOB NOT NULL PRIMARY KEY CHECK (length(subject_id) = 16),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Deleting a row here destroys the person's biometrics wherever they are.
CREATE TABLE data_key (
    subject_id BLOB NOT NULL PRIMARY KEY REFERENCES subject,
    wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Look-up: one person has several numbers.
CREATE TABLE identifier (
    kind TEXT NOT NULL,
    region TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    subject_id BLOB NOT NULL REFERENCES subject,
    PRIMARY KEY (kind, region, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifier_of_subject ON identifier (subject_id);

-- A person's current reference. Its photo stands apart, so that a verification does not read past it.
CREATE TABLE reference (
    subject_id BLOB NOT NULL PRIMARY KEY REFERENCES subject,
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    template BLOB NOT NULL,
    photo_mac BLOB NOT NULL CHECK (length(photo_mac) = 32),
    enrolled_at INTEGER NOT NULL,
    photo_taken_on TEXT
) STRICT;

CREATE TABLE enrolment_photo (
    subject_id BLOB NOT NULL PRIMARY KEY REFERENCES reference ON DELETE CASCADE,
    photo BLOB NOT NULL
) STRICT;

-- Decision records. Where nobody is known by the identifier (known = 0), subject_id is the record's own id, so
-- that those rows spread over all shards like the others. `decision` is match, review, non_match, or the word
-- of the reason why there is none.
CREATE TABLE verification (
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    id BLOB NOT NULL CHECK (length(id) = 16),
    known INTEGER NOT NULL CHECK (known IN (0, 1)),
    institution TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    envelope_digest BLOB NOT NULL CHECK (length(envelope_digest) = 32),
    device_id TEXT NOT NULL,
    counter TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    scene TEXT NOT NULL,
    operator TEXT NOT NULL,
    notice TEXT NOT NULL,
    identifier_kind TEXT NOT NULL,
    identifier_region TEXT NOT NULL,
    identifier_hash BLOB NOT NULL CHECK (length(identifier_hash) = 32),
    identifier_masked TEXT NOT NULL,
    captured_at INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    decision TEXT NOT NULL,
    reasons TEXT NOT NULL, -- JSON array of words
    disposition TEXT NOT NULL,
    score REAL,
    match_threshold REAL,
    non_match_threshold REAL,
    model TEXT NOT NULL,
    live REAL,
    policy_version TEXT NOT NULL,
    provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
    PRIMARY KEY (subject_id, id)
) STRICT;
CREATE INDEX verification_by_time ON verification (decided_at);
CREATE INDEX verification_by_institution ON verification (institution, decided_at);

-- What was captured; destroyed with the person's data key.
CREATE TABLE probe (
    subject_id BLOB NOT NULL,
    verification_id BLOB NOT NULL,
    template BLOB NOT NULL,
    sample BLOB NOT NULL,
    PRIMARY KEY (subject_id, verification_id),
    FOREIGN KEY (subject_id, verification_id) REFERENCES verification (subject_id, id)
) STRICT;

-- Idempotency: which record answers a request. Unpartitioned, and outlives every spool.
CREATE TABLE request (
    institution TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    envelope_digest BLOB NOT NULL CHECK (length(envelope_digest) = 32),
    subject_id BLOB NOT NULL,
    verification_id BLOB NOT NULL,
    PRIMARY KEY (institution, transaction_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE flag (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    verification_id BLOB,
    institution TEXT NOT NULL,
    device_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    identifier_masked TEXT NOT NULL
) STRICT;
CREATE INDEX flag_by_time ON flag (raised_at);
CREATE INDEX flag_by_institution ON flag (institution, raised_at);
