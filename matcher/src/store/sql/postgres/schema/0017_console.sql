-- The review console: its users and sessions, the queue of cases, judgements, and what was said in a case.

-- People who sign in. `id` leads their data key, `wrapped`, as a person's: it seals the secret of the second factor. Of a
-- password there is an Argon2id string alone, of a session the hash of its token.
CREATE TABLE console_user (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    wrapped BYTEA NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    institution TEXT COLLATE "C" NOT NULL,
    password TEXT COLLATE "C" NOT NULL,
    must_change SMALLINT NOT NULL CHECK (must_change IN (0, 1)),
    totp BYTEA,
    totp_step BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE console_session (
    token_hash BYTEA NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    user_name TEXT COLLATE "C" NOT NULL REFERENCES console_user (name),
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    address TEXT COLLATE "C" NOT NULL
);
CREATE INDEX console_session_of_user ON console_session (user_name);

-- Where each case stands, so that a page of the queue is read from an index; follows from case_file and case_event.
-- `second_due`: the verdict waits for a second look.
CREATE TABLE case_desk (
    subject_id BYTEA NOT NULL,
    case_id BYTEA NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    rank DOUBLE PRECISION NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    assignee TEXT COLLATE "C",
    second_due SMALLINT NOT NULL CHECK (second_due IN (0, 1)),
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (subject_id, case_id),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
);
CREATE INDEX case_desk_working ON case_desk (rank, case_id) WHERE state <> 'closed';
CREATE INDEX case_desk_by_state ON case_desk (state, rank, case_id);
CREATE INDEX case_desk_by_assignee ON case_desk (assignee, rank, case_id) WHERE assignee IS NOT NULL;

-- Where a case's captures were made.
CREATE TABLE case_place (
    subject_id BYTEA NOT NULL,
    case_id BYTEA NOT NULL,
    institution TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    scene TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (subject_id, case_id, institution, transaction_id, scene),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
);
CREATE INDEX case_place_by_institution ON case_place (institution, case_id);
CREATE INDEX case_place_by_transaction ON case_place (transaction_id, case_id);

-- What somebody saw in two faces before anything else was shown; once for each person. `draw` decides whether the case is
-- looked at a second time, and was drawn before anybody decided.
CREATE TABLE case_judgement (
    subject_id BYTEA NOT NULL,
    case_id BYTEA NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    verification_id BYTEA,
    judgement BIGINT NOT NULL CHECK (judgement BETWEEN -3 AND 3),
    draw DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (subject_id, case_id, actor),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
);
CREATE TRIGGER case_judgement_stays BEFORE UPDATE ON case_judgement FOR EACH ROW EXECUTE FUNCTION refuse('judgements are only added');

-- Notes, the store's reply, the patient's complaint, numbered from 1; only ever added to.
CREATE TABLE case_statement (
    subject_id BYTEA NOT NULL,
    case_id BYTEA NOT NULL,
    number BIGINT NOT NULL CHECK (number > 0),
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    institution TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    due_at BIGINT,
    PRIMARY KEY (subject_id, case_id, number),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
);
CREATE INDEX case_statement_asked ON case_statement (institution, at) WHERE kind = 'store_asked';
CREATE TRIGGER case_statement_stays BEFORE UPDATE ON case_statement FOR EACH ROW EXECUTE FUNCTION refuse('statements are only added');

CREATE INDEX case_event_by_time ON case_event (at);
-- Who looked at a face, newest first.
CREATE INDEX audit_entry_looks ON audit_entry (at) WHERE action = 'face_viewed';

INSERT INTO case_desk
SELECT c.subject_id, c.id, c.kind, c.opened_at,
    CASE c.opening WHEN 'complaint' THEN 2000.0 WHEN 'random_audit' THEN 1000.0 ELSE 0.0 END + c.log_odds,
    CASE e.event WHEN 'claimed' THEN 'claimed' WHEN 'decided' THEN 'decided' WHEN 'closed' THEN 'closed'
        WHEN 'reviewed' THEN CASE WHEN e.verdict = (SELECT d.verdict FROM case_event AS d WHERE d.subject_id = c.subject_id
            AND d.case_id = c.id AND d.event = 'decided' ORDER BY d.number DESC LIMIT 1) THEN 'second_review' ELSE 'open' END
        ELSE 'open' END,
    CASE e.event WHEN 'claimed' THEN e.actor END,
    CASE WHEN e.event = 'decided' AND e.verdict = 'confirmed' THEN 1 ELSE 0 END,
    coalesce(e.at, c.opened_at)
FROM case_file AS c LEFT JOIN case_event AS e ON e.subject_id = c.subject_id AND e.case_id = c.id
    AND e.number = (SELECT max(n.number) FROM case_event AS n WHERE n.subject_id = c.subject_id AND n.case_id = c.id);

INSERT INTO case_place
SELECT DISTINCT m.subject_id, m.case_id, v.institution, v.transaction_id, v.scene FROM case_member AS m
JOIN verification AS v ON v.subject_id = m.subject_id AND v.id = m.verification_id;
