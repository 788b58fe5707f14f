-- The queue as index ranges; known-answer cases; what is told to the center's own systems; words of a case, sealed.

-- `standing` is the state as the queue shows it: a verdict that waits for a second look is 'second_due', one that nobody waits for
-- 'decided'. What a line of the queue shows stands beside it, so that a page looks into no other table.
ALTER TABLE case_desk ADD COLUMN standing TEXT COLLATE "C" NOT NULL DEFAULT 'open';
ALTER TABLE case_desk ADD COLUMN captures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE case_desk ADD COLUMN institution TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE case_desk ADD COLUMN institutions BIGINT NOT NULL DEFAULT 0;
ALTER TABLE case_desk ADD COLUMN identifier_masked TEXT COLLATE "C" NOT NULL DEFAULT '';
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
    subject_id BYTEA NOT NULL,
    case_id BYTEA NOT NULL,
    facet TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    standing TEXT COLLATE "C" NOT NULL,
    rank DOUBLE PRECISION NOT NULL,
    opened_at BIGINT NOT NULL,
    PRIMARY KEY (subject_id, case_id, facet, value),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
);
CREATE INDEX case_facet_working ON case_facet (facet, value, rank, case_id) WHERE standing <> 'closed';
CREATE INDEX case_facet_by_standing ON case_facet (facet, value, standing, rank, case_id);
CREATE INDEX case_facet_by_opening ON case_facet (facet, value, opened_at, standing, rank, case_id, subject_id);
INSERT INTO case_facet SELECT subject_id, case_id, 'kind', kind, standing, rank, opened_at FROM case_desk;
INSERT INTO case_facet SELECT DISTINCT p.subject_id, p.case_id, 'institution', p.institution, d.standing, d.rank, d.opened_at FROM case_place AS p
    JOIN case_desk AS d ON d.subject_id = p.subject_id AND d.case_id = p.case_id;
INSERT INTO case_facet SELECT DISTINCT p.subject_id, p.case_id, 'scene', p.scene, d.standing, d.rank, d.opened_at FROM case_place AS p
    JOIN case_desk AS d ON d.subject_id = p.subject_id AND d.case_id = p.case_id;

-- Institutions that cases were ever about, to choose from.
CREATE TABLE case_institution (name TEXT COLLATE "C" NOT NULL PRIMARY KEY);
INSERT INTO case_institution SELECT DISTINCT institution FROM case_place;

-- What reviewers did in a day (of UTC, since 1970-01-01): first and second verdicts, and cases that two people judged without knowing of
-- each other. Added to with each step; known-answer cases are not in it.
CREATE TABLE reviewer_day (
    actor TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL,
    decided BIGINT NOT NULL,
    confirmed BIGINT NOT NULL,
    reviewed BIGINT NOT NULL,
    twice BIGINT NOT NULL,
    agreed BIGINT NOT NULL,
    PRIMARY KEY (actor, day)
);
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
    standing TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    cases BIGINT NOT NULL
);
INSERT INTO case_count SELECT standing, count(*) FROM case_desk GROUP BY standing;
CREATE FUNCTION case_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.standing = OLD.standing THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE case_count SET cases = cases - 1 WHERE standing = OLD.standing;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO case_count AS c (standing, cases) VALUES (NEW.standing, 1) ON CONFLICT (standing) DO UPDATE SET cases = c.cases + 1;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER case_count AFTER INSERT OR DELETE OR UPDATE OF standing ON case_desk FOR EACH ROW EXECUTE FUNCTION case_count();

-- Pairs of a photo and captures whose answer is known, from licensed or volunteers' faces, sealed under a key of each pair's own.
-- `mated`: one person on all of them. Captures that are `own` are of the photo's person in any case, the others those that are judged. A pair that is retired is shown to nobody any more.
CREATE TABLE seed_pair (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    licence TEXT COLLATE "C" NOT NULL,
    mated SMALLINT NOT NULL CHECK (mated IN (0, 1)),
    score DOUBLE PRECISION NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    recipe TEXT COLLATE "C" NOT NULL,
    added_at BIGINT NOT NULL,
    added_by TEXT COLLATE "C" NOT NULL,
    retired_at BIGINT,
    wrapped BYTEA NOT NULL,
    photo BYTEA NOT NULL,
    quality BYTEA NOT NULL
);
CREATE TABLE seed_capture (
    pair_id BYTEA NOT NULL REFERENCES seed_pair ON DELETE CASCADE,
    number BIGINT NOT NULL CHECK (number >= 0),
    own SMALLINT NOT NULL CHECK (own IN (0, 1)),
    score DOUBLE PRECISION NOT NULL,
    live DOUBLE PRECISION,
    sample BYTEA NOT NULL,
    PRIMARY KEY (pair_id, number)
);

