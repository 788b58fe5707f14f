-- The schema on PostgreSQL: the tables, columns and words of SQLite's (where what they hold is said at length), in the
-- state that schema has reached; a test compares the two. What differs:
-- * texts sort by their bytes (COLLATE "C"), as in SQLite;
-- * the log of verifications is in parts by time; the parts are made ahead, and what fits none goes into a default part;
-- * ciphertexts of pictures stand outside the row, and nobody tries to compress them;
-- * the audit log's tables do not refer to each other: the chain says what is missing.
-- A later change of the schema is another file, here and in SQLite's folder, of the same number.

CREATE TABLE device (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    institution TEXT COLLATE "C" NOT NULL,
    counter TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('counter', 'enrolment')),
    public_key BYTEA NOT NULL CHECK (length(public_key) = 32),
    certificate_sha256 BYTEA NOT NULL UNIQUE CHECK (length(certificate_sha256) = 32),
    certificate_expires_at BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Sequence numbers that devices have used, each with the envelope it was used for.
CREATE TABLE device_sequence (
    device_id TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence >= 0),
    envelope_digest BYTEA NOT NULL CHECK (length(envelope_digest) = 32),
    PRIMARY KEY (device_id, sequence)
);

CREATE TABLE subject (
    subject_id BYTEA NOT NULL PRIMARY KEY CHECK (length(subject_id) = 16),
    created_at BIGINT NOT NULL,
    birth BYTEA,
    withdrawn_at BIGINT
);

-- Deleting a row here destroys the person's biometrics wherever they are.
CREATE TABLE data_key (
    subject_id BYTEA NOT NULL PRIMARY KEY REFERENCES subject,
    wrapped BYTEA NOT NULL
);

-- Look-up: one person has several numbers, and a number a row for each look-up key it is hashed under.
CREATE TABLE identifier (
    kind TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    subject_id BYTEA NOT NULL REFERENCES subject,
    number BYTEA,
    lookup_key_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (kind, region, hash)
);
CREATE INDEX identifier_of_subject ON identifier (subject_id);
CREATE INDEX identifier_by_key ON identifier (lookup_key_id);

-- Decision records, in a part for each month. Where nobody is known by the identifier (known = 0), subject_id is the
-- record's own id.
CREATE TABLE verification (
    subject_id BYTEA NOT NULL CHECK (length(subject_id) = 16),
    id BYTEA NOT NULL CHECK (length(id) = 16),
    known SMALLINT NOT NULL CHECK (known IN (0, 1)),
    institution TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    envelope_digest BYTEA NOT NULL CHECK (length(envelope_digest) = 32),
    device_id TEXT COLLATE "C" NOT NULL,
    counter TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    scene TEXT COLLATE "C" NOT NULL,
    operator TEXT COLLATE "C" NOT NULL,
    notice TEXT COLLATE "C" NOT NULL,
    identifier_kind TEXT COLLATE "C" NOT NULL,
    identifier_region TEXT COLLATE "C" NOT NULL,
    identifier_hash BYTEA NOT NULL CHECK (length(identifier_hash) = 32),
    identifier_masked TEXT COLLATE "C" NOT NULL,
    captured_at BIGINT NOT NULL,
    decided_at BIGINT NOT NULL,
    decision TEXT COLLATE "C" NOT NULL,
    reasons TEXT COLLATE "C" NOT NULL,
    disposition TEXT COLLATE "C" NOT NULL,
    score DOUBLE PRECISION,
    match_threshold DOUBLE PRECISION,
    non_match_threshold DOUBLE PRECISION,
    model TEXT COLLATE "C" NOT NULL,
    live DOUBLE PRECISION,
    policy_version TEXT COLLATE "C" NOT NULL,
    mode TEXT COLLATE "C" NOT NULL CHECK (mode IN ('shadow', 'live', 'demonstration')),
    recipe TEXT COLLATE "C" NOT NULL,
    consent TEXT COLLATE "C" NOT NULL,
    minor SMALLINT NOT NULL CHECK (minor IN (0, 1)),
    childhood_photo SMALLINT NOT NULL CHECK (childhood_photo IN (0, 1)),
    photo_age_days BIGINT,
    reference_id BYTEA,
    PRIMARY KEY (subject_id, id, decided_at)
) PARTITION BY RANGE (decided_at);
CREATE TABLE verification_other PARTITION OF verification DEFAULT;
CREATE INDEX verification_by_time ON verification (decided_at);
CREATE INDEX verification_by_institution ON verification (institution, decided_at);
CREATE INDEX verification_of_nobody ON verification (identifier_hash) WHERE known = 0;

