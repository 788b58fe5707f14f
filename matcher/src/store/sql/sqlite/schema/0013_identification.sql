-- What changed for those who keep copies of what can be searched: references and probes that came or went. Rows are written
-- by the database itself, whoever changed the tables. Numbers are given out in the writer's transaction and commits are one
-- after another, so that nobody who has read up to a number misses one below it; `era` is for databases of many writers, and
-- always 0 here. Random ids and nothing else; old rows are removed, and who has read less than that starts anew.
CREATE TABLE feed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    era INTEGER NOT NULL DEFAULT 0,
    kind TEXT NOT NULL CHECK (kind IN ('reference', 'probe')),
    added INTEGER NOT NULL CHECK (added IN (0, 1)),
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    record_id BLOB NOT NULL CHECK (length(record_id) = 16)
) STRICT;
CREATE INDEX feed_by_era ON feed (era, number);

CREATE TRIGGER feed_reference_added AFTER INSERT ON reference BEGIN
    INSERT INTO feed (kind, added, subject_id, record_id) VALUES ('reference', 1, NEW.subject_id, NEW.record_id);
END;
CREATE TRIGGER feed_reference_removed AFTER DELETE ON reference BEGIN
    INSERT INTO feed (kind, added, subject_id, record_id) VALUES ('reference', 0, OLD.subject_id, OLD.record_id);
END;
CREATE TRIGGER feed_photo_ended AFTER UPDATE OF state ON enrolment WHEN NEW.state <> 'active' AND OLD.state = 'active' BEGIN
    INSERT INTO feed (kind, added, subject_id, record_id)
    SELECT 'reference', 0, subject_id, record_id FROM reference WHERE subject_id = NEW.subject_id AND photo_id = NEW.photo_id;
END;
CREATE TRIGGER feed_probe_added AFTER INSERT ON visit BEGIN
    INSERT INTO feed (kind, added, subject_id, record_id) VALUES ('probe', 1, NEW.subject_id, NEW.verification_id);
END;
CREATE TRIGGER feed_probe_removed AFTER DELETE ON visit BEGIN
    INSERT INTO feed (kind, added, subject_id, record_id) VALUES ('probe', 0, OLD.subject_id, OLD.verification_id);
END;

-- Jobs that search what came: up to where in the feed they are done, one process at a time (see case_run).
CREATE TABLE search_job (
    name TEXT NOT NULL PRIMARY KEY,
    due_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    era INTEGER NOT NULL,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO search_job VALUES ('duplicates', 0, 0, 0, 0), ('same_face', 0, 0, 0, 0), ('many_faces', 0, 0, 0, 0);

-- What they found about whom, so that it is flagged once: `about` is the institution, or the other person.
CREATE TABLE search_finding (
    subject_id BLOB NOT NULL REFERENCES subject ON DELETE CASCADE,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    flag_id BLOB NOT NULL CHECK (length(flag_id) = 16),
    score REAL,
    found_at INTEGER NOT NULL,
    PRIMARY KEY (subject_id, kind, about)
) STRICT, WITHOUT ROWID;
CREATE INDEX search_finding_by_time ON search_finding (found_at);

-- Changes up to here were removed from the feed.
CREATE TABLE feed_trimmed (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    era INTEGER NOT NULL,
    number INTEGER NOT NULL
) STRICT;
INSERT INTO feed_trimmed VALUES (1, -1, 0);