-- A case that was made from a pair. It stands among the others in case_file and what hangs on it, under the random id of nobody; what others
-- have in the tables of persons and verifications stands here, where no statistics, evidence, export or retention reads it.
CREATE TABLE seed_case (
    subject_id BYTEA NOT NULL CHECK (length(subject_id) = 16),
    case_id BYTEA NOT NULL UNIQUE CHECK (length(case_id) = 16),
    pair_id BYTEA NOT NULL REFERENCES seed_pair,
    wrapped BYTEA NOT NULL,
    photo_id BYTEA NOT NULL CHECK (length(photo_id) = 16),
    source TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    enrolled_at BIGINT NOT NULL,
    photo_taken_on TEXT COLLATE "C",
    PRIMARY KEY (subject_id, case_id)
);
CREATE INDEX seed_case_of_pair ON seed_case (pair_id);
CREATE TABLE seed_answer (
    pair_id BYTEA NOT NULL REFERENCES seed_pair,
    actor TEXT COLLATE "C" NOT NULL,
    case_id BYTEA NOT NULL CHECK (length(case_id) = 16),
    at BIGINT NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (pair_id, actor)
);
CREATE INDEX seed_answer_by_time ON seed_answer (at);
CREATE INDEX seed_answer_by_actor ON seed_answer (actor);
CREATE TABLE seed_photo (
    subject_id BYTEA NOT NULL CHECK (length(subject_id) = 16),
    photo_id BYTEA NOT NULL CHECK (length(photo_id) = 16),
    photo BYTEA NOT NULL,
    quality BYTEA NOT NULL,
    PRIMARY KEY (subject_id, photo_id)
);
CREATE TABLE seed_probe (
    subject_id BYTEA NOT NULL CHECK (length(subject_id) = 16),
    verification_id BYTEA NOT NULL CHECK (length(verification_id) = 16),
    template BYTEA NOT NULL,
    sample BYTEA NOT NULL,
    PRIMARY KEY (subject_id, verification_id)
);
CREATE TABLE seed_flag (
    subject_id BYTEA NOT NULL CHECK (length(subject_id) = 16),
    case_id BYTEA NOT NULL CHECK (length(case_id) = 16),
    number BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    raised_at BIGINT NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (subject_id, case_id, number)
);
CREATE TABLE seed_verification (
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
    mode TEXT COLLATE "C" NOT NULL,
    recipe TEXT COLLATE "C" NOT NULL,
    consent TEXT COLLATE "C" NOT NULL,
    minor SMALLINT NOT NULL CHECK (minor IN (0, 1)),
    childhood_photo SMALLINT NOT NULL CHECK (childhood_photo IN (0, 1)),
    photo_age_days BIGINT,
    reference_id BYTEA,
    age_band TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (subject_id, id)
);

-- Cases that are about somebody: what statistics and exports may count.
CREATE VIEW real_case AS SELECT c.* FROM case_file AS c WHERE NOT EXISTS (SELECT 1 FROM seed_case AS s WHERE s.case_id = c.id);

-- What is told to the center's own systems, in the order of each case: written with the step it tells of. `due_at` is when it may be sent
-- next, `tries` how often it was, and the fence of whoever is too slow. What is dead waits for somebody to ask for it.
CREATE TABLE webhook_event (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    case_id BYTEA NOT NULL CHECK (length(case_id) = 16),
    number BIGINT NOT NULL CHECK (number > 0),
    kind TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    tries BIGINT NOT NULL DEFAULT 0,
    delivered_at BIGINT,
    dead_at BIGINT,
    said TEXT COLLATE "C" NOT NULL DEFAULT '',
    UNIQUE (case_id, number)
);
CREATE INDEX webhook_event_due ON webhook_event (due_at) WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE INDEX webhook_event_by_time ON webhook_event (made_at);

-- Words of a case are sealed under a key of their own, so that they go where it goes; `text` is empty then.
ALTER TABLE case_statement ADD COLUMN wrapped BYTEA;
ALTER TABLE case_statement ADD COLUMN sealed BYTEA;
DROP TRIGGER case_statement_stays ON case_statement;
CREATE TRIGGER case_statement_stays BEFORE UPDATE ON case_statement FOR EACH ROW WHEN (OLD.sealed IS NOT NULL AND (NEW.sealed IS DISTINCT FROM OLD.sealed
    OR NEW.text <> OLD.text OR NEW.at <> OLD.at OR NEW.actor <> OLD.actor OR NEW.kind <> OLD.kind))
    EXECUTE FUNCTION refuse('statements are only added');
