-- Captures that came late, and comparisons that are made again.

-- A capture that waits to be compared. Its request is taken from the moment it is stored; its row goes when its
-- verification is written. `due_at` is when it may be taken next, `taken` how often it was, and the fence of whoever is
-- too slow. What is parked waits for somebody to ask for it.
CREATE TABLE deferred (
    subject_id BLOB NOT NULL REFERENCES subject,
    verification_id BLOB NOT NULL CHECK (length(verification_id) = 16),
    institution TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    captured_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    facts BLOB NOT NULL,
    template BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0,
    parked TEXT,
    PRIMARY KEY (subject_id, verification_id)
) STRICT;
CREATE INDEX deferred_due ON deferred (taken, due_at) WHERE parked IS NULL;
CREATE INDEX deferred_parked ON deferred (parked) WHERE parked IS NOT NULL;
CREATE INDEX deferred_by_transaction ON deferred (institution, transaction_id);

-- Its sample, apart, so that taking a capture does not write twenty kilobytes.
CREATE TABLE deferred_sample (
    subject_id BLOB NOT NULL,
    verification_id BLOB NOT NULL,
    sample BLOB NOT NULL,
    PRIMARY KEY (subject_id, verification_id),
    FOREIGN KEY (subject_id, verification_id) REFERENCES deferred (subject_id, verification_id) ON DELETE CASCADE
) STRICT;

CREATE TABLE batch_job (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT NOT NULL,
    name TEXT UNIQUE,
    state TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    requested_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
) STRICT;
CREATE INDEX batch_job_by_time ON batch_job (requested_at);

-- A chunk is the probes decided in a span. Numbers stand here and not in the job, so that workers do not wait for each other.
CREATE TABLE batch_chunk (
    job_id BLOB NOT NULL REFERENCES batch_job ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 0),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'parked')),
    span_from INTEGER NOT NULL,
    span_until INTEGER NOT NULL,
    probes INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0,
    compared INTEGER NOT NULL DEFAULT 0,
    differing INTEGER NOT NULL DEFAULT 0,
    unreadable INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, number)
) STRICT;
CREATE INDEX batch_chunk_due ON batch_chunk (due_at) WHERE state = 'waiting';

-- Outcomes of comparisons that were made again, where they differ from the record, which stays as it is.
CREATE TABLE recomparison (
    subject_id BLOB NOT NULL,
    job_id BLOB NOT NULL,
    verification_id BLOB NOT NULL,
    compared_at INTEGER NOT NULL,
    policy_version TEXT NOT NULL,
    model TEXT NOT NULL,
    reference_id BLOB,
    score REAL,
    decision TEXT NOT NULL,
    PRIMARY KEY (subject_id, job_id, verification_id)
) STRICT;
CREATE INDEX recomparison_of_job ON recomparison (job_id);