-- What was captured; destroyed with the person's data key. `decided_at` says in which part of the log its record is.
CREATE TABLE probe (
    subject_id BYTEA NOT NULL,
    verification_id BYTEA NOT NULL,
    template BYTEA NOT NULL,
    sample BYTEA NOT NULL,
    decided_at BIGINT NOT NULL,
    sample_destroyed_at BIGINT,
    PRIMARY KEY (subject_id, verification_id)
);
CREATE INDEX probe_by_time ON probe (decided_at);
CREATE INDEX probe_with_sample ON probe (decided_at) WHERE sample_destroyed_at IS NULL;
ALTER TABLE probe ALTER COLUMN sample SET STORAGE EXTERNAL;

-- Idempotency: which record answers a request. In one part, and it outlives every spool.
CREATE TABLE request (
    institution TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    envelope_digest BYTEA NOT NULL CHECK (length(envelope_digest) = 32),
    subject_id BYTEA NOT NULL,
    verification_id BYTEA NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (institution, transaction_id, attempt)
);

CREATE TABLE flag (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT COLLATE "C" NOT NULL,
    raised_at BIGINT NOT NULL,
    verification_id BYTEA,
    institution TEXT COLLATE "C" NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    identifier_masked TEXT COLLATE "C" NOT NULL
);
CREATE INDEX flag_by_time ON flag (raised_at);
CREATE INDEX flag_by_institution ON flag (institution, raised_at);
CREATE INDEX flag_by_transaction ON flag (institution, transaction_id);

CREATE TABLE recheck (
    subject_id BYTEA NOT NULL,
    verification_id BYTEA NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    recipe TEXT COLLATE "C" NOT NULL,
    due_at BIGINT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    outcome TEXT COLLATE "C",
    agreement DOUBLE PRECISION,
    done_at BIGINT,
    PRIMARY KEY (subject_id, verification_id),
    FOREIGN KEY (subject_id, verification_id) REFERENCES probe (subject_id, verification_id) ON DELETE CASCADE
);
CREATE INDEX recheck_due ON recheck (due_at) WHERE outcome IS NULL;

-- Policies as they were applied, each signed; the last one is in force.
CREATE TABLE policy (
    number BIGINT PRIMARY KEY,
    version TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    text_signature BYTEA NOT NULL CHECK (length(text_signature) = 64),
    device_policy BYTEA NOT NULL,
    device_signature BYTEA NOT NULL CHECK (length(device_signature) = 64),
    key_id TEXT COLLATE "C" NOT NULL,
    applied_at BIGINT NOT NULL,
    applied_by TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL
);

-- Receipts, each written with its verification, and the settlements that used them.
CREATE TABLE receipt (
    number TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(number) = 22),
    institution TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    verification_id BYTEA NOT NULL CHECK (length(verification_id) = 16),
    device_id TEXT COLLATE "C" NOT NULL,
    drill SMALLINT NOT NULL CHECK (drill IN (0, 1)),
    disposition TEXT COLLATE "C" NOT NULL,
    uses_max BIGINT NOT NULL CHECK (uses_max > 0),
    amount_max_fen BIGINT,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    compact TEXT COLLATE "C" NOT NULL,
    reversed_at BIGINT,
    UNIQUE (institution, transaction_id, attempt)
);
CREATE INDEX receipt_by_time ON receipt (issued_at, number);

CREATE TABLE receipt_use (
    number TEXT COLLATE "C" NOT NULL REFERENCES receipt (number),
    settlement_id TEXT COLLATE "C" NOT NULL,
    amount_fen BIGINT NOT NULL CHECK (amount_fen >= 0),
    document_checked_by TEXT COLLATE "C" NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    confirmed_at BIGINT NOT NULL,
    reversed_at BIGINT,
    PRIMARY KEY (number, settlement_id)
);

