-- References with a life of their own: several photos a person, several references a photo, one for each model and
-- recipe; numbers that are bound to their person; withdrawal, holds, tombstones and retention.

-- Day or year of birth, sealed. Once consent is withdrawn nothing biometric is kept.
ALTER TABLE subject ADD COLUMN birth BLOB;
ALTER TABLE subject ADD COLUMN withdrawn_at INTEGER;

-- The number, sealed under the person's data key for this row alone, so that a row that is pointed at somebody else
-- does not open. None in rows older than this. One number has a row for each look-up key it is hashed under;
-- '' is the key that was there before keys had names.
ALTER TABLE identifier ADD COLUMN number BLOB;
ALTER TABLE identifier ADD COLUMN lookup_key_id TEXT NOT NULL DEFAULT '';

-- A photo that was enrolled: where it comes from, when it holds, what became of it.
CREATE TABLE enrolment (
    subject_id BLOB NOT NULL REFERENCES subject,
    photo_id BLOB NOT NULL CHECK (length(photo_id) = 16),
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    enrolled_at INTEGER NOT NULL,
    valid_from INTEGER,
    valid_until INTEGER,
    photo_mac BLOB NOT NULL CHECK (length(photo_mac) = 32),
    photo_taken_on TEXT,
    PRIMARY KEY (subject_id, photo_id)
) STRICT;
CREATE INDEX enrolment_ended ON enrolment (changed_at) WHERE state <> 'active';
CREATE INDEX enrolment_ending ON enrolment (valid_until) WHERE valid_until IS NOT NULL;

INSERT INTO enrolment
SELECT subject_id, record_id, 'card_photo', 'active', enrolled_at, enrolled_at, NULL, NULL, photo_mac, photo_taken_on FROM reference;

ALTER TABLE enrolment_photo RENAME TO enrolment_photo_before;
ALTER TABLE reference RENAME TO reference_before;

CREATE TABLE enrolment_photo (
    subject_id BLOB NOT NULL,
    photo_id BLOB NOT NULL,
    photo BLOB NOT NULL,
    quality BLOB,
    PRIMARY KEY (subject_id, photo_id),
    FOREIGN KEY (subject_id, photo_id) REFERENCES enrolment (subject_id, photo_id) ON DELETE CASCADE
) STRICT;
INSERT INTO enrolment_photo
SELECT subject_id, record_id, photo, quality FROM enrolment_photo_before JOIN reference_before USING (subject_id);

-- What a model and recipe made of a photo.
CREATE TABLE reference (
    subject_id BLOB NOT NULL,
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    photo_id BLOB NOT NULL,
    model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    template BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (subject_id, record_id),
    UNIQUE (subject_id, photo_id, model, recipe),
    FOREIGN KEY (subject_id, photo_id) REFERENCES enrolment (subject_id, photo_id) ON DELETE CASCADE
) STRICT;
INSERT INTO reference SELECT subject_id, record_id, record_id, model, recipe, template, enrolled_at FROM reference_before;

DROP TABLE enrolment_photo_before;
DROP TABLE reference_before;

-- Photos that a model and recipe could make nothing of, so that they are not tried for ever.
CREATE TABLE extraction_failure (
    subject_id BLOB NOT NULL,
    photo_id BLOB NOT NULL,
    model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    reason TEXT NOT NULL,
    failed_at INTEGER NOT NULL,
    PRIMARY KEY (subject_id, photo_id, model, recipe),
    FOREIGN KEY (subject_id, photo_id) REFERENCES enrolment (subject_id, photo_id) ON DELETE CASCADE
) STRICT;

-- The reference that a comparison was made with.
ALTER TABLE verification ADD COLUMN reference_id BLOB;

-- When it was decided, so that retention finds what is due; a sample that was destroyed is empty.
ALTER TABLE probe ADD COLUMN decided_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE probe ADD COLUMN sample_destroyed_at INTEGER;
UPDATE probe SET decided_at = (SELECT decided_at FROM verification AS v WHERE v.subject_id = probe.subject_id AND v.id = probe.verification_id);
CREATE INDEX probe_by_time ON probe (decided_at);
CREATE INDEX probe_with_sample ON probe (decided_at) WHERE sample_destroyed_at IS NULL;

-- Why somebody's records must not be deleted, and until when.
CREATE TABLE legal_hold (
    subject_id BLOB NOT NULL REFERENCES subject,
    hold_id BLOB NOT NULL CHECK (length(hold_id) = 16),
    reason TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_at INTEGER NOT NULL,
    until INTEGER,
    released_by TEXT,
    released_at INTEGER,
    PRIMARY KEY (subject_id, hold_id)
) STRICT;

-- What is left of the numbers of those who were forgotten.
CREATE TABLE forgotten (
    tombstone BLOB NOT NULL PRIMARY KEY CHECK (length(tombstone) = 32),
    lookup_key_id TEXT NOT NULL,
    forgotten_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Runs of retention. One at a time: a run that has not finished holds a lease, and is fenced by it.
CREATE TABLE retention_run (
    run_id BLOB NOT NULL PRIMARY KEY CHECK (length(run_id) = 16),
    started_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    finished_at INTEGER,
    counts TEXT NOT NULL DEFAULT '{}' -- JSON object: kind to number
) STRICT, WITHOUT ROWID;
CREATE INDEX retention_run_by_time ON retention_run (started_at);

-- Forgetting finds flags by their transaction, and what was decided about a number before it had a person.
CREATE INDEX flag_by_transaction ON flag (institution, transaction_id);
CREATE INDEX verification_of_nobody ON verification (identifier_hash) WHERE known = 0;
