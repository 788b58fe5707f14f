-- Evidence and cases: visits that speak, what they say together, cases and what happened to them, blind draws.

-- Visits with a probe, and what made its template. A visit whose case was closed is explained: it is no evidence again.
CREATE TABLE visit (
    subject_id BLOB NOT NULL,
    verification_id BLOB NOT NULL,
    model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    explained INTEGER NOT NULL DEFAULT 0 CHECK (explained IN (0, 1)),
    PRIMARY KEY (subject_id, verification_id),
    FOREIGN KEY (subject_id, verification_id) REFERENCES probe (subject_id, verification_id) ON DELETE CASCADE
) STRICT;
CREATE INDEX visit_by_time ON visit (decided_at);

-- What a person's visits say together, as it was judged last. A finding that opens no case stays here.
CREATE TABLE finding (
    subject_id BLOB NOT NULL PRIMARY KEY REFERENCES subject ON DELETE CASCADE,
    judged_at INTEGER NOT NULL,
    last_visit_at INTEGER NOT NULL,
    kind TEXT,
    log_odds REAL NOT NULL,
    days INTEGER NOT NULL,
    faces INTEGER NOT NULL
) STRICT;
CREATE INDEX finding_by_strength ON finding (log_odds) WHERE kind IS NOT NULL;

CREATE TABLE case_file (
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind TEXT NOT NULL,
    opening TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    log_odds REAL NOT NULL,
    days INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (subject_id, id)
) STRICT;
CREATE INDEX case_by_time ON case_file (opened_at);

-- The verifications a case is about: `face` numbers the faces as they were told apart, 0 the one most like the photo;
-- `suspect` are those that speak against the holder.
CREATE TABLE case_member (
    subject_id BLOB NOT NULL,
    case_id BLOB NOT NULL,
    verification_id BLOB NOT NULL,
    face INTEGER NOT NULL,
    suspect INTEGER NOT NULL CHECK (suspect IN (0, 1)),
    PRIMARY KEY (subject_id, case_id, verification_id),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
) STRICT;

-- What happened to a case, numbered from 1; only ever added to.
CREATE TABLE case_event (
    subject_id BLOB NOT NULL,
    case_id BLOB NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    event TEXT NOT NULL,
    verdict TEXT,
    reason TEXT NOT NULL,
    PRIMARY KEY (subject_id, case_id, number),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
) STRICT;
CREATE TRIGGER case_event_stays BEFORE UPDATE ON case_event BEGIN SELECT RAISE(ABORT, 'case events are only added'); END;

-- A day whose matches were drawn for a blind look, with the key of the draw, so that it can be made again.
CREATE TABLE draw_day (
    day INTEGER NOT NULL PRIMARY KEY,
    key BLOB NOT NULL CHECK (length(key) = 32),
    matches INTEGER NOT NULL,
    drawn INTEGER NOT NULL,
    drawn_at INTEGER NOT NULL
) STRICT;
CREATE TABLE blind_draw (
    subject_id BLOB NOT NULL,
    verification_id BLOB NOT NULL UNIQUE,
    day INTEGER NOT NULL REFERENCES draw_day,
    inclusion REAL NOT NULL CHECK (inclusion > 0 AND inclusion <= 1),
    two_people INTEGER CHECK (two_people IN (0, 1)),
    judged_by TEXT,
    judged_at INTEGER,
    PRIMARY KEY (subject_id, verification_id)
) STRICT;
CREATE INDEX blind_draw_by_day ON blind_draw (day);

-- Who gathers evidence. One process at a time: `due_at` is when it may be taken next, `attempt` the fence of whoever is
-- too slow, `gathered_until` the time up to which all visits were judged.
CREATE TABLE case_run (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    due_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    gathered_until INTEGER NOT NULL
) STRICT;
INSERT INTO case_run VALUES (1, 0, 0, 0);