-- Visits that speak, what they say together, cases and what happened to them, blind draws.
CREATE TABLE visit (
    subject_id BYTEA NOT NULL,
    verification_id BYTEA NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    recipe TEXT COLLATE "C" NOT NULL,
    decided_at BIGINT NOT NULL,
    explained SMALLINT NOT NULL DEFAULT 0 CHECK (explained IN (0, 1)),
    PRIMARY KEY (subject_id, verification_id),
    FOREIGN KEY (subject_id, verification_id) REFERENCES probe (subject_id, verification_id) ON DELETE CASCADE
);
CREATE INDEX visit_by_time ON visit (decided_at);

CREATE TABLE finding (
    subject_id BYTEA NOT NULL PRIMARY KEY REFERENCES subject ON DELETE CASCADE,
    judged_at BIGINT NOT NULL,
    last_visit_at BIGINT NOT NULL,
    kind TEXT COLLATE "C",
    log_odds DOUBLE PRECISION NOT NULL,
    days BIGINT NOT NULL,
    faces BIGINT NOT NULL
);
CREATE INDEX finding_by_strength ON finding (log_odds) WHERE kind IS NOT NULL;

CREATE TABLE case_file (
    subject_id BYTEA NOT NULL CHECK (length(subject_id) = 16),
    id BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    kind TEXT COLLATE "C" NOT NULL,
    opening TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    log_odds DOUBLE PRECISION NOT NULL,
    days BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (subject_id, id)
);
CREATE INDEX case_by_time ON case_file (opened_at);

CREATE TABLE case_member (
    subject_id BYTEA NOT NULL,
    case_id BYTEA NOT NULL,
    verification_id BYTEA NOT NULL,
    face BIGINT NOT NULL,
    suspect SMALLINT NOT NULL CHECK (suspect IN (0, 1)),
    PRIMARY KEY (subject_id, case_id, verification_id),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
);

CREATE TABLE case_event (
    subject_id BYTEA NOT NULL,
    case_id BYTEA NOT NULL,
    number BIGINT NOT NULL CHECK (number > 0),
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    verdict TEXT COLLATE "C",
    reason TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (subject_id, case_id, number),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
);

CREATE TABLE draw_day (
    day BIGINT NOT NULL PRIMARY KEY,
    key BYTEA NOT NULL CHECK (length(key) = 32),
    matches BIGINT NOT NULL,
    drawn BIGINT NOT NULL,
    drawn_at BIGINT NOT NULL
);

CREATE TABLE blind_draw (
    subject_id BYTEA NOT NULL,
    verification_id BYTEA NOT NULL UNIQUE,
    day BIGINT NOT NULL REFERENCES draw_day,
    inclusion DOUBLE PRECISION NOT NULL CHECK (inclusion > 0 AND inclusion <= 1),
    two_people SMALLINT CHECK (two_people IN (0, 1)),
    judged_by TEXT COLLATE "C",
    judged_at BIGINT,
    PRIMARY KEY (subject_id, verification_id)
);
CREATE INDEX blind_draw_by_day ON blind_draw (day);

CREATE TABLE case_run (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    due_at BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    gathered_until BIGINT NOT NULL
);

CREATE TABLE enrolment (
    subject_id BYTEA NOT NULL REFERENCES subject,
    photo_id BYTEA NOT NULL CHECK (length(photo_id) = 16),
    source TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    valid_from BIGINT,
    valid_until BIGINT,
    photo_mac BYTEA NOT NULL CHECK (length(photo_mac) = 32),
    photo_taken_on TEXT COLLATE "C",
    PRIMARY KEY (subject_id, photo_id)
);
CREATE INDEX enrolment_ended ON enrolment (changed_at) WHERE state <> 'active';
CREATE INDEX enrolment_ending ON enrolment (valid_until) WHERE valid_until IS NOT NULL;

CREATE TABLE enrolment_photo (
    subject_id BYTEA NOT NULL,
    photo_id BYTEA NOT NULL,
    photo BYTEA NOT NULL,
    quality BYTEA,
    PRIMARY KEY (subject_id, photo_id),
    FOREIGN KEY (subject_id, photo_id) REFERENCES enrolment (subject_id, photo_id) ON DELETE CASCADE
);
ALTER TABLE enrolment_photo ALTER COLUMN photo SET STORAGE EXTERNAL;

CREATE TABLE reference (
    subject_id BYTEA NOT NULL,
    record_id BYTEA NOT NULL CHECK (length(record_id) = 16),
    photo_id BYTEA NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    recipe TEXT COLLATE "C" NOT NULL,
    template BYTEA NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (subject_id, record_id),
    UNIQUE (subject_id, photo_id, model, recipe),
    FOREIGN KEY (subject_id, photo_id) REFERENCES enrolment (subject_id, photo_id) ON DELETE CASCADE
);

