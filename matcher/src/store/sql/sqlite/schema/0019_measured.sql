-- The queue as index ranges; known-answer cases; what is told to the center's own systems; words of a case, sealed.

-- `standing` is the state as the queue shows it: a verdict that waits for a second look is 'second_due', one that nobody waits for
-- 'decided'. What a line of the queue shows stands beside it, so that a page looks into no other table.
ALTER TABLE case_desk ADD COLUMN standing TEXT NOT NULL DEFAULT 'open';
ALTER TABLE case_desk ADD COLUMN captures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE case_desk ADD COLUMN institution TEXT NOT NULL DEFAULT '';
ALTER TABLE case_desk ADD COLUMN institutions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE case_desk ADD COLUMN identifier_masked TEXT NOT NULL DEFAULT '';
UPDATE case_desk SET
    standing = CASE WHEN state = 'decided' AND second_due = 1 THEN 'second_due' WHEN state IN ('decided', 'second_review') THEN 'decided' ELSE state END,
    captures = (SELECT count(*) FROM case_member AS m WHERE m.subject_id = case_desk.subject_id AND m.case_id = case_desk.case_id),
    institution = coalesce((SELECT min(p.institution) FROM case_place AS p
        WHERE p.subject_id = case_desk.subject_id AND p.case_id = case_desk.case_id), ''),
    institutions = (SELECT count(DISTINCT p.institution) FROM case_place AS p
        WHERE p.subject_id = case_desk.subject_id AND p.case_id = case_desk.case_id),
    identifier_masked = coalesce((SELECT v.identifier_masked FROM case_member AS m
        JOIN verification AS v ON v.subject_id = m.subject_id AND v.id = m.verification_id
        WHERE m.subject_id = case_desk.subject_id AND m.case_id = case_desk.case_id ORDER BY v.decided_at DESC LIMIT 1), '');
DROP INDEX case_desk_working;
DROP INDEX case_desk_by_state;
CREATE INDEX case_desk_working ON case_desk (rank, case_id) WHERE standing <> 'closed';
CREATE INDEX case_desk_by_standing ON case_desk (standing, rank, case_id);
CREATE INDEX case_desk_by_opening ON case_desk (opened_at, standing, rank, case_id, subject_id);

