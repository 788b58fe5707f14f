-- Look-up keys that are out of use, by name. A process that was asleep while a key was dropped must not write what
-- nobody finds any more.
CREATE TABLE retired_lookup (
    lookup_key_id TEXT NOT NULL PRIMARY KEY,
    retired_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER identifier_of_retired_key BEFORE INSERT ON identifier
WHEN EXISTS (SELECT 1 FROM retired_lookup WHERE lookup_key_id = NEW.lookup_key_id)
BEGIN
    SELECT RAISE(ABORT, 'the look-up key is out of use');
END;

-- Hashes a person's numbers had under dropped look-up keys, where decisions from before the number had a person are
-- recorded under them: forgetting takes the number out of those too.
CREATE TABLE former_identifier (
    subject_id BLOB NOT NULL REFERENCES subject ON DELETE CASCADE,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (subject_id, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX identifier_by_key ON identifier (lookup_key_id);
