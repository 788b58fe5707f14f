-- Captures whose template is made again from the sample, and what came of it. Written with the verification, so
-- that none is forgotten. `due_at` is when it may be taken next: taking one pushes it ahead, so that two
-- processes do not work on the same one, and `attempt` is the fence of whoever was too slow.
CREATE TABLE recheck (
    subject_id BLOB NOT NULL,
    verification_id BLOB NOT NULL,
    model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    outcome TEXT,
    agreement REAL,
    done_at INTEGER,
    PRIMARY KEY (subject_id, verification_id),
    FOREIGN KEY (subject_id, verification_id) REFERENCES probe (subject_id, verification_id) ON DELETE CASCADE
) STRICT;
CREATE INDEX recheck_due ON recheck (due_at) WHERE outcome IS NULL;
