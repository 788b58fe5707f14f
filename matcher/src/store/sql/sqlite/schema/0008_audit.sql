-- What happened, in chains that end in signed checkpoints outside this database. One epoch for each process that
-- wrote something, one link for each commit. An entry's content (salt to detail) may be set to NULL when its time
-- is over: digest and time stay, and the chain still holds.
CREATE TABLE audit_epoch (
    epoch BLOB NOT NULL PRIMARY KEY CHECK (length(epoch) = 16),
    started_at INTEGER NOT NULL,
    command TEXT NOT NULL,
    os_user TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_link (
    epoch BLOB NOT NULL REFERENCES audit_epoch,
    link INTEGER NOT NULL CHECK (link > 0),
    entries INTEGER NOT NULL, -- of the epoch, up to and with this link
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (epoch, link)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entry (
    epoch BLOB NOT NULL,
    link INTEGER NOT NULL,
    place INTEGER NOT NULL, -- within the link, from 1
    at INTEGER NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    salt BLOB CHECK (length(salt) = 16),
    action TEXT,
    actor TEXT,
    object TEXT,
    detail TEXT,
    PRIMARY KEY (epoch, link, place),
    FOREIGN KEY (epoch, link) REFERENCES audit_link
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_entry_by_time ON audit_entry (at);
