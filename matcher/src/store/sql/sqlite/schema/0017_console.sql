-- The review console: its users and sessions, the queue of cases, judgements, and what was said in a case.

-- People who sign in. `id` leads their data key, `wrapped`, as a person's: it seals the secret of the second factor. Of a
-- password there is an Argon2id string alone, of a session the hash of its token.
CREATE TABLE console_user (
    name TEXT NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    wrapped BLOB NOT NULL,
    role TEXT NOT NULL,
    institution TEXT NOT NULL,
    password TEXT NOT NULL,
    must_change INTEGER NOT NULL CHECK (must_change IN (0, 1)),
    totp BLOB,
    totp_step INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE console_session (
    token_hash BLOB NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    user_name TEXT NOT NULL REFERENCES console_user (name),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    address TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX console_session_of_user ON console_session (user_name);

-- Where each case stands, so that a page of the queue is read from an index; follows from case_file and case_event.
-- `second_due`: the verdict waits for a second look.
CREATE TABLE case_desk (
    subject_id BLOB NOT NULL,
    case_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    rank REAL NOT NULL,
    state TEXT NOT NULL,
    assignee TEXT,
    second_due INTEGER NOT NULL CHECK (second_due IN (0, 1)),
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (subject_id, case_id),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX case_desk_working ON case_desk (rank, case_id) WHERE state <> 'closed';
CREATE INDEX case_desk_by_state ON case_desk (state, rank, case_id);
CREATE INDEX case_desk_by_assignee ON case_desk (assignee, rank, case_id) WHERE assignee IS NOT NULL;

-- Where a case's captures were made.
CREATE TABLE case_place (
    subject_id BLOB NOT NULL,
    case_id BLOB NOT NULL,
    institution TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    scene TEXT NOT NULL,
    PRIMARY KEY (subject_id, case_id, institution, transaction_id, scene),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX case_place_by_institution ON case_place (institution, case_id);
CREATE INDEX case_place_by_transaction ON case_place (transaction_id, case_id);

-- What somebody saw in two faces before anything else was shown; once for each person. `draw` decides whether the case is
-- looked at a second time, and was drawn before anybody decided.
CREATE TABLE case_judgement (
    subject_id BLOB NOT NULL,
    case_id BLOB NOT NULL,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL,
    verification_id BLOB,
    judgement INTEGER NOT NULL CHECK (judgement BETWEEN -3 AND 3),
    draw REAL NOT NULL,
    PRIMARY KEY (subject_id, case_id, actor),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
) STRICT;
CREATE TRIGGER case_judgement_stays BEFORE UPDATE ON case_judgement BEGIN SELECT RAISE(ABORT, 'judgements are only added'); END;

-- Notes, the store's reply, the patient's complaint, numbered from 1; only ever added to.
CREATE TABLE case_statement (
    subject_id BLOB NOT NULL,
    case_id BLOB NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    institution TEXT NOT NULL,
    text TEXT NOT NULL,
    due_at INTEGER,
    PRIMARY KEY (subject_id, case_id, number),
    FOREIGN KEY (subject_id, case_id) REFERENCES case_file (subject_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX case_statement_asked ON case_statement (institution, at) WHERE kind = 'store_asked';
CREATE TRIGGER case_statement_stays BEFORE UPDATE ON case_statement BEGIN SELECT RAISE(ABORT, 'statements are only added'); END;

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
