-- Captures that came late, and comparisons that are made again.

-- A capture that waits to be compared. Its request is taken from the moment it is stored; its row goes when its
-- verification is written. `due_at` is when it may be taken next, `taken` how often it was, and the fence of whoever is
-- too slow. What is parked waits for somebody to ask for it.
CREATE TABLE deferred (
    subject_id BYTEA NOT NULL REFERENCES subject,
    verification_id BYTEA NOT NULL CHECK (length(verification_id) = 16),
    institution TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    captured_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    recipe TEXT COLLATE "C" NOT NULL,
    facts BYTEA NOT NULL,
    template BYTEA NOT NULL,
    due_at BIGINT NOT NULL,
    taken BIGINT NOT NULL DEFAULT 0,
    parked TEXT COLLATE "C",
    PRIMARY KEY (subject_id, verification_id)
);
CREATE INDEX deferred_due ON deferred (taken, due_at) WHERE parked IS NULL;
CREATE INDEX deferred_parked ON deferred (parked) WHERE parked IS NOT NULL;
CREATE INDEX deferred_by_transaction ON deferred (institution, transaction_id);

-- Its sample, apart, so that taking a capture does not write twenty kilobytes.
CREATE TABLE deferred_sample (
    subject_id BYTEA NOT NULL,
    verification_id BYTEA NOT NULL,
    sample BYTEA NOT NULL,
    PRIMARY KEY (subject_id, verification_id),
    FOREIGN KEY (subject_id, verification_id) REFERENCES deferred (subject_id, verification_id) ON DELETE CASCADE
);
ALTER TABLE deferred_sample ALTER COLUMN sample SET STORAGE EXTERNAL;

CREATE TABLE batch_job (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" UNIQUE,
    state TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT
);
CREATE INDEX batch_job_by_time ON batch_job (requested_at);

-- A chunk is the probes decided in a span. Numbers stand here and not in the job, so that workers do not wait for each other.
CREATE TABLE batch_chunk (
    job_id BYTEA NOT NULL REFERENCES batch_job ON DELETE CASCADE,
    number BIGINT NOT NULL CHECK (number >= 0),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'done', 'parked')),
    span_from BIGINT NOT NULL,
    span_until BIGINT NOT NULL,
    probes BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    taken BIGINT NOT NULL DEFAULT 0,
    compared BIGINT NOT NULL DEFAULT 0,
    differing BIGINT NOT NULL DEFAULT 0,
    unreadable BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, number)
);
CREATE INDEX batch_chunk_due ON batch_chunk (due_at) WHERE state = 'waiting';

-- Outcomes of comparisons that were made again, where they differ from the record, which stays as it is.
CREATE TABLE recomparison (
    subject_id BYTEA NOT NULL,
    job_id BYTEA NOT NULL,
    verification_id BYTEA NOT NULL,
    compared_at BIGINT NOT NULL,
    policy_version TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    reference_id BYTEA,
    score DOUBLE PRECISION,
    decision TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (subject_id, job_id, verification_id)
);
CREATE INDEX recomparison_of_job ON recomparison (job_id);