-- What the queue is filtered by, one row for each value of a case: 'institution', 'scene' and 'kind'.
CREATE TABLE case_facet (
    subject_id BLOB NOT NULL,
    case_id BLOB NOT NULL,
    facet TEXT NOT NULL,
    value TEXT NOT NULL,
    standing TEXT NOT NULL,
    rank REAL NOT NULL,
    opened_at INTEGER NOT NULL,
    PRIMARY KEY (subject_id, case_id, facet, value),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX case_facet_working ON case_facet (facet, value, rank, case_id) WHERE standing <> 'closed';
CREATE INDEX case_facet_by_standing ON case_facet (facet, value, standing, rank, case_id);
CREATE INDEX case_facet_by_opening ON case_facet (facet, value, opened_at, standing, rank, case_id, subject_id);
INSERT INTO case_facet SELECT subject_id, case_id, 'kind', kind, standing, rank, opened_at FROM case_desk;
INSERT INTO case_facet SELECT DISTINCT p.subject_id, p.case_id, 'institution', p.institution, d.standing, d.rank, d.opened_at FROM case_place AS p
    JOIN case_desk AS d ON d.subject_id = p.subject_id AND d.case_id = p.case_id;
INSERT INTO case_facet SELECT DISTINCT p.subject_id, p.case_id, 'scene', p.scene, d.standing, d.rank, d.opened_at FROM case_place AS p
    JOIN case_desk AS d ON d.subject_id = p.subject_id AND d.case_id = p.case_id;

-- Institutions that cases were ever about, to choose from.
CREATE TABLE case_institution (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO case_institution SELECT DISTINCT institution FROM case_place;

-- What reviewers did in a day (of UTC, since 1970-01-01): first and second verdicts, and cases that two people judged without knowing of
-- each other. Added to with each step; known-answer cases are not in it.
CREATE TABLE reviewer_day (
    actor TEXT NOT NULL,
    day INTEGER NOT NULL,
    decided INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    reviewed INTEGER NOT NULL,
    twice INTEGER NOT NULL,
    agreed INTEGER NOT NULL,
    PRIMARY KEY (actor, day)
) STRICT, WITHOUT ROWID;
INSERT INTO reviewer_day SELECT actor, at / 86400000, count(*) FILTER (WHERE event = 'decided'),
    count(*) FILTER (WHERE event = 'decided' AND verdict = 'confirmed'), count(*) FILTER (WHERE event = 'reviewed'), 0, 0
    FROM case_event WHERE event IN ('decided', 'reviewed') GROUP BY actor, at / 86400000;
INSERT INTO reviewer_day SELECT who, day, 0, 0, 0, count(*), count(*) FILTER (WHERE agreed = 1) FROM (
        SELECT r.actor AS who, r.at / 86400000 AS day, CASE WHEN d.verdict = r.verdict THEN 1 ELSE 0 END AS agreed FROM case_event AS r
            JOIN case_event AS d ON d.subject_id = r.subject_id AND d.case_id = r.case_id AND d.number = (SELECT max(x.number) FROM case_event AS x
                WHERE x.subject_id = r.subject_id AND x.case_id = r.case_id AND x.event = 'decided' AND x.number < r.number)
            WHERE r.event = 'reviewed'
        UNION ALL
        SELECT d.actor, r.at / 86400000, CASE WHEN d.verdict = r.verdict THEN 1 ELSE 0 END FROM case_event AS r
            JOIN case_event AS d ON d.subject_id = r.subject_id AND d.case_id = r.case_id AND d.number = (SELECT max(x.number) FROM case_event AS x
                WHERE x.subject_id = r.subject_id AND x.case_id = r.case_id AND x.event = 'decided' AND x.number < r.number)
            WHERE r.event = 'reviewed') AS pairs WHERE TRUE GROUP BY who, day
    ON CONFLICT (actor, day) DO UPDATE SET twice = excluded.twice, agreed = excluded.agreed;

-- How many cases stand where; kept by the database itself.
CREATE TABLE case_count (
    standing TEXT NOT NULL PRIMARY KEY,
    cases INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO case_count SELECT standing, count(*) FROM case_desk GROUP BY standing;
CREATE TRIGGER case_count_added AFTER INSERT ON case_desk BEGIN
    INSERT INTO case_count (standing, cases) VALUES (NEW.standing, 1) ON CONFLICT (standing) DO UPDATE SET cases = cases + 1;
END;
CREATE TRIGGER case_count_moved AFTER UPDATE OF standing ON case_desk WHEN NEW.standing <> OLD.standing BEGIN
    UPDATE case_count SET cases = cases - 1 WHERE standing = OLD.standing;
    INSERT INTO case_count (standing, cases) VALUES (NEW.standing, 1) ON CONFLICT (standing) DO UPDATE SET cases = cases + 1;
END;
CREATE TRIGGER case_count_removed AFTER DELETE ON case_desk BEGIN
    UPDATE case_count SET cases = cases - 1 WHERE standing = OLD.standing;
END;

-- Pairs of a photo and captures whose answer is known, from licensed or volunteers' faces, sealed under a key of each pair's own.
-- `mated`: one person on all of them. Captures that are `own` are of the photo's person in any case, the others those that are judged. A pair that is retired is shown to nobody any more.
CREATE TABLE seed_pair (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    licence TEXT NOT NULL,
    mated INTEGER NOT NULL CHECK (mated IN (0, 1)),
    score REAL NOT NULL,
    model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    retired_at INTEGER,
    wrapped BLOB NOT NULL,
    photo BLOB NOT NULL,
    quality BLOB NOT NULL
) STRICT;
CREATE TABLE seed_capture (
    pair_id BLOB NOT NULL REFERENCES seed_pair ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 0),
    own INTEGER NOT NULL CHECK (own IN (0, 1)),
    score REAL NOT NULL,
    live REAL,
    sample BLOB NOT NULL,
    PRIMARY KEY (pair_id, number)
) STRICT;

-- A case that was made from a pair. It stands among the others in case_file and what hangs on it, under the random id of nobody; what others
-- have in the tables of persons and verifications stands here, where no statistics, evidence, export or retention reads it.
CREATE TABLE seed_case (
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    case_id BLOB NOT NULL UNIQUE CHECK (length(case_id) = 16),
    pair_id BLOB NOT NULL REFERENCES seed_pair,
    wrapped BLOB NOT NULL,
    photo_id BLOB NOT NULL CHECK (length(photo_id) = 16),
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    photo_taken_on TEXT,
    PRIMARY KEY (subject_id, case_id)
) STRICT;
CREATE INDEX seed_case_of_pair ON seed_case (pair_id);
CREATE TABLE seed_answer (
    pair_id BLOB NOT NULL REFERENCES seed_pair,
    actor TEXT NOT NULL,
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    at INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    PRIMARY KEY (pair_id, actor)
) STRICT;
CREATE INDEX seed_answer_by_time ON seed_answer (at);
CREATE INDEX seed_answer_by_actor ON seed_answer (actor);
CREATE TABLE seed_photo (
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    photo_id BLOB NOT NULL CHECK (length(photo_id) = 16),
    photo BLOB NOT NULL,
    quality BLOB NOT NULL,
    PRIMARY KEY (subject_id, photo_id)
) STRICT;
CREATE TABLE seed_probe (
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    verification_id BLOB NOT NULL CHECK (length(verification_id) = 16),
    template BLOB NOT NULL,
    sample BLOB NOT NULL,
    PRIMARY KEY (subject_id, verification_id)
) STRICT;
CREATE TABLE seed_flag (
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    transaction_id TEXT NOT NULL,
    PRIMARY KEY (subject_id, case_id, number)
) STRICT;
CREATE TABLE seed_verification (
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
    reasons TEXT NOT NULL,
    disposition TEXT NOT NULL,
    score REAL,
    match_threshold REAL,
    non_match_threshold REAL,
    model TEXT NOT NULL,
    live REAL,
    policy_version TEXT NOT NULL,
    mode TEXT NOT NULL,
    recipe TEXT NOT NULL,
    consent TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor IN (0, 1)),
    childhood_photo INTEGER NOT NULL CHECK (childhood_photo IN (0, 1)),
    photo_age_days INTEGER,
    reference_id BLOB,
    age_band TEXT NOT NULL,
    PRIMARY KEY (subject_id, id)
) STRICT;

-- Cases that are about somebody: what statistics and exports may count.
CREATE VIEW real_case AS SELECT c.* FROM case_file AS c WHERE NOT EXISTS (SELECT 1 FROM seed_case AS s WHERE s.case_id = c.id);

-- What is told to the center's own systems, in the order of each case: written with the step it tells of. `due_at` is when it may be sent
-- next, `tries` how often it was, and the fence of whoever is too slow. What is dead waits for somebody to ask for it.
CREATE TABLE webhook_event (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    case_id BLOB NOT NULL CHECK (length(case_id) = 16),
    number INTEGER NOT NULL CHECK (number > 0),
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    delivered_at INTEGER,
    dead_at INTEGER,
    said TEXT NOT NULL DEFAULT '',
    UNIQUE (case_id, number)
) STRICT;
CREATE INDEX webhook_event_due ON webhook_event (due_at) WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE INDEX webhook_event_by_time ON webhook_event (made_at);

-- Words of a case are sealed under a key of their own, so that they go where it goes; `text` is empty then.
ALTER TABLE case_statement ADD COLUMN wrapped BLOB;
ALTER TABLE case_statement ADD COLUMN sealed BLOB;
DROP TRIGGER case_statement_stays;
CREATE TRIGGER case_statement_stays BEFORE UPDATE ON case_statement WHEN OLD.sealed IS NOT NULL AND (NEW.sealed IS NOT OLD.sealed
    OR NEW.text <> OLD.text OR NEW.at <> OLD.at OR NEW.actor <> OLD.actor OR NEW.kind <> OLD.kind)
BEGIN SELECT RAISE(ABORT, 'statements are only added'); END;