CREATE TABLE extraction_failure (
    subject_id BYTEA NOT NULL,
    photo_id BYTEA NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    recipe TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    failed_at BIGINT NOT NULL,
    PRIMARY KEY (subject_id, photo_id, model, recipe),
    FOREIGN KEY (subject_id, photo_id) REFERENCES enrolment (subject_id, photo_id) ON DELETE CASCADE
);

CREATE TABLE legal_hold (
    subject_id BYTEA NOT NULL REFERENCES subject,
    hold_id BYTEA NOT NULL CHECK (length(hold_id) = 16),
    reason TEXT COLLATE "C" NOT NULL,
    placed_by TEXT COLLATE "C" NOT NULL,
    placed_at BIGINT NOT NULL,
    until BIGINT,
    released_by TEXT COLLATE "C",
    released_at BIGINT,
    PRIMARY KEY (subject_id, hold_id)
);

CREATE TABLE forgotten (
    tombstone BYTEA NOT NULL PRIMARY KEY CHECK (length(tombstone) = 32),
    lookup_key_id TEXT COLLATE "C" NOT NULL,
    forgotten_at BIGINT NOT NULL
);

CREATE TABLE retention_run (
    run_id BYTEA NOT NULL PRIMARY KEY CHECK (length(run_id) = 16),
    started_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    finished_at BIGINT,
    counts TEXT COLLATE "C" NOT NULL DEFAULT '{}'
);
CREATE INDEX retention_run_by_time ON retention_run (started_at);

-- What happened, in chains that end in signed checkpoints outside this database.
CREATE TABLE audit_epoch (
    epoch BYTEA NOT NULL PRIMARY KEY CHECK (length(epoch) = 16),
    started_at BIGINT NOT NULL,
    command TEXT COLLATE "C" NOT NULL,
    os_user TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    pid BIGINT NOT NULL
);

CREATE TABLE audit_link (
    epoch BYTEA NOT NULL,
    link BIGINT NOT NULL CHECK (link > 0),
    entries BIGINT NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (epoch, link)
);

CREATE TABLE audit_entry (
    epoch BYTEA NOT NULL,
    link BIGINT NOT NULL,
    place BIGINT NOT NULL,
    at BIGINT NOT NULL,
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    salt BYTEA CHECK (length(salt) = 16),
    action TEXT COLLATE "C",
    actor TEXT COLLATE "C",
    object TEXT COLLATE "C",
    detail TEXT COLLATE "C",
    PRIMARY KEY (epoch, link, place)
);
CREATE INDEX audit_entry_by_time ON audit_entry (at);

-- Keys that are out of use: a process that was asleep while one was dropped must not write under it any more.
CREATE TABLE retired_key_encryption (
    prefix BYTEA NOT NULL PRIMARY KEY CHECK (length(prefix) = 9),
    retired_at BIGINT NOT NULL
);

CREATE TABLE device_authority (
    device_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    authority BYTEA NOT NULL CHECK (length(authority) = 32),
    reported_at BIGINT NOT NULL
);

CREATE TABLE retired_lookup (
    lookup_key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    retired_at BIGINT NOT NULL
);

CREATE TABLE former_identifier (
    subject_id BYTEA NOT NULL REFERENCES subject ON DELETE CASCADE,
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (subject_id, hash)
);

INSERT INTO case_run VALUES (1, 0, 0, 0);

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER case_event_stays BEFORE UPDATE ON case_event FOR EACH ROW EXECUTE FUNCTION refuse('case events are only added');

CREATE FUNCTION refuse_retired_key_encryption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM retired_key_encryption WHERE prefix = substr(NEW.wrapped, 1, 9)) THEN
        RAISE EXCEPTION 'the key-encryption key is out of use' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER data_key_of_retired_key BEFORE INSERT ON data_key FOR EACH ROW EXECUTE FUNCTION refuse_retired_key_encryption();

CREATE FUNCTION refuse_retired_lookup() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM retired_lookup WHERE lookup_key_id = NEW.lookup_key_id) THEN
        RAISE EXCEPTION 'the look-up key is out of use' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER identifier_of_retired_key BEFORE INSERT ON identifier FOR EACH ROW EXECUTE FUNCTION refuse_retired_lookup();
